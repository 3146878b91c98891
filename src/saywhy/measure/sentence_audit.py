"""The metrics of explanations in sentences of an audited chunk: its rows and tables, and what is asked once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from saywhy.measure.audit import AuditPlan, AuditRecords
from saywhy.measure.bounds import Bounds, Outcome
from saywhy.measure.chats import predictions_behind_steps, steps_chat
from saywhy.measure.edits import Item, items_of
from saywhy.measure.insertions import (
    ExplainTexts,
    ReadExplanation,
    drawn_insertions,
    measure_insertions,
    placed_words,
)
from saywhy.measure.predict import Classifier
from saywhy.measure.sentence_replies import ask_for_sentences, sample_replies
from saywhy.measure.sentences import ReadMentions, SentencePlan, measure_sentences, with_values
from saywhy.measure.simulations import GivenExplanation
from saywhy.measure.steps import STEP_METRICS, measure_steps
from saywhy.measure.word_sets import SetVerdict, WordSet, set_verdict
from saywhy.protocol import prompts
from saywhy.protocol.mentions import Mentions
from saywhy.protocol.sentences import explanation_length, read_sentences, steps_of
from saywhy.protocol.wordings import REQUESTED_LENGTHS, length_wording
from saywhy.records import Example, Explanation, Operator, Row, StyleName, Table
from saywhy.stats.insertions import Insertion
from saywhy.stats.mentions import Missing, TextValue
from saywhy.stats.sentences import SampledReply, SentenceScores
from saywhy.tasks.lexicon import Pinned


@dataclass(frozen=True, slots=True)
class AuditedSentences:
    """What an audit says of texts whose explanations in sentences are measured.

    Attributes:
        rows: The generated replies in sentences, under every operator.
        tables: The leave-one-word-out tables, under every operator.
        samples: Sampled replies in sentences, equally many of each text and style; none: the greedy ones stand alone.
    """

    rows: Sequence[Row]
    tables: Sequence[Table]
    samples: Sequence[SampledReply] = ()

    def reply_rows(self, operator: Operator) -> dict[tuple[str, str], Row]:
        """Return the rows under an operator, by text and style."""
        return {
            (row.id, row.style): row
            for row in self.rows
            if row.setting == "sentences" and row.readout == "generated" and row.operator == operator
        }

    def sampled_mentions(self, style: str, examples: Sequence[Example]) -> list[list[Mentions]]:
        """Return what the sampled replies in a style mention, by text."""
        by_id: dict[str, list[Mentions]] = {example.id: [] for example in examples}
        for sample in self.samples:
            if sample.style == style and sample.id in by_id:
                by_id[sample.id].append(Mentions(sample.words, sample.denied, sample.coverage or 0.0))
        return list(by_id.values())


def audit_sentences(
    classifier: Classifier,
    examples: Sequence[Example],
    audited: AuditedSentences,
    plan: SentenceAuditPlan,
) -> list[SentenceScores]:
    """Return the metrics of the replies in sentences about some texts, a record a text, style and operator.

    Args:
        classifier: The audited model.
        examples: The texts.
        audited: What the audit of these texts gave.
        plan: What is measured.
    """
    rows = audited.reply_rows(plan.operators[0])
    styles: list[StyleName] = list(dict.fromkeys(row.style for row in rows.values()))
    by_place = {(table.id, table.operator): table for table in audited.tables}
    tables = {operator: [by_place[example.id, operator] for example in examples] for operator in plan.operators}
    items = items_of(classifier, examples)
    explanations: list[Mapping[str, str]] = [
        {style: rows[example.id, style].reply or "" for style in styles} for example in examples
    ]
    sentence_plan = SentencePlan(
        plan.arm,
        _reader(classifier, examples, rows),
        plan.seed,
        _insertions(classifier, items, styles, plan),
        {operator: _necessity(audited.reply_rows(operator), tables[operator], styles) for operator in plan.operators},
        {
            style: [
                GivenExplanation(row.id, row.prediction, row.reply or "") for row in rows.values() if row.style == style
            ]
            for style in styles
        },
        {style: audited.sampled_mentions(style, examples) for style in styles if audited.samples},
        plan.simulator,
    )
    records = measure_sentences(classifier, items, tables, explanations, sentence_plan)
    if classifier.task.steps_order == "before" and "steps" in styles:
        steps_rows = {example.id: rows[example.id, "steps"] for example in examples}
        return _with_steps(classifier, items, records, steps_rows, plan)
    return records


@dataclass(frozen=True, slots=True)
class SentenceAuditPlan:
    """How replies in sentences are measured.

    Attributes:
        arm: Name of the model in the records.
        seed: Seed of the run.
        operators: How words are taken out; the first is primary.
        pinned: Words associated with each label: those of the other one are put into a text, to move its answer.
        simulator: The model as downloaded, which also predicts answers from explanations; None: there is none.
        insertion_lengths: Whether inserted words are also explained in several requested lengths.
    """

    arm: str
    seed: int
    operators: tuple[Operator, ...]
    pinned: Pinned
    simulator: Classifier | None
    insertion_lengths: bool = False

    @classmethod
    def of(cls, plan: AuditPlan, simulator: Classifier | None) -> SentenceAuditPlan:
        """Return what is measured of an audit."""
        return cls(plan.arm, plan.seed, plan.operators, plan.pinned, simulator, plan.insertion_lengths)


def measure_audited(
    classifier: Classifier, examples: Sequence[Example], plan: AuditPlan, records: AuditRecords
) -> list[SentenceScores]:
    """Return what ``audit_sentences`` gives of an audit that was just made; nothing for one without sentences."""
    if "sentences" not in plan.settings:
        return []
    samples = []
    if plan.mention_samples > 1:
        samples = sample_replies(classifier, examples, plan.styles, plan.mention_samples, plan.arm, plan.seed)
    audited = AuditedSentences(records.rows, records.tables, samples)
    return audit_sentences(classifier, examples, audited, SentenceAuditPlan.of(plan, classifier))


def _necessity(
    rows: Mapping[tuple[str, str], Row], tables: Sequence[Table], styles: Sequence[str]
) -> list[dict[WordSet, SetVerdict]]:
    """Return what the rows under one operator say of the words that were taken out, by text: it is not asked again."""
    return [
        {row.words: _row_verdict(row, table) for style in styles if (row := rows[table.id, style]).words}
        for table in tables
    ]


def _row_verdict(row: Row, table: Table) -> SetVerdict:
    outcome = Outcome(row.hit, row.effect or 0.0)
    if len(row.words) == len(table.words):
        return set_verdict(outcome, None)
    assert row.effect_floor is not None, "rows of sentences have effects"
    assert row.effect_ceiling is not None, "rows of sentences have effects"
    return set_verdict(outcome, Bounds(row.floor, row.ceiling, row.effect_floor, row.effect_ceiling))


def _as_mentions(explanation: Explanation) -> Mentions:
    return Mentions(explanation.words, explanation.denied, explanation.coverage or 0.0)


def _reader(classifier: Classifier, examples: Sequence[Example], rows: Mapping[tuple[str, str], Row]) -> ReadMentions:
    """Return what reads replies: those of the audit as it read them, for it knows which were cut off."""
    text_of = {example.id: example.text for example in examples}
    known: dict[tuple[str, str, str | None], Mentions] = {
        (row.style, text_of[row.id], row.reply): Mentions(row.words, row.denied, row.coverage or 0.0)
        for row in rows.values()
        if row.id in text_of
    }
    excluded = prompts.uncounted_words(classifier.task)
    names: dict[str, StyleName] = {row.style: row.style for row in rows.values()}

    def read(style: str, text: str, reply: str) -> Mentions:
        if (style, text, reply) in known:
            return known[style, text, reply]
        return _as_mentions(read_sentences(names[style], text, reply, excluded))

    return read


def _insertions(
    classifier: Classifier, items: Sequence[Item], styles: Sequence[StyleName], plan: SentenceAuditPlan
) -> dict[str, list[list[Insertion]]]:
    """Return the insertions by style; none for a model that says of no text how likely it is (behind an API)."""
    if "weigh" not in classifier.model.answers:
        return {}
    words = [drawn_insertions(item, plan.pinned, plan.seed) for item in items]
    placed = placed_words(classifier, items, words)

    def asked_for(style: StyleName) -> ExplainTexts:
        def explain(asked: Sequence[Item], length: int | None) -> list[ReadExplanation]:
            wording = None if length is None else length_wording(style, length, classifier.task.steps_order)
            replies = ask_for_sentences(classifier, [(item, style) for item in asked], wording, length=length or 0)
            return [
                ReadExplanation(_as_mentions(explanation), explanation_length(style, item.example.text, reply))
                for item, (reply, explanation) in zip(asked, replies, strict=True)
            ]

        return explain

    return {
        style: measure_insertions(placed, asked_for(style), REQUESTED_LENGTHS[style] if plan.insertion_lengths else ())
        for style in styles
    }


def _with_steps(
    classifier: Classifier,
    items: Sequence[Item],
    records: Sequence[SentenceScores],
    steps_rows: Mapping[str, Row],
    plan: SentenceAuditPlan,
) -> list[SentenceScores]:
    """Return the records with the metrics of steps that came before the answer, on the answer that followed them."""
    steps = {
        item.example.id: steps_of(item.example.text, row.reply or "", cut=row.cut)
        for item in items
        for row in (steps_rows[item.example.id],)
    }
    behind = predictions_behind_steps(classifier, items, [steps[item.example.id] for item in items])
    followed = [
        Item(item.example, prediction) for item, prediction in zip(items, behind, strict=True) if prediction is not None
    ]
    chat = partial(steps_chat, classifier.task)
    measured = measure_steps(classifier, followed, [steps[item.example.id] for item in followed], chat, plan.seed)
    missing = {name: Missing.NO_ROOM if of_text else Missing.NO_STEPS for name, of_text in steps.items()}
    values = {name: dict.fromkeys(STEP_METRICS, TextValue(None, reason)) for name, reason in missing.items()} | {
        item.example.id: of_text for item, of_text in zip(followed, measured, strict=True)
    }
    return [
        with_values(record, values[record.id])
        if (record.style, record.operator) == ("steps", plan.operators[0])
        else record
        for record in records
    ]
