"""Headlines and first sentences of news in four sections, one word of which says the section.

A block of the phrase file is a section, or `any`: phrases that suit every section and take its names
(`<person>`, `<event>`). Tag `f` is a plain line, `x` one with competing words.
"""

import re
from functools import lru_cache
from typing import Any

from saywhy.pocket.grammar import Block, Dice, Template, capitalised, fill, finish, load

LABELS = ("World", "Sports", "Business", "Sci/Tech")

_LONGEST, _SHORTEST = 18, 9


def draw(label: str, contested: bool, count: int, dice: Dice, seen: set[str]) -> list[dict[str, Any]]:
    """Draw rows of one label, with or without competing words."""
    blocks = _blocks()
    tag = "x" if contested else "f"
    names = blocks[label].names + blocks["any"].names
    phrases = blocks[label].tagged(tag) + blocks["any"].tagged(tag)
    groups = [[Template(phrase, names)] for phrase in phrases]
    return [_row(label, sentence) for sentence in fill(groups, count, dice, _line, seen)]


@lru_cache(maxsize=1)
def _blocks() -> dict[str, Block]:
    """Read the sections."""
    return {block.title: block for block in load("news.txt")}


def _line(expanded: str, dice: Dice) -> str | None:
    """Capitalise a line; some end in a full stop; None if too short or long."""
    text = re.sub(r"(?<=[.?] )([*~]*)(\w)", lambda found: found[1] + found[2].upper(), capitalised(expanded))
    text += "." if dice.chance(0.6) else ""
    return text if _SHORTEST <= len(text.split()) <= _LONGEST else None


def _row(label: str, sentence: str) -> dict[str, Any]:
    """Turn a marked line into a row."""
    done = finish(sentence)
    return {"text": done.text, "label": label, "causes": done.causes, "competing": done.competing}
