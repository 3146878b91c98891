"""Floor and ceiling of explanations of several words: random sets and the greedy best set of the same size."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from saywhy.measure.edits import Item, log_odds_drop, log_odds_rise, recheck
from saywhy.measure.predict import Classifier
from saywhy.records import CounterfactualGrid, Prediction, Table, is_hit
from saywhy.words import candidates, match_case, replace_words, take_out

RANDOM_SETS = 8
"""Random sets of a size that are averaged into a floor."""

MOST_GROWN = 12
"""Words to which the greedy best set grows by trying all others, as many as a free explanation of 40 words may name;
what is larger takes the words that do most by themselves, so that the cost of a text grows with its words only."""

WordEdit = tuple[str, str]
"""A candidate (folded core) and what is put in its place."""


class Outcome(NamedTuple):
    """What an edit does: whether it hits, and its effect (nats, docs/definitions.md)."""

    hit: bool
    effect: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """Floor and ceiling of one size on one text, by hits and by effects.

    Attributes:
        floor: Share of random edits that hit.
        ceiling: Whether any edit hits.
        effect_floor: Mean effect of the random edits (nats).
        effect_ceiling: Largest effect of all edits that were rechecked for floor and ceiling (nats).
    """

    floor: float
    ceiling: bool
    effect_floor: float
    effect_ceiling: float

    @classmethod
    def of(cls, random_edits: Sequence[Outcome], best: Outcome) -> Bounds:
        """Return the bounds from what the random edits and the best one do."""
        floor = sum(edit.hit for edit in random_edits) / len(random_edits)
        effects = [edit.effect for edit in random_edits]
        return cls(floor, best.hit or floor > 0, math.fsum(effects) / len(effects), max(best.effect, *effects))


@dataclass(frozen=True, slots=True)
class OpenEdits:
    """A text, the one-word edits open to an explanation, and the sizes that are asked for.

    Attributes:
        item: Text and prediction.
        edits: Every one-word edit, best first.
        outcomes: What each of them does: the bounds of size one.
        named: The counterfactual's label; None: any other label than the prediction is a hit.
        sizes: Sizes of two and more that are wanted.
    """

    item: Item
    edits: tuple[WordEdit, ...]
    outcomes: tuple[Outcome, ...]
    named: str | None
    sizes: frozenset[int]

    def outcome(self, after: Prediction) -> Outcome:
        """Return what an edit does, by the prediction for the edited text."""
        before = self.item.prediction
        effect = log_odds_rise(before, after, self.named) if self.named else log_odds_drop(before, after)
        return Outcome(is_hit(after.label, before.label, self.named), effect)

    def edited(self, chosen: Mapping[str, str]) -> str:
        """Return the text with what is put in place of the ``chosen`` words."""
        return replace_words(self.item.example.text, chosen)

    def strength(self, after: Prediction) -> float:
        """Return what the greedy best set is grown by, among edits that all hit, or do not (nats)."""
        return log_odds_drop(self.item.prediction, after)


class OpenKeeps(OpenEdits):
    """A text, and what is left of it where only some of its words stay: sufficiency.

    An edit is a word that stays. It hits if the label stays, and its effect is minus the fall of its log-odds (nats).
    """

    __slots__ = ()

    def outcome(self, after: Prediction) -> Outcome:
        """Return what the kept words do, by the prediction for what is left."""
        before = self.item.prediction
        return Outcome(after.label == before.label, -log_odds_drop(before, after))

    def edited(self, chosen: Mapping[str, str]) -> str:
        """Return the text with all words but the ``chosen`` ones taken out."""
        return kept_text(self.item.example.text, chosen, self.edits[0][1])

    def strength(self, after: Prediction) -> float:
        """Return minus the fall of the answer's log-odds (nats)."""
        return -log_odds_drop(self.item.prediction, after)


def kept_text(text: str, kept: Collection[str], filler: str) -> str:
    """Return ``text`` with all candidates but the ``kept`` ones replaced by ``filler``."""
    return take_out(text, {word.key for word in candidates(text)} - set(kept), filler)


def open_removals(item: Item, table: Table, filler: str, sizes: frozenset[int]) -> OpenEdits:
    """Return the edits that take a word out, the largest drop first."""
    order = sorted(range(len(table.words)), key=lambda i: -table.drops[i])
    edits = tuple((table.words[i], filler) for i in order)
    hits = table.hits()
    return OpenEdits(item, edits, tuple(Outcome(hits[i], table.drops[i]) for i in order), None, sizes)


def open_keeps(
    classifier: Classifier, items: Sequence[Item], filler: str, sizes: Sequence[frozenset[int]]
) -> list[OpenKeeps]:
    """Return the edits that leave one word of each text, the best first: every word is rechecked alone."""
    keys = [[word.key for word in candidates(item.example.text)] for item in items]
    alone = [
        [kept_text(item.example.text, {key}, filler) for key in of_text]
        for item, of_text in zip(items, keys, strict=True)
    ]
    opened = []
    for item, of_text, after, wanted in zip(items, keys, recheck(classifier, items, alone), sizes, strict=True):
        unordered = OpenKeeps(item, (), (), None, wanted)
        outcomes = [unordered.outcome(prediction) for prediction in after]
        order = sorted(range(len(of_text)), key=lambda i: (not outcomes[i].hit, -outcomes[i].effect))
        edits = tuple((of_text[i], filler) for i in order)
        opened.append(OpenKeeps(item, edits, tuple(outcomes[i] for i in order), None, wanted))
    return opened


def open_swaps(item: Item, grid: CounterfactualGrid, sizes: frozenset[int]) -> OpenEdits:
    """Return the edits that put a pinned word in place of another: those that hit first, then by drop."""
    cores = {word.key: word.core for word in candidates(item.example.text)}
    hits = grid.hits()
    order = sorted(range(len(grid.words)), key=lambda i: (not hits[i], -grid.drops[i]))
    edits = tuple((grid.words[i], match_case(grid.inserted[i], cores[grid.words[i]])) for i in order)
    return OpenEdits(item, edits, tuple(Outcome(hits[i], grid.rises[i]) for i in order), grid.named, sizes)


def size_bounds(classifier: Classifier, texts: Sequence[OpenEdits], seed: int) -> list[dict[int, Bounds]]:
    """Return floor and ceiling by size, for each text; size one is always there."""
    random_edits = _random_outcomes(classifier, texts, seed)
    best = _best_outcomes(classifier, texts)
    return [
        {1: Bounds.of(text.outcomes, text.outcomes[0])}
        | {size: Bounds.of(drawn[size], greedy[size]) for size in text.sizes}
        for text, drawn, greedy in zip(texts, random_edits, best, strict=True)
    ]


def _random_outcomes(classifier: Classifier, texts: Sequence[OpenEdits], seed: int) -> list[dict[int, list[Outcome]]]:
    """Return what random sets do, by size."""
    drawn = [
        [
            (size, _random_edit(text, size, random.Random(f"{seed}:{text.item.example.id}:{size}:{n}")))
            for size in sorted(text.sizes)
            for n in range(RANDOM_SETS)
        ]
        for text in texts
    ]
    rechecked = recheck(classifier, [text.item for text in texts], [[edited for _, edited in sets] for sets in drawn])
    outcomes_of_texts = []
    for text, sets, after in zip(texts, drawn, rechecked, strict=True):
        outcomes: dict[int, list[Outcome]] = {size: [] for size in text.sizes}
        for (size, _), prediction in zip(sets, after, strict=True):
            outcomes[size].append(text.outcome(prediction))
        outcomes_of_texts.append(outcomes)
    return outcomes_of_texts


def _random_edit(text: OpenEdits, size: int, rng: random.Random) -> str:
    by_word: dict[str, list[str]] = {}
    for key, new in text.edits:
        by_word.setdefault(key, []).append(new)
    keys = rng.sample(sorted(by_word), min(size, len(by_word)))
    return text.edited({key: rng.choice(by_word[key]) for key in keys})


def _best_outcomes(classifier: Classifier, texts: Sequence[OpenEdits]) -> list[dict[int, Outcome]]:
    """Return what each text's greedy best sets do, by size; each word has its own best replacement."""
    best = [_best_by_word(text.edits) for text in texts]
    outcomes, grown = _grown_outcomes(classifier, texts, best)
    larger = [sorted(size for size in text.sizes if size > MOST_GROWN) for text in texts]
    edited = [
        [text.edited(_with_strongest(chosen, edits, size)) for size in sizes]
        for text, chosen, edits, sizes in zip(texts, grown, best, larger, strict=True)
    ]
    rechecked = recheck(classifier, [text.item for text in texts], edited)
    return [
        of_text | {size: text.outcome(prediction) for size, prediction in zip(sizes, after, strict=True)}
        for text, of_text, sizes, after in zip(texts, outcomes, larger, rechecked, strict=True)
    ]


def _with_strongest(chosen: Mapping[str, str], edits: Sequence[WordEdit], size: int) -> dict[str, str]:
    """Return ``size`` edits: the chosen ones, and the strongest others."""
    return dict(list({**chosen, **{key: new for key, new in edits if key not in chosen}}.items())[:size])


def _grown_outcomes(
    classifier: Classifier, texts: Sequence[OpenEdits], best: Sequence[Sequence[WordEdit]]
) -> tuple[list[dict[int, Outcome]], list[dict[str, str]]]:
    """Grow each text's best set word by word, to ``MOST_GROWN``; return what it does by size, and the largest set."""
    chosen: list[dict[str, str]] = [dict(edits[:1]) for edits in best]
    outcomes: list[dict[int, Outcome]] = [{} for _ in texts]
    largest = [min(MOST_GROWN, max(text.sizes, default=1)) for text in texts]
    for size in range(2, 1 + max(largest, default=1)):
        growing = [i for i in range(len(texts)) if largest[i] >= size]
        trials = {
            i: [{**chosen[i], key: new} for key, new in best[i] if key not in chosen[i]] or [chosen[i]] for i in growing
        }
        edited = [[texts[i].edited(trial) for trial in trials[i]] for i in growing]
        rechecked = recheck(classifier, [texts[i].item for i in growing], edited)
        for i, after in zip(growing, rechecked, strict=True):
            tried = [texts[i].outcome(prediction) for prediction in after]
            strengths = [texts[i].strength(prediction) for prediction in after]
            top = max(range(len(after)), key=lambda at: (tried[at].hit, strengths[at]))
            chosen[i], outcomes[i][size] = trials[i][top], tried[top]
    return outcomes, chosen


def _best_by_word(edits: Sequence[WordEdit]) -> list[WordEdit]:
    best: dict[str, str] = {}
    for key, new in edits:
        best.setdefault(key, new)
    return list(best.items())
