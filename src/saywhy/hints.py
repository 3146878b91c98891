"""What is said to someone who mistyped a name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(got: object, known: Iterable[str], before: str = "", behind: str = "") -> str:
    """Return "did you mean 'x'?" for the name that is nearest to ``got``, whatever its case; nothing if none is near.

    >>> did_you_mean("Redcat", ("redact", "delete"), ", ")
    ", did you mean 'redact'?"
    >>> did_you_mean("xyz", ("redact", "delete"), ", ")
    ''

    Args:
        got: What was written.
        known: What could have been meant.
        before: What stands before the hint, if there is one.
        behind: What stands behind it.
    """
    names = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(str(got).casefold(), names, n=1)
    return f"{before}did you mean {names[close[0]]!r}?{behind}" if close else ""
