"""Numbers as people read them, and the one table shape that terminal, Markdown and HTML all render."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from saywhy.stats import EITHER, FLIPPABLE, MOST, Difference, Interval, Needed

NOTHING = "–"  # noqa: RUF001 (an en dash, the usual mark of an empty cell)
"""Stands where there is no number; the reason stands beside it where there is room."""


DOUBT = "‡"
"""Stands behind an estimate whose interval is not to be trusted."""

DOUBTED = (
    f"{DOUBT} The interval of this score is not to be trusted: fewer than {FLIPPABLE} texts can flip, or fewer than "
    f"{EITHER} of them hit or fewer than {EITHER} miss."
)

SAME = "†"
"""Stands behind an arm or a variation that is graded with the operator that found the arm's training targets."""

SAME_NOTE = f"{SAME} Same instrument: graded with the operator with which this arm's training targets were found."


class Shown(NamedTuple):
    """One table cell: what is read first, what is read second, and why there is nothing."""

    main: str
    small: str = ""
    why: str = ""

    def __str__(self) -> str:
        """Return the cell as plain text."""
        return f"{self.main} {self.small}".strip()


@dataclass(frozen=True, slots=True)
class Sheet:
    """A titled table.

    Attributes:
        title: What it shows.
        header: Column names.
        rows: Cells, row by row.
        note: What the reader must know to read it.
        texts: Number of leading columns that are text (left aligned); the rest are numbers.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Shown, ...], ...]
    note: str = ""
    texts: int = 2

    @property
    def groups(self) -> list[list[tuple[Shown, ...]]]:
        """The rows by their first cell, as they follow each other; one group if it names each row."""
        if self.texts < 2:
            return [list(self.rows)]
        return [list(rows) for _, rows in groupby(self.rows, key=lambda row: row[0])]


def sheet(
    title: str, header: Sequence[str], rows: Sequence[Sequence[Shown | str]], note: str = "", texts: int = 2
) -> Sheet:
    """Return a Sheet; plain strings become cells, columns in which nothing has a number are left out.

    Where training and grading have the same instrument, or an interval is not to be trusted, the note says what the
    mark means.
    """
    made = [[c if isinstance(c, Shown) else Shown(c) for c in row] for row in rows]
    kept = [at for at in range(len(header)) if at < texts or any(row[at].main != NOTHING for row in made)]
    body = tuple(tuple(row[at] for at in kept) for row in made)
    for mark, meaning in ((SAME, SAME_NOTE), (DOUBT, DOUBTED)):
        if any(cell.main.endswith(mark) for row in body for cell in row):
            note = f"{note} {meaning}".strip()
    return Sheet(title, tuple(header[at] for at in kept), body, note, texts)


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with fixed digits, never "-0.00"; a dash for None."""
    if value is None:
        return NOTHING
    return f"{round(value, digits) + 0.0:.{digits}f}"


def signed(value: float | None, digits: int = 2) -> str:
    """Return a difference with its sign, never "-0.00"; a dash for None.

    >>> signed(0.171), signed(-0.03), signed(-0.001)
    ('+0.17', '-0.03', '+0.00')
    """
    return NOTHING if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def change(found: Interval) -> Shown:
    """Return a difference as a cell, with its sign."""
    return Shown(signed(found.value), bounds(found), found.reason or found.doubt or "")


def points(value: float | None) -> str:
    """Return a change of a share in points.

    >>> points(-0.0154)
    '-1.5'
    """
    return signed(None if value is None else 100 * value, 1)


def in_points(found: Interval) -> str:
    """Return a change of a share with its interval in points: ``-1.5 [-3.2, +0.3] points``."""
    interval = "" if found.low is None else f" [{points(found.low)}, {points(found.high)}]"
    return f"{points(found.value)}{interval} points"


def bounds(found: Interval) -> str:
    """Return ``[low, high]``, or nothing if there is no interval; a bound just below 0 keeps its sign.

    >>> bounds(Interval(0.08, -0.004, 0.16, 100))
    '[-0.00, 0.16]'
    """
    if found.low is None or found.high is None:
        return ""
    return f"[{_bound(found.low)}, {_bound(found.high)}]"


def _bound(value: float) -> str:
    return f"-{number(-value)}" if value < 0 else number(value)


def estimate(found: Interval) -> Shown:
    """Return an interval as a cell."""
    mark = DOUBT if found.doubt else ""
    return Shown(number(found.value) + mark, bounds(found), found.reason or found.doubt or "")


def written(found: Interval) -> str:
    """Return an interval within a sentence, e.g. ``0.21 [0.15, 0.27]``."""
    return str(estimate(found))


def p_value(p: float | None) -> str:
    """Return a p-value with three digits."""
    if p is None:
        return NOTHING
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_of(found: Difference, p_holm: float | None) -> Shown:
    """Return p, with the corrected one beside it."""
    return Shown(p_value(found.p), "" if p_holm is None else f"({p_value(p_holm)})")


def by_seed(values: Mapping[int, float]) -> Shown:
    """Return the value of each seed, seeds ascending; a dash if there is but one."""
    if len(values) < 2:
        return Shown(NOTHING, "", "one seed")
    return Shown(", ".join(number(values[seed]) for seed in sorted(values)))


def needed_of(found: Needed) -> Shown:
    """Return a number of texts, e.g. ``199`` or ``>100,000``."""
    if found.texts is not None:
        return Shown(f"{found.texts:,}")
    return Shown(f">{MOST:,}") if found.too_many else Shown(NOTHING, "", found.reason or "")


def joined(parts: Sequence[str], last: str = "and") -> str:
    """Return ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def counted(number_of: int, noun: str) -> str:
    """Return ``1 text``, ``2 texts``."""
    return f"{number_of} {noun}{'' if number_of == 1 else 's'}"
