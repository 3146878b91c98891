"""The audit: predict, ask, read, apply, recheck, judge (docs/definitions.md). No tensors here.

``audit`` takes one chunk of texts through everything and returns rows; the caller stores chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from saywhy.config import Config
from saywhy.measure.answers import Answer, answers_of
from saywhy.measure.bounds import Bounds, open_removals, open_swaps, size_bounds
from saywhy.measure.edits import Item, every_edit, items_of, stand_in
from saywhy.measure.predict import Classifier
from saywhy.measure.verdicts import Verdict, judge_edits
from saywhy.models.api.client import RefusedRequestError
from saywhy.models.interface import Tick
from saywhy.protocol import prompts, styles
from saywhy.records import (
    CounterfactualGrid,
    Decision,
    Example,
    Explanation,
    Operator,
    Readout,
    Row,
    SetAside,
    Setting,
    StyleName,
    Table,
    is_hit,
)
from saywhy.tasks.lexicon import Pinned
from saywhy.words import most_frequent_candidate, take_out

REPLY_HEADROOM = 256
"""Tokens kept free behind a text for the request and the reply."""
REFUSED = "refused by the server"
"""Why a text is set aside of which a server says no label."""


@dataclass(frozen=True, slots=True)
class AuditPlan:
    """What an audit asks for.

    Attributes:
        arm: Name of the model in the rows.
        pinned: The counterfactual's words, by named label.
        styles: Which styles.
        settings: Which settings.
        readouts: Which readouts; all but the generated one are one-word only.
        operators: How words are taken out; the first is primary.
        seed: Seed of the run.
        mention_samples: Sampled replies in sentences, of each style; 1: none.
        insertion_lengths: Whether inserted words are also explained in several requested lengths.
    """

    arm: str
    pinned: Pinned
    styles: tuple[StyleName, ...]
    settings: tuple[Setting, ...]
    readouts: tuple[Readout, ...]
    operators: tuple[Operator, ...] = ("redact",)
    seed: int = 0
    mention_samples: int = 1
    insertion_lengths: bool = False


def audit_plan_of(config: Config, arm: str, pinned: Pinned, seed: int = 0) -> AuditPlan:
    """Return what the audit of an arm asks for by the settings."""
    return AuditPlan(
        arm,
        pinned,
        config.styles,
        config.settings,
        config.readouts,
        config.operators,
        seed,
        config.mention_samples,
        config.insertion_lengths,
    )


@dataclass(frozen=True, slots=True)
class AuditRecords:
    """What an audit of some texts gives."""

    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    grids: list[CounterfactualGrid] = field(default_factory=list)


def unusable(classifier: Classifier, examples: Sequence[Example]) -> list[SetAside]:
    """Return those of ``examples`` that cannot be put to the model, with the reason.

    A redaction or counterfactual copies the text: there must be room for it twice, and in the copy for the edit that
    takes the most tokens, that of the most frequent word.
    """
    chats = [
        [
            *prompts.question_chat(classifier.task, example.text, example.context),
            {"role": "assistant", "content": take_out(example.text, {most_frequent_candidate(example.text)[0]})},
        ]
        for example in examples
    ]
    reasons = classifier.model.objections(chats, REPLY_HEADROOM)
    task = classifier.task.name
    return [SetAside(example.id, task, reason) for example, reason in zip(examples, reasons, strict=True) if reason]


def refused(
    classifier: Classifier, examples: Sequence[Example], chunk: int, tick: Tick | None = None
) -> list[SetAside]:
    """Return those of ``examples`` of which a server says no label (a filter, its context), with the reason.

    What it answers is in the cache: those who need these labels later ask for nothing again.

    Args:
        classifier: A model behind an API.
        examples: The texts.
        chunk: Texts that are asked together.
        tick: Called with the number of texts that were just asked.

    Raises:
        RefusedRequestError: If it refuses most texts of the first chunk: then it is not for what is in them.
    """
    set_aside: list[SetAside] = []
    for start in range(0, len(examples), chunk):
        part = examples[start : start + chunk]
        if refusal := _refusal(classifier, part):
            task = classifier.task.name
            set_aside += [SetAside(example.id, task, REFUSED) for example in part if _refusal(classifier, [example])]
            if start == 0 and 2 * len(set_aside) > len(part):
                raise refusal
        if tick:
            tick(len(part))
    return set_aside


def _refusal(classifier: Classifier, examples: Sequence[Example]) -> RefusedRequestError | None:
    try:
        classifier.predict_examples(examples)
    except RefusedRequestError as error:
        return error
    return None


def decide(
    classifier: Classifier, examples: Sequence[Example], arm: str, seed: int, tick: Tick | None = None
) -> list[Decision]:
    """Return the prediction for each example, as kept for accuracy and agreement."""
    task = classifier.task.name
    return [
        Decision(example.id, task, arm, seed, example.label, after.label, after.raw_label, after.margin)
        for example, after in zip(examples, classifier.predict_examples(examples, tick), strict=True)
    ]


def decision(row: Row) -> Decision:
    """Return the prediction that a row explains."""
    return Decision(row.id, row.task, row.arm, row.seed, row.gold, row.prediction, row.raw_prediction, row.margin)


def audit(
    classifier: Classifier, examples: Sequence[Example], plan: AuditPlan, tick: Tick | None = None
) -> AuditRecords:
    """Audit some texts: every style, setting, readout and operator of ``plan``."""
    items = items_of(classifier, examples)
    records = judge_answers(classifier, items, answers_of(classifier, items, plan), plan)
    if tick:
        tick(len(examples))
    return records


def judge_answers(
    classifier: Classifier, items: Sequence[Item], answers: Sequence[Sequence[Answer]], plan: AuditPlan
) -> AuditRecords:
    """Apply, recheck and judge answers by every operator of ``plan``.

    Args:
        classifier: Who classifies: mostly who was asked, too.
        items: Texts and its predictions.
        answers: The answers about each item.
        plan: What was asked for.
    """
    pinned = plan.pinned if "counterfactual" in plan.styles else None
    tables, grids = every_edit(classifier, items, plan.operators, pinned)
    records = AuditRecords([], [table for by_text in tables.values() for table in by_text], grids)
    for operator in plan.operators:
        # A counterfactual takes nothing out: it is judged once, beside the primary operator.
        judged = answers if operator == plan.operators[0] else [_removal_answers(of_text) for of_text in answers]
        records.rows.extend(_judged_rows(classifier, plan, operator, items, tables[operator], grids, judged))
    return records


def _judged_rows(
    classifier: Classifier,
    plan: AuditPlan,
    operator: Operator,
    items: Sequence[Item],
    tables: Sequence[Table],
    grids: Sequence[CounterfactualGrid],
    answers: Sequence[Sequence[Answer]],
) -> list[Row]:
    """Apply, recheck and judge the answers about each item, under one operator."""
    filler = stand_in(classifier.task, operator)
    applied = [
        [styles.apply_operator(answer.explanation, answer.style, item.example.text, filler) for answer in of_text]
        for item, of_text in zip(items, answers, strict=True)
    ]
    removals = [
        open_removals(item, table, filler, _larger_sizes(_removal_answers(of_text)))
        for item, table, of_text in zip(items, tables, answers, strict=True)
    ]
    swaps = [
        open_swaps(item, grid, _larger_sizes([answer for answer in of_text if answer.style == "counterfactual"]))
        for item, grid, of_text in zip(items, grids, answers, strict=False)
    ]
    of_removals, of_swaps = size_bounds(classifier, removals, plan.seed), size_bounds(classifier, swaps, plan.seed)
    edits = [[explanation.edited for explanation in of_text if explanation.edited is not None] for of_text in applied]
    verdicts = judge_edits(classifier, items, operator, tables, grids, plan.pinned, edits)
    rows = []
    for i, item in enumerate(items):
        for answer, explanation in zip(answers[i], applied[i], strict=True):
            limits = (of_swaps if answer.style == "counterfactual" else of_removals)[i]
            verdict = verdicts[i][explanation.edited] if explanation.edited is not None else None
            row = _judged_row(
                classifier.task.name, plan, operator, item, answer, explanation, verdict, limits[answer.size]
            )
            rows.append(row)
    return rows


def _judged_row(
    task: str,
    plan: AuditPlan,
    operator: Operator,
    item: Item,
    answer: Answer,
    explanation: Explanation,
    verdict: Verdict | None,
    limits: Bounds,
) -> Row:
    prediction = item.prediction
    named = prediction.runner_up if answer.style == "counterfactual" else None
    label, fall, rise = verdict or (None, None, None)
    return Row(
        id=item.example.id,
        task=task,
        arm=plan.arm,
        seed=plan.seed,
        style=answer.style,
        setting=answer.setting,
        readout=answer.readout,
        operator=operator,
        gold=item.example.label,
        prediction=prediction.label,
        raw_prediction=prediction.raw_label,
        margin=prediction.margin,
        named=named,
        reply=answer.reply,
        words=explanation.words,
        inserted=explanation.inserted,
        edited=explanation.edited,
        reason=explanation.reason,
        recheck=label,
        drop=fall,
        hit=is_hit(label, prediction.label, named),
        floor=limits.floor,
        ceiling=limits.ceiling,
        effect=rise if named else fall,
        effect_floor=limits.effect_floor,
        effect_ceiling=limits.effect_ceiling,
        log_probability=answer.log_probability,
        denied=explanation.denied,
        coverage=explanation.coverage,
        steps_answer=answer.steps_answer,
        cut=answer.cut,
    )


def _removal_answers(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.style != "counterfactual"]


def _larger_sizes(answers: Sequence[Answer]) -> frozenset[int]:
    """Return the sizes above one of the answers."""
    return frozenset(answer.size for answer in answers if answer.size > 1)
