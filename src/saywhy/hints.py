"""The hint for a mistyped name: the allowed name that is nearest to it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(written: object, allowed: Iterable[str], before: str = "", behind: str = "") -> str:
    """Return "did you mean 'x'?" for the allowed name nearest to ``written``, whatever its case; "" if none is near.

    >>> did_you_mean("Redcat", ("redact", "delete"), ", ")
    ", did you mean 'redact'?"
    >>> did_you_mean("xyz", ("redact", "delete"), ", ")
    ''

    Args:
        written: The name that was written.
        allowed: The names that could have been meant.
        before: Text in front of the hint, if there is a hint.
        behind: Text behind the hint, likewise.
    """
    name_by_folded = {name.casefold(): name for name in allowed}
    nearest = difflib.get_close_matches(str(written).casefold(), name_by_folded, n=1)
    return f"{before}did you mean {name_by_folded[nearest[0]]!r}?{behind}" if nearest else ""
