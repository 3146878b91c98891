"""The bars that a plan sets for itself before anything is measured: which kinds there are, and how they are read.

A plan may have a list ``bars``; each entry says what is measured and on which arms:

- ``{bar: score, arm: faithful.all.TASK, tasks: [...], styles: [...], at_least: 0.6}``
- ``{bar: effect share, arm: ..., tasks: [...], styles: [...], at_least: 0.8}``: as graded by the start arm
- ``{bar: validity, arm: ..., tasks: [...], styles: [...], readout: generated, at_least: 0.9}``
- ``{bar: drift, arm: faithful.all.TASK, tasks: [...], styles: [...], within: 0.05}``: floor and ceiling
- ``{bar: confirmed, p_below: 0.01}``: every confirmatory cell, p after Holm's correction
- ``{bar: settled, beyond: 0.05, at_least: 2}``: so many of these are confirmed, or excluded beyond 0.05
- ``{bar: gate, arm: faithful.all.TASK, tasks: [...]}``
- ``{bar: transfer, axis: other style}``: some exploratory cell of this axis stands above its control

In ``arm``, TASK stands for the task. ``setting``, ``readout`` and ``operator`` are one-word, constrained and redact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from saywhy.arms import task_name
from saywhy.records import Operator, Readout, SaywhyError, Setting, StyleName
from saywhy.report.cells import CellKey
from saywhy.report.format import number
from saywhy.report.study.gains import Axis
from saywhy.report.study.load import StudyRun
from saywhy.report.summary import Cell
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
    setting: Literal["one-word"] = "one-word"
    within: float = Field(gt=0)


class ConfirmedBar(_FrozenBar):
    """Every confirmatory difference goes the expected way, with a corrected p below ``p_below``."""

    bar: Literal["confirmed"]
    p_below: float = Field(gt=0, le=1)


class SettledBar(_FrozenBar):
    """At least so many confirmatory differences are confirmed, or shown to be smaller than ``beyond``."""

    bar: Literal["settled"]
    beyond: float = Field(gt=0)
    at_least: int = Field(ge=1)
    p_below: float = Field(0.05, gt=0, le=1)


class GateBar(ArmBar):
    """Each arm passes the gate on its task."""

    bar: Literal["gate"]


class TransferBar(_FrozenBar):
    """Some cell of an axis stands above its matched control after Holm's correction over the axis."""

    bar: Literal["transfer"]
    axis: Axis
    setting: Setting = "one-word"
    readout: Readout = "constrained"


StudyBar = Annotated[
    LevelBar | DriftBar | ConfirmedBar | SettledBar | GateBar | TransferBar, Field(discriminator="bar")
]
_STUDY_BARS: TypeAdapter[tuple[StudyBar, ...]] = TypeAdapter(tuple[StudyBar, ...])


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
