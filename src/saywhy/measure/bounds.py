"""Floor and ceiling of explanations of several words: random sets and the greedy best set of the same size."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from saywhy.measure.edits import Item, drop, recheck
from saywhy.measure.predict import Classifier
from saywhy.records import Grid, Prediction, Table
from saywhy.words import candidates, match_case, replace

RANDOM_SETS = 8
"""Random sets of a size that are averaged into a floor."""

Move = tuple[str, str]
"""A candidate (folded core) and what is put in its place."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Floor and ceiling of one size on one text."""

    floor: float
    ceiling: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A text, the moves open to an explanation, and the sizes that are asked for.

    Attributes:
        item: Text and prediction.
        moves: Every one-word edit, best first.
        singles: Whether each one-word edit hits: the bounds of size one.
        named: The counterfactual's label; None: any other label than the prediction is a hit.
        sizes: Sizes of two and more that are wanted.
    """

    item: Item
    moves: tuple[Move, ...]
    singles: tuple[bool, ...]
    named: str | None
    sizes: frozenset[int]

    def hit(self, after: Prediction) -> bool:
        """Whether an edited text's prediction is what the explanation promises."""
        return after.label == self.named if self.named else after.label != self.item.prediction.label


def removal_case(item: Item, table: Table, filler: str, sizes: frozenset[int]) -> Case:
    """Return the case of taking words out."""
    order = sorted(range(len(table.words)), key=lambda i: -table.drops[i])
    moves = tuple((table.words[i], filler) for i in order)
    return Case(item, moves, tuple(table.hits()[i] for i in order), None, sizes)


def swap_case(item: Item, grid: Grid, sizes: frozenset[int]) -> Case:
    """Return the case of replacing words by pinned ones."""
    cores = {word.key: word.core for word in candidates(item.example.text)}
    hits = grid.hits()
    order = sorted(range(len(grid.words)), key=lambda i: (not hits[i], -grid.drops[i]))
    moves = tuple((grid.words[i], match_case(grid.inserted[i], cores[grid.words[i]])) for i in order)
    return Case(item, moves, tuple(hits[i] for i in order), grid.named, sizes)


def bounds(classifier: Classifier, cases: Sequence[Case], seed: int) -> list[dict[int, Bounds]]:
    """Return floor and ceiling by size, for each case; size one is always there."""
    floors = _floors(classifier, cases, seed)
    tops = _greedy(classifier, cases)
    return [
        {1: Bounds(sum(case.singles) / len(case.singles), any(case.singles))}
        | {size: Bounds(floor[size], top[size] or floor[size] > 0) for size in case.sizes}
        for case, floor, top in zip(cases, floors, tops, strict=True)
    ]


def _floors(classifier: Classifier, cases: Sequence[Case], seed: int) -> list[dict[int, float]]:
    drawn = [
        [
            (size, _random_edit(case, size, random.Random(f"{seed}:{case.item.example.id}:{size}:{n}")))
            for size in sorted(case.sizes)
            for n in range(RANDOM_SETS)
        ]
        for case in cases
    ]
    found = recheck(classifier, [c.item for c in cases], [[text for _, text in mine] for mine in drawn])
    floors = []
    for case, mine, after in zip(cases, drawn, found, strict=True):
        hits = {
            size: [case.hit(one) for (s, _), one in zip(mine, after, strict=True) if s == size] for size in case.sizes
        }
        floors.append({size: sum(values) / len(values) for size, values in hits.items()})
    return floors


def _random_edit(case: Case, size: int, rng: random.Random) -> str:
    by_word: dict[str, list[str]] = {}
    for key, new in case.moves:
        by_word.setdefault(key, []).append(new)
    keys = rng.sample(sorted(by_word), min(size, len(by_word)))
    return replace(case.item.example.text, {key: rng.choice(by_word[key]) for key in keys})


def _greedy(classifier: Classifier, cases: Sequence[Case]) -> list[dict[int, bool]]:
    """Grow each case's best set word by word; a word is tried with its own best replacement."""
    best = [_one_a_word(case.moves) for case in cases]
    chosen: list[dict[str, str]] = [dict(moves[:1]) for moves in best]
    tops: list[dict[int, bool]] = [{} for _ in cases]
    for size in range(2, 1 + max((max(case.sizes, default=1) for case in cases), default=1)):
        live = [i for i, case in enumerate(cases) if max(case.sizes, default=1) >= size]
        trials = {
            i: [{**chosen[i], key: new} for key, new in best[i] if key not in chosen[i]] or [chosen[i]] for i in live
        }
        texts = [[replace(cases[i].item.example.text, trial) for trial in trials[i]] for i in live]
        for i, found in zip(live, recheck(classifier, [cases[i].item for i in live], texts), strict=True):
            case = cases[i]
            top = max(range(len(found)), key=lambda n: (case.hit(found[n]), drop(case.item.prediction, found[n])))
            chosen[i], tops[i][size] = trials[i][top], case.hit(found[top])
    return tops


def _one_a_word(moves: Sequence[Move]) -> list[Move]:
    first: dict[str, str] = {}
    for key, new in moves:
        first.setdefault(key, new)
    return list(first.items())
