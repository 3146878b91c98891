"""Headlines and first sentences of news in four sections, one word of which says the section.

A block of the phrase file is a section, or `any`: phrases that suit every section and take its names
(`<person>`, `<event>`). Tag `f` is a plain line, `x` one with competing words.
"""

import re
from functools import lru_cache
from typing import Any

from saywhy.pocket.grammar import Dice, PhraseBlock, PhraseTemplate, capitalised, draw_sentences, load_phrases, text_row

NEWS_LABELS = ("World", "Sports", "Business", "Sci/Tech")

_LONGEST_NEWS, _SHORTEST_NEWS = 18, 9


def draw_news(label: str, contested: bool, count: int, dice: Dice, seen: set[str]) -> list[dict[str, Any]]:
    """Draw rows of one label, with or without competing words."""
    blocks = _news_blocks()
    tag = "x" if contested else "f"
    names = blocks[label].names + blocks["any"].names
    phrases = blocks[label].tagged(tag) + blocks["any"].tagged(tag)
    groups = [[PhraseTemplate(phrase, names)] for phrase in phrases]
    return [text_row(label, sentence) for sentence in draw_sentences(groups, count, dice, _news_line, seen)]


@lru_cache(maxsize=1)
def _news_blocks() -> dict[str, PhraseBlock]:
    """Read the sections."""
    return {block.title: block for block in load_phrases("news.txt")}


def _news_line(expanded: str, dice: Dice) -> str | None:
    """Capitalise a line; some end in a full stop; None if too short or long."""
    text = re.sub(r"(?<=[.?] )([*~]*)(\w)", lambda match: match[1] + match[2].upper(), capitalised(expanded))
    text += "." if dice.chance(0.6) else ""
    return text if _SHORTEST_NEWS <= len(text.split()) <= _LONGEST_NEWS else None
