"""Which rows belong together, and what is compared of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from saywhy import stats
from saywhy.records import OPERATORS, READOUTS, SETTINGS, STYLES, Operator, Readout, Row, Setting, StyleName


@dataclass(frozen=True, slots=True)
class Key:
    """What a cell is about."""

    arm: str
    style: StyleName
    setting: Setting
    readout: Readout
    operator: Operator

    def order(self, arms: Sequence[str]) -> tuple[int, ...]:
        """Return the place of the cell in a table; blocks are operator, setting, readout."""
        return (
            OPERATORS.index(self.operator),
            SETTINGS.index(self.setting),
            READOUTS.index(self.readout),
            STYLES.index(self.style),
            arms.index(self.arm),
        )

    @property
    def block(self) -> tuple[Operator, Setting, Readout]:
        """The table to which the cell belongs."""
        return self.operator, self.setting, self.readout


def group(rows: Iterable[Row]) -> dict[Key, list[Row]]:
    """Return the rows of each cell."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(Key(row.arm, row.style, row.setting, row.readout, row.operator), []).append(row)
    return found


def excesses(rows: Iterable[Row]) -> dict[stats.Key, float]:
    """Return the excess of each (text, seed)."""
    return {(row.id, row.seed): row.excess for row in rows}


def raw_hits(rows: Iterable[Row]) -> dict[stats.Key, float]:
    """Return 1 or 0 for each (text, seed): whether its explanation hits."""
    return {(row.id, row.seed): float(row.hit) for row in rows}
