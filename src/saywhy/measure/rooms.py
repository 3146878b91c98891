"""How many tokens a reply may take."""

from __future__ import annotations

from collections.abc import Mapping

from saywhy.records import ReplyPlan, Setting, StyleName
from saywhy.words import candidates, free_word_budget, most_frequent_candidate

NAMING_ROOM: Mapping[Setting, int] = {"one-word": 16, "free": 48}
"""How many tokens a reply may take that names words; a list of many long words takes more (``_naming_room``)."""


SENTENCE_ROOM: Mapping[StyleName, int] = {"reasons": 128, "steps": 176}
"""How many tokens a reply in sentences may take."""


def reply_room(text: str, style: StyleName, setting: Setting, plan: ReplyPlan = "direct") -> int:
    """Return how many tokens a reply may take: a word or a list, or a copy and some room for the marks, or both."""
    if style in SENTENCE_ROOM:
        return SENTENCE_ROOM[style]
    naming = _naming_room(text, "free" if style == "keywords" else setting)
    if not copies_text(style):
        return naming
    wide = len(text.encode("utf-8", "replace")) - len(text)  # scripts of which a letter may take several tokens
    marks = 6 * max(4, most_frequent_candidate(text)[1])  # tokens of a word edited at each of its places
    return len(text) // 2 + wide + marks + (naming if plan == "named-first" else 0)


def _naming_room(text: str, setting: Setting) -> int:
    """Return the room of a reply that names words: no token of a word is empty, so its bytes bound its tokens."""
    if setting == "one-word":
        return NAMING_ROOM[setting]
    sizes = sorted((len(word.core.encode("utf-8", "replace")) + 2 for word in candidates(text)), reverse=True)
    return max(NAMING_ROOM[setting], sum(sizes[: free_word_budget(text)]))


def copies_text(style: StyleName) -> bool:
    """Whether a reply of a style copies the text."""
    return style in ("redaction", "counterfactual")
