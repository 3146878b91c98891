"""Captions and hypotheses: scenes in which one word of the hypothesis decides.

A scene has captions (`P`) and hypotheses by label (`E`, `N`, `C`); with a competing word `Ex`, `Nx`, `Cx`.
"""

from functools import lru_cache
from typing import Any

from saywhy.pocket.grammar import (
    Dice,
    PhraseBlock,
    PhraseTemplate,
    capitalised,
    draw_sentences,
    load_phrases,
    strip_marks,
)

SNLI_LABELS = ("entailment", "neutral", "contradiction")


def draw_snli_pairs(label: str, contested: bool, count: int, dice: Dice, seen: set[str]) -> list[dict[str, Any]]:
    """Draw rows of one label, with or without competing words."""
    tag = label[0].upper() + ("x" if contested else "")
    groups = [
        [
            PhraseTemplate(f"{caption}\t{hypothesis}", block.names)
            for caption in block.tagged("P")
            for hypothesis in block.tagged(tag)
        ]
        for block in _snli_blocks()
    ]
    return [_snli_row(label, pair) for pair in draw_sentences(groups, count, dice, _snli_sentences, seen)]


@lru_cache(maxsize=1)
def _snli_blocks() -> list[PhraseBlock]:
    """Read the scenes."""
    return load_phrases("snli.txt")


def _snli_sentences(expanded: str, dice: Dice) -> str | None:
    """Capitalise both sentences, most with a full stop; None if one is too short or long."""
    premise, hypothesis = (capitalised(part) for part in expanded.split("\t"))
    if not (7 <= len(premise.split()) <= 14 and 4 <= len(hypothesis.split()) <= 9):
        return None
    stop = "." if dice.chance(0.8) else ""
    return f"{premise}{stop}\t{hypothesis}{stop}"


def _snli_row(label: str, pair: str) -> dict[str, Any]:
    """Turn a marked pair into a row."""
    premise, hypothesis = pair.split("\t")
    marked = strip_marks(hypothesis)
    return {
        "premise": premise,
        "hypothesis": marked.text,
        "label": label,
        "causes": marked.causes,
        "competing": marked.competing,
    }
