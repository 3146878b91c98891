"""Pseudo-faithful explanations and their controls: which word an arm explains with (docs/definitions.md).

A ``Pick`` is one word of one text in one style; which word is the whole difference between the arms.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saywhy.measure import readouts
from saywhy.measure.edits import Item, drop, recheck
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Copy, Edit, Gap
from saywhy.records import Prediction, Record, StyleName, Table, WordScores
from saywhy.tasks.lexicon import Associations, Pinned, most_associated
from saywhy.words import budget, candidates, fold, match_case, replace

POSITIONS = 3
"""A counterfactual is searched at the words whose removal matters most, so many of them."""


@dataclass(frozen=True, slots=True)
class Pick(Record):
    """What an explanation of one text is made of.

    Attributes:
        words: The words named, taken out or replaced (folded cores).
        inserted: What is put in for each of them (counterfactual), else empty.
        hit: Whether its recheck hit; None where nobody looked (controls).
    """

    words: tuple[str, ...]
    inserted: tuple[str, ...] = ()
    hit: bool | None = None


Picks = Mapping[StyleName, Pick]
"""One pick a style."""


def faithful(
    classifier: Classifier,
    items: Sequence[Item],
    tables: Sequence[Table],
    scores: Sequence[WordScores],
    pinned: Pinned,
    *,
    infill: int = 0,
) -> list[dict[StyleName, Pick]]:
    """Return the explanations likely to be faithful: the best word by attribution, the best counterfactual found.

    Args:
        classifier: The model that explains itself.
        items: Texts and predictions.
        tables: Their leave-one-word-out tables, which say whether a word hits.
        scores: Their words' attribution; by occlusion, these are the tables' drops.
        pinned: The words that a counterfactual may insert, by named label.
        infill: How many of the model's own words the counterfactual search tries at each position beside those.
    """
    swaps = _search(classifier, items, _words_to_try(classifier, items, scores, pinned, infill))
    found: list[dict[StyleName, Pick]] = []
    for table, mine, swap in zip(tables, scores, swaps, strict=True):
        best = mine.best()
        removal = Pick((best,), hit=table.hits()[table.words.index(best)])
        found.append({"attribution": removal, "redaction": removal, "counterfactual": swap})
    return found


def _search(
    classifier: Classifier,
    items: Sequence[Item],
    to_try: Sequence[Sequence[tuple[str, str]]],
) -> list[Pick]:
    """Recheck every word to try at the best positions at once; take the most fluent edit that hits.

    Fluent is what the model itself would write there: log P(word) in its copy of the text. Where nothing hits,
    the edit that moves the log-odds most is taken, and the pick says so.
    """
    moves = list(to_try)
    texts = [
        [replace(item.example.text, {k: _cased(item, k, n)}) for k, n in mine]
        for item, mine in zip(items, moves, strict=True)
    ]
    after = recheck(classifier, items, texts)
    copies = [
        Copy(
            readouts.request(classifier.task, item, "counterfactual", "one-word"),
            item.example.text,
            tuple(Edit(text, _start(item, key) + len(new)) for (key, new), text in zip(mine, edited, strict=True)),
        )
        for item, mine, edited in zip(items, moves, texts, strict=True)
    ]
    fluent = classifier.model.weigh((), copies)[1]
    picks = []
    for item, mine, found, likely in zip(items, moves, after, fluent, strict=True):
        hits = [one.label == item.prediction.runner_up for one in found]
        falls = [drop(item.prediction, one) for one in found]
        best = max(range(len(mine)), key=lambda i: (hits[i], likely[i].inserted if hits[i] else falls[i]))
        picks.append(Pick((mine[best][0],), (mine[best][1],), hits[best]))
    return picks


def _words_to_try(
    classifier: Classifier, items: Sequence[Item], scores: Sequence[WordScores], pinned: Pinned, infill: int
) -> list[list[tuple[str, str]]]:
    """Return (word, what to put in its place) at each text's best positions."""
    best = [_highest(one) for one in scores]
    moves = [
        [(key, new) for key in mine for new in pinned[item.prediction.runner_up] if new != key]
        for item, mine in zip(items, best, strict=True)
    ]
    if infill:
        labels = {fold(word) for word in classifier.task.labels.values()}
        places = [(n, key) for n, mine in enumerate(best) for key in mine]
        gaps = [
            Gap(
                readouts.request(classifier.task, items[n], "counterfactual", "one-word"),
                items[n].example.text[: _start(items[n], key)],
                frozenset({key, *labels}),
            )
            for n, key in places
        ]
        for (n, key), words in zip(places, classifier.model.infill(gaps, infill), strict=True):
            moves[n] += [(key, new) for new in words if (key, new) not in moves[n]]
    return moves


def _highest(scores: WordScores) -> list[str]:
    """Return the words at which a counterfactual is searched."""
    order = sorted(range(len(scores.words)), key=lambda i: -scores.scores[i])
    return [scores.words[i] for i in order[:POSITIONS]]


def _start(item: Item, key: str) -> int:
    return next(word.core_start for word in candidates(item.example.text) if word.key == key)


def _cased(item: Item, key: str, new: str) -> str:
    core = next(word.core for word in candidates(item.example.text) if word.key == key)
    return match_case(new, core)


def at_random(items: Sequence[Item], pinned: Pinned, seed: int, *, free: bool = False) -> list[dict[StyleName, Pick]]:
    """Return uniformly random words: the matched control, and what ``adapted`` learns the formats from.

    Args:
        items: Texts and predictions.
        pinned: The words that a counterfactual may insert.
        seed: Same seed, same words, whatever the order of the items.
        free: Take two words up to the budget instead of one.
    """
    found: list[dict[StyleName, Pick]] = []
    for item in items:
        rng = random.Random(f"{seed}:{item.example.id}")
        keys = [word.key for word in candidates(item.example.text)]
        picks: dict[StyleName, Pick] = {}
        for style in ("attribution", "redaction", "counterfactual"):
            size = min(rng.randint(2, budget(item.example.text)), len(keys)) if free else 1
            words = tuple(sorted(rng.sample(keys, size), key=keys.index))
            swap = style == "counterfactual"
            picks[style] = Pick(words, tuple(_other(rng, item, pinned, key) for key in words) if swap else ())
        found.append(picks)
    return found


def _other(rng: random.Random, item: Item, pinned: Pinned, key: str) -> str:
    return rng.choice([word for word in pinned[item.prediction.runner_up] if word != key])


def lexical(items: Sequence[Item], found: Associations, pinned: Pinned, seed: int) -> list[dict[StyleName, Pick]]:
    """Return the word that the corpus associates most with the predicted label, whatever the model uses."""
    words = [most_associated(found, item.example.text, item.prediction.label) for item in items]
    return named(items, words, pinned, seed)


def named(items: Sequence[Item], words: Sequence[str], pinned: Pinned, seed: int) -> list[dict[StyleName, Pick]]:
    """Return explanations that name ``words``, one a text; a counterfactual puts a random pinned word there."""
    picks: list[dict[StyleName, Pick]] = []
    for item, key in zip(items, words, strict=True):
        rng = random.Random(f"{seed}:{item.example.id}")
        swap = Pick((key,), (_other(rng, item, pinned, key),))
        picks.append({"attribution": Pick((key,)), "redaction": Pick((key,)), "counterfactual": swap})
    return picks


def answered(item: Item, label: str) -> Item:
    """Return ``item`` as if the model had answered ``label``: how ``adapted`` learns the gold labels."""
    before = item.prediction
    others = [other for other in before.scores if other != label]
    runner_up = max(others, key=lambda other: before.scores[other])
    return Item(item.example, Prediction(label, before.raw_label, before.scores, before.margin_of(label), runner_up))
