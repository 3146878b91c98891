"""Whether a sentence mentions a word only to say that it did not count: 'not because of "but"', '"but" did not matter'.

That a sentence denies what a text says ("they do not like the weather") denies no word.
"""

from __future__ import annotations

import re

_WINDOW = 200
"""Characters before and behind a mention in which the clause that holds it is looked for."""

_CLAUSE_BREAK = re.compile(
    r"""[.!?;](?=["')\]]*(?:\s|$))|\n|(?<!["'])\b(?:but|however|yet|although|though|whereas|while)\b(?!["'])"""
)
_NOT = r"(?:(?:\bnot|n't)(?!\s+(?:only|just|merely|solely|simply|necessarily)\b)|\bnever|\bneither|\bnor)"
_BESIDE_THE_POINT = (
    r"\b(?:rather than|instead of|regardless of|irrespective of|independent(?:ly)? of|unrelated to|nothing to do with"
    r"|apart from|aside from|ignor(?:e|es|ed|ing))"
)
_NOT_THE_CAUSE = re.compile(
    rf"(?:{_NOT}\s+(?:(?:\w+\s+){{0,2}}?(?:because(?:\s+of)?|due\s+to|based\s+on)|about|by|for|from|on|that|matter\s+(?:that|how|if))"
    rf"|{_BESIDE_THE_POINT})\s"
)
"""Denies all that is mentioned behind it in its clause, until a cause is given (``_CAUSE_GIVEN``)."""

_CAUSE_GIVEN = re.compile(
    r"\b(?:because|due\s+to|it'?s|it\s+(?:is|was)|this\s+is|the\s+reason|rather(?!\s+than)|only|i"
    r"|(?:and|then)\s+(?:look|use|rel[iy]|chose|focus|went|consider|decide)\w*)\b"
)
_NOT_THIS = re.compile(rf"{_NOT}\s+\Z")
_NOT_THIS_QUOTE = re.compile(rf"{_NOT}\s+(?:\w+\s+){{0,4}}[\"']\Z")
_QUOTES_LISTED = re.compile(r"""(?:"[^"]*"|'[^']*')\s*(?:,\s*)?(?:\b(?:and|or|nor)\b\s*)?(?=["'])""")
_OTHERS_LISTED = r"""(?:\s*(?:,\s*)?(?:\b(?:and|or|nor)\b\s*)?["'][^"']*["']|\s*(?:,|\band|\bor|\bnor)\s+\w+(?=\s))*"""
_DID_NOT_COUNT = re.compile(
    rf"""\A["']?{_OTHERS_LISTED}(?:\s*,?\s*(?:which|that|itself|alone|here|in\s+the\s+\w+|of\s+the\s+\w+)\b)*\s*
    (?:
        (?:(?:did|do|does|was|is|were|are|had|has|have|played|plays|play|made|makes|make|could|would)
            (?:\s+(?:not|no|nothing|never)\b|n't)|never|hardly|barely)
        \s+(?:(?:really|even|at\s+all|the|a|an|any)\s+)*
        (?:reason|cause|why|what|matter|count|deci|determin|influen|affect|chang|role|part\b|effect|impact|bearing|weight
            |difference|contribut|important|relevan|significan|because|factor|used|consider|to\s+do)
        |(?:is|was|are|were)\s+(?:irrelevant|unimportant|insignificant|immaterial|ignored|beside\s+the\s+point)
    )""",
    re.X,
)


def is_denied(explanation: str, start: int, end: int) -> bool:
    """Return whether an explanation says that the word mentioned at ``start`` did not count.

    Args:
        explanation: The folded explanation; negations that belong to the text, not to the sentence, are taken out.
        start: Offset of the mention.
        end: Offset just behind it.
    """
    before = _CLAUSE_BREAK.split(explanation[max(start - _WINDOW, 0) : start])[-1]
    behind = _CLAUSE_BREAK.split(explanation[end : end + _WINDOW])[0]
    cue = next(reversed(list(_NOT_THE_CAUSE.finditer(before))), None)
    if cue and not _CAUSE_GIVEN.search(before, cue.end()):
        return True
    unlisted = _QUOTES_LISTED.sub("", before)
    return bool(_NOT_THIS.search(before) or _NOT_THIS_QUOTE.search(unlisted) or _DID_NOT_COUNT.match(behind))
