"""The bars of a study: requirements that the plan sets beforehand, and by how much each is missed.

A plan may have a list ``bars``; each entry says what is measured and on which arms:

- ``{bar: score, arm: faithful.all.TASK, tasks: [...], styles: [...], at_least: 0.6}``
- ``{bar: effect share, arm: ..., tasks: [...], styles: [...], at_least: 0.8}``: as graded by the start arm
- ``{bar: validity, arm: ..., tasks: [...], styles: [...], readout: generated, at_least: 0.9}``
- ``{bar: drift, arm: faithful.all.TASK, tasks: [...], styles: [...], within: 0.05}``: floor and ceiling
- ``{bar: confirmed, p_below: 0.01}``: every confirmatory cell, p after Holm's correction
- ``{bar: gate, arm: faithful.all.TASK, tasks: [...]}``
- ``{bar: transfer, axis: other style}``: some exploratory cell of this axis stands above its control

In ``arm``, TASK stands for the task. ``setting``, ``readout`` and ``operator`` are one-word, constrained and redact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from saywhy.arms import task_name
from saywhy.records import Operator, Readout, SaywhyError, Setting, StyleName
from saywhy.report.cells import CellKey
from saywhy.report.format import NO_NUMBER, change_cell, estimate_text, in_points, number, p_value, signed
from saywhy.report.study.ablations import variant_settings
from saywhy.report.study.gains import Axis, Gain
from saywhy.report.study.load import StudyRun
from saywhy.report.study.summary import Drift, StudySummary
from saywhy.report.summary import Cell, cell_estimates
from saywhy.stats import Interval


class _FrozenBar(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ArmBar(_FrozenBar):
    """A bar on one arm per task, e.g. the faithful arm of each of its tasks."""

    arm: str
    tasks: tuple[Annotated[str, AfterValidator(task_name)], ...] = Field(min_length=1)

    def name(self, task: str) -> str:
        """Return the arm of a task."""
        return self.arm.replace("TASK", task)


class CellsBar(ArmBar):
    """A bar on cells of its arms: each of its styles, in one setting and readout, with one operator."""

    styles: tuple[StyleName, ...] = Field(min_length=1)
    setting: Setting = "one-word"
    readout: Readout = "constrained"
    operator: Operator = "redact"

    def cells(self) -> list[tuple[str, CellKey]]:
        """Return the cells that the bar is about."""
        return [
            (task, CellKey(self.name(task), style, self.setting, self.readout, self.operator))
            for task in self.tasks
            for style in self.styles
        ]


class LevelBar(CellsBar):
    """Score, start-graded effect share or validity of each cell is at least ``at_least``."""

    bar: Literal["score", "effect share", "validity"]
    at_least: float

    @model_validator(mode="after")
    def _of_replies_that_may_be_invalid(self) -> LevelBar:
        if self.bar == "validity" and self.readout != "generated":
            raise ValueError("only generated replies can be invalid: say readout: generated")
        return self

    @property
    def requirement(self) -> str:
        """What is to be reached, in words."""
        names = {"score": "score", "effect share": "effect share by the start arm", "validity": "valid replies"}
        return f"{names[self.bar]} ({self.readout}) at least {number(self.at_least)}"

    def estimate(self, cell: Cell) -> Interval:
        """Return what of a cell the bar is about."""
        return {"score": cell.score, "effect share": cell.effect_share_start, "validity": cell.validity}[self.bar]


class DriftBar(CellsBar):
    """Floor and ceiling of each cell are at most ``within`` from the start arm's."""

    bar: Literal["drift"]
    within: float = Field(gt=0)


class ConfirmedBar(_FrozenBar):
    """Every confirmatory difference goes the expected way, with a corrected p below ``p_below``."""

    bar: Literal["confirmed"]
    p_below: float = Field(gt=0, le=1)


class GateBar(ArmBar):
    """Each arm passes the gate on its task."""

    bar: Literal["gate"]


class TransferBar(_FrozenBar):
    """Some cell of an axis stands above its matched control after Holm's correction over the axis."""

    bar: Literal["transfer"]
    axis: Axis
    setting: Setting = "one-word"
    readout: Readout = "constrained"


StudyBar = Annotated[LevelBar | DriftBar | ConfirmedBar | GateBar | TransferBar, Field(discriminator="bar")]
_STUDY_BARS: TypeAdapter[tuple[StudyBar, ...]] = TypeAdapter(tuple[StudyBar, ...])

BarState = Literal["met", "missed", "open"]


@dataclass(frozen=True, slots=True)
class BarCheck:
    """The check of one bar in one cell or arm.

    Attributes:
        requirement: What was to be reached.
        place: In which cell or arm.
        measured: What was measured.
        state: ``open`` if it was not measured.
        missed_by: By how much it is missed.
        tried: What was measured of the variants of the arm; empty if the bar is met, or no variant was measured.
    """

    requirement: str
    place: str
    measured: str
    state: BarState
    missed_by: str = ""
    tried: str = ""


def read_bars(entries: Sequence[Any]) -> tuple[StudyBar, ...]:
    """Read the bars of a plan.

    Raises:
        SaywhyError: For an entry that is no valid bar, with its first error.
    """
    try:
        return _STUDY_BARS.validate_python(tuple(entries))
    except ValidationError as error:
        first = error.errors()[0]
        location = ".".join(str(part) for part in first["loc"])
        raise SaywhyError(f"bars.{location} of the plan: {first['msg']}; see docs/study.md, Bars") from None


def bars_of(study: StudyRun) -> tuple[StudyBar, ...]:
    """Return the bars of the plan, which may be none."""
    return read_bars(study.plan.get("bars") or ())


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
        elif isinstance(bar, GateBar):
            checks += [_check_gate(summary, bar, task) for task in bar.tasks]
        else:
            checks.append(_check_transfer(summary, bar))
    return checks


def _bar_place(task: str, key: CellKey) -> str:
    return f"{key.style}, {task}"


def _check_level(summary: StudySummary, bar: LevelBar, task: str, key: CellKey) -> BarCheck:
    cell, place = summary.cell(task, key), _bar_place(task, key)
    estimate = bar.estimate(cell) if cell is not None else None
    if estimate is None or estimate.value is None:
        return BarCheck(bar.requirement, place, NO_NUMBER, "open")
    shortfall, measured = bar.at_least - estimate.value, estimate_text(estimate)
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
    if overshoot <= 0:
        return BarCheck(requirement, _bar_place(task, key), measured, "met")
    tried = _variants_tried(
        summary, key.arm, lambda name: _variant_drift(summary.drifts.get((task, replace(key, arm=name))))
    )
    return BarCheck(requirement, _bar_place(task, key), measured, "missed", number(overshoot), tried)


def _variant_drift(drift: Drift | None) -> str | None:
    return f"{change_cell(drift.floor).main} / {change_cell(drift.ceiling).main}" if drift is not None else None


def _check_confirmed(summary: StudySummary, bar: ConfirmedBar) -> list[BarCheck]:
    requirement, checks = f"above its control, p (Holm) < {bar.p_below:g}", []
    for gain in summary.confirmatory:
        met = gain.confirmed(bar.p_below)
        measured = f"{change_cell(gain.contrast.difference)}, p (Holm) {p_value(gain.contrast.p_holm)}"
        missed_by = "" if met or gain.missing_seeds else f"p {p_value(gain.contrast.p_holm)}"
        state: BarState = "open" if gain.missing_seeds else "met" if met else "missed"
        checks.append(BarCheck(requirement, _bar_place(gain.task, gain.key), measured, state, missed_by))
    checks += [BarCheck(requirement, _bar_place(cell.task, cell.key), NO_NUMBER, "open") for cell in summary.unmeasured]
    return checks


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
    requirement = f"some cell of '{bar.axis}' above its control"
    gains = summary.of_axis(bar.axis, setting=bar.setting, readout=bar.readout)
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
