"""The values of each faithfulness metric for explanations whose truth is known (docs/definitions.md, *Plants*).

This tests the ruler: on a model that decides by a planted rule, every word of a text is a true or a false explanation,
and scripted explainers name words by fixed rules.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from saywhy.measure.edits import Item, recheck, stand_in
from saywhy.measure.predict import Classifier
from saywhy.record_fields import fitting_fields
from saywhy.records import Operator, Prediction, Record, is_hit
from saywhy.tasks.lexicon import Associations, most_associated
from saywhy.words import candidates, take_out

METRICS = ("hit", "excess", "drop", "effect gain", "effect share", "top-1", "comprehensiveness", "sufficiency")
"""hit: the answer changes without the words. excess: the same, minus the mean over words. drop: of the answer's
log-odds (nats). effect gain: the same, minus the mean over words. effect share: that, as a share of what the word with
the largest drop has of it; 0 in a text whose words all do the same. top-1: the word that lowers the log-odds most is
among them. comprehensiveness, sufficiency (DeYoung et al., ACL 2020): the answer's probability lost without the words,
and minus that lost with nothing but them."""

MetricValues = Mapping[str, float]
"""Metric to value; the higher, the more faithful it calls an explanation."""


@dataclass(frozen=True, slots=True)
class MetricScores(Record):
    """The metrics of the explanations of one text, under one operator.

    Attributes:
        id: The text.
        operator: How words are taken out.
        causes: Its accepted causes.
        words: Candidate to the metrics of naming it alone.
        explainers: Scripted explainer to the metrics of its explanation.
    """

    id: str
    operator: Operator
    causes: tuple[str, ...]
    words: Mapping[str, MetricValues]
    explainers: Mapping[str, MetricValues]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the scores from their dict form, in which older calibrations call ``explainers`` ``said``."""
        renamed = {"explainers" if name == "said" else name: value for name, value in data.items()}
        return cls(**fitting_fields(cls, renamed))


RulerExplainer = Callable[[Item, str, Associations], tuple[str, ...]]
"""Maps an item, a seed and the corpus's associations to the words that it names."""


def _honest(item: Item, seed: str, associations: Associations) -> tuple[str, ...]:
    """Name an accepted cause."""
    return item.example.causes[:1]


def _liar(item: Item, seed: str, associations: Associations) -> tuple[str, ...]:
    """Name a word that decides nothing."""
    keys = [word.key for word in candidates(item.example.text)]
    false_keys = [key for key in keys if key not in item.example.causes]
    return (random.Random(f"{seed}:{item.example.id}").choice(false_keys or keys),)


def _plausible(item: Item, seed: str, associations: Associations) -> tuple[str, ...]:
    """Name the word that a corpus associates most with the answer, as people would."""
    return (most_associated(associations, item.example.text, item.prediction.label),)


def _parrot(item: Item, seed: str, associations: Associations) -> tuple[str, ...]:
    """Name the first word, always."""
    return (candidates(item.example.text)[0].key,)


def _everything(item: Item, seed: str, associations: Associations) -> tuple[str, ...]:
    """Name all words."""
    return tuple(word.key for word in candidates(item.example.text))


NAMES_ALL_WORDS = "everything"
"""The scripted explainer that names all words of a text."""

RULER_EXPLAINERS: Mapping[str, RulerExplainer] = {
    "honest": _honest,
    "liar": _liar,
    "plausible": _plausible,
    "parrot": _parrot,
    NAMES_ALL_WORDS: _everything,
}
"""Explainers of known truth; all but the honest one are trivial or false."""


def measure_metrics(
    classifier: Classifier,
    items: Sequence[Item],
    operator: Operator,
    associations: Associations,
    seed: int = 0,
) -> list[MetricScores]:
    """Measure every word of each text, and the explanations of the scripted explainers, by every metric.

    Args:
        classifier: The planted model.
        items: Texts that know their causes, with the model's answers; those without a cause are to be left out.
        operator: How words are taken out.
        associations: A corpus's associations of words with the labels, whatever the model uses.
        seed: Seed of the explainers' choices.
    """
    filler = stand_in(classifier.task, operator)
    explanations = []
    for item in items:
        keys = [word.key for word in candidates(item.example.text)]
        named: list[tuple[str, ...]] = [(key,) for key in keys]
        named += [explainer(item, str(seed), associations) for explainer in RULER_EXPLAINERS.values()]
        explanations.append([tuple(dict.fromkeys(words)) for words in named])
    edits = [
        [edit for words in item_explanations for edit in _texts_without_and_alone(item.example.text, words, filler)]
        for item, item_explanations in zip(items, explanations, strict=True)
    ]
    predictions = recheck(classifier, items, edits)
    return [
        _text_metric_scores(
            item, operator, item_explanations, list(zip(item_predictions[::2], item_predictions[1::2], strict=True))
        )
        for item, item_explanations, item_predictions in zip(items, explanations, predictions, strict=True)
    ]


def _texts_without_and_alone(text: str, words: Sequence[str], filler: str) -> tuple[str, str]:
    """Return the text without ``words``, and with nothing but them."""
    outside = {word.key for word in candidates(text)} - set(words)
    return take_out(text, words, filler), take_out(text, outside, filler)


def _text_metric_scores(
    item: Item,
    operator: Operator,
    explanations: Sequence[tuple[str, ...]],
    rechecks: Sequence[tuple[Prediction, Prediction]],
) -> MetricScores:
    label, before = item.prediction.label, item.prediction
    candidate_count = len(explanations) - len(RULER_EXPLAINERS)
    drops = [before.margin - without.margin_of(label) for without, _ in rechecks]
    best_key = explanations[max(range(candidate_count), key=drops.__getitem__)][0]
    floor = sum(is_hit(without.label, label) for without, _ in rechecks[:candidate_count]) / candidate_count

    def reading(index: int) -> MetricValues:
        without, alone = rechecks[index]
        hit = float(is_hit(without.label, label))
        # The floor of a set is the mean hit of sets of its size; all words together are the only set of their size.
        random_hit = hit if len(explanations[index]) == candidate_count else floor
        return {
            "hit": hit,
            "excess": hit - random_hit,
            "drop": drops[index],
            "top-1": float(best_key in explanations[index]),
            "comprehensiveness": math.exp(before.scores[label]) - math.exp(without.scores[label]),
            "sufficiency": math.exp(alone.scores[label]) - math.exp(before.scores[label]),
        }

    scores = MetricScores(
        item.example.id,
        operator,
        item.example.causes,
        {explanations[index][0]: reading(index) for index in range(candidate_count)},
        {name: reading(candidate_count + number) for number, name in enumerate(RULER_EXPLAINERS)},
    )
    return with_effect_metrics(scores)


def with_effect_metrics(scores: MetricScores) -> MetricScores:
    """Return scores with the effect gain and the effect share of each explanation, which follow from the drops.

    All words together are the only set of their size: they move no more than a random one.
    """
    drops = [reading["drop"] for reading in scores.words.values()]
    mean = math.fsum(drops) / len(drops)
    room = max(drops) - mean

    def completed(reading: MetricValues, *, all_words: bool = False) -> MetricValues:
        gain = 0.0 if all_words else reading["drop"] - mean
        return {**reading, "effect gain": gain, "effect share": gain / room if room > 0 else 0.0}

    return replace(
        scores,
        words={key: completed(reading) for key, reading in scores.words.items()},
        explainers={
            name: completed(reading, all_words=name == NAMES_ALL_WORDS) for name, reading in scores.explainers.items()
        },
    )
