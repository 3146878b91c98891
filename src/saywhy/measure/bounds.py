"""Floor and ceiling of explanations of several words: random sets and the greedy best set of the same size."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from saywhy.measure.edits import Item, log_odds_drop, recheck
from saywhy.measure.predict import Classifier
from saywhy.records import CounterfactualGrid, Prediction, Table, is_hit
from saywhy.words import candidates, match_case, replace_words

RANDOM_SETS = 8
"""Random sets of a size that are averaged into a floor."""

WordEdit = tuple[str, str]
"""A candidate (folded core) and what is put in its place."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Floor and ceiling of one size on one text."""

    floor: float
    ceiling: bool


@dataclass(frozen=True, slots=True)
class OpenEdits:
    """A text, the one-word edits open to an explanation, and the sizes that are asked for.

    Attributes:
        item: Text and prediction.
        edits: Every one-word edit, best first.
        hits: Whether each of them hits: the bounds of size one.
        named: The counterfactual's label; None: any other label than the prediction is a hit.
        sizes: Sizes of two and more that are wanted.
    """

    item: Item
    edits: tuple[WordEdit, ...]
    hits: tuple[bool, ...]
    named: str | None
    sizes: frozenset[int]

    def hit(self, after: Prediction) -> bool:
        """Whether an edited text's prediction is what the explanation promises."""
        return is_hit(after.label, self.item.prediction.label, self.named)


def open_removals(item: Item, table: Table, filler: str, sizes: frozenset[int]) -> OpenEdits:
    """Return the edits that take a word out, the largest drop first."""
    order = sorted(range(len(table.words)), key=lambda i: -table.drops[i])
    edits = tuple((table.words[i], filler) for i in order)
    hits = table.hits()
    return OpenEdits(item, edits, tuple(hits[i] for i in order), None, sizes)


def open_swaps(item: Item, grid: CounterfactualGrid, sizes: frozenset[int]) -> OpenEdits:
    """Return the edits that put a pinned word in place of another: those that hit first, then by drop."""
    cores = {word.key: word.core for word in candidates(item.example.text)}
    hits = grid.hits()
    order = sorted(range(len(grid.words)), key=lambda i: (not hits[i], -grid.drops[i]))
    edits = tuple((grid.words[i], match_case(grid.inserted[i], cores[grid.words[i]])) for i in order)
    return OpenEdits(item, edits, tuple(hits[i] for i in order), grid.named, sizes)


def size_bounds(classifier: Classifier, texts: Sequence[OpenEdits], seed: int) -> list[dict[int, Bounds]]:
    """Return floor and ceiling by size, for each text; size one is always there."""
    floors = _floors(classifier, texts, seed)
    ceilings = _ceilings(classifier, texts)
    return [
        {1: Bounds(sum(text.hits) / len(text.hits), any(text.hits))}
        | {size: Bounds(floor[size], ceiling[size] or floor[size] > 0) for size in text.sizes}
        for text, floor, ceiling in zip(texts, floors, ceilings, strict=True)
    ]


def _floors(classifier: Classifier, texts: Sequence[OpenEdits], seed: int) -> list[dict[int, float]]:
    """Return the share of random sets that hit, by size."""
    drawn = [
        [
            (size, _random_edit(text, size, random.Random(f"{seed}:{text.item.example.id}:{size}:{n}")))
            for size in sorted(text.sizes)
            for n in range(RANDOM_SETS)
        ]
        for text in texts
    ]
    rechecked = recheck(classifier, [text.item for text in texts], [[edited for _, edited in sets] for sets in drawn])
    floors = []
    for text, sets, after in zip(texts, drawn, rechecked, strict=True):
        hits: dict[int, list[bool]] = {size: [] for size in text.sizes}
        for (size, _), prediction in zip(sets, after, strict=True):
            hits[size].append(text.hit(prediction))
        floors.append({size: sum(values) / len(values) for size, values in hits.items()})
    return floors


def _random_edit(text: OpenEdits, size: int, rng: random.Random) -> str:
    by_word: dict[str, list[str]] = {}
    for key, new in text.edits:
        by_word.setdefault(key, []).append(new)
    keys = rng.sample(sorted(by_word), min(size, len(by_word)))
    return replace_words(text.item.example.text, {key: rng.choice(by_word[key]) for key in keys})


def _ceilings(classifier: Classifier, texts: Sequence[OpenEdits]) -> list[dict[int, bool]]:
    """Grow each text's best set word by word, a word with its own best replacement; say at which sizes it hits."""
    best = [_best_by_word(text.edits) for text in texts]
    chosen: list[dict[str, str]] = [dict(edits[:1]) for edits in best]
    ceilings: list[dict[int, bool]] = [{} for _ in texts]
    for size in range(2, 1 + max((max(text.sizes, default=1) for text in texts), default=1)):
        growing = [i for i, text in enumerate(texts) if max(text.sizes, default=1) >= size]
        trials = {
            i: [{**chosen[i], key: new} for key, new in best[i] if key not in chosen[i]] or [chosen[i]] for i in growing
        }
        edited = [[replace_words(texts[i].item.example.text, trial) for trial in trials[i]] for i in growing]
        rechecked = recheck(classifier, [texts[i].item for i in growing], edited)
        for i, after in zip(growing, rechecked, strict=True):
            ranks = [
                (texts[i].hit(prediction), log_odds_drop(texts[i].item.prediction, prediction)) for prediction in after
            ]
            top = max(range(len(after)), key=ranks.__getitem__)
            chosen[i], ceilings[i][size] = trials[i][top], ranks[top][0]
    return ceilings


def _best_by_word(edits: Sequence[WordEdit]) -> list[WordEdit]:
    best: dict[str, str] = {}
    for key, new in edits:
        best.setdefault(key, new)
    return list(best.items())
