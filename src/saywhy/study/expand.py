"""What follows from a plan: settings of each run, which arms there are, and what each is tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from saywhy.arms import ALL, KINDS, MADE, Trained, task_name
from saywhy.config import Config
from saywhy.hints import did_you_mean
from saywhy.records import READOUTS, SETTINGS, STYLES, Readout, SaywhyError, Setting, StyleName
from saywhy.report.study.bars import OfArm
from saywhy.study.plan import ALL_TRAINED, OWN, UNSEEN, Block, Plan, first_line

_ABOVE = "it is said at the top of the file"
_IN_BLOCKS = "each block says its own"
_OTHER_VERB = "it belongs to another verb"
ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("model", "task", "data", "seeds"), _ABOVE),
    **dict.fromkeys(("arms", "styles", "train_styles", "settings", "readouts"), _IN_BLOCKS),
    **dict.fromkeys(("methods", "steps", "samples", "plants", "plant_rows", "plant_epochs"), _OTHER_VERB),
    "robustness": "a study checks none; audit an adapter of it with robustness= for that",
}
"""Settings that a study does not take from its ``with:``, and why."""


def settings(plan: Plan, task: str | None = None, extra: Mapping[str, Any] | None = None) -> Config:
    """Return the settings of the run of a task.

    Args:
        plan: The study.
        task: Which task; the first one if None.
        extra: What a block's training changes; None for the run as a whole.

    Raises:
        SaywhyError: If a setting does not exist or does not fit.
    """
    name = task or plan.tasks[0]
    given: dict[str, Any] = {"operators": ("redact",), **plan.with_, **(extra or {})}
    for key in plan.with_:
        if where := ELSEWHERE.get(key):
            raise SaywhyError(f"study {plan.name}: '{key}' has no effect in with: of a study: {where}")
    for key in given:
        if key not in Config.model_fields:
            hint = did_you_mean(key, Config.model_fields, ", ")
            raise SaywhyError(f"study {plan.name}: no setting '{key}'{hint} in with:")
    if extra is None:  # the run holds the texts of its largest arm
        given["train_rows"] = max(_train_rows(plan, some) for some in ({}, *(block.with_ for block in plan.blocks)))
    if isinstance(given.get("replay"), str):
        given["replay"] = plan.place(given["replay"])
    given |= {
        **plan.texts.get(name, {}),
        "model": plan.model,
        "task": name,
        "data": plan.data if plan.data in ("pocket", "hub") else str(Path(plan.data) / task_name(name)),
        "seeds": plan.seeds,
        "settings": _union(plan, "settings"),
        "readouts": _union(plan, "readouts"),
    }
    try:
        return Config(**given)
    except ValidationError as error:
        where = f"with: or texts: {name}" if name in plan.texts else "with"
        raise SaywhyError(f"study {plan.name}: {where}: {first_line(error)}") from None


def _train_rows(plan: Plan, extra: Mapping[str, Any]) -> int:
    """Return the training rows of arms with the settings ``extra``."""
    told = {key: one[key] for one in (plan.with_, extra) for key in ("train_rows",) if key in one}
    try:
        return Config(**told).train_rows
    except ValidationError as error:
        raise SaywhyError(f"study {plan.name}: with: {first_line(error)}") from None


def _union(plan: Plan, what: str) -> tuple[str, ...]:
    """Return what any block asks for, in the order of first mention."""
    return tuple(dict.fromkeys(value for block in plan.blocks for value in getattr(block, what)))


def styles_of(block: Block) -> tuple[tuple[StyleName, ...], ...]:
    """Return the sets of styles that arms of ``block`` practise, one arm a set."""
    if isinstance(block.train_styles, str):
        return (STYLES,) if block.train_styles == ALL else tuple((style,) for style in STYLES)
    return tuple(tuple(style for style in STYLES if style in some) for some in block.train_styles)


def tasks_of(plan: Plan, block: Block) -> tuple[tuple[str, ...], ...]:
    """Return the sets of tasks that arms of ``block`` practise on, one arm a set."""
    if isinstance(block.train_tasks, str):
        return ((ALL,),) if block.train_tasks == ALL else tuple((task,) for task in plan.tasks)
    return tuple(block.train_tasks)


def practised(plan: Plan, arm: Trained) -> tuple[str, ...]:
    """Return the tasks that ``arm`` practises on, as the plan has them: paths, where they are files."""
    called = {task_name(task): task for task in plan.tasks}
    return plan.tasks if arm.tasks == (ALL,) else tuple(called[name] for name in arm.tasks)


def tested_on(plan: Plan, block: Block, trained: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the tasks that an arm of ``block`` which practised on ``trained`` is tested on; None: base, adapted."""
    if not isinstance(block.test_tasks, str):
        return block.test_tasks
    if block.test_tasks == OWN:
        if trained is not None and trained != (ALL,):
            return trained
        learned = {task for some in tasks_of(plan, block) for task in some}
        return plan.tasks if ALL in learned else tuple(task for task in plan.tasks if task in learned)
    known: dict[str, tuple[str, ...]] = {ALL_TRAINED: plan.tasks, UNSEEN: plan.unseen}
    return known.get(block.test_tasks, (*plan.tasks, *plan.unseen))


@dataclass(frozen=True, slots=True)
class Asked:
    """What an audit is to ask for.

    Attributes:
        styles: Which styles.
        settings: Which settings.
        readouts: Which readouts.
    """

    styles: tuple[StyleName, ...]
    settings: tuple[Setting, ...]
    readouts: tuple[Readout, ...]

    def __or__(self, other: Asked) -> Asked:
        """Return what either asks for."""
        return Asked(
            tuple(one for one in STYLES if one in (*self.styles, *other.styles)),
            tuple(one for one in SETTINGS if one in (*self.settings, *other.settings)),
            tuple(one for one in READOUTS if one in (*self.readouts, *other.readouts)),
        )

    def ways(self) -> list[tuple[str, str, str]]:
        """Return (style, setting, readout) of the rows that a text gets; free explanations are generated only."""
        return [
            (style, setting, readout)
            for style in self.styles
            for setting in self.settings
            for readout in self.readouts
            if (setting, readout) != ("free", "constrained")
        ]

    def covers(self, other: Asked) -> bool:
        """Whether this asks for all that ``other`` does."""
        return (self | other) == self


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest piece of a block that says something: its arms under one seed, tested on one task.

    Attributes:
        block: The block's name.
        seed: Seed of the trained arms.
        task: The task tested on.
        arms: Names of the arms.
    """

    block: str
    seed: int
    task: str
    arms: tuple[str, ...]


Audit = tuple[str, int, str]
"""(arm, seed, task): one audit."""


def units(plan: Plan) -> list[Unit]:
    """Return the pieces of a plan, block by block, seed by seed."""
    found: list[Unit] = []
    for block in plan.blocks:
        kinds = [kind for kind in block.arms if kind in KINDS]
        plain = tuple(arm for arm in block.arms if arm in MADE)
        for seed in block.seeds or plan.seeds[:1]:
            for tasks in tasks_of(plan, block) if kinds else ():
                for styles in styles_of(block):
                    called = tuple(map(task_name, tasks))
                    arms = [Trained(kind, styles, called, block.variant) for kind in kinds]
                    names = (*plain, *(arm.name for arm in arms))
                    found += [Unit(block.name, seed, task, names) for task in tested_on(plan, block, tasks)]
            if not kinds:
                found += [Unit(block.name, seed, task, plain) for task in tested_on(plan, block, None)]
    return found


def seed_of(plan: Plan, arm: str, seed: int) -> int:
    """Return the seed under which an arm is audited: nothing in ``base`` depends on it."""
    return plan.seeds[0] if arm == "base" else seed


def asked(plan: Plan) -> dict[Audit, Asked]:
    """Return every audit of a plan and what it asks for, over all blocks that want it."""
    found: dict[Audit, Asked] = {}
    for unit in units(plan):
        block = plan.block(unit.block)
        wanted = Asked(block.styles, block.settings, block.readouts)
        for arm in unit.arms:
            key = arm, seed_of(plan, arm, unit.seed), unit.task
            found[key] = found[key] | wanted if key in found else wanted
    return found


def trained_arms(plan: Plan) -> dict[str, Mapping[str, Any]]:
    """Return the trained arms by name with the settings of their training.

    Raises:
        SaywhyError: If a name means two recipes.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for unit in units(plan):
        recipe = plan.block(unit.block).with_
        for arm in unit.arms:
            if arm not in MADE and dict(found.setdefault(arm, recipe)) != dict(recipe):
                raise SaywhyError(
                    f"study {plan.name}: {arm} has other settings in block {unit.block} than before: "
                    "give that block a variant of its own"
                )
    return found


def refuse_bars(plan: Plan) -> None:
    """Refuse a bar on something that the study will never have: it would stay open for ever.

    Raises:
        SaywhyError: With the first of them.
    """
    there = {(arm, task_name(task)) for arm, _, task in asked(plan)}
    arms = {arm for arm, _ in there}
    for name, task in [(bar.name(task), task) for bar in plan.bars if isinstance(bar, OfArm) for task in bar.tasks]:
        if name not in arms:
            raise SaywhyError(f"study {plan.name}: bars: no arm '{name}'{did_you_mean(name, arms, ', ')}")
        if (name, task) not in there:
            raise SaywhyError(f"study {plan.name}: bars: {name} is not tested on '{task}'")
    for bar in plan.bars:
        if (getattr(bar, "setting", ""), getattr(bar, "readout", "")) == ("free", "constrained"):
            raise SaywhyError(f"study {plan.name}: bars: free explanations are generated only: say readout: generated")


def cells(plan: Plan) -> list[dict[str, Any]]:
    """Return the confirmatory cells, as ``frozen.json`` holds them."""
    found = []
    for one in plan.confirmatory:
        for unit in units(plan):
            seeds = plan.block(one.block).seeds or plan.seeds[:1]
            if unit.block != one.block or unit.seed != seeds[0]:
                continue
            by_kind = {name.partition(".")[0].partition("-")[0]: name for name in unit.arms}
            found += [
                {
                    "task": task_name(unit.task),
                    "arm": by_kind[one.arm],
                    "against": by_kind[one.against],
                    "style": style,
                    "setting": one.setting,
                    "readout": one.readout,
                    "operator": settings(plan, unit.task).operators[0],
                    "seeds": list(seeds),
                    "direction": one.direction,
                }
                for style in one.styles
            ]
    return found
