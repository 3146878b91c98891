"""Whether a study meets its bars, by how much one is missed, and what was tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from saywhy.arms import kind
from saywhy.report.cells import CellKey
from saywhy.report.format import NO_NUMBER, change_cell, counted, estimate_text, in_points, number, p_value, signed
from saywhy.report.study.ablations import variant_settings
from saywhy.report.study.bars import ConfirmedBar, DriftBar, GateBar, LevelBar, SettledBar, TransferBar, bars_of
from saywhy.report.study.frozen import ConfirmatoryCell
from saywhy.report.study.gains import Gain
from saywhy.report.study.summary import Drift, StudySummary
from saywhy.report.summary import cell_estimates

BarState = Literal["met", "missed", "open"]


@dataclass(frozen=True, slots=True)
class BarCheck:
    """The check of one bar in one cell or arm.

    Attributes:
        requirement: What was to be reached.
        place: In which cell or arm.
        measured: What was measured.
        state: ``open`` if it was not measured, or not under all seeds that are planned.
        missed_by: By how much it is missed.
        tried: What was measured of the variants of the arm; empty if the bar is met, or no variant was measured; a dash
            where they are no answer to the bar.
    """

    requirement: str
    place: str
    measured: str
    state: BarState
    missed_by: str = ""
    tried: str = ""


def check_bars(summary: StudySummary) -> list[BarCheck]:
    """Check every bar of the plan in each of its cells or arms."""
    checks: list[BarCheck] = []
    for bar in bars_of(summary.study):
        if isinstance(bar, LevelBar):
            checks += [_check_level(summary, bar, task, key) for task, key in bar.cells()]
        elif isinstance(bar, DriftBar):
            checks += [_check_drift(summary, bar, task, key) for task, key in bar.cells()]
        elif isinstance(bar, ConfirmedBar):
            checks += _check_confirmed(summary, bar)
        elif isinstance(bar, SettledBar):
            checks.append(_check_settled(summary, bar))
        elif isinstance(bar, GateBar):
            checks += [_check_gate(summary, bar, task) for task in bar.tasks]
        else:
            checks.append(_check_transfer(summary, bar))
    return checks


def _bar_place(task: str, key: CellKey) -> str:
    return f"{key.style}, {task}"


def _lacks_seeds(summary: StudySummary, task: str, key: CellKey) -> bool:
    """Whether a cell is not measured yet under every seed for which the plan asks for it."""
    asked = [key.style, key.setting, key.readout]
    planned = {
        audit["seed"]
        for audit in summary.study.manifest.get("audits", ())
        if (audit["arm"], audit["task"]) == (key.arm, task) and asked in map(list, audit["ways"])
    }
    return bool(planned - {row.seed for row in summary.rows[task].get(key, ())})


def _check_level(summary: StudySummary, bar: LevelBar, task: str, key: CellKey) -> BarCheck:
    cell, place = summary.cell(task, key), _bar_place(task, key)
    estimate = bar.estimate(cell) if cell is not None else None
    if estimate is None or estimate.value is None:
        return BarCheck(bar.requirement, place, NO_NUMBER, "open")
    shortfall, measured = bar.at_least - estimate.value, estimate_text(estimate)
    if _lacks_seeds(summary, task, key):
        return BarCheck(bar.requirement, place, measured, "open")
    if shortfall <= 0:
        return BarCheck(bar.requirement, place, measured, "met")
    tried = _variants_tried(summary, key.arm, lambda name: _variant_level(summary, bar, task, replace(key, arm=name)))
    return BarCheck(bar.requirement, place, measured, "missed", number(shortfall), tried)


def _variant_level(summary: StudySummary, bar: LevelBar, task: str, key: CellKey) -> str | None:
    """Return what a variant came to against its twin under the same seeds; None without rows."""
    cell, twin = summary.cell(task, key), summary.study.plain_twin(summary.study.arm(key.arm))
    if cell is None or bar.estimate(cell).value is None or twin is None:
        return None
    twin_key = replace(key, arm=twin.name)
    rows = [row for row in summary.rows[task].get(twin_key, ()) if row.seed in cell.excess_seeds]
    (twin_cell,) = cell_estimates(summary.study.runs[task], {twin_key: rows}, [twin_key], None, summary.seed)
    return f"{number(bar.estimate(cell).value)} against {number(bar.estimate(twin_cell).value)}"


def _variants_tried(summary: StudySummary, arm: str, describe: Callable[[str], str | None]) -> str:
    """Return what was measured of every variant of an arm.

    Args:
        summary: The study.
        arm: Name of the arm without variant.
        describe: Returns what was measured of the variant of this name; None where it has no rows.
    """
    study = summary.study
    variants = [
        variant
        for variant in study.arms.values()
        if (twin := study.plain_twin(variant)) is not None and twin.name == arm
    ]
    described = [(variant, description) for variant in variants if (description := describe(variant.name)) is not None]
    return "; ".join(
        f"{variant.variant} ({variant_settings(variant)}): {description}" for variant, description in described
    )


def _check_drift(summary: StudySummary, bar: DriftBar, task: str, key: CellKey) -> BarCheck:
    """Check floor and ceiling together; the one that moved farther determines by how much the bar is missed."""
    requirement = f"floor and ceiling within {number(bar.within)} of the start arm's"
    drift = summary.drifts.get((task, key))
    shifts = [drift.floor.value, drift.ceiling.value] if drift is not None else [None]
    overshoot = max((abs(value) - bar.within for value in shifts if value is not None), default=0.0)
    if drift is None or (None in shifts and overshoot <= 0):
        return BarCheck(requirement, _bar_place(task, key), NO_NUMBER, "open")
    measured = f"{change_cell(drift.floor)} / {change_cell(drift.ceiling)}"
    if _lacks_seeds(summary, task, key):
        return BarCheck(requirement, _bar_place(task, key), measured, "open")
    if overshoot <= 0:
        return BarCheck(requirement, _bar_place(task, key), measured, "met")
    tried = _variants_tried(
        summary, key.arm, lambda name: _variant_drift(summary.drifts.get((task, replace(key, arm=name))))
    )
    return BarCheck(requirement, _bar_place(task, key), measured, "missed", number(overshoot), tried)


def _variant_drift(drift: Drift | None) -> str | None:
    return f"{change_cell(drift.floor).main} / {change_cell(drift.ceiling).main}" if drift is not None else None


def _check_confirmed(summary: StudySummary, bar: ConfirmedBar) -> list[BarCheck]:
    checks = []
    for gain in summary.confirmatory:
        assert gain.frozen, "what is confirmatory was frozen"
        requirement = _confirmed_requirement(bar, gain.frozen)
        met = gain.confirmed(bar.p_below)
        measured = f"{change_cell(gain.contrast.difference)}, p (Holm) {p_value(gain.contrast.p_holm)}"
        is_opposite = gain.stands(bar.p_below) not in (None, gain.frozen.direction)
        missed_by = "the opposite stands" if is_opposite else f"p {p_value(gain.contrast.p_holm)}"
        state: BarState = "open" if gain.missing_seeds else "met" if met else "missed"
        place = f"{gain.arm.asked_for(gain.key.style)}, {gain.task}"
        missed = (missed_by, NO_NUMBER) if state == "missed" else ()
        checks.append(BarCheck(requirement, place, measured, state, *missed))
    for cell in summary.unmeasured:
        requirement = _confirmed_requirement(bar, cell)
        place = f"{summary.study.arm(cell.key.arm).asked_for(cell.key.style)}, {cell.task}"
        checks.append(BarCheck(requirement, place, NO_NUMBER, "open"))
    return checks


def _check_settled(summary: StudySummary, bar: SettledBar) -> BarCheck:
    """Check how many of the frozen cells are answered, one way or the other."""
    requirement = f"{counted(bar.at_least, 'frozen cell')} confirmed, or excluded beyond {bar.beyond:g}"
    confirmed = [gain for gain in summary.confirmatory if gain.confirmed(bar.p_below)]
    excluded = [gain for gain in summary.confirmatory if gain not in confirmed and gain.excluded(bar.beyond)]
    cells = len(summary.confirmatory) + len(summary.unmeasured)
    measured = f"{len(confirmed)} confirmed, {len(excluded)} excluded"
    lacking = bar.at_least - len(confirmed) - len(excluded)
    undecided = len(summary.unmeasured) + sum(bool(gain.missing_seeds) for gain in summary.confirmatory)
    state: BarState = "met" if lacking <= 0 else "open" if lacking <= undecided else "missed"
    return BarCheck(
        requirement, counted(cells, "frozen cell"), measured, state, f"{lacking} of them" * (state == "missed")
    )


def _confirmed_requirement(bar: ConfirmedBar, cell: ConfirmatoryCell) -> str:
    side = "above" if cell.direction == "higher" else "below"
    return f"{side} {'its control' if kind(cell.against) == 'random' else cell.against}, p (Holm) < {bar.p_below:g}"


def _check_gate(summary: StudySummary, bar: GateBar, task: str) -> BarCheck:
    name, requirement = bar.name(task), "passes the gate"
    arm_kept = summary.gate(name, task)
    if arm_kept is None or arm_kept.gate is None:
        return BarCheck(requirement, name, NO_NUMBER, "open")
    states: dict[str, BarState] = {"passes": "met", "fails": "missed", "open": "open"}
    accuracy_change = arm_kept.kept.accuracy_change
    measured = f"accuracy {in_points(accuracy_change)}" if accuracy_change is not None else arm_kept.gate.state
    state = states[arm_kept.gate.state]
    tried = _variants_tried(summary, name, lambda variant: _variant_gate(summary, variant, task))
    reasons = "; ".join(arm_kept.gate.reasons)
    return BarCheck(requirement, name, measured, state, reasons, tried if state == "missed" else "")


def _variant_gate(summary: StudySummary, arm: str, task: str) -> str | None:
    arm_kept = summary.gate(arm, task)
    return arm_kept.gate.state if arm_kept is not None and arm_kept.gate is not None else None


def _check_transfer(summary: StudySummary, bar: TransferBar) -> BarCheck:
    requirement = f"some exploratory cell of '{bar.axis}' above its control"
    of_axis = summary.of_axis(bar.axis, setting=bar.setting, readout=bar.readout)
    gains = [gain for gain in of_axis if gain.frozen is None]
    if not gains:
        return BarCheck(requirement, f"{bar.setting}, {bar.readout}", NO_NUMBER, "open")
    best: Gain = max(gains, key=lambda gain: (gain.stands() == "higher", gain.value))
    measured = f"{change_cell(best.contrast.difference)} ({best.arm.name}, {_bar_place(best.task, best.key)})"
    place = f"{len(gains)} cells, {bar.readout}"
    if best.stands() == "higher":
        return BarCheck(requirement, place, measured, "met")
    missed_by = f"largest difference {signed(best.value)}, p (Holm) {p_value(best.contrast.p_holm)}"
    variants = [
        f"{gain.arm.variant} ({variant_settings(gain.arm)}), {gain.key.style}: {signed(gain.value)}"
        for gain in gains
        if gain.arm.variant
    ]
    return BarCheck(requirement, place, measured, "missed", missed_by, "; ".join(variants))
