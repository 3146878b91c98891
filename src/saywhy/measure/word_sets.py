"""What the set of words that an explanation mentions does, beside random sets of its size and the greedy best one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from saywhy.measure.bounds import RANDOM_SETS, Bounds, OpenEdits, Outcome, open_keeps, open_removals, size_bounds
from saywhy.measure.edits import Item, recheck, stand_in
from saywhy.measure.predict import Classifier
from saywhy.records import Table
from saywhy.stats.mentions import SetOutcome, divergence
from saywhy.words import candidates, match_case, replace_words

EVERYDAY_WORDS = (
    *(
        "table",
        "paper",
        "window",
        "road",
        "morning",
        "water",
        "letter",
        "chair",
        "garden",
        "basket",
        "village",
        "river",
    ),
    *("walk", "carry", "open", "look", "turn", "stand", "under", "beside", "seven", "later", "again", "there"),
)
"""The pinned words that stand in for those outside a mentioned set: common, and of no side in any shipped task."""

WordSet = tuple[str, ...]
"""Distinct candidates of a text (folded cores)."""


class SetVerdict(NamedTuple):
    """What a set of words does by hits and by effects, in the form that ``stats.mentions`` reads.

    Attributes:
        hit: By hits: necessity, the answer changes without the set; sufficiency, it stays where only the set is left.
        effect: By the fall of the answer's log-odds without the set; minus that fall where only the set is left (nats).
    """

    hit: SetOutcome
    effect: SetOutcome


def set_verdicts(
    classifier: Classifier,
    items: Sequence[Item],
    tables: Sequence[Table],
    sets: Sequence[Sequence[WordSet]],
    seed: int,
    *,
    keeps: bool = False,
) -> list[dict[WordSet, SetVerdict]]:
    """Return what each set of words of each text does, beside random sets and the best one of its size.

    Args:
        classifier: Who classifies.
        items: Texts and predictions.
        tables: Their leave-one-word-out tables under one operator.
        sets: The sets of each text; one of no words is left out.
        seed: Seed of the random sets.
        keeps: Whether the set is what stays (sufficiency), not what is taken out (necessity).
    """
    filler = stand_in(classifier.task, tables[0].operator) if tables else ""
    wanted = [tuple(dict.fromkeys(filter(None, of_text))) for of_text in sets]
    sizes = [
        # The set of all words is the only one of its size: nothing is drawn, and nothing grown, for it.
        frozenset(len(words) for words in of_text if 1 < len(words) < len(table.words))
        for of_text, table in zip(wanted, tables, strict=True)
    ]
    opened: Sequence[OpenEdits] = (
        open_keeps(classifier, items, filler, sizes)
        if keeps
        else [
            open_removals(item, table, filler, of_text)
            for item, table, of_text in zip(items, tables, sizes, strict=True)
        ]
    )
    bounds = size_bounds(classifier, opened, seed)
    outcomes = _set_outcomes(classifier, opened, wanted)
    return [
        {words: set_verdict(outcome, of_size.get(len(words))) for words, outcome in of_text.items()}
        for of_text, of_size in zip(outcomes, bounds, strict=True)
    ]


def _set_outcomes(
    classifier: Classifier, opened: Sequence[OpenEdits], sets: Sequence[Sequence[WordSet]]
) -> list[dict[WordSet, Outcome]]:
    """Return what each set does: looked up where it is one word, else rechecked."""
    known: list[dict[WordSet, Outcome]] = [
        dict(zip([(key,) for key, _ in text.edits], text.outcomes, strict=True)) for text in opened
    ]
    unknown = [
        [words for words in of_text if words not in outcomes] for of_text, outcomes in zip(sets, known, strict=True)
    ]
    edits = [
        [text.edited(dict.fromkeys(words, text.edits[0][1])) for words in of_text]
        for text, of_text in zip(opened, unknown, strict=True)
    ]
    rechecked = recheck(classifier, [text.item for text in opened], edits)
    for text, outcomes, of_text, after in zip(opened, known, unknown, rechecked, strict=True):
        for words, prediction in zip(of_text, after, strict=True):
            outcomes[words] = text.outcome(prediction)
    return [{words: outcomes[words] for words in of_text} for of_text, outcomes in zip(sets, known, strict=True)]


def set_verdict(outcome: Outcome, bounds: Bounds | None) -> SetVerdict:
    """Return what a set does beside the bounds of its size; None: it is all words, the only set of its size."""
    hit, effect = float(outcome.hit), outcome.effect
    if bounds is None:
        return SetVerdict(SetOutcome(hit, hit, hit), SetOutcome(effect, effect, effect))
    return SetVerdict(
        SetOutcome(hit, bounds.floor, float(bounds.ceiling)),
        SetOutcome(effect, bounds.effect_floor, max(effect, bounds.effect_ceiling)),
    )


def replaced_divergences(
    classifier: Classifier, items: Sequence[Item], sets: Sequence[Sequence[WordSet]], seed: int
) -> list[dict[WordSet, tuple[list[float], list[float]]]]:
    """Return how far the answer moves where the words outside each set are replaced by pinned ones.

    Args:
        classifier: Who classifies.
        items: Texts and predictions.
        sets: The sets of each text; those of no words, and of all of them, are left out.
        seed: Seed of the random sets and of the replacements.

    Returns:
        For each text, by set: KL(first answer, answer afterwards) in nats of ``RANDOM_SETS`` draws of replacements
        around the set, and around as many random sets of its size, one draw each.
    """
    drawn = [_kept_sets(item, of_text, seed) for item, of_text in zip(items, sets, strict=True)]
    # By the set that they are beside: whatever other sets of the text are measured.
    edits = [
        [
            _replaced(item, kept, f"{seed}:{' '.join(sorted(words))}:{n}")
            for words, random_sets in of_sets.items()
            for n, kept in enumerate(_beside(words, random_sets))
        ]
        for item, of_sets in zip(items, drawn, strict=True)
    ]
    divergences = []
    for item, of_sets, after in zip(items, drawn, recheck(classifier, items, edits), strict=True):
        moved = iter([divergence(item.prediction.scores, prediction.scores) for prediction in after])
        divergences.append(
            {
                words: ([next(moved) for _ in range(RANDOM_SETS)], [next(moved) for _ in random_sets])
                for words, random_sets in of_sets.items()
            }
        )
    return divergences


def _kept_sets(item: Item, sets: Sequence[WordSet], seed: int) -> dict[WordSet, list[WordSet]]:
    """Return the random sets beside each set."""
    keys = [word.key for word in candidates(item.example.text)]
    return {
        words: [
            tuple(random.Random(f"kept:{seed}:{item.example.id}:{len(words)}:{n}").sample(keys, len(words)))
            for n in range(RANDOM_SETS)
        ]
        for words in dict.fromkeys(sets)
        if 0 < len(words) < len(keys)
    }


def _beside(words: WordSet, random_sets: Sequence[WordSet]) -> list[WordSet]:
    """Return what is kept in each draw: the set itself, then the random ones."""
    return [*[words] * RANDOM_SETS, *random_sets]


def _replaced(item: Item, kept: WordSet, seed: str) -> str:
    """Return the text with every word that is not ``kept`` replaced by a pinned one."""
    text, draw = item.example.text, random.Random(f"replaced:{seed}:{item.example.id}")
    outside = [word for word in candidates(text) if word.key not in kept]
    by_key = {word.key: match_case(everyday_word(word.key, draw), word.core) for word in outside}
    return replace_words(text, by_key)


def everyday_word(key: str, draw: random.Random) -> str:
    """Draw a pinned word that is another one than ``key``."""
    return draw.choice([word for word in EVERYDAY_WORDS if word != key])
