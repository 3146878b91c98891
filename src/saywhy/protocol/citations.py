"""Which words an explanation cites: quotes, lists, names ("the word but decided"), or says that somebody does."""

from __future__ import annotations

import re
from bisect import bisect_left as bisect
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from saywhy.protocol.lemmas import VERBS_OF_A_PERSON
from saywhy.protocol.naming import QUOTED_TEXT
from saywhy.protocol.reply_words import ReplyWord, pieces

_A_PERSON = re.compile(
    r"(?:\b(?:i|you|he|she|we|they|who|author|writer|user|speaker|person|people|do|does|did|would|to|not)|n't|'m|'re)\s+"
    r"(?:(?:also|really|still|just|so|always|never)\s+)?(?:(?:is|are|was|were|am|be|been|have|has|had)\s+)?\Z"
)

_NAMES_NEXT = re.compile(r"\b(?:(?:words?|terms?|phrases?|keywords?)\s*[:,]?|because of|due to)\s+\Z")
_NAMED = re.compile(
    r"\s*(?:[.,;!?]|\Z)|\s+(?:but|and|or|decided|determined|made|led|influenced|is|was|did|does|shows|suggests)\b"
)
_LIST_HEAD = re.compile(r"\s*(?:[\w ]{1,40}:\s)?")
_LIST_ITEM = re.compile(r"(?:(?!\s{0,3}[,;]|\s{1,3}(?:and|or)\s).)+")
_LONGEST_ITEM = 3
"""Words of an item of a list: a line with longer ones is a sentence with commas."""


def cited_places(folded: str, tokens: Sequence[ReplyWord], text_pairs: AbstractSet[tuple[str, str]]) -> set[int]:
    """Return which tokens are cited: quoted from the text, an item of a list, named ("the word but decided"), done."""
    starts = [token.start for token in tokens]
    quotes = (
        range(bisect(starts, match.start()), bisect(starts, match.end())) for match in QUOTED_TEXT.finditer(folded)
    )
    cited = {
        at
        for quote in quotes
        if all((tokens[at].key, tokens[at + 1].key) in text_pairs for at in quote[:-1])
        for at in quote
    }
    items = set(_item_starts(folded))
    return cited | {
        at
        for at, token in enumerate(tokens)
        if token.start in items
        or (_NAMES_NEXT.search(folded[max(token.start - 20, 0) : token.start]) and _NAMED.match(folded, token.end))
        or (token.key in VERBS_OF_A_PERSON and _A_PERSON.search(folded[max(token.start - 40, 0) : token.start]))
    }


def _item_starts(folded: str) -> Iterator[int]:
    """Yield where the items of one word begin, on lines that are lists and no sentences."""
    for line in re.finditer(r"[^\n]+", folded):
        listed = _LIST_HEAD.sub("", line.group(), count=1)
        offset = line.end() - len(listed)
        items = [
            [offset + item.start() + piece.start for piece in pieces(item.group())]
            for item in _LIST_ITEM.finditer(listed)
        ]
        if all(len(item) <= _LONGEST_ITEM for item in items):
            yield from (item[0] for item in items if len(item) == 1)
