"""What the training of a study cost, in words: the gate, accuracy, instruction data, brittleness."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saywhy.report.format import counted, joined, number, points, signed
from saywhy.report.study.gate import instruction_retentions_of
from saywhy.report.study.summary import StudySummary, main_arms
from saywhy.stats import Interval


def percent_range(intervals: Sequence[Interval]) -> str:
    """Return the smallest and the largest share as a range in per cent, or a single one if they are written alike."""
    values = [interval.value for interval in intervals if interval.value is not None]
    low, high = (f"{100 * value:.0f} %" for value in (min(values, default=0.0), max(values, default=0.0)))
    return low if low == high else f"{low} to {high}"


def range_in_words(values: Sequence[float], formatter: Callable[[float], str] = signed) -> str:
    """Return the smallest and the largest value as a range, or a single one if they are written alike."""
    low, high = formatter(min(values)), formatter(max(values))
    return low if low == high else f"{low} to {high}"


def cost_sentence(summary: StudySummary) -> str:
    """Return the sentence on the cost: the gate, accuracy, instruction data, and drift of floor and ceiling."""
    names = {arm.name for arm in main_arms(summary)}
    kept = [arm_kept for arm_kept in summary.kept if arm_kept.arm.name in names and arm_kept.gate is not None]
    which = "confirmatory" if summary.frozen else "faithful"
    if not kept:
        return f"What the training cost was not measured: there are no decisions of the {which} arms."
    states: dict[str, set[str]] = {}  # of an arm on each of its tasks
    for arm_kept in kept:
        states.setdefault(arm_kept.arm.name, set()).add(arm_kept.gate.state if arm_kept.gate else "open")
    passed = [arm for arm, on_tasks in states.items() if on_tasks == {"passes"}]
    undecided = [arm for arm, on_tasks in states.items() if "open" in on_tasks and "fails" not in on_tasks]
    changes = [arm_kept.kept.accuracy_change.value for arm_kept in kept if arm_kept.kept.accuracy_change is not None]
    accuracy_changes = [value for value in changes if value is not None]
    parts = [f"the gate is passed by {len(passed)} of {counted(len(states), f'{which} arm')}"]
    parts += [f"cannot be told yet for {len(undecided)}"] if undecided else []
    failed = [arm_kept for arm_kept in kept if arm_kept.gate is not None and arm_kept.gate.state == "fails"]
    sentence = f"At what cost: {joined(parts)}"
    agreements = [arm_kept.kept.agreement.value for arm_kept in kept if arm_kept.kept.agreement.value is not None]
    if accuracy_changes:
        sentence += f" (accuracy {range_in_words(accuracy_changes, points)} points against the start model"
        sentence += f", agreement with it {number(min(agreements))} or more)" if agreements else ")"
    failures = "".join(
        f"; {arm_kept.arm.name} fails the gate{f' on {arm_kept.task}' * (len(arm_kept.arm.tasks) > 1)}: "
        f"{', '.join(arm_kept.gate.reasons)}"
        for arm_kept in failed[:2]
        if arm_kept.gate
    )
    failures += f"; so do {len(failed) - 2} more" if len(failed) > 2 else ""
    return sentence + _instruction_clause(summary, names) + _brittleness_clause(summary) + failures + "."


def _instruction_clause(summary: StudySummary, names: set[str]) -> str:
    """Return the clause on the loss on instruction data and on plain answers."""
    retentions = [
        retention for retention in instruction_retentions_of(summary.study, summary.seed) if retention.arm.name in names
    ]
    changes = [
        retention.change.value
        for retention in retentions
        if retention.change is not None and retention.change.value is not None
    ]
    plain_shares = [retention.plain for retention in retentions if retention.plain.value is not None]
    start_plain = next(
        (
            retention.plain
            for retention in instruction_retentions_of(summary.study, summary.seed)
            if retention.arm.name == "adapted"
        ),
        None,
    )
    start_clause = f" (of the start model {percent_range([start_plain])})" if start_plain is not None else ""
    clause = f", loss on instruction data {range_in_words(changes)} nats a token" if changes else ""
    return clause + (
        f", {percent_range(plain_shares)} of answers to plain instructions plain{start_clause}" if plain_shares else ""
    )


def _brittleness_clause(summary: StudySummary) -> str:
    """Return the clause on how many confirmatory cells have a floor or ceiling that is not near the start model's."""
    cells = dict.fromkeys((gain.task, gain.key) for gain in summary.confirmatory)
    drifts = [summary.drifts[cell] for cell in cells if cell in summary.drifts]
    if not drifts:
        return ""
    far = [drift for drift in drifts if not drift.near()]
    if not far:
        return f", floor and ceiling within 5 points of the start model's in all {len(drifts)} cells"
    worst = max(
        (shift for drift in far for shift in (drift.floor.value, drift.ceiling.value) if shift is not None), key=abs
    )
    return (
        f", but floor or ceiling moved by more than 5 points in {len(far)} of {len(drifts)} cells (most: "
        f"{signed(worst)}), so that part of the gain may be brittleness"
    )
