"""What follows from a plan: the settings of each task's run, the arms, and the tasks that each is tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from saywhy.arms import ALL_NAME, HALF, KINDS, REFRESHED, STARTS, ArmName, kind, task_name
from saywhy.clashes import SENTENCE_SETTINGS
from saywhy.config import Config
from saywhy.hints import did_you_mean
from saywhy.records import SETTINGS, SaywhyError
from saywhy.study.block import OWN_TASKS, TRAINED_TASKS, UNSEEN_TASKS, StudyBlock
from saywhy.study.plan import StudyPlan, first_problem

_SAID_ABOVE = "it is said at the top of the file"
_SAID_IN_BLOCKS = "each block says its own"
_OTHER_VERB = "it belongs to another verb"
REFUSED_SETTINGS: Mapping[str, str] = {
    **dict.fromkeys(("model", "task", "data", "seeds"), _SAID_ABOVE),
    **dict.fromkeys(("arms", "styles", "train_styles", "settings", "readouts"), _SAID_IN_BLOCKS),
    **dict.fromkeys(("methods", "steps", "samples", "plants", "plant_rows", "plant_epochs"), _OTHER_VERB),
    "robustness": "a study checks none; audit an adapter of it with robustness= for that",
}
"""Settings that a study does not take from its ``with:``, with the reason."""


def task_settings(plan: StudyPlan, task: str | None = None, extra: Mapping[str, Any] | None = None) -> Config:
    """Return the settings of the run of a task.

    Sentences, which some blocks ask for, are not among its ``settings``; how they are asked for is in it.

    Args:
        plan: The study.
        task: Which task; the first one if None.
        extra: Settings of a block's training; None for the run as a whole.

    Raises:
        SaywhyError: If a setting does not exist or does not fit.
    """
    name = task or plan.tasks[0]
    values: dict[str, Any] = {"operators": ("redact",), **plan.with_, **(extra or {})}
    if trainers := [layer["trainer"] for layer in (plan.with_, extra or {}) if layer.get("trainer")]:
        values["trainer"] = {key: value for trainer in trainers for key, value in trainer.items()}
    for key in plan.with_:
        if reason := REFUSED_SETTINGS.get(key):
            raise SaywhyError(f"study {plan.name}: '{key}' has no effect in with: of a study: {reason}")
    for key in values:
        if key not in Config.model_fields:
            hint = did_you_mean(key, Config.model_fields, ", ")
            raise SaywhyError(f"study {plan.name}: no setting '{key}'{hint} in with:")
    if extra is None:  # the run holds the texts of its largest arm
        values["train_rows"] = max(
            _train_rows_with(plan, block_settings) for block_settings in ({}, *(block.with_ for block in plan.blocks))
        )
    if isinstance(values.get("replay"), str):
        values["replay"] = plan.located(values["replay"])
    values |= {
        **plan.texts.get(name, {}),
        "model": plan.model,
        "task": name,
        "data": plan.data if plan.data in ("pocket", "hub") else str(Path(plan.data) / task_name(name)),
        "seeds": plan.seeds,
        "settings": tuple(name for name in _union_over_blocks(plan, "settings") if name in SETTINGS) or SETTINGS[:1],
        "readouts": _union_over_blocks(plan, "readouts"),
    }
    in_sentences = {"steps_order": values.pop("steps_order", "after")}
    in_sentences |= {key: values.pop(key) for key in SENTENCE_SETTINGS if key in values}
    try:
        return Config(**values).model_copy(update=_checked_for_sentences(plan, in_sentences))
    except ValidationError as error:
        location = f"with: or texts: {name}" if name in plan.texts else "with"
        raise SaywhyError(f"study {plan.name}: {location}: {first_problem(error)}") from None


def _checked_for_sentences(plan: StudyPlan, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of explanations in sentences, which no study has use for without a block of them."""
    if "sentences" not in _union_over_blocks(plan, "settings"):
        Config(**{key: asked[key] for key in SENTENCE_SETTINGS if key in asked})  # refuses them
        return dict(asked)
    config = Config(styles=("steps",), settings=("sentences",), readouts=("generated",), **asked)
    return {key: getattr(config, key) for key in asked}


def texts_practised(config: Config) -> int:
    """Return the number of texts that an arm of a study practises on.

    Raises:
        SaywhyError: If it is all that there are: a study must know before it begins.
    """
    if config.train_rows is None:
        raise SaywhyError("with: train_rows: none: a study shares texts between arms by their number, so give it one")
    return config.train_rows


def _train_rows_with(plan: StudyPlan, extra: Mapping[str, Any]) -> int:
    """Return how many training rows arms with the settings ``extra`` have."""
    settings = {key: layer[key] for layer in (plan.with_, extra) for key in ("train_rows",) if key in layer}
    try:
        return texts_practised(Config(**settings))
    except ValidationError as error:
        raise SaywhyError(f"study {plan.name}: with: {first_problem(error)}") from None


def _union_over_blocks(plan: StudyPlan, field: str) -> tuple[str, ...]:
    """Return the values that ``field`` has in any block, in the order of first mention."""
    return tuple(dict.fromkeys(value for block in plan.blocks for value in getattr(block, field)))


def practised_task_sets(plan: StudyPlan, block: StudyBlock) -> tuple[tuple[str, ...], ...]:
    """Return the sets of tasks that arms of ``block`` practise on, one arm a set."""
    if isinstance(block.train_tasks, str):
        return ((ALL_NAME,),) if block.train_tasks == ALL_NAME else tuple((task,) for task in plan.tasks)
    return tuple(block.train_tasks)


def tasks_practised(plan: StudyPlan, arm: ArmName) -> tuple[str, ...]:
    """Return the tasks that ``arm`` practises on, as the plan has them: paths, where they are files."""
    tasks_by_name = {task_name(task): task for task in plan.tasks}
    return plan.tasks if arm.tasks == (ALL_NAME,) else tuple(tasks_by_name[name] for name in arm.tasks)


def tasks_tested_on(plan: StudyPlan, block: StudyBlock, trained: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the tasks that an arm of ``block`` which practised on ``trained`` is tested on; None: base, adapted."""
    if not isinstance(block.test_tasks, str):
        return block.test_tasks
    if block.test_tasks == OWN_TASKS:
        if trained is not None and trained != (ALL_NAME,):
            return trained
        learned = {task for tasks in practised_task_sets(plan, block) for task in tasks}
        return plan.tasks if ALL_NAME in learned else tuple(task for task in plan.tasks if task in learned)
    tasks_by_word: dict[str, tuple[str, ...]] = {TRAINED_TASKS: plan.tasks, UNSEEN_TASKS: plan.unseen}
    return tasks_by_word.get(block.test_tasks, (*plan.tasks, *plan.unseen))


@dataclass(frozen=True, slots=True)
class StudyUnit:
    """The smallest part of a block that can be compared: its arms under one seed, tested on one task.

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


def plan_units(plan: StudyPlan) -> list[StudyUnit]:
    """Return the units of a plan, block by block, seed by seed."""
    pieces: list[StudyUnit] = []
    for block in plan.blocks:
        kinds = [arm for arm in block.arms if arm in KINDS]
        start_arms = tuple(arm for arm in block.arms if arm in STARTS)
        for seed in block.seeds or plan.seeds[:1]:
            for tasks in practised_task_sets(plan, block) if kinds else ():
                for styles in block.practised_style_sets:
                    task_names = tuple(map(task_name, tasks))
                    arms = [ArmName(arm_kind, block.variant, styles, task_names) for arm_kind in kinds]
                    arm_names = (*start_arms, *map(str, arms))
                    pieces += [
                        StudyUnit(block.name, seed, task, arm_names) for task in tasks_tested_on(plan, block, tasks)
                    ]
            if not kinds:
                pieces += [StudyUnit(block.name, seed, task, start_arms) for task in tasks_tested_on(plan, block, None)]
    return pieces


def recipes_of_arms(plan: StudyPlan) -> dict[str, Mapping[str, Any]]:
    """Return the trained arms by name with the settings of their training.

    Raises:
        SaywhyError: If a name means two recipes.
    """
    recipes: dict[str, Mapping[str, Any]] = {}
    for unit in plan_units(plan):
        recipe = plan.block(unit.block).with_
        for arm in unit.arms:
            if arm not in STARTS and dict(recipes.setdefault(arm, recipe)) != dict(recipe):
                raise SaywhyError(
                    f"study {plan.name}: {arm} has other settings in block {unit.block} than before: "
                    "give that block a variant of its own"
                )
    return recipes


def with_half_way_arms(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the recipes with those of the arms from which refreshed ones go on: they practise by the same."""
    half_way = {}
    for arm, recipe in recipes.items():
        if (name := ArmName.parse(arm)).variant == REFRESHED:
            half_way[str(replace(name, variant=HALF))] = recipe
    return {**recipes, **half_way}


def confirmatory_cells(plan: StudyPlan) -> list[dict[str, Any]]:
    """Return the confirmatory cells, as ``frozen.json`` holds them, each once.

    Raises:
        SaywhyError: If a cell is to be confirmed twice, in another direction or under other seeds.
    """
    frozen_cells: list[dict[str, Any]] = []
    for entry in plan.confirmatory:
        for unit in plan_units(plan):
            seeds = plan.block(entry.block).seeds or plan.seeds[:1]
            if unit.block != entry.block or unit.seed != seeds[0]:
                continue
            by_kind = {kind(name): name for name in unit.arms}
            frozen_cells += [
                {
                    "task": task_name(unit.task),
                    "arm": by_kind[entry.arm],
                    "against": by_kind[entry.against],
                    "style": style,
                    "setting": entry.setting,
                    "readout": entry.readout,
                    "operator": task_settings(plan, unit.task).operators[0],
                    "seeds": list(seeds),
                    "direction": entry.direction,
                }
                for style in entry.styles
            ]
    distinct: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in frozen_cells:
        name = tuple(cell[key] for key in cell if key not in ("seeds", "direction"))
        if distinct.setdefault(name, cell) != cell:
            raise SaywhyError(
                f"study {plan.name}: confirmatory: {cell['arm']} against {cell['against']} in {cell['style']} on "
                f"{cell['task']} is there twice, with other seeds or in another direction"
            )
    return list(distinct.values())
