"""What each arm kept on each task and on instruction data, and the gate that marks an arm as not releasable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from saywhy import stats
from saywhy.arms import MADE
from saywhy.report.arms import matched_seeds, start_arm
from saywhy.report.gate import Gate, gate_of
from saywhy.report.load import Run
from saywhy.report.retention import Retention, retention, yardstick
from saywhy.report.rules import Rules
from saywhy.report.study.load import Arm, Kept, StudyRun
from saywhy.stats import Difference, Interval
from saywhy.stats.intervals import by_text


@dataclass(frozen=True, slots=True)
class ArmKept:
    """What an arm kept of the classifier on one task.

    Attributes:
        task: The task.
        arm: The arm.
        kept: Accuracy, agreement and drift.
        yardstick: Agreement of two seeds of the start arm on this task; None if it has but one.
        classes: Gold label -> accuracy on its texts.
        class_changes: Gold label -> change of that accuracy against the start arm; empty for the start arm.
        gate: The gate; None for an arm that practised no explanations, or not on this task.
    """

    task: str
    arm: Arm
    kept: Retention
    yardstick: Interval | None
    classes: Mapping[str, Interval]
    class_changes: Mapping[str, Difference]
    gate: Gate | None


def kept_of(study: StudyRun, rules: Rules, seed: int = 0) -> Iterator[ArmKept]:
    """Yield what each arm kept on each task on which it decided."""
    for task, run in study.runs.items():
        start = start_arm(run.arms)
        usual = yardstick(run, start)
        for found in retention(run, start, rules, seed):
            arm = study.arm(found.arm)
            gated = arm.name not in MADE and task in arm.tasks
            gate = gate_of(found, usual, rules) if gated else None
            classes, changes = _by_class(run, found.arm, start, seed)
            yield ArmKept(task, arm, found, usual, classes, changes, gate)


def _by_class(run: Run, arm: str, start: str | None, seed: int) -> tuple[dict[str, Interval], dict[str, Difference]]:
    """Return the accuracy on the texts of each gold label, and its change against the start arm."""
    mine = [d for d in run.decisions if d.arm == arm and d.gold is not None]
    before = [d for d in run.decisions if d.arm == start and d.gold is not None]
    known = {d.gold for d in mine}
    labels = [label for label in run.task.get("labels", ()) if label in known]
    labels += sorted(str(label) for label in known if label not in labels)
    classes, changes = {}, {}
    for label in labels:
        ours, theirs = ([d for d in side if d.gold == label] for side in (mine, before))
        classes[label] = stats.accuracy(ours)
        if theirs and arm != start:
            new, old = matched_seeds(ours, theirs)
            changes[label] = stats.paired_difference(stats.right(new), stats.right(old), seed)
    return classes, changes


@dataclass(frozen=True, slots=True)
class Instructed:
    """What an arm kept on instruction data.

    Attributes:
        arm: The arm.
        loss: Mean loss on held-out instruction data (nats a token).
        change: The same minus that of the start arm, same rows and seeds; None for the start arm itself.
        plain: Share of plain instructions whose answer is still plain.
        reasons: Why answers are not plain, and how often.
    """

    arm: Arm
    loss: Interval
    change: Difference | None
    plain: Interval
    reasons: Mapping[str, int]


def instructed(study: StudyRun, seed: int = 0) -> list[Instructed]:
    """Return what every arm kept on instruction data, in the order of the study."""
    order = list(dict.fromkeys([*MADE, *study.arms]))
    names = [name for name in order if any(arm == name for _, arm in study.kept)]
    start = start_arm(names)
    return [_instructed(study, name, start, seed) for name in names]


def _instructed(study: StudyRun, name: str, start: str | None, seed: int) -> Instructed:
    mine = {at: kept for (at, arm), kept in study.kept.items() if arm == name}
    before = {at: kept for (at, arm), kept in study.kept.items() if arm == start}
    losses = _losses(mine)
    change = None
    if start is not None and name != start and before:
        # base is there once: it stands beside every seed of the start arm.
        new = {at: next(iter(mine.values())) for at in before} if name == "base" else mine
        change = stats.paired_difference(_losses(new), _losses(before), seed)
    asked = [(text, plain) for kept in mine.values() for text, plain in kept.plain.items()]
    return Instructed(
        study.arm(name),
        stats.mean_interval(by_text((text, loss) for (text, _), loss in losses.items()).values(), seed),
        change,
        stats.rate([plain for _, plain in asked], len({text for text, _ in asked})),
        Counter(why for kept in mine.values() for why in kept.reasons.values()),
    )


def _losses(kept: Mapping[int, Kept]) -> dict[stats.Key, float]:
    return {(text, at): loss for at, one in kept.items() for text, loss in one.losses.items()}


def not_releasable(kept: Sequence[ArmKept]) -> dict[str, list[str]]:
    """Return the arms that fail the gate on a task that they practised, with the reasons."""
    found: dict[str, list[str]] = {}
    for one in kept:
        if one.gate is not None and one.gate.state == "fails":
            found.setdefault(one.arm.name, []).extend(f"{one.task}: {reason}" for reason in one.gate.reasons)
    return found
