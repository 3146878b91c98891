"""Which words an explanation in sentences is filled with: those that the text's table supports, or a control's.

The words are the whole difference between the arms: templates, texts and the number of words are the same.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from saywhy.measure.bounds import kept_text
from saywhy.measure.edits import Item, recheck
from saywhy.measure.predict import Classifier
from saywhy.records import SENTENCE_STYLES, Prediction, StyleName, is_hit
from saywhy.tasks.lexicon import Associations
from saywhy.training.lessons import Target
from saywhy.training.sentences import namable_words
from saywhy.words import REDACTED_MARK, free_word_budget, take_out

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

MOST_NAMED = 3
"""Words that a sentence names: more are seldom needed to keep the answer, and would no longer be a choice."""

SUFFICIENT_SHARE = 0.5
"""Share of what all words of a text add to the log-odds of the answer that some of them must add to keep it."""

SentenceTargets = dict[StyleName, Target]
"""The words of each style in sentences; empty where a text has none."""


def most_named_words(text: str) -> int:
    """Return how many words sentences may name: no more than keywords may list."""
    return min(MOST_NAMED, free_word_budget(text))


def supported_words(
    classifier: Classifier, items: Sequence[Item], scores: Sequence[Mapping[str, float]]
) -> list[SentenceTargets]:
    """Return the fewest words, of those that matter most, that by themselves keep the answer (``_first_sufficient``).

    A word that does not speak for the answer is never named: the sentences say that it does.

    Args:
        classifier: The model that explains itself.
        items: Texts and predictions.
        scores: How much each word speaks for the answer; without the words whose removal does not make it less likely.

    Returns: The words in the order of their scores, the same in each style; a *hit* if the answer changes without them.
    """
    texts = [item.example.text for item in items]
    sets = [_growing_sets(classifier.task, text, of_words) for text, of_words in zip(texts, scores, strict=True)]
    edits = [
        [*(kept_text(text, kept, REDACTED_MARK) for kept in ((), *of_text)), *(take_out(text, out) for out in of_text)]
        for text, of_text in zip(texts, sets, strict=True)
    ]
    targets: list[SentenceTargets] = []
    for item, of_text, after in zip(items, sets, recheck(classifier, items, edits), strict=True):
        if not of_text:
            targets.append({})
            continue
        nothing_kept, kept, without = after[0], after[1 : 1 + len(of_text)], after[1 + len(of_text) :]
        best = _first_sufficient(item, nothing_kept, kept)
        hit = is_hit(without[best].label, item.prediction.label)
        targets.append(dict.fromkeys(SENTENCE_STYLES, Target(of_text[best], hit=hit)))
    return targets


def _growing_sets(task: Task, text: str, scores: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Return the best word, the best two, ... of those that have a score and can be named."""
    ranked = sorted((key for key in namable_words(task, text) if key in scores), key=lambda key: -scores[key])
    return [tuple(ranked[:size]) for size in range(1, min(len(ranked), most_named_words(text)) + 1)]


def _first_sufficient(item: Item, nothing_kept: Prediction, kept: Sequence[Prediction]) -> int:
    """Return the index of the first set that keeps the answer, else of that which keeps most of its log-odds.

    It keeps it if the label stays and the set has ``SUFFICIENT_SHARE`` of what all words add to its log-odds: a model
    that leans to one label gives it to a text of which nothing is left, too.

    Args:
        item: Text and prediction.
        nothing_kept: The prediction where all words are taken out.
        kept: The prediction where only each set is left.
    """
    label, floor = item.prediction.label, nothing_kept.margin_of(item.prediction.label)
    least = floor + SUFFICIENT_SHARE * (item.prediction.margin - floor)
    log_odds = [prediction.margin_of(label) for prediction in kept]
    keeping = [number for number, of_set in enumerate(log_odds) if kept[number].label == label and of_set >= least]
    return keeping[0] if keeping else max(range(len(log_odds)), key=log_odds.__getitem__)


def random_words(task: Task, items: Sequence[Item], counts: Sequence[int], seed: int) -> list[SentenceTargets]:
    """Return uniformly random words, as many as ``counts`` says of each text (at most those that can be named)."""
    targets: list[SentenceTargets] = []
    for item, count in zip(items, counts, strict=True):
        keys = namable_words(task, item.example.text) if count else []
        rng = random.Random(f"{seed}:{item.example.id}:sentences")
        draws = {style: tuple(rng.sample(keys, min(count, len(keys)))) for style in SENTENCE_STYLES}
        targets.append({style: Target(words) for style, words in draws.items() if words})
    return targets


def lexical_words(
    task: Task, items: Sequence[Item], counts: Sequence[int], associations: Associations
) -> list[SentenceTargets]:
    """Return the words that the corpus associates most with the predicted label, as many as ``counts`` says."""
    targets: list[SentenceTargets] = []
    for item, count in zip(items, counts, strict=True):
        of_label = associations.get(item.prediction.label, {})
        keys = namable_words(task, item.example.text) if count else []
        words = tuple(sorted(keys, key=lambda key: -of_label.get(key, 0.0))[:count])
        targets.append(dict.fromkeys(SENTENCE_STYLES, Target(words)) if words else {})
    return targets
