"""Tables as LaTeX with booktabs; everything from data is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from saywhy.printable import printable
from saywhy.report.format import Sheet, SheetCell
from saywhy.report.study.parts import ReportPart

LONGTABLE_ROWS = 40
"""Tables of more lines than this may break over pages (longtable)."""

LATEX_SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "\N{EN DASH}": "--", "\N{EM DASH}": "---",
    "±": r"$\pm$", "§": r"\S{}", "†": r"\textdagger{}", "¶": r"\P{}",
    "‡": r"\textdaggerdbl{}", "→": r"$\rightarrow$", "’": "'", "‘": "`", "…": r"\ldots{}", "\N{MINUS SIGN}": "$-$",
}  # fmt: skip
"""Signs that LaTeX reads as something else, or does not have in its fonts, and what is written in their place."""


def escape(text: str) -> str:
    r"""Return text that LaTeX sets as it stands.

    >>> print(escape("50 % of a_b [-0.1]"))
    50 \% of a\_b [$-$0.1]
    """
    flat = " ".join(printable(text).split())
    escaped = "".join(LATEX_SIGNS.get(sign, sign) for sign in flat)
    return re.sub(r"(?<![\w\\])-(?=\d)", "$-$", escaped)


def tables_tex(parts: Iterable[ReportPart]) -> str:
    r"""Return every printed table of the report; ``\input`` it where booktabs and longtable are loaded."""
    head = "% Needs \\usepackage{booktabs,longtable}. Tables are set small: turn those that do not fit your page.\n"
    tables = [
        latex_table(sheet, f"tab:{part.anchor}-{number}", part.title)
        for part in parts
        if part.printed
        for number, sheet in enumerate(part.sheets, start=1)
    ]
    return head + "\n" + "\n\n".join(tables) + "\n"


def latex_table(sheet: Sheet, label: str, part_title: str = "") -> str:
    """Return one table; ``part_title`` is the title of the part of the report that it belongs to."""
    columns = "l" * sheet.texts + "r" * (len(sheet.header) - sheet.texts)
    label = re.sub(r"[^\w:.-]", "-", label, flags=re.ASCII)
    title = (
        sheet.title if not part_title or part_title.lower() == sheet.title.lower() else f"{part_title}: {sheet.title}"
    )
    caption = f"{escape(title)}. {escape(sheet.note)}".strip()
    head = " & ".join(escape(name) for name in sheet.header) + r" \\"
    body = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in sheet.rows]
    if len(sheet.rows) > LONGTABLE_ROWS:
        return _latex_longtable(columns, caption, label, head, body)
    lines = [
        r"\begin{table*}[t]", r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{caption}}}\label{{{label}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule",
        *body, r"\bottomrule", r"\end{tabular}", r"\end{table*}",
    ]  # fmt: skip
    return "\n".join(lines)


def _latex_longtable(columns: str, caption: str, label: str, head: str, body: Sequence[str]) -> str:
    """Return a table that may break over pages; its head is repeated."""
    lines = [
        r"{\scriptsize\setlength{\tabcolsep}{3pt}", rf"\begin{{longtable}}{{{columns}}}",
        rf"\caption{{{caption}}}\label{{{label}}}\\",
        r"\toprule", head, r"\midrule", r"\endfirsthead", r"\toprule", head, r"\midrule",
        r"\endhead", r"\bottomrule", r"\endfoot", *body, r"\end{longtable}}",
    ]  # fmt: skip
    return "\n".join(lines)


def _latex_cell(cell: SheetCell) -> str:
    r"""Return a cell, its second text smaller. A bracket first in a line would be read as an option of ``\\``."""
    small = rf" {{\tiny {escape(cell.small)}}}" if cell.small else ""
    main = escape(cell.main)
    return f"{{{main}}}{small}" if main.startswith("[") else f"{main}{small}"
