"""Retention of each arm on each task and on instruction data, and the gate that marks an arm as not releasable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from saywhy import stats
from saywhy.arms import STARTS, start_arm
from saywhy.report.arms import matched_seeds
from saywhy.report.gate import Gate, gate_of
from saywhy.report.load import LoadedRun
from saywhy.report.retention import Retention, retention_of_arms, yardstick_of
from saywhy.report.rules import Rules
from saywhy.report.study.load import ModelKept, StudyArm, StudyRun
from saywhy.stats import Difference, Interval
from saywhy.stats.intervals import by_text


@dataclass(frozen=True, slots=True)
class ArmKept:
    """Retention of an arm as classifier on one task.

    Attributes:
        task: The task.
        arm: The arm.
        kept: Accuracy, agreement and drift.
        yardstick: Agreement of two seeds of the start arm on this task; None if it has only one seed.
        classes: Gold label -> accuracy on the texts with this label.
        class_changes: Gold label -> that accuracy minus the start arm's; empty for the start arm.
        gate: The gate; None for an arm that practised no explanations, or not on this task.
    """

    task: str
    arm: StudyArm
    kept: Retention
    yardstick: Interval | None
    classes: Mapping[str, Interval]
    class_changes: Mapping[str, Difference]
    gate: Gate | None


def arms_kept_of(study: StudyRun, rules: Rules, seed: int = 0) -> Iterator[ArmKept]:
    """Yield the retention of each arm on each task on which it has decisions."""
    for task, run in study.runs.items():
        start = start_arm(run.arms)
        seed_agreement = yardstick_of(run, start)
        for arm_retention in retention_of_arms(run, start, rules, seed):
            arm = study.arm(arm_retention.arm)
            gated = arm.name not in STARTS and task in arm.tasks
            gate = gate_of(arm_retention, seed_agreement, rules) if gated else None
            classes, changes = _accuracy_by_class(run, arm_retention.arm, start, seed)
            yield ArmKept(task, arm, arm_retention, seed_agreement, classes, changes, gate)


def _accuracy_by_class(
    run: LoadedRun, arm: str, start: str | None, seed: int
) -> tuple[dict[str, Interval], dict[str, Difference]]:
    """Return the accuracy on the texts of each gold label, and that accuracy minus the start arm's."""
    arm_decisions = [decision for decision in run.decisions if decision.arm == arm and decision.gold is not None]
    start_decisions = [decision for decision in run.decisions if decision.arm == start and decision.gold is not None]
    gold_labels = {decision.gold for decision in arm_decisions}
    labels = [label for label in run.task.get("labels", ()) if label in gold_labels]
    labels += sorted(str(label) for label in gold_labels if label not in labels)
    classes, changes = {}, {}
    for label in labels:
        arm_side, start_side = (
            [decision for decision in side if decision.gold == label] for side in (arm_decisions, start_decisions)
        )
        classes[label] = stats.accuracy(arm_side)
        if start_side and arm != start:
            new, old = matched_seeds(arm_side, start_side)
            changes[label] = stats.paired_difference(stats.correctness(new), stats.correctness(old), seed)
    return classes, changes


@dataclass(frozen=True, slots=True)
class InstructionRetention:
    """Retention of an arm on instruction data.

    Attributes:
        arm: The arm.
        loss: Mean loss on held-out instruction data (nats a token).
        change: That loss minus the start arm's, same rows and seeds; None for the start arm itself.
        plain: Share of plain instructions whose answer is still plain.
        reasons: Reason why an answer is not plain -> number of answers.
    """

    arm: StudyArm
    loss: Interval
    change: Difference | None
    plain: Interval
    reasons: Mapping[str, int]


def instruction_retentions_of(study: StudyRun, seed: int = 0) -> list[InstructionRetention]:
    """Return the retention of every arm on instruction data, in the order of the study."""
    order = list(dict.fromkeys([*STARTS, *study.arms]))
    names = [name for name in order if any(arm == name for _, arm in study.kept)]
    start = start_arm(names)
    return [_instruction_retention(study, name, start, seed) for name in names]


def _instruction_retention(study: StudyRun, name: str, start: str | None, seed: int) -> InstructionRetention:
    models = {model_seed: kept for (model_seed, arm), kept in study.kept.items() if arm == name}
    start_models = {model_seed: kept for (model_seed, arm), kept in study.kept.items() if arm == start}
    losses = _instruction_losses(models)
    change = None
    if start is not None and name != start and start_models:
        # No seed touches base: it is compared with every seed of the start arm.
        new = {model_seed: next(iter(models.values())) for model_seed in start_models} if name == "base" else models
        change = stats.paired_difference(_instruction_losses(new), _instruction_losses(start_models), seed)
    answers = [(text, plain) for kept in models.values() for text, plain in kept.plain.items()]
    return InstructionRetention(
        study.arm(name),
        stats.mean_interval(by_text((text, loss) for (text, _), loss in losses.items()).values(), seed),
        change,
        stats.rate([plain for _, plain in answers], len({text for text, _ in answers})),
        Counter(reason for kept in models.values() for reason in kept.reasons.values()),
    )


def _instruction_losses(models: Mapping[int, ModelKept]) -> dict[stats.TextSeed, float]:
    return {(text, seed): loss for seed, kept in models.items() for text, loss in kept.losses.items()}


def not_releasable(kept: Sequence[ArmKept]) -> dict[str, list[str]]:
    """Return the arms that fail the gate on a task that they practised, with the reasons."""
    failing: dict[str, list[str]] = {}
    for arm_kept in kept:
        if arm_kept.gate is not None and arm_kept.gate.state == "fails":
            failing.setdefault(arm_kept.arm.name, []).extend(
                f"{arm_kept.task}: {reason}" for reason in arm_kept.gate.reasons
            )
    return failing
