"""The plan of a study: its YAML file, checked whole before anything runs (docs/study.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, field_validator, model_validator

from saywhy.arms import ALL_NAME, KINDS, task_name
from saywhy.clashes import practice_clash
from saywhy.config import Seed
from saywhy.folders.entries import is_plain_name
from saywhy.hints import did_you_mean
from saywhy.records import STYLES, Readout, Setting, StepsOrder, StyleName
from saywhy.report.study.bars import StudyBar
from saywhy.setting_names import current_names
from saywhy.study.block import OWN_TASKS, PLAN_MODEL, UNSEEN_TASKS, StudyBlock, with_known_order
from saywhy.study.resources import StepKind, StepResources

MACHINE_SETTINGS = ("precision",)
"""Settings of how a machine computes: no part of what is frozen, and they may differ between banks that are joined."""
TEXT_SETTINGS = ("most_words", "rows", "decide_rows")
"""Settings that may differ from task to task: those that choose the texts tested on."""


class ConfirmatoryEntry(BaseModel):
    """An entry of ``confirmatory``: cells decided on before the first audit, corrected together, with a direction."""

    model_config = PLAN_MODEL

    block: str = Field(description="Name of the block.")
    arm: str = Field("faithful", description="The arm that is to be better.")
    against: str = Field("random", description="Its control.")
    styles: tuple[StyleName, ...] = Field(STYLES, min_length=1)
    setting: Setting = "one-word"
    readout: Readout = "constrained"
    direction: Literal["higher", "lower"] = "higher"


class StudyPlan(BaseModel):
    """The plan of a study: the content of its file."""

    model_config = PLAN_MODEL

    name: str = Field(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$", description="Name of the study.")
    about: str = Field("", description="What it asks, for the report's first lines.")
    model: str = Field("smollm2-135m", description="As model= of saywhy.")
    data: str = Field("pocket", description="pocket, hub, or a folder with one folder a task.")
    tasks: tuple[str, ...] = Field(min_length=1, description="Tasks that arms are trained on.")
    unseen: tuple[str, ...] = Field((), description="Tasks that are only tested on.")
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)
    blocks: tuple[StudyBlock, ...] = Field(min_length=1, description="The grid.")
    confirmatory: tuple[ConfirmatoryEntry, ...] = Field(
        (), description="What is decided beforehand; the rest is exploratory."
    )
    bars: tuple[StudyBar, ...] = Field((), description="Figures to reach; the report says by how much each is missed.")
    instruction_rows: int = Field(
        60, ge=0, description="Held-out instruction rows on which every arm's loss is measured; 0: no retention."
    )
    with_: Mapping[str, Any] = Field({}, alias="with", description="Settings of every run, as KEY=VALUE of saywhy run.")
    texts: Mapping[str, Mapping[str, Any]] = Field(
        {}, description="What differs in the texts of a task: most_words, rows, decide_rows."
    )
    resources: Mapping[StepKind, StepResources] = Field(
        {}, exclude=True, description="What a worker on a cluster needs for a kind of step: no part of the study."
    )

    @field_validator("with_")
    @classmethod
    def _with_current_names(cls, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return with_known_order(current_names(settings))

    @field_validator("texts")
    @classmethod
    def _text_settings(cls, settings_by_task: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        for task, settings in settings_by_task.items():
            for key in settings:
                if key not in TEXT_SETTINGS:
                    hint = did_you_mean(key, TEXT_SETTINGS, ", ")
                    raise ValueError(f"{task}: '{key}' is no setting of a task's texts{hint}")
        return settings_by_task

    @model_validator(mode="after")
    def _cells_exist(self) -> StudyPlan:
        problem = _plan_problem(self)
        if problem:
            raise ValueError(problem)
        return self

    _data_of_file: str | None = PrivateAttr(None)
    """The data folder that the study file names, if another one was given in its place."""

    def with_data(self, data: str) -> StudyPlan:
        """Return the plan with another data folder; files below that of the study file are looked for below it."""
        moved = self.model_copy(update={"data": data})
        moved._data_of_file = None if {self.data, data} & {"pocket", "hub"} else self.data
        return moved

    def located(self, path: str) -> str:
        """Return where a file named in the plan lies: below ``data``, if the study file has it below its own."""
        is_below = self._data_of_file is not None and Path(path).is_relative_to(self._data_of_file)
        return str(Path(self.data) / Path(path).relative_to(str(self._data_of_file))) if is_below else path

    def block(self, name: str) -> StudyBlock:
        """Return the block called ``name``."""
        return next(block for block in self.blocks if block.name == name)

    def steps_order(self, block: StudyBlock) -> StepsOrder:
        """Return in which order a block asks for steps and answer."""
        order: StepsOrder = {**self.with_, **block.with_}.get("steps_order") or "after"
        return order

    @property
    def all_tasks(self) -> tuple[str, ...]:
        """The tasks that arms are trained on, then those that are only tested on."""
        return (*self.tasks, *self.unseen)

    def resolved(self) -> dict[str, Any]:
        """Return the plan as JSON-able values."""
        return self.model_dump(mode="json", by_alias=True)


def _plan_problem(plan: StudyPlan) -> str | None:
    """Return the first entry of a plan that cannot be, in words; None if there is none."""
    block_names = [block.name for block in plan.blocks]
    for kind, names in (("blocks", block_names), ("tasks", list(plan.all_tasks))):
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            return f"{kind}: '{doubled[0]}' is there twice"
    if problem := _task_without_name(plan.all_tasks):
        return f"tasks: {problem}"
    if unknown := [task for task in plan.texts if task not in plan.all_tasks]:
        return f"texts: no task '{unknown[0]}' in tasks or unseen{did_you_mean(unknown[0], plan.all_tasks, ', ')}"
    for block in plan.blocks:
        if problem := _block_problem(plan, block):
            return f"block {block.name}: {problem}"
    for entry in plan.confirmatory:
        if entry.block not in block_names:
            return f"confirmatory: no block '{entry.block}'{did_you_mean(entry.block, block_names, ', ')}"
        if missing := _missing_in_block(plan.block(entry.block), entry):
            return f"confirmatory: block {entry.block} has no {missing}: a cell that cannot exist"
    return _doubled_cell(plan) or _order_of_no_steps(plan)


def _order_of_no_steps(plan: StudyPlan) -> str | None:
    """Return that there are no steps whose order ``with:`` says, in words."""
    styles = {
        style for block in plan.blocks for styles in (block.styles, *block.practised_style_sets) for style in styles
    }
    if plan.with_.get("steps_order") != "before" or "steps" in styles:
        return None
    return "with: steps_order: no block asks for steps, or practises them: leave it out"


def _doubled_cell(plan: StudyPlan) -> str | None:
    """Return the first confirmatory cell that is there twice, in words: Holm would correct for it twice."""
    cells = [
        (entry.block, entry.arm, entry.against, style, entry.setting, entry.readout)
        for entry in plan.confirmatory
        for style in entry.styles
    ]
    doubled = next((cell for cell in cells if cells.count(cell) > 1), None)
    return f"confirmatory: {', '.join(doubled)} is there twice" if doubled else None


def _task_without_name(tasks: tuple[str, ...]) -> str | None:
    """Return the first task that cannot be called by its file's name, as folders and arms call it, in words."""
    taken: dict[str, str] = {}
    for task in tasks:
        name = task_name(task)
        if taken.setdefault(name, task) != task:
            return f"'{taken[name]}' and '{task}' are both called {name}: rename one of the files"
        if not is_plain_name(name):
            return f"'{task}' would be called {name!r}, which is no name of a folder: rename the file"
        if name == ALL_NAME or "+" in name:
            return f"'{task}' would be called {name}, which arms of several tasks are: rename the file"
    return None


def _block_problem(plan: StudyPlan, block: StudyBlock) -> str | None:
    """Return the first task or seed of a block that the study does not have, in words."""
    trained = [] if isinstance(block.train_tasks, str) else [task for tasks in block.train_tasks for task in tasks]
    if unknown := [task for task in trained if task not in plan.tasks]:
        return f"it trains on '{unknown[0]}', which is not in tasks{did_you_mean(unknown[0], plan.tasks, ', ')}"
    tested = () if isinstance(block.test_tasks, str) else block.test_tasks
    if unknown := [task for task in tested if task not in plan.all_tasks]:
        hint = did_you_mean(unknown[0], plan.all_tasks, ", ")
        return f"it tests on '{unknown[0]}', which is in neither tasks nor unseen{hint}"
    if block.test_tasks == UNSEEN_TASKS and not plan.unseen:
        return "it tests on unseen tasks, and the study has none"
    if block.test_tasks == OWN_TASKS and not set(block.arms) & set(KINDS):
        return "base and adapted have no task of their own: say test_tasks"
    if unknown_seeds := sorted(set(block.seeds or ()) - set(plan.seeds)):
        return f"seed {unknown_seeds[0]} is not in seeds"
    settings = {**plan.with_, **block.with_, "arms": block.arms}
    problems = (practice_clash({**settings, "train_styles": styles}) for styles in block.practised_style_sets)
    return next(filter(None, problems), None)


def has_readout(setting: Setting, readout: Readout) -> bool:
    """Return whether a readout is there in a setting: free explanations are generated only."""
    return setting == "one-word" or readout == "generated"


def _missing_in_block(block: StudyBlock, entry: ConfirmatoryEntry) -> str | None:
    """Return the first part of confirmatory cells that their block does not have, in words."""
    if entry.arm == entry.against:
        return f"other {entry.arm} to compare {entry.arm} with"
    for kind, needed, available in (
        ("arm", (entry.arm, entry.against), block.arms),
        ("style", entry.styles, block.styles),
        ("setting", (entry.setting,), block.settings),
        ("readout", (entry.readout,), block.readouts),
    ):
        if missing := [name for name in needed if name not in available]:
            return f"{kind} {missing[0]}"
    if not has_readout(entry.setting, entry.readout):
        return f"{entry.readout} readout of free explanations"
    return None


def first_problem(error: ValidationError) -> str:
    """Return the first problem of a validation in one line, with the key that has it."""
    problem = error.errors()[0]
    location = ".".join(str(part) for part in problem["loc"] if part not in ("literal", "tuple"))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "there is no such entry"
    return f"{location}: {message}" if location else message
