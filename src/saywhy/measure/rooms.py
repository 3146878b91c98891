"""How many tokens a reply may take."""

from __future__ import annotations

import re
from collections.abc import Mapping

from saywhy.records import ReplyPlan, Setting, StyleName
from saywhy.words import Word, candidates, free_word_budget, most_frequent_candidate, occurrences

NAMING_ROOM: Mapping[Setting, int] = {"one-word": 16, "free": 48}
"""How many tokens a reply may take that names words; a list of many long words takes more (``_naming_room``)."""


SENTENCE_ROOM: Mapping[StyleName, int] = {"reasons": 128, "steps": 176}
"""How many tokens a reply in sentences may take."""
_PLAIN_WORD = re.compile(r"[A-Za-z]?[a-z']*")


def reply_room(text: str, style: StyleName, setting: Setting, plan: ReplyPlan = "direct") -> int:
    """Return how many tokens a reply may take: a word or a list, or a copy and some room for the marks, or both."""
    if style in SENTENCE_ROOM:
        return SENTENCE_ROOM[style]
    naming = _naming_room(text, "free" if style == "keywords" else setting)
    if not copies_text(style):
        return naming
    words = occurrences(text)
    blanks = len(text) - sum(len(word.run) for word in words)
    copy = sum(_word_room(word) + _bytes(word.run) - _bytes(word.core) for word in words) + max(0, blanks - len(words))
    marks = 6 * max(4, most_frequent_candidate(text)[1])  # tokens of a word edited at each of its places
    return copy + marks + (naming if plan == "named-first" else 0)


def _naming_room(text: str, setting: Setting) -> int:
    """Return the room of a reply that names words."""
    words = candidates(text)
    if setting == "one-word":
        return max((NAMING_ROOM[setting], *(_word_room(word) + 2 for word in words)))
    sizes = sorted((_bytes(word.core) + 2 for word in words), reverse=True)
    return max(NAMING_ROOM[setting], sum(sizes[: free_word_budget(text)]))


def _word_room(word: Word) -> int:
    """Return how many tokens a word may take: half of the letters of a plain one, and one for what is before it.

    A number, an address, a hashtag or a word of another script may take one a sign, or more.
    """
    return len(word.core) // 2 + 1 if _PLAIN_WORD.fullmatch(word.core) else _bytes(word.core) + 1


def _bytes(text: str) -> int:
    """Return the bytes of a text, which bound its tokens: none is empty."""
    return len(text.encode("utf-8", "replace"))


def copies_text(style: StyleName) -> bool:
    """Whether a reply of a style copies the text."""
    return style in ("redaction", "counterfactual")
