"""Several tests at once: which of them are corrected together (a family), and Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from saywhy.records import ALL_SETTINGS, ALL_STYLES, OPERATORS, READOUTS, SaywhyError

FAMILY_FIELDS: Mapping[str, Sequence[str] | None] = {
    "arm": None,
    "against": None,
    "style": ALL_STYLES,
    "setting": ALL_SETTINGS,
    "readout": READOUTS,
    "operator": OPERATORS,
}
"""The fields that a family is chosen by, and the values that each may have (None: any arm)."""


@dataclass(frozen=True, slots=True)
class Family:
    """The confirmatory comparisons of a study: those whose p-values are corrected together.

    To be named before the results are seen; what is outside is exploratory.

    Attributes:
        name: Its name in the report.
        accepted: Field to the values that belong to the family. A field that is missing accepts any value.

    >>> family = Family.parse("style=attribution,redaction against=random")
    >>> family.holds({"style": ("redaction",), "against": ("random-redaction", "random")})
    True
    """

    name: str
    accepted: Mapping[str, Sequence[str]]

    def holds(self, names_by_field: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether a comparison belongs to the family; ``names_by_field`` has the names of each of its fields."""
        return all(set(names_by_field[field]) & set(values) for field, values in self.accepted.items())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Build a family from words such as ``style=attribution against=random,lexical``.

        Raises:
            SaywhyError: For a word that is not field=values, an unknown field or an unknown value.
        """
        accepted: dict[str, tuple[str, ...]] = {}
        for word in text.split():
            field, separator, listed = word.partition("=")
            values = tuple(value for value in listed.split(",") if value)
            if not separator or field not in FAMILY_FIELDS or not values:
                raise SaywhyError(
                    f"'{word}' names no comparisons: write FIELD=VALUE,VALUE with {', '.join(FAMILY_FIELDS)}"
                )
            allowed = FAMILY_FIELDS[field]
            if allowed is not None and (unknown_values := [value for value in values if value not in allowed]):
                raise SaywhyError(f"no {field} '{unknown_values[0]}': choose from {', '.join(allowed)}")
            accepted[field] = tuple(dict.fromkeys((*accepted.get(field, ()), *values)))
        if not accepted:
            raise SaywhyError(f"no comparisons are named: write FIELD=VALUE,VALUE with {', '.join(FAMILY_FIELDS)}")
        return cls(" ".join(f"{field}={','.join(values)}" for field, values in accepted.items()), accepted)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm 1979)."""
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p_value) for p_value in multipletests(list(p_values), method="holm")[1]]
