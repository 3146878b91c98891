"""The report in a terminal, with rich. What does not fit is left out, never cut: the files have it all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from saywhy.report.checked import moves_sheet
from saywhy.report.format import Sheet, Shown
from saywhy.report.headline import headline
from saywhy.report.marks import SIGN, shipped
from saywhy.report.sheets import contrast_sheets, main_sheets, retention_sheet, set_aside_sheet
from saywhy.report.summary import Summary

KEEP_BOUNDS = {"excess", "difference", "accuracy", "change"}
"""Columns that keep their intervals on a narrow terminal (by name, without a mark)."""

DISPENSABLE = (
    "excess by seed",
    "drop",
    "for 80 %",
    "d_z",
    "McNemar",
    "drift of margin",
    "drift of ceiling",
    "score, can flip",
    "start-graded",
    "score, both can flip",
    "accuracy, raw",
    "n",
    "ceiling",
    "floor",
    "drift of floor",
    "score if valid",
    "by seed",
    "same answer",
    "floor / ceiling",
    "of the other",
    "against",
    "p (Holm)",
)
"""Columns that a narrow terminal goes without, in this order (by name, without a mark)."""

FOLD = 32
"""Characters to which a text is folded where the terminal is too narrow, before any number is left out."""


def show(summary: Summary, console: Console | None = None) -> None:
    """Print the headline, the tables and what was set aside."""
    console = console or Console()
    console.print(escape(headline(summary)))
    rest = [
        found
        for found in (moves_sheet(summary), retention_sheet(summary), set_aside_sheet(summary))
        if found is not None
    ]
    sheets = [*main_sheets(summary), *contrast_sheets(summary)]
    more = [*main_sheets(summary, primary=False), *contrast_sheets(summary, primary=False)]
    show_sheets([*sheets, *rest], console)
    if told := shipped().footnote():
        console.print(Text(f"\n{told}", "dim"))
    if more:
        console.print("\nThe placebo readout and other operators are in the report's files.")


def show_sheets(sheets: Iterable[Sheet], console: Console) -> None:
    """Print tables, a blank line before each."""
    for found in sheets:
        console.print()
        console.print(rich_table(found, console.width))
        if found.note:
            console.print(Text(found.note, "dim"))


def rich_table(found: Sheet, width: int = 120) -> Table:
    """Return a sheet as a rich table of at most ``width``; its texts are never read as markup."""
    columns = list(range(len(found.header)))
    names = [name.removesuffix(f" {SIGN}") for name in found.header]
    bounds, fold = set(columns), None
    if _width(found, columns, bounds, fold) > width:
        fold = FOLD
    if _width(found, columns, bounds, fold) > width:
        bounds = {at for at in columns if names[at] in KEEP_BOUNDS}
    for name in DISPENSABLE:
        if _width(found, columns, bounds, fold) > width:
            columns = [at for at in columns if names[at] != name]
    table = Table(title=Text(found.title, "bold"), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    words = {at: _words(found, at, bounds) for at in columns}
    # Only what has several words is folded, if that is enough; a name is not to be broken.
    enough = sum(max(map(len, mine)) for mine in words.values()) + 2 * len(columns) + 2 <= width
    for at in columns:
        text, whole = at < found.texts, enough and len(words[at]) == 1 + len(found.rows)
        side: Literal["left", "right"] = "left" if text else "right"
        table.add_column(
            Text(found.header[at]), justify=side, overflow="fold", max_width=fold if text else None, no_wrap=whole
        )
    for rows in found.groups:
        for number, row in enumerate(rows):
            above = rows[number - 1] if number else ()
            same = {at for at in range(found.texts - 1) if row[: at + 1] == above[: at + 1]}
            table.add_row(*("" if at in same else Text(_text(row, at, bounds)) for at in columns))
    return table


def _words(found: Sheet, at: int, bounds: set[int]) -> list[str]:
    """Return every word of a column, the header's first."""
    cells = [found.header[at], *(_text(row, at, bounds) for row in found.rows)]
    return [word for cell in cells for word in cell.split() or [""]]


def _text(row: tuple[Shown, ...], at: int, bounds: set[int]) -> str:
    return str(row[at]) if at in bounds else row[at].main


def _width(found: Sheet, columns: list[int], bounds: set[int], fold: int | None) -> int:
    """Return how many characters the table takes with its texts folded."""
    widest = {at: max([len(found.header[at]), *(len(_text(row, at, bounds)) for row in found.rows)]) for at in columns}
    folded = [min(most, fold) if fold and at < found.texts else most for at, most in widest.items()]
    return sum(folded) + 2 * len(columns) + 2
