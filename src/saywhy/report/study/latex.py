"""Tables as LaTeX with booktabs; everything from data is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from saywhy.report.format import Sheet, Shown
from saywhy.report.study.parts import Part

LONG = 40
"""Tables of more lines than this may break over pages (longtable)."""

SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "\N{EN DASH}": "--", "\N{EM DASH}": "---",
    "±": r"$\pm$", "§": r"\S{}", "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}", "→": r"$\rightarrow$", "’": "'", "‘": "`", "…": r"\ldots{}", "\N{MINUS SIGN}": "$-$",
}  # fmt: skip
"""What LaTeX reads as something else, or does not have in its fonts."""


def escape(text: str) -> str:
    r"""Return text that LaTeX sets as it stands.

    >>> print(escape("50 % of a_b [-0.1]"))
    50 \% of a\_b [$-$0.1]
    """
    flat = " ".join(text.split())
    found = "".join(SIGNS.get(sign, sign) for sign in flat)
    return re.sub(r"(?<![\w\\])-(?=\d)", "$-$", found)


def tables_tex(parts: Iterable[Part]) -> str:
    r"""Return every printed table of the report; ``\input`` it where booktabs and longtable are loaded."""
    head = "% Needs \\usepackage{booktabs,longtable}. Tables are set small: turn those that do not fit your page.\n"
    made = [
        table(found, f"tab:{part.anchor}-{number}", part.title)
        for part in parts
        if part.printed
        for number, found in enumerate(part.sheets, start=1)
    ]
    return head + "\n" + "\n\n".join(made) + "\n"


def table(found: Sheet, label: str, of: str = "") -> str:
    """Return one table; ``of`` is the part that it belongs to."""
    columns = "l" * found.texts + "r" * (len(found.header) - found.texts)
    title = found.title if not of or of.lower() == found.title.lower() else f"{of}: {found.title}"
    caption = f"{escape(title)}. {escape(found.note)}".strip()
    head = " & ".join(escape(name) for name in found.header) + r" \\"
    body = [" & ".join(_cell(cell) for cell in row) + r" \\" for row in found.rows]
    if len(found.rows) > LONG:
        return _long(columns, caption, label, head, body)
    lines = [
        r"\begin{table*}[t]", r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{caption}}}\label{{{label}}}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule",
        *body, r"\bottomrule", r"\end{tabular}", r"\end{table*}",
    ]  # fmt: skip
    return "\n".join(lines)


def _long(columns: str, caption: str, label: str, head: str, body: Sequence[str]) -> str:
    """Return a table that may break over pages; its head is repeated."""
    lines = [
        r"{\scriptsize\setlength{\tabcolsep}{3pt}", rf"\begin{{longtable}}{{{columns}}}",
        rf"\caption{{{caption}}}\label{{{label}}}\\",
        r"\toprule", head, r"\midrule", r"\endfirsthead", r"\toprule", head, r"\midrule",
        r"\endhead", r"\bottomrule", r"\endfoot", *body, r"\end{longtable}}",
    ]  # fmt: skip
    return "\n".join(lines)


def _cell(cell: Shown) -> str:
    r"""Return a cell; what is read second is set smaller. A bracket first in a line would be an option of ``\\``."""
    small = rf" {{\tiny {escape(cell.small)}}}" if cell.small else ""
    main = escape(cell.main)
    return f"{{{main}}}{small}" if main.startswith("[") else f"{main}{small}"
