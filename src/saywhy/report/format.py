"""Numbers as text, and ``Sheet``: the table that terminal, Markdown and HTML render."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from saywhy.stats import (
    LEAST_EFFECTIVE_TEXTS,
    LEAST_FLIPPABLE_TEXTS,
    LEAST_HITS_AND_MISSES,
    LEAST_TEXTS,
    MOST_PLANNED_TEXTS,
    Difference,
    Interval,
    TextsNeeded,
)

NO_NUMBER = "–"  # noqa: RUF001 (an en dash, the usual mark of an empty cell)
"""Stands where there is no number; pages show the reason as a tooltip."""


DOUBT_MARK = "‡"
"""Stands behind an estimate whose interval is not to be trusted."""

DOUBT_NOTE = (
    f"{DOUBT_MARK} The interval of this score is not to be trusted, or missing: fewer than "
    f"{LEAST_FLIPPABLE_TEXTS} texts can flip, or fewer than {LEAST_HITS_AND_MISSES} of them hit or fewer than "
    f"{LEAST_HITS_AND_MISSES} miss; or this effect share hangs on fewer than about {LEAST_EFFECTIVE_TEXTS} texts; or "
    f"this mean is one of fewer than {LEAST_TEXTS}."
)

DRIFT_MARK = "¶"
"""Stands behind a difference of effect shares that only the arms' own tables show (``only_own_shown``)."""

DRIFT_NOTE = (
    f"{DRIFT_MARK} Drift: this gain in effect share is shown by the arms' own tables (interval above 0), but not by "
    "those of the model that they went on from: part of it may be a model that changed rather than words chosen better."
)

SAME_INSTRUMENT = "†"
"""Stands behind an arm or a variation that is graded with the operator that found the arm's training targets."""

SAME_INSTRUMENT_NOTE = (
    f"{SAME_INSTRUMENT} Same instrument: graded with the operator with which this arm's training targets were found."
)


class SheetCell(NamedTuple):
    """One cell of a sheet.

    Attributes:
        main: The value.
        small: What stands small beside it: an interval, a count, a corrected p.
        why: Why there is no value, or no trust in its interval.
    """

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
        note: What the columns mean, in sentences below the table.
        texts: Number of leading columns that are text (left aligned); the rest are numbers.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[SheetCell, ...], ...]
    note: str = ""
    texts: int = 2

    @property
    def groups(self) -> list[list[tuple[SheetCell, ...]]]:
        """Consecutive rows with the same first cell; all rows are one group if only the first column is text."""
        if self.texts < 2:
            return [list(self.rows)]
        return [list(rows) for _, rows in groupby(self.rows, key=lambda row: row[0])]


def sheet_of(
    title: str, header: Sequence[str], rows: Sequence[Sequence[SheetCell | str]], note: str = "", texts: int = 2
) -> Sheet:
    """Return a Sheet; plain strings become cells, columns in which no row has a number are left out.

    Where a cell ends with †, ‡ or ¶, the note gets a sentence on what that mark means.
    """
    cells = [[cell if isinstance(cell, SheetCell) else SheetCell(cell) for cell in row] for row in rows]
    columns = [at for at in range(len(header)) if at < texts or any(row[at].main != NO_NUMBER for row in cells)]
    body = tuple(tuple(row[at] for at in columns) for row in cells)
    marks = ((SAME_INSTRUMENT, SAME_INSTRUMENT_NOTE), (DOUBT_MARK, DOUBT_NOTE), (DRIFT_MARK, DRIFT_NOTE))
    for mark, meaning in marks:
        if any(mark in _trailing_marks(cell.main) for row in body for cell in row):
            note = f"{note} {meaning}".strip()
    return Sheet(title, tuple(header[at] for at in columns), body, note, texts)


def _trailing_marks(text: str) -> str:
    """Return the marks at the end of a cell, which may have more than one."""
    return text[len(text.rstrip(f" {SAME_INSTRUMENT}{DOUBT_MARK}{DRIFT_MARK}")) :]


def interval_columns(name: str, interval: Interval) -> dict[str, float | int | None]:
    """Return an estimate as the columns NAME, NAME_low, NAME_high, NAME_n."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high, f"{name}_n": interval.n}


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with fixed digits, never "-0.00"; a dash for None."""
    if value is None:
        return NO_NUMBER
    return f"{round(value, digits) + 0.0:.{digits}f}"


def signed(value: float | None, digits: int = 2) -> str:
    """Return a difference with its sign, never "-0.00"; a dash for None.

    >>> signed(0.171), signed(-0.03), signed(-0.001)
    ('+0.17', '-0.03', '+0.00')
    """
    return NO_NUMBER if value is None else f"{round(value, digits) + 0.0:+.{digits}f}"


def change_cell(interval: Interval) -> SheetCell:
    """Return a difference as a cell, with its sign."""
    mark = DOUBT_MARK if interval.doubt else ""
    return SheetCell(signed(interval.value) + mark, interval_text(interval), interval.reason or interval.doubt or "")


def points(value: float | None) -> str:
    """Return a change of a share in points.

    >>> points(-0.0154)
    '-1.5'
    """
    return signed(None if value is None else 100 * value, 1)


def in_points(interval: Interval) -> str:
    """Return a change of a share with its interval in points: ``-1.5 [-3.2, +0.3] points``."""
    brackets = "" if interval.low is None else f" [{points(interval.low)}, {points(interval.high)}]"
    return f"{points(interval.value)}{brackets} points"


def interval_text(interval: Interval) -> str:
    """Return ``[low, high]``, or nothing if there is no interval; a bound just below 0 keeps its sign.

    >>> interval_text(Interval(0.08, -0.004, 0.16, 100))
    '[-0.00, 0.16]'
    """
    if interval.low is None or interval.high is None:
        return ""
    return f"[{_bound_text(interval.low)}, {_bound_text(interval.high)}]"


def _bound_text(value: float) -> str:
    return f"-{number(-value)}" if value < 0 else number(value)


def estimate_cell(interval: Interval) -> SheetCell:
    """Return an interval as a cell; without one to be trusted the value has a ‡."""
    mark = DOUBT_MARK if interval.doubt or (interval.value is not None and interval.low is None) else ""
    return SheetCell(number(interval.value) + mark, interval_text(interval), interval.reason or interval.doubt or "")


def estimate_text(interval: Interval) -> str:
    """Return an interval within a sentence, e.g. ``0.21 [0.15, 0.27]``."""
    return str(estimate_cell(interval))


def p_value(p: float | None) -> str:
    """Return a p-value with three digits."""
    if p is None:
        return NO_NUMBER
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_value_cell(difference: Difference, p_holm: float | None) -> SheetCell:
    """Return the p-value of a difference as a cell, with the corrected one beside it."""
    return SheetCell(p_value(difference.p), "" if p_holm is None else f"({p_value(p_holm)})")


def values_by_seed_cell(values: Mapping[int, float]) -> SheetCell:
    """Return the value of each seed, seeds ascending; a dash if there is but one."""
    if len(values) < 2:
        return SheetCell(NO_NUMBER, "", "one seed")
    return SheetCell(", ".join(number(values[seed]) for seed in sorted(values)))


def texts_needed_cell(needed: TextsNeeded) -> SheetCell:
    """Return the number of texts that a next study needs as a cell, e.g. ``199`` or ``>100,000``."""
    if needed.texts is not None:
        return SheetCell(f"{needed.texts:,}")
    return SheetCell(f">{MOST_PLANNED_TEXTS:,}") if needed.too_many else SheetCell(NO_NUMBER, "", needed.reason or "")


def joined(parts: Sequence[str], last: str = "and") -> str:
    """Return ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def report_command(folder: Path, *, published: bool) -> str:
    """Return the command that writes a folder's report again, from where the user stands.

    Args:
        folder: The folder, as the user named it.
        published: Whether others read the report: then it tells of no folder outside the one that the user is in.
    """
    path = folder
    if folder.is_absolute():
        inside = folder.is_relative_to(Path.cwd())
        path = folder.relative_to(Path.cwd()) if inside else Path(folder.name) if published else folder
    return f"saywhy report {shlex.quote(str(path))}"


def counted(count: int, noun: str) -> str:
    """Return ``1 text``, ``2 texts``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
