"""Several tests at once: which belong together, and what their number costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from saywhy.records import OPERATORS, READOUTS, SETTINGS, STYLES, SaywhyError

FIELDS: Mapping[str, Sequence[str] | None] = {
    "arm": None,
    "against": None,
    "style": STYLES,
    "setting": SETTINGS,
    "readout": READOUTS,
    "operator": OPERATORS,
}
"""What a family can be told by, and the values that each may have (None: any arm)."""


@dataclass(frozen=True, slots=True)
class Family:
    """The confirmatory comparisons of a study: those whose p-values are corrected together.

    To be named before the results are seen; what is outside is exploratory.

    Attributes:
        name: What the report calls it.
        only: Field: the values that belong to it. A field that is not there holds any.

    >>> family = Family.parse("style=attribution,redaction against=random")
    >>> family.holds({"style": ("redaction",), "against": ("random-redaction", "random")})
    True
    """

    name: str
    only: Mapping[str, Sequence[str]]

    def holds(self, place: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether a comparison belongs to the family; ``place`` has the names that each field goes by."""
        return all(set(place[field]) & set(values) for field, values in self.only.items())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Build a family from words such as ``style=attribution against=random,lexical``.

        Raises:
            SaywhyError: For a word that is not field=values, an unknown field or an unknown value.
        """
        only = {}
        for word in text.split():
            field, sep, listed = word.partition("=")
            values = tuple(value for value in listed.split(",") if value)
            if not sep or field not in FIELDS or not values:
                raise SaywhyError(f"'{word}' names no comparisons: write FIELD=VALUE,VALUE with {', '.join(FIELDS)}")
            known = FIELDS[field]
            if known is not None and (wrong := [value for value in values if value not in known]):
                raise SaywhyError(f"no {field} '{wrong[0]}': choose from {', '.join(known)}")
            only[field] = values
        if not only:
            raise SaywhyError(f"no comparisons are named: write FIELD=VALUE,VALUE with {', '.join(FIELDS)}")
        return cls(" ".join(f"{field}={','.join(values)}" for field, values in only.items()), only)


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm 1979)."""
    if not ps:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(list(ps), method="holm")[1]]
