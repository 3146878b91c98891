"""Text of others (labels, names, replies, paths), made safe to show."""

from __future__ import annotations

import re

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What is shown for a character that a terminal would obey, or that would show other characters in another order."""

# Marks, embeddings, overrides and isolates of writing direction.
_DIRECTION_CONTROLS = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
# Control characters but for line feed and tab, separators of lines, halves of characters, tags that nobody sees.
_OBEYED = re.compile(
    rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029{_DIRECTION_CONTROLS}\ud800-\udfff\U000e0000-\U000e007f]"
)

_LINE_BREAK = re.compile(r"\s*[\n\t]\s*")


def printable(text: str) -> str:
    r"""Return text without what a terminal obeys: escapes, carriage returns, changes of writing direction.

    Line feeds, tabs, letters of every script and emoji stay.

    >>> print(printable("caf\u00e9 \x1b[31mred\u202e"))
    café �[31mred�
    """
    return _OBEYED.sub(REPLACEMENT, text)


def in_one_line(text: object, longest: int | None = None) -> str:
    r"""Return a value as printable text of one line, cut to ``longest`` characters.

    >>> in_one_line(["a", "b\nc"]), in_one_line("so\n  long", 6)
    ("['a', 'b\\nc']", 'so ...')
    """
    line = _LINE_BREAK.sub(" ", printable(str(text).strip()))
    return line if longest is None or len(line) <= longest else f"{line[: longest - 3]}..."
