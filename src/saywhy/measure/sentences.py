"""Every metric of explanations in sentences, measured for a chunk of texts (docs/definitions.md, *Sentences*).

An explanation is whatever text somebody gives as one: a style of the audited model, or a scripted explainer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.measure.simulations import GivenExplanation, lexical_predictions, other_explanations, simulated_predictions
from saywhy.measure.word_sets import SetVerdict, WordSet, replaced_divergences, set_verdicts
from saywhy.protocol import prompts
from saywhy.protocol.mentions import Mentions, mentions
from saywhy.records import Operator, Table
from saywhy.stats.insertions import Insertion, insertion_agreement, text_f_auroc
from saywhy.stats.mentions import (
    Missing,
    TextValue,
    consistency_excess,
    mention_auroc,
    mention_correlation,
    set_excess,
    set_share,
    unpicked,
)
from saywhy.stats.sentences import CONTROLS, PREDICTORS, SentenceScores, control_name
from saywhy.stats.simulation import balanced_accuracy, predicted_counts
from saywhy.tasks.task import Task

ReadMentions = Callable[[str, str, str], Mentions]
"""From a style, a text and an explanation to what that mentions."""

Explanations = Mapping[str, str]
"""Style, or scripted explainer, to its explanation of one text."""


@dataclass(frozen=True, slots=True)
class SentencePlan:
    """How explanations in sentences are measured.

    Attributes:
        arm: Name of the model in the records.
        read: From a style, a text and an explanation to what the explanation mentions.
        seed: Seed of the run.
        insertions: Style -> what ``measure_insertions`` gave for each text; a style may have none.
        necessity: Operator -> what taking out each mentioned set does, by text, where that is known.
        pool: Style -> the explanations of all texts, among which controls are drawn; else those of the measured ones.
        samples: Style -> what its sampled explanations of each text mention; a style may have none: its one explanation
            stands for them.
        simulator: The untrained model that predicts answers; None: the lexical rule alone does.
    """

    arm: str
    read: ReadMentions
    seed: int = 0
    insertions: Mapping[str, Sequence[Sequence[Insertion]]] = field(default_factory=dict)
    necessity: Mapping[Operator, Sequence[Mapping[WordSet, SetVerdict]]] = field(default_factory=dict)
    pool: Mapping[str, Sequence[GivenExplanation]] = field(default_factory=dict)
    samples: Mapping[str, Sequence[Sequence[Mentions]]] = field(default_factory=dict)
    simulator: Classifier | None = None


def measure_sentences(
    classifier: Classifier,
    items: Sequence[Item],
    tables: Mapping[Operator, Sequence[Table]],
    explanations: Sequence[Explanations],
    plan: SentencePlan,
) -> list[SentenceScores]:
    """Return the metrics of each explanation of each text, a record an operator.

    Args:
        classifier: The explained model.
        items: Texts and predictions.
        tables: Operator -> their leave-one-word-out tables; the first operator is the primary one.
        explanations: Those of each text, of the same styles.
        plan: What else is measured.
    """
    readings = [
        {style: plan.read(style, item.example.text, explanation) for style, explanation in by_style.items()}
        for item, by_style in zip(items, explanations, strict=True)
    ]
    primary = next(iter(tables.values()), [])
    records = [
        record
        for operator, of_operator in tables.items()
        for record in _set_scores(classifier, plan, operator, items, of_operator, readings)
    ]
    simulated = _simulated(items, primary, explanations, plan)
    kept = replaced_divergences(classifier, items, _mentioned_sets(readings), plan.seed)
    first = sum(map(len, readings))
    asked = [(i, style) for i, by_style in enumerate(readings) for style in by_style]
    return [
        _completed(record, _of_text(plan.insertions, record.style, i), simulated[i][record.style], kept[i])
        for (i, _), record in zip(asked, records[:first], strict=True)
    ] + records[first:]


def _of_text(insertions: Mapping[str, Sequence[Sequence[Insertion]]], style: str, i: int) -> Sequence[Insertion] | None:
    return insertions[style][i] if style in insertions else None


def mention_reader(task: Task) -> ReadMentions:
    """Return what reads explanations: label words, and the words of the question, cannot be mentioned."""
    excluded = prompts.uncounted_words(task)
    return lambda style, text, explanation: mentions(text, explanation, excluded)


def _mentioned_sets(readings: Sequence[Mapping[str, Mentions]]) -> list[list[WordSet]]:
    return [[reading.words for reading in by_style.values()] for by_style in readings]


def _set_scores(
    classifier: Classifier,
    plan: SentencePlan,
    operator: Operator,
    items: Sequence[Item],
    tables: Sequence[Table],
    readings: Sequence[Mapping[str, Mentions]],
) -> list[SentenceScores]:
    """Return the metrics that depend on how words are taken out, a record a text and style."""
    sets = _mentioned_sets(readings)
    known = plan.necessity.get(operator)
    necessity = set_verdicts(classifier, items, tables, sets, plan.seed) if known is None else known
    sufficiency = set_verdicts(classifier, items, tables, sets, plan.seed, keeps=True)
    records = []
    for i, (item, table, without, alone) in enumerate(zip(items, tables, necessity, sufficiency, strict=True)):
        for style, reading in readings[i].items():
            words = reading.words
            samples = plan.samples[style][i] if style in plan.samples else [reading]
            shares = [sum(key in sample.words for sample in samples) / len(samples) for key in table.words]
            values = {
                "mention AUROC": mention_auroc(shares, table.drops),
                "mention correlation": mention_correlation(shares, table.drops),
                **_set_values("necessity", without.get(words)),
                **_set_values("sufficiency", alone.get(words)),
            }
            records.append(
                SentenceScores(
                    item.example.id,
                    classifier.task.name,
                    plan.arm,
                    plan.seed,
                    style,
                    operator,
                    words,
                    reading.denied,
                    reading.coverage,
                    *_values_and_reasons(values),
                    samples=len(samples),
                )
            )
    return records


def _values_and_reasons(values: Mapping[str, TextValue]) -> tuple[dict[str, float], dict[str, str]]:
    """Return the values that exist, and why the others do not."""
    return (
        {metric: value for metric, (value, _) in values.items() if value is not None},
        {metric: reason.value for metric, (_, reason) in values.items() if reason is not None},
    )


def _set_values(name: str, verdict: SetVerdict | None) -> dict[str, TextValue]:
    """Return the metrics of a mentioned set."""
    if verdict is None:
        return dict.fromkeys((f"{name} {kind}" for kind in ("excess", "gain", "share")), TextValue(None, unpicked(0)))
    return {
        f"{name} excess": set_excess(verdict.hit),
        f"{name} gain": set_excess(verdict.effect),
        f"{name} share": set_share(verdict.effect),
    }


def with_values(record: SentenceScores, values: Mapping[str, TextValue]) -> SentenceScores:
    """Return a record with more metrics."""
    existing, reasons = _values_and_reasons(values)
    return replace(record, values={**record.values, **existing}, reasons={**record.reasons, **reasons})


def _completed(
    record: SentenceScores,
    insertions: Sequence[Insertion] | None,
    simulated: Mapping[str, Mapping[str, int]],
    kept: Mapping[WordSet, tuple[Sequence[float], Sequence[float]]],
) -> SentenceScores:
    """Return the record of the primary operator with what is measured once, whatever the operator."""
    divergences = kept.get(record.mentioned)
    picks_nothing = unpicked(float(bool(record.mentioned)))  # of all words nothing is replaced, of none everything
    accuracy = balanced_accuracy(simulated[PREDICTORS[0]])
    one_kind = None if accuracy is not None else Missing.ONE_KIND_OF_EDIT
    values = {
        "consistency": consistency_excess(*divergences) if divergences else TextValue(None, picks_nothing),
        "simulatability": TextValue(accuracy, one_kind),
    }
    if insertions is not None:
        values["insertion agreement"] = insertion_agreement([each for each in insertions if each.length is None])
        if of_lengths := [each for each in insertions if each.length is not None]:
            values["F-AUROC"] = text_f_auroc(of_lengths)
    return replace(
        with_values(record, values),
        insertions=tuple(insertion.to_dict() for insertion in insertions or ()),
        simulated=simulated,
    )


def _simulated(
    items: Sequence[Item],
    tables: Sequence[Table],
    explanations: Sequence[Explanations],
    plan: SentencePlan,
) -> list[dict[str, dict[str, dict[str, int]]]]:
    """Return how well each predictor does with each explanation, and with each control, by text and style."""
    counts: list[dict[str, dict[str, dict[str, int]]]] = [{} for _ in items]
    for style in explanations[0] if explanations else ():
        pool = plan.pool.get(style) or [
            GivenExplanation(item.example.id, item.prediction.label, by_style[style])
            for item, by_style in zip(items, explanations, strict=True)
        ]
        others = [other_explanations(item, pool, plan.seed) for item in items]
        given = [[by_style[style], None, *pair] for by_style, pair in zip(explanations, others, strict=True)]
        by_predictor = {
            PREDICTORS[0]: [
                [
                    lexical_predictions(
                        table, plan.read(style, item.example.text, text).words if text is not None else ()
                    )
                    for text in of_text
                ]
                for item, table, of_text in zip(items, tables, given, strict=True)
            ]
        }
        if plan.simulator:
            by_predictor[PREDICTORS[1]] = simulated_predictions(plan.simulator, items, tables, given, plan.seed)
        for predictor, of_texts in by_predictor.items():
            names = [predictor, *(control_name(predictor, control) for control in CONTROLS)]
            for i, (of_text, texts) in enumerate(zip(of_texts, given, strict=True)):
                counts[i].setdefault(style, {}).update(
                    (name, predicted_counts(edits))
                    for name, edits, text in zip(names, of_text, texts, strict=True)
                    if text is not None or name in (predictor, control_name(predictor, CONTROLS[0]))
                )
    return counts
