"""Whether a sentence mentions a word only to say that it did not count: 'not because of "but"', '"but" did not matter'.

That something is not so because of a word ("not good because of the rain") gives the word as the cause, and a sentence
that repeats what the text negates ("the phone is not working", of "my phone isn't working") denies none:
``protocol.negations`` finds the negations that belong to the text.
"""

from __future__ import annotations

import re

_WINDOW = 200
"""Characters before and behind a mention in which the clause that holds it is looked for."""

_CLAUSE_BREAK = re.compile(
    r"""[.!?;](?=["')\]]*(?:\s|$))|\n|(?<!["'])\b(?:but|however|yet|although|though|whereas|while)\b(?!["'])"""
)
_NOT = (
    r"(?:(?:\bnot|n't)(?!\s+(?:only|just|merely|solely|simply|purely|exclusively|entirely|wholly|completely|necessarily)\b)"
    r"|\bnever|\bneither|\bnor)"
)
_ADVERBS = (
    r"(?:(?:really|actually|mainly|primarily|mostly|chiefly|largely|principally|particularly|especially|specifically"
    r"|exactly|precisely|directly|certainly|clearly|probably|even|also|so\s+much|at\s+all|in\s+any\s+way)\s+)*"
)
_BESIDE_THE_POINT = (
    r"\b(?:rather than|instead of|regardless of|irrespective of|independent(?:ly)? of|unrelated to|nothing to do with"
    r"|apart from|aside from|ignor(?:e|es|ed|ing))"
)
_CAUSE = r"because(?:\s+of)?|due\s+to|owing\s+to|(?:based|founded)\s+on|(?:decided|determined|influenced)\s+by"
# No adjective and no verb: who says "not good because of the rain" gives the rain as the cause.
_NOT_THE_CAUSE = re.compile(
    rf"(?:{_NOT}\s+{_ADVERBS}(?:{_CAUSE}|about|by|for|from|on|that|matter\s+(?:that|how|if))"
    rf"|{_BESIDE_THE_POINT}(?:\s+(?:{_CAUSE}))?)\s"
)
"""Denies all that stands behind it in its clause, until a cause is given or a clause begins (``_is_over``)."""

_CAUSE_GIVEN = re.compile(
    r"\b(?:because|due\s+to|it'?s|it\s+(?:is|was)|this\s+is|the\s+reason|rather(?!\s+than)|only|i"
    r"|(?:and|then)\s+(?:look|use|rel[iy]|chose|focus|went|consider|decide)\w*)\b"
)
_TAKES_A_CLAUSE = re.compile(r"\b(?:because|that|how|if)\s\Z")
_CLAUSE_WORD = re.compile(r"(?:how|whether|what|that|if|the\s+fact)\b")
_FINITE = (
    r"(?<!\bthat\s)(?<!\bwhich\s)(?<!\bwho\s)(?<!\bthe\s)(?<!\ba\s)(?<!\bto\s)\b(?:is|are|was|were|has|have|had|does|do|did"
    r"|will|would|can|could|shows?|showed|suggests?|indicates?|expresses|conveys?|implies|means|makes|gives|tells|says"
    r"|uses|mentions|describes|reports|contains|sounds?|seems?|feels|decides?|decided|determines?|determined|dominates?"
    r"|matters?|mattered|counts?|counted)\b"
)
_NEW_CLAUSE = re.compile(
    rf"""[\w"')]\s+(?:they|he|she|we|{_FINITE})\b
    |\b(?!(?:and|or|nor|of|in|on|at|to|for|with|by|from|about|than|as|like|\w+ing)\b)[\w'-]+["')]*
        \s+(?:the|an?|its|his|their|this|these|those)\b""",
    re.X,
)
_MAIN_CLAUSE = re.compile(rf"\s.*{_FINITE}")
_LIST_GOES_ON = re.compile(r"(?:[^,]+,)?[^,]*\b(?:and|or|nor)\b[^,]*,")
_NOTHING_BEFORE = re.compile(r"\W*(?:(?:so|and|thus|hence|therefore|it\s+is|it's|this\s+is)\W+)?")
_NOT_THIS = re.compile(rf"{_NOT}\s+(?:{_ADVERBS}(?:(?:the|a|any)\s+)?(?:words?|terms?|phrases?)\s+)?\Z")
_NOT_THIS_QUOTE = re.compile(
    rf"""{_NOT}\s+{_ADVERBS}(?:(?:
        {_CAUSE}|the|an?|any|its|their|his|her|this|that|single|mere|of|in|by|about|for|from|on|upon|at|to|with|word|words
        |term|terms|phrase|phrases|adjective|verb|noun|use|usage|presence|mention|choice|used|using|have|say|mean|see|take
        |contain|include|mention|chose|choose|chosen|pick|(?:consider|count|look|rel[iy]|depend|focus|weigh|bas|deci|caus
        |driv|affect|sway)\w*
    )\s+){{0,5}}["']\Z""",
    re.X,
)
_QUOTES_LISTED = re.compile(r"""(?:"[^"]*"|'[^']*')\s*(?:,\s*)?(?:\b(?:and|or|nor)\b\s*)?(?=["'])""")
_QUOTE = r"""(?:"[^"]*"|'[^']*')"""
_OTHERS_LISTED = rf"""(?:\s*(?:,\s*)?(?:\b(?:and|or|nor)\b\s*)?{_QUOTE}|\s*(?:,|\band|\bor|\bnor)\s+\w+(?=\s))*"""
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
    if cue and not _is_over(cue, before, explanation[start:end] + behind):
        return True
    unlisted = _QUOTES_LISTED.sub("", before)
    return bool(_NOT_THIS.search(before) or _NOT_THIS_QUOTE.search(unlisted) or _DID_NOT_COUNT.match(behind))


def _is_over(cue: re.Match[str], before: str, behind: str) -> bool:
    """Return whether what ``cue`` denies ends before ``behind``: "rather than joy it shows sad feelings"."""
    denied = before[cue.end() :]
    if _CAUSE_GIVEN.search(denied):
        return True
    if _TAKES_A_CLAUSE.search(cue.group()) or _CLAUSE_WORD.match(denied):
        return False
    if _NEW_CLAUSE.search(denied):
        return True
    # "Rather than joy, sad feelings are shown": in front of its sentence, until a comma that lists nothing more.
    behind_commas = ((denied + behind)[at.end() :] for at in re.finditer(",", denied))
    return bool(_NOTHING_BEFORE.fullmatch(before, 0, cue.start())) and any(
        _MAIN_CLAUSE.match(rest) and not _LIST_GOES_ON.match(rest) for rest in behind_commas
    )
