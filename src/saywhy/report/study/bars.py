"""The bars of a study: what it set itself before it began, and by how much each is missed.

A plan may have a list ``bars``; each entry says what is measured and on which arms:

- ``{bar: score, arm: faithful.all.TASK, tasks: [...], styles: [...], at_least: 0.6}``
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

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from saywhy import stats
from saywhy.arms import task_name
from saywhy.records import Operator, Readout, SaywhyError, Setting, StyleName
from saywhy.report.cells import Key
from saywhy.report.format import NOTHING, change, in_points, number, p_value, signed, written
from saywhy.report.study.ablations import told
from saywhy.report.study.gains import Axis, Gain
from saywhy.report.study.load import StudyRun
from saywhy.report.study.summary import Drift, StudySummary


class _Bar(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OfArm(_Bar):
    """A bar that names an arm of each of some tasks."""

    arm: str
    tasks: tuple[Annotated[str, AfterValidator(task_name)], ...] = Field(min_length=1)

    def name(self, task: str) -> str:
        """Return the arm of a task."""
        return self.arm.replace("TASK", task)


class _OfCells(OfArm):
    styles: tuple[StyleName, ...] = Field(min_length=1)
    setting: Setting = "one-word"
    readout: Readout = "constrained"
    operator: Operator = "redact"

    def places(self) -> list[tuple[str, Key]]:
        """Return the cells that the bar is about."""
        return [
            (task, Key(self.name(task), style, self.setting, self.readout, self.operator))
            for task in self.tasks
            for style in self.styles
        ]


class ScoreBar(_OfCells):
    """The score of each cell is at least so high."""

    bar: Literal["score"]
    at_least: float


class DriftBar(_OfCells):
    """Floor and ceiling of each cell are within so much of the start arm's."""

    bar: Literal["drift"]
    within: float = Field(gt=0)


class ConfirmedBar(_Bar):
    """Every confirmatory difference goes the expected way, with a corrected p below."""

    bar: Literal["confirmed"]
    p_below: float = Field(gt=0, le=1)


class GateBar(OfArm):
    """Each arm passes the gate on its task."""

    bar: Literal["gate"]


class TransferBar(_Bar):
    """Some cell of an axis stands above its matched control after Holm's correction over the axis."""

    bar: Literal["transfer"]
    axis: Axis
    setting: Setting = "one-word"
    readout: Readout = "constrained"


Bar = Annotated[ScoreBar | DriftBar | ConfirmedBar | GateBar | TransferBar, Field(discriminator="bar")]
_BARS: TypeAdapter[tuple[Bar, ...]] = TypeAdapter(tuple[Bar, ...])

State = Literal["met", "missed", "open"]


@dataclass(frozen=True, slots=True)
class Checked:
    """One bar in one place.

    Attributes:
        what: What was to be reached.
        where: In which cell or arm.
        found: What was found.
        state: ``open`` if it was not measured.
        by: By how much it is missed.
        tried: What the variants of the arm came to instead; empty if it is met, or none was measured.
    """

    what: str
    where: str
    found: str
    state: State
    by: str = ""
    tried: str = ""


def read_bars(given: Sequence[Any]) -> tuple[Bar, ...]:
    """Read the bars of a plan.

    Raises:
        SaywhyError: For a bar that is none, with the first thing that is wrong.
    """
    try:
        return _BARS.validate_python(tuple(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SaywhyError(f"bars.{where} of the plan: {first['msg']}; see docs/study.md, Bars") from None


def bars_of(study: StudyRun) -> tuple[Bar, ...]:
    """Return the bars that the plan sets; it may set none."""
    return read_bars(study.plan.get("bars") or ())


def check(summary: StudySummary) -> list[Checked]:
    """Check every bar of the plan, place by place."""
    found: list[Checked] = []
    for bar in bars_of(summary.study):
        if isinstance(bar, ScoreBar):
            found += [_score(summary, bar, task, key) for task, key in bar.places()]
        elif isinstance(bar, DriftBar):
            found += [_drift(summary, bar, task, key) for task, key in bar.places()]
        elif isinstance(bar, ConfirmedBar):
            found += _confirmed(summary, bar)
        elif isinstance(bar, GateBar):
            found += [_gate(summary, bar, task) for task in bar.tasks]
        else:
            found.append(_transfer(summary, bar))
    return found


def _place(task: str, key: Key) -> str:
    return f"{key.style}, {task}"


def _score(summary: StudySummary, bar: ScoreBar, task: str, key: Key) -> Checked:
    cell, what = summary.cell(task, key), f"score ({key.readout}) at least {number(bar.at_least)}"
    if cell is None or cell.score.value is None:
        return Checked(what, _place(task, key), NOTHING, "open")
    short = bar.at_least - cell.score.value
    if short <= 0:
        return Checked(what, _place(task, key), written(cell.score), "met")
    tried = _tried(summary, key.arm, lambda name: _score_of(summary, task, replace(key, arm=name)))
    return Checked(what, _place(task, key), written(cell.score), "missed", number(short), tried)


def _score_of(summary: StudySummary, task: str, key: Key) -> str | None:
    """Return the score of a variant, and that of the arm that it varies under the same seeds."""
    cell, twin = summary.cell(task, key), summary.study.plain_twin(summary.study.arm(key.arm))
    if cell is None or cell.score.value is None or twin is None:
        return None
    mine, plain = (summary.rows[task].get(replace(key, arm=name), ()) for name in (key.arm, twin.name))
    seeds = {row.seed for row in mine}
    same = stats.score([row for row in plain if row.seed in seeds], summary.seed)
    return f"{number(cell.score.value)} against {number(same.value)}"


def _tried(summary: StudySummary, arm: str, shown: Callable[[str], str | None]) -> str:
    """Say what every variant of an arm came to; ``shown`` is given its name, and returns None where it has no rows."""
    study = summary.study
    variants = [one for one in study.arms.values() if (twin := study.plain_twin(one)) is not None and twin.name == arm]
    found = [(one, told_of) for one in variants if (told_of := shown(one.name)) is not None]
    return "; ".join(f"{one.variant} ({told(one)}): {told_of}" for one, told_of in found)


def _drift(summary: StudySummary, bar: DriftBar, task: str, key: Key) -> Checked:
    """Check floor and ceiling together; the farther one says by how much the bar is missed."""
    what, drift = f"floor and ceiling within {number(bar.within)} of the start arm's", summary.drifts.get((task, key))
    moved = [drift.floor.value, drift.ceiling.value] if drift is not None else [None]
    far = [abs(value) - bar.within for value in moved if value is not None]
    if drift is None or not far:
        return Checked(what, _place(task, key), NOTHING, "open")
    found = f"{change(drift.floor)} / {change(drift.ceiling)}"
    if max(far) <= 0:
        return Checked(what, _place(task, key), found, "met")
    tried = _tried(summary, key.arm, lambda name: _drift_of(summary.drifts.get((task, replace(key, arm=name)))))
    return Checked(what, _place(task, key), found, "missed", number(max(far)), tried)


def _drift_of(drift: Drift | None) -> str | None:
    return f"{change(drift.floor).main} / {change(drift.ceiling).main}" if drift is not None else None


def _confirmed(summary: StudySummary, bar: ConfirmedBar) -> list[Checked]:
    what, found = f"above its control, p (Holm) < {bar.p_below:g}", []
    for gain in summary.confirmatory:
        met = gain.confirmed(bar.p_below)
        shown = f"{change(gain.contrast.difference)}, p (Holm) {p_value(gain.contrast.p_holm)}"
        by = "" if met or gain.lacks else f"p {p_value(gain.contrast.p_holm)}"
        state: State = "open" if gain.lacks else "met" if met else "missed"
        found.append(Checked(what, _place(gain.task, gain.key), shown, state, by))
    found += [Checked(what, _place(cell.task, cell.key), NOTHING, "open") for cell in summary.unmeasured]
    return found


def _gate(summary: StudySummary, bar: GateBar, task: str) -> Checked:
    name, what = bar.name(task), "passes the gate"
    kept = summary.gate(name, task)
    if kept is None or kept.gate is None:
        return Checked(what, name, NOTHING, "open")
    states: dict[str, State] = {"passes": "met", "fails": "missed", "open": "open"}
    moved = kept.kept.accuracy_change
    found = f"accuracy {in_points(moved)}" if moved is not None else kept.gate.state
    state = states[kept.gate.state]
    tried = _tried(summary, name, lambda other: _gate_of(summary, other, task)) if state == "missed" else ""
    return Checked(what, name, found, state, "; ".join(kept.gate.reasons), tried)


def _gate_of(summary: StudySummary, arm: str, task: str) -> str | None:
    kept = summary.gate(arm, task)
    return kept.gate.state if kept is not None and kept.gate is not None else None


def _transfer(summary: StudySummary, bar: TransferBar) -> Checked:
    what = f"some cell of '{bar.axis}' above its control"
    gains = summary.of_axis(bar.axis, setting=bar.setting, readout=bar.readout)
    if not gains:
        return Checked(what, f"{bar.setting}, {bar.readout}", NOTHING, "open")
    best: Gain = max(gains, key=lambda gain: (gain.stands() == "higher", gain.value))
    found = f"{change(best.contrast.difference)} ({best.arm.name}, {_place(best.task, best.key)})"
    where = f"{len(gains)} cells, {bar.readout}"
    if best.stands() == "higher":
        return Checked(what, where, found, "met")
    by = f"largest difference {signed(best.value)}, p (Holm) {p_value(best.contrast.p_holm)}"
    variants = [f"{g.arm.variant} ({told(g.arm)}), {g.key.style}: {signed(g.value)}" for g in gains if g.arm.variant]
    return Checked(what, where, found, "missed", by, "; ".join(variants))
