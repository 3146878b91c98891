"""Captions and hypotheses: scenes in which one word of the hypothesis decides.

A scene has captions (`P`) and hypotheses by label (`E`, `N`, `C`); with a competing word `Ex`, `Nx`, `Cx`.
"""

from functools import lru_cache
from typing import Any

from saywhy.pocket.grammar import Block, Dice, Template, capitalised, fill, finish, load

LABELS = ("entailment", "neutral", "contradiction")


def draw(label: str, contested: bool, count: int, dice: Dice, seen: set[str]) -> list[dict[str, Any]]:
    """Draw rows of one label, with or without competing words."""
    tag = label[0].upper() + ("x" if contested else "")
    groups = [
        [
            Template(f"{caption}\t{hypothesis}", block.names)
            for caption in block.tagged("P")
            for hypothesis in block.tagged(tag)
        ]
        for block in _blocks()
    ]
    return [_row(label, pair) for pair in fill(groups, count, dice, _pair, seen)]


@lru_cache(maxsize=1)
def _blocks() -> list[Block]:
    """Read the scenes."""
    return load("snli.txt")


def _pair(expanded: str, dice: Dice) -> str | None:
    """Capitalise both sentences, most with a full stop; None if one is too short or long."""
    premise, hypothesis = (capitalised(part) for part in expanded.split("\t"))
    if not (7 <= len(premise.split()) <= 14 and 4 <= len(hypothesis.split()) <= 9):
        return None
    stop = "." if dice.chance(0.8) else ""
    return f"{premise}{stop}\t{hypothesis}{stop}"


def _row(label: str, pair: str) -> dict[str, Any]:
    """Turn a marked pair into a row."""
    premise, hypothesis = pair.split("\t")
    done = finish(hypothesis)
    return {
        "premise": premise,
        "hypothesis": done.text,
        "label": label,
        "causes": done.causes,
        "competing": done.competing,
    }
