"""The report in a terminal, with rich. Columns that do not fit are left out, never cut: the files have them all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from saywhy.progress import PlainConsole
from saywhy.report.answers import answers_warning
from saywhy.report.checked import moves_sheet
from saywhy.report.format import Sheet, SheetCell
from saywhy.report.headline import headline
from saywhy.report.marks import FOOLED_SIGN, shipped_fooled_metrics
from saywhy.report.sheets import contrast_sheets, result_sheets, retention_sheet, set_aside_sheet
from saywhy.report.summary import Summary

KEEP_BOUNDS = {"excess", "difference", "accuracy", "change", "holds"}
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
    "effect share, start-graded",
    "score, both can flip",
    "accuracy, raw",
    "n",
    "ceiling",
    "floor",
    "drift of floor",
    "score if valid",
    "effect share",
    "by seed",
    "same answer",
    "floor / ceiling",
    "of the other",
    "answers",
    "seconds",
    "against",
    "p (Holm)",
)
"""Columns that a narrow terminal goes without, in this order (by name, without a mark)."""

FOLD_WIDTH = 32
"""Characters to which a text is folded where the terminal is too narrow, before any number is left out."""


def show_run_summary(summary: Summary, console: Console | None = None) -> None:
    """Print the headline, the tables and what was set aside."""
    console = console or PlainConsole()
    console.print(escape(headline(summary)))
    if warning := answers_warning(summary):
        console.print(escape(warning))
    details = [
        sheet
        for sheet in (moves_sheet(summary), retention_sheet(summary), set_aside_sheet(summary))
        if sheet is not None
    ]
    sheets = [*result_sheets(summary), *contrast_sheets(summary)]
    secondary = [*result_sheets(summary, primary=False), *contrast_sheets(summary, primary=False)]
    show_sheets([*sheets, *details], console)
    if footnote := shipped_fooled_metrics().footnote():
        console.print(Text(f"\n{footnote}", "dim"))
    if secondary:
        console.print("\nThe placebo readout and other operators are in the report's files.")


def show_sheets(sheets: Iterable[Sheet], console: Console) -> None:
    """Print tables, a blank line before each."""
    for sheet in sheets:
        console.print()
        console.print(rich_table(sheet, console.width))
        if sheet.note:
            console.print(Text(sheet.note, "dim"))


def rich_table(sheet: Sheet, width: int = 120) -> Table:
    """Return a sheet as a rich table of at most ``width``; its texts are never read as markup."""
    columns = list(range(len(sheet.header)))
    names = [name.removesuffix(f" {FOOLED_SIGN}") for name in sheet.header]
    bounds, fold = set(columns), None
    if _table_width(sheet, columns, bounds, fold) > width:
        fold = FOLD_WIDTH
    if _table_width(sheet, columns, bounds, fold) > width:
        bounds = {column for column in columns if names[column] in KEEP_BOUNDS}
    for name in DISPENSABLE:
        if _table_width(sheet, columns, bounds, fold) > width:
            columns = [column for column in columns if names[column] != name]
    table = Table(title=Text(sheet.title, "bold"), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    words = {column: _column_words(sheet, column, bounds) for column in columns}
    # Only cells of several words are folded, if that is enough; a name is not to be broken.
    enough = sum(max(map(len, cell_words)) for cell_words in words.values()) + 2 * len(columns) + 2 <= width
    for column in columns:
        is_text, no_wrap = column < sheet.texts, enough and len(words[column]) == 1 + len(sheet.rows)
        justify: Literal["left", "right"] = "left" if is_text else "right"
        table.add_column(
            Text(sheet.header[column]),
            justify=justify,
            overflow="fold",
            max_width=fold if is_text else None,
            no_wrap=no_wrap,
        )
    for rows in sheet.groups:
        for index, row in enumerate(rows):
            above = rows[index - 1] if index else ()
            same = {column for column in range(sheet.texts - 1) if row[: column + 1] == above[: column + 1]}
            table.add_row(*("" if column in same else Text(_cell_text(row, column, bounds)) for column in columns))
    return table


def _column_words(sheet: Sheet, column: int, bounds: set[int]) -> list[str]:
    """Return every word of a column, the header's first."""
    cells = [sheet.header[column], *(_cell_text(row, column, bounds) for row in sheet.rows)]
    return [word for cell in cells for word in cell.split() or [""]]


def _cell_text(row: tuple[SheetCell, ...], column: int, bounds: set[int]) -> str:
    return str(row[column]) if column in bounds else row[column].main


def _table_width(sheet: Sheet, columns: list[int], bounds: set[int], fold: int | None) -> int:
    """Return how many characters the table takes with its texts folded."""
    widest = {
        column: max([len(sheet.header[column]), *(len(_cell_text(row, column, bounds)) for row in sheet.rows)])
        for column in columns
    }
    folded = [min(width, fold) if fold and column < sheet.texts else width for column, width in widest.items()]
    return sum(folded) + 2 * len(columns) + 2
