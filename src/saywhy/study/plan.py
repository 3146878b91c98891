"""What a study is: the YAML file, checked whole before anything runs (docs/study.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from saywhy.arms import ALL, HALF, KINDS, MADE, REFRESHED, task_name
from saywhy.config import Seed
from saywhy.hints import did_you_mean
from saywhy.records import STYLES, Readout, Setting, StyleName
from saywhy.report.study.bars import Bar

_MODEL = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

OWN, ALL_TRAINED, UNSEEN = "own", "trained", "unseen"
"""Which tasks an arm is tested on: its own, all that are trained on, those that none is trained on."""


class Block(BaseModel):
    """Some arms, what they are trained on, and what they are tested on.

    The arms of a block are compared within it: same texts, same steps, other words.
    """

    model_config = _MODEL

    name: str = Field(min_length=1, description="What the report calls it.")
    arms: tuple[str, ...] = Field(
        ("faithful", "random"), min_length=1, description="base, adapted, faithful, random, lexical, transplant."
    )
    variant: str = Field("", pattern=r"^[a-z0-9]*$", description="What is special about its trained arms, one word.")
    train_styles: tuple[tuple[StyleName, ...], ...] | Literal["all", "each"] = Field(
        "all", description="Styles practised: all together, each by itself, or a list of lists."
    )
    train_tasks: tuple[tuple[str, ...], ...] | Literal["all", "each"] = Field(
        "each", description="Tasks practised on: each by itself, all jointly, or a list of lists."
    )
    test_tasks: tuple[str, ...] | Literal["own", "trained", "unseen", "all"] = Field(
        "own", description="Tasks tested on: its own, trained (all that any arm is trained on), unseen, all, or a list."
    )
    styles: tuple[StyleName, ...] = Field(STYLES, min_length=1, description="Styles that are asked for.")
    settings: tuple[Setting, ...] = Field(("one-word",), min_length=1, description="one-word, free, or both.")
    readouts: tuple[Readout, ...] = Field(("constrained",), min_length=1, description="generated, constrained.")
    seeds: tuple[Seed, ...] | None = Field(None, description="Seeds; none: the study's first.")
    with_: Mapping[str, Any] = Field({}, alias="with", description="Settings of its training, such as rate or epochs.")

    @field_validator("train_styles", "train_tasks", "test_tasks")
    @classmethod
    def _something(cls, told: Any) -> Any:
        if not isinstance(told, str) and (not told or not all(told)):
            raise ValueError("an empty list: leave the entry out, or name what is meant")
        return told

    @field_validator("arms")
    @classmethod
    def _known(cls, arms: tuple[str, ...]) -> tuple[str, ...]:
        for arm in arms:
            if arm not in (*MADE, *KINDS):
                raise ValueError(f"no arm '{arm}'{did_you_mean(arm, (*MADE, *KINDS), ', ')}")
        return arms

    @field_validator("with_")
    @classmethod
    def _of_training(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        for key in given:
            if key not in TRAINING:
                hint = did_you_mean(key, TRAINING, ", ")
                raise ValueError(f"with: '{key}' is no setting of an arm's training{hint}")
        if given.get("rank", 0) != 0:
            raise ValueError("with: rank: a LoRA goes on with the rank of adapted; only 0, all weights, can be asked")
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Block:
        if "free" in self.settings and "generated" not in self.readouts:
            raise ValueError("free explanations are generated only: add generated to readouts")
        if self.with_ and not self.variant:
            raise ValueError("a block with settings of its own needs a variant, the word that names its arms")
        if self.variant == HALF:
            raise ValueError(f"variant '{HALF}' is what {REFRESHED} goes on from: choose another word")
        return self


TRAINING: tuple[str, ...] = (
    *("train_rows", "epochs", "rate", "batch", "decision_weight", "label_weight", "label_turn", "stay_weight"),
    *("replay", "replay_share", "format_share", "packing", "verified", "target_method", "infill_words", "rank"),
)
"""Settings that a block may change for its arms: those of their training."""
MACHINE = ("precision",)
"""Settings that say how a machine computes, not what: no part of what is frozen, and they may differ in a join."""
TEXTS = ("most_words", "rows", "decide_rows")
"""Settings that may differ from task to task: which texts are tested on."""


class Confirmatory(BaseModel):
    """Cells that are decided on before the first audit: corrected together, with a direction."""

    model_config = _MODEL

    block: str = Field(description="Name of the block.")
    arm: str = Field("faithful", description="The arm that is to be better.")
    against: str = Field("random", description="Its control.")
    styles: tuple[StyleName, ...] = Field(STYLES, min_length=1)
    setting: Setting = "one-word"
    readout: Readout = "constrained"
    direction: Literal["higher", "lower"] = "higher"


class Plan(BaseModel):
    """A study."""

    model_config = _MODEL

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$", description="Name of the study.")
    about: str = Field("", description="What it asks, for the report's first lines.")
    model: str = Field("smollm2-135m", description="As model= of saywhy.")
    data: str = Field("pocket", description="pocket, hub, or a folder with one folder a task.")
    tasks: tuple[str, ...] = Field(min_length=1, description="Tasks that arms are trained on.")
    unseen: tuple[str, ...] = Field((), description="Tasks that are only tested on.")
    seeds: tuple[Seed, ...] = Field((0,), min_length=1)
    blocks: tuple[Block, ...] = Field(min_length=1, description="The grid.")
    confirmatory: tuple[Confirmatory, ...] = Field(
        (), description="What is decided beforehand; the rest is exploratory."
    )
    bars: tuple[Bar, ...] = Field((), description="Figures to reach; the report says by how much each is missed.")
    instruction_rows: int = Field(
        60, ge=0, description="Held-out instruction rows on which every arm's loss is measured; 0: no retention."
    )
    with_: Mapping[str, Any] = Field({}, alias="with", description="Settings of every run, as KEY=VALUE of saywhy run.")
    texts: Mapping[str, Mapping[str, Any]] = Field(
        {}, description="What differs in the texts of a task: most_words, rows, decide_rows."
    )

    @field_validator("texts")
    @classmethod
    def _of_texts(cls, given: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        for task, told in given.items():
            for key in told:
                if key not in TEXTS:
                    hint = did_you_mean(key, TEXTS, ", ")
                    raise ValueError(f"{task}: '{key}' is no setting of a task's texts{hint}")
        return given

    @model_validator(mode="after")
    def _cells_exist(self) -> Plan:
        problem = _problem(self)
        if problem:
            raise ValueError(problem)
        return self

    _home: str | None = PrivateAttr(None)
    """The data folder of the file, where another one was given in its place."""

    def moved(self, data: str) -> Plan:
        """Return the same study with its data elsewhere, files below the data folder of the file included."""
        there = self.model_copy(update={"data": data})
        there._home = None if {self.data, data} & {"pocket", "hub"} else self.data
        return there

    def place(self, path: str) -> str:
        """Return where a file that the study names is: below ``data``, if it was below the data folder of the file."""
        below = self._home is not None and Path(path).is_relative_to(self._home)
        return str(Path(self.data) / Path(path).relative_to(str(self._home))) if below else path

    def block(self, name: str) -> Block:
        """Return the block called ``name``."""
        return next(one for one in self.blocks if one.name == name)

    @property
    def known(self) -> tuple[str, ...]:
        """All its tasks."""
        return (*self.tasks, *self.unseen)

    def resolved(self) -> dict[str, Any]:
        """Return the plan as JSON-able values."""
        return self.model_dump(mode="json", by_alias=True)


def _problem(plan: Plan) -> str | None:
    """Return what cannot be in a plan, None if all can."""
    known = [block.name for block in plan.blocks]
    for what, names in (("blocks", known), ("tasks", list(plan.known))):
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            return f"{what}: '{doubled[0]}' is there twice"
    if wrong := _nameless(plan.known):
        return f"tasks: {wrong}"
    if strange := [task for task in plan.texts if task not in plan.known]:
        return f"texts: no task '{strange[0]}' in tasks or unseen{did_you_mean(strange[0], plan.known, ', ')}"
    for block in plan.blocks:
        if wrong := _misplaced(plan, block):
            return f"block {block.name}: {wrong}"
    for cell in plan.confirmatory:
        if cell.block not in known:
            return f"confirmatory: no block '{cell.block}'{did_you_mean(cell.block, known, ', ')}"
        if lacking := _lacking(plan.block(cell.block), cell):
            return f"confirmatory: block {cell.block} has no {lacking}: a cell that cannot exist"
    return _doubled(plan)


def _doubled(plan: Plan) -> str | None:
    """Return which confirmatory cell is there twice: Holm would correct for it twice."""
    places = [
        (cell.block, cell.arm, cell.against, style, cell.setting, cell.readout)
        for cell in plan.confirmatory
        for style in cell.styles
    ]
    found = next((place for place in places if places.count(place) > 1), None)
    return f"confirmatory: {', '.join(found)} is there twice" if found else None


def _nameless(tasks: tuple[str, ...]) -> str | None:
    """Return which task cannot be called by the name of its file, as folders and arms call it."""
    taken: dict[str, str] = {}
    for task in tasks:
        name = task_name(task)
        if taken.setdefault(name, task) != task:
            return f"'{taken[name]}' and '{task}' are both called {name}: rename one of the files"
        if name == ALL or "+" in name:
            return f"'{task}' would be called {name}, which arms of several tasks are: rename the file"
    return None


def _misplaced(plan: Plan, block: Block) -> str | None:
    """Return which task or seed of a block the study does not have."""
    trained = [] if isinstance(block.train_tasks, str) else [task for some in block.train_tasks for task in some]
    if wrong := [task for task in trained if task not in plan.tasks]:
        return f"it trains on '{wrong[0]}', which is not in tasks{did_you_mean(wrong[0], plan.tasks, ', ')}"
    tested = () if isinstance(block.test_tasks, str) else block.test_tasks
    if wrong := [task for task in tested if task not in plan.known]:
        hint = did_you_mean(wrong[0], plan.known, ", ")
        return f"it tests on '{wrong[0]}', which is in neither tasks nor unseen{hint}"
    if block.test_tasks == UNSEEN and not plan.unseen:
        return "it tests on unseen tasks, and the study has none"
    if block.test_tasks == OWN and not set(block.arms) & set(KINDS):
        return "base and adapted have no task of their own: say test_tasks"
    if extra := sorted(set(block.seeds or ()) - set(plan.seeds)):
        return f"seed {extra[0]} is not in seeds"
    return None


def _lacking(block: Block, one: Confirmatory) -> str | None:
    if one.arm == one.against:
        return f"other {one.arm} to compare {one.arm} with"
    for what, asked, there in (
        ("arm", (one.arm, one.against), block.arms),
        ("style", one.styles, block.styles),
        ("setting", (one.setting,), block.settings),
        ("readout", (one.readout,), block.readouts),
    ):
        if missing := [name for name in asked if name not in there]:
            return f"{what} {missing[0]}"
    if one.setting == "free" and one.readout == "constrained":
        return "constrained readout of free explanations"
    return None


def first_line(error: ValidationError) -> str:
    """Return the first problem that pydantic found, and where."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("literal", "tuple"))
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        what = "there is no such entry"
    return f"{where}: {what}" if where else what
