"""Which rows belong together, and what is compared of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from saywhy import stats
from saywhy.records import ALL_SETTINGS, ALL_STYLES, OPERATORS, READOUTS, Operator, Readout, Row, Setting, StyleName

RESULT_READOUTS: tuple[Readout, ...] = ("constrained", "generated", "guided")
"""The readouts that are results, the ones that a finding is rather read from first; placebo is a robustness check."""

RESULT_CONDITIONS: tuple[tuple[Setting, Readout], ...] = (
    *(("one-word", readout) for readout in RESULT_READOUTS),
    ("free", "generated"),
    ("sentences", "generated"),
)
"""Settings and readouts in which explanations are results: several words are generated only."""
SEVERAL_WORDS_LEGEND = (
    "Of several words, the floor is that of random sets of as many, the ceiling that of the best set of as many that a "
    "greedy search finds."
)


@dataclass(frozen=True, slots=True)
class CellKey:
    """The arm, style, setting, readout and operator of a cell."""

    arm: str
    style: StyleName
    setting: Setting
    readout: Readout
    operator: Operator

    def order(self, arms: Sequence[str], operators: Sequence[Operator] = OPERATORS) -> tuple[int, ...]:
        """Return the sort key of the cell; a table holds one operator (the primary one first), setting and readout."""
        return (
            operators.index(self.operator),
            ALL_SETTINGS.index(self.setting),
            READOUTS.index(self.readout),
            ALL_STYLES.index(self.style),
            arms.index(self.arm),
        )

    @property
    def block(self) -> tuple[Operator, Setting, Readout]:
        """The table to which the cell belongs."""
        return self.operator, self.setting, self.readout


def finding_readout(keys: Iterable[CellKey]) -> Readout:
    """Return the readout that a finding is read from: constrained if there is any, else generated, else guided."""
    present = {key.readout for key in keys}
    return next((readout for readout in RESULT_READOUTS if readout in present), "generated")


def words_of_chance(keys: Iterable[CellKey]) -> str:
    """Return what explanations are compared with in words: a random word, or as many of them."""
    return "a random word" if all(key.setting == "one-word" for key in keys) else "as many random words"


def several_words_legend(keys: Iterable[CellKey]) -> str:
    """Return what floor and ceiling are of explanations of several words, behind a blank; empty if there are none."""
    return f" {SEVERAL_WORDS_LEGEND}" * any(key.setting != "one-word" for key in keys)


def rows_by_cell(rows: Iterable[Row]) -> dict[CellKey, list[Row]]:
    """Return the rows of each cell."""
    rows_by_key: dict[CellKey, list[Row]] = {}
    for row in rows:
        rows_by_key.setdefault(CellKey(row.arm, row.style, row.setting, row.readout, row.operator), []).append(row)
    return rows_by_key


def excesses(rows: Iterable[Row]) -> dict[stats.TextSeed, float]:
    """Return the excess of each (text, seed)."""
    return {(row.id, row.seed): row.excess for row in rows}


def raw_hits(rows: Iterable[Row]) -> dict[stats.TextSeed, float]:
    """Return 1 or 0 for each (text, seed): whether its explanation hits."""
    return {(row.id, row.seed): float(row.hit) for row in rows}
