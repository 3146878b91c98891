"""The metrics of explanations in sentences side by side: what is kept of each text, and what many texts add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from saywhy.records import Operator, Record, StyleName
from saywhy.stats.effects import Effect, effect_share
from saywhy.stats.insertions import Insertion, f_auroc, mention_lead, phi_correlation
from saywhy.stats.intervals import Interval, by_text, mean_interval
from saywhy.stats.paired import TextSeed
from saywhy.stats.simulation import simulatability_gain

CHANCE_VALUES: Mapping[str, float] = {
    "mention AUROC": 0.5,
    "mention correlation": 0.0,
    "necessity excess": 0.0,
    "necessity gain": 0.0,
    "necessity share": 0.0,
    "sufficiency excess": 0.0,
    "sufficiency gain": 0.0,
    "sufficiency share": 0.0,
    "consistency": 0.0,
    "insertion agreement": 0.0,
    "F-AUROC": 0.5,
    "simulatability": 0.5,
    "early answering": 0.0,
    "filler steps": 0.0,
    "corrupted steps": 0.0,
}
"""Metric -> what a random set of words gets. Excess: by hits; gain: in nats; share: of what the best set has."""

SENTENCE_METRICS = tuple(CHANCE_VALUES)
"""The metrics of one explanation in sentences; the higher, the more faithful it is called."""

CONTROLS = ("label alone", "another text", "same answer")
"""What a prediction with the explanation must beat: nothing but text and answer, the explanation of another text, and
that of another text with the same answer."""

PREDICTORS = ("lexical", "model")
"""Who predicts answers to edited texts: *it changes if a mentioned word is touched*, and the untrained model."""


@dataclass(frozen=True, slots=True)
class SentenceScores(Record):
    """The metrics of one explanation in sentences, under one operator. ``docs/rows.md`` has them field by field.

    Attributes:
        id: The text.
        task: Task name.
        arm, seed: Which model explained, and the seed of the run.
        style: What was asked for.
        operator: How words are taken out.
        mentioned: The words that it mentions (folded cores).
        denied: Those that it mentions only to deny them.
        coverage: Share of its content words that are words of the text.
        values: Metric to value, those that exist.
        reasons: Metric to why it does not exist.
        insertions: ``stats.insertions.Insertion`` as dicts; with the first operator only.
        simulated: Predictor, or predictor and control, to the counts of ``predicted_counts``.
        samples: Explanations by whose share a word is mentioned where mention is held against effect; 1: the greedy
            reply. Folders of older versions do not say it: 1.
    """

    id: str
    task: str
    arm: str
    seed: int
    style: str
    operator: Operator
    mentioned: tuple[str, ...]
    denied: tuple[str, ...]
    coverage: float
    values: Mapping[str, float]
    reasons: Mapping[str, str] = field(default_factory=dict)
    insertions: tuple[Mapping[str, str | int | float | bool | None], ...] = ()
    simulated: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    samples: int = 1

    def value(self, metric: str) -> float:
        """Return a metric for a comparison: what does not exist counts as chance."""
        return self.values.get(metric, CHANCE_VALUES[metric])


@dataclass(frozen=True, slots=True)
class SampledReply(Record):
    """A reply in sentences that was drawn, not taken greedily, and what it mentions.

    Attributes:
        id: The text.
        task: Task name.
        arm, seed: Which model explained, and the seed of the run.
        style: What was asked for.
        sample: Which of the text's replies in the style, from 0.
        reply: The reply.
        words: The words that it mentions (folded cores); none if it is invalid.
        denied: Those that it mentions only to deny them.
        coverage: Share of its content words that are words of the text; None: nothing was read.
        reason: Why it is invalid; None if it is valid.
    """

    id: str
    task: str
    arm: str
    seed: int
    style: StyleName
    sample: int
    reply: str
    words: tuple[str, ...]
    denied: tuple[str, ...] = ()
    coverage: float | None = None
    reason: str | None = None


def simulation_names() -> list[str]:
    """Return all names under which counts of predictors are kept: alone, and with each control."""
    return [name for who in PREDICTORS for name in (who, *(control_name(who, control) for control in CONTROLS))]


def control_name(predictor: str, control: str) -> str:
    """Return under which name the counts of a predictor with a control are kept.

    >>> control_name("lexical", "label alone")
    'lexical, label alone'
    """
    return f"{predictor}, {control}"


def metric_mean(scores: Sequence[SentenceScores], metric: str, seed: int = 0) -> Interval:
    """Return the mean of a metric over the texts in which it exists; else the commonest reason why it does not.

    A share is the ratio of sums, as the effect share is: a text in which hardly any set does more than a random one
    would have any share.
    """
    if is_share(metric) and (effects := set_effects(scores, metric)):
        return effect_share(effects, seed)
    values = by_text((record.id, record.values[metric]) for record in scores if metric in record.values)
    if not values:
        reasons = [record.reasons[metric] for record in scores if metric in record.reasons]
        return Interval(None, None, None, 0, max(reasons, key=reasons.count) if reasons else "not measured")
    return mean_interval(values.values(), seed)


def is_share(metric: str) -> bool:
    """Whether a metric is a share of what the best set does.

    >>> [is_share(metric) for metric in ("necessity share", "necessity gain")]
    [True, False]
    """
    return metric.endswith(" share")


def set_effects(scores: Sequence[SentenceScores], metric: str) -> dict[TextSeed, Effect]:
    """Return the gain of each mentioned set, and the room that it had, of a share.

    The room is kept as gain / share alone, so a gain of exactly 0 is left out.
    """
    gain = f"{metric.removesuffix(' share')} gain"
    return {
        (record.id, record.seed): Effect(record.values[gain], record.values[gain] / record.values[metric])
        for record in scores
        if record.values.get(metric) and gain in record.values
    }


def inserted_words(
    scores: Sequence[SentenceScores], *, targeted: bool | None = None, of_lengths: bool = False
) -> list[Insertion]:
    """Return the insertions of some explanations.

    Args:
        scores: The explanations.
        targeted: The targeted arm, the random one, or (None) both.
        of_lengths: Those explained in requested lengths, not as the style's request has it.
    """
    insertions = [Insertion.from_dict(fields) for record in scores for fields in record.insertions]
    return [
        insertion
        for insertion in insertions
        if targeted in (None, insertion.targeted) and (insertion.length is not None) == of_lengths
    ]


INSERTION_STATISTICS: Mapping[str, Callable[[Sequence[Insertion], int], Interval]] = {
    "phi": phi_correlation,
    "lead": mention_lead,
    "F-AUROC": f_auroc,
}
"""What is said of insertions: F-AUROC of explanations of requested lengths, the others of those as they usually are."""


def insertion_interval(
    scores: Sequence[SentenceScores], statistic: str, *, targeted: bool | None, seed: int = 0
) -> Interval:
    """Return one of ``INSERTION_STATISTICS``."""
    insertions = inserted_words(scores, targeted=targeted, of_lengths=statistic == "F-AUROC")
    return INSERTION_STATISTICS[statistic](insertions, seed)


def simulation_interval(scores: Sequence[SentenceScores], predictor: str, control: str, seed: int = 0) -> Interval:
    """Return the normalised simulatability gain of a predictor over one of ``CONTROLS``.

    The counts of a text are added up over its seeds, in which it was predicted with and without the explanation.
    """
    names = predictor, control_name(predictor, control)
    explained, controls = dict[str, Counter[str]](), dict[str, Counter[str]]()
    for record in scores:
        if all(name in record.simulated for name in names):
            for side, name in zip((explained, controls), names, strict=True):
                side.setdefault(record.id, Counter()).update(record.simulated[name])
    return simulatability_gain(explained, controls, seed)
