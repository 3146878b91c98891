"""The steps of a study, each done once, in an order that can stop anywhere, and how much work each is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saywhy import pocket
from saywhy.arms import HALF, REFRESHED, STARTS, ArmName, start_arm, task_name
from saywhy.bank.leaks import EXAMPLES_SUBFOLDER
from saywhy.config import Config
from saywhy.folders.run import AUDIT_FILES, DECIDED_FILES, SENTENCE_FILES, START_FILES
from saywhy.measure.start import asks_for_several_words
from saywhy.records import STYLES
from saywhy.study.expand import (
    StudyUnit,
    plan_units,
    recipes_of_arms,
    task_settings,
    tasks_practised,
    texts_practised,
    with_half_way_arms,
)
from saywhy.study.plan import StudyPlan, has_readout
from saywhy.study.requests import AuditRequest, audit_requests, audit_seed

SHOWN_BUILT_IN_TEXTS = 20
"""How many built-in texts a study shows examples of, over all tasks."""


@dataclass(frozen=True, slots=True)
class StudyStep:
    """A training, audit or measurement of one arm under one seed.

    Attributes:
        kind: train, audit, keep (retention: what the model kept beside the tasks) or show (an audit of built-in texts).
        arm: Name of the arm.
        seed: Its seed.
        task: The task tested on (audit, show), else empty.
    """

    kind: str
    arm: str
    seed: int
    task: str = ""

    @property
    def name(self) -> str:
        """``audit faithful.all.snli on trec, seed 0``."""
        on = f" on {self.task}" if self.task else ""
        return f"{self.kind} {self.arm}{on}, seed {self.seed}"


def folder_of_step(step: StudyStep) -> str:
    """Return the folder that a step writes to, within that of a study or a bank."""
    if step.kind in ("audit", "show"):
        folder = "tasks" if step.kind == "audit" else EXAMPLES_SUBFOLDER
        return f"{folder}/{task_name(step.task)}/seed-{step.seed}/{step.arm}"
    return f"models/seed-{step.seed}/{step.arm}"


def stages_of_audit(step: StudyStep, request: AuditRequest, start: str | None = None) -> tuple[tuple[str, ...], ...]:
    """Return the files of each stage of an audit, or of one of built-in texts, which are asked for single words.

    Args:
        step: The audit.
        request: What it asks for.
        start: The arm that the others on its task went on from, whose model judges their explanations of several words;
            None: of an audit of a former version, which has no such stage.
    """
    stages: list[tuple[str, ...]] = [AUDIT_FILES]
    if step.kind == "audit" and start and start != step.arm and asks_for_several_words(request.settings):
        stages.append(START_FILES[start])
    if step.kind == "audit" and "sentences" in request.settings:
        stages.append(SENTENCE_FILES)
    return (*stages, DECIDED_FILES)


def needed_trainings(plan: StudyPlan, arm: str, seed: int) -> list[StudyStep]:
    """Return the trainings that lead to an arm, in order; of ``base``, to the start that judges it, if any does."""
    if arm == "base":
        blocks = [block for block in plan.blocks if arm in block.arms and asks_for_several_words(block.settings)]
        judged = blocks and start_arm(arm for block in plan.blocks for arm in block.arms) == "adapted"
        return [StudyStep("train", "adapted", seed)] if judged else []
    if arm == "adapted":
        return [StudyStep("train", arm, seed)]
    return [*needed_trainings(plan, arm_before(arm), seed), StudyStep("train", arm, seed)]


def arm_before(arm: str) -> str:
    """Return the arm that ``arm`` goes on from."""
    name = ArmName.parse(arm)
    return str(replace(name, variant=HALF)) if name.variant == REFRESHED else "adapted"


def steps_of_unit(plan: StudyPlan, unit: StudyUnit) -> list[StudyStep]:
    """Return the steps of a unit, each behind those that it needs."""
    steps: list[StudyStep] = []
    for arm in unit.arms:
        seed = audit_seed(plan, arm, unit.seed)
        steps += needed_trainings(plan, arm, seed)
        steps.append(StudyStep("audit", arm, seed, unit.task))
        if plan.instruction_rows:
            steps.append(StudyStep("keep", arm, seed))
    if is_unit_shown(plan, unit):
        steps += [StudyStep("show", arm, unit.seed, unit.task) for arm in unit.arms if arm not in STARTS]
    return list(dict.fromkeys(steps))


def is_unit_shown(plan: StudyPlan, unit: StudyUnit) -> bool:
    """Whether a released bank shows built-in texts explained by the arms of a unit, as it may not show the study's."""
    seeds = plan.block(unit.block).seeds or plan.seeds
    shows_own_texts = plan.data == "pocket"
    return (
        is_unit_confirmatory(plan, unit)
        and bool(set(plan.block(unit.block).styles) & set(STYLES))
        and unit.seed == seeds[0]
        and unit.task in pocket.POCKET_TASKS
        and not shows_own_texts
    )


def contrasts_of_unit(plan: StudyPlan, unit: StudyUnit) -> int:
    """Return how many comparisons a unit completes."""
    block = plan.block(unit.block)
    combinations = sum(1 for setting in block.settings for readout in block.readouts if has_readout(setting, readout))
    return max(len(unit.arms) - 1, 1) * len(block.styles) * combinations


def is_unit_confirmatory(plan: StudyPlan, unit: StudyUnit) -> bool:
    """Whether a unit holds confirmatory cells."""
    return any(entry.block == unit.block for entry in plan.confirmatory)


def units_in_order(plan: StudyPlan, cost: dict[StudyStep, float], done: Iterable[StudyStep] = ()) -> list[StudyUnit]:
    """Return the units: confirmatory ones in the plan's order, then those that complete most comparisons per second.

    Args:
        plan: The study.
        cost: Seconds of each step.
        done: Steps that cost nothing any more.
    """
    paid = set(done)
    remaining = plan_units(plan)
    ordered = [unit for unit in remaining if is_unit_confirmatory(plan, unit)]
    for unit in ordered:
        paid.update(steps_of_unit(plan, unit))
    remaining = [unit for unit in remaining if not is_unit_confirmatory(plan, unit)]

    def gain(unit: StudyUnit) -> float:
        price = sum(cost[step] for step in steps_of_unit(plan, unit) if step not in paid)
        return contrasts_of_unit(plan, unit) / max(price, 1e-9)

    while remaining:
        best = max(remaining, key=gain)  # the first of equals: the plan's order
        remaining.remove(best)
        paid.update(steps_of_unit(plan, best))
        ordered.append(best)
    return ordered


def steps_of_units(plan: StudyPlan, order: Sequence[StudyUnit]) -> list[StudyStep]:
    """Return every step once, in the order of the units."""
    return list(dict.fromkeys(step for unit in order for step in steps_of_unit(plan, unit)))


@dataclass(frozen=True, slots=True)
class StepWork:
    """How much work a step is, in the units in which rates are measured.

    Attributes:
        rate: The name of its rate: (kind, task, request or styles).
        count: How many texts; of a training, times passes.
    """

    rate: tuple[str, ...]
    count: int


def work_of_steps(plan: StudyPlan, steps: Iterable[StudyStep]) -> dict[StudyStep, list[StepWork]]:
    """Return the work of each of ``steps``."""
    requests, recipes = audit_requests(plan), with_half_way_arms(recipes_of_arms(plan))
    configs = {task: task_settings(plan, task) for task in plan.all_tasks}
    explained: dict[tuple[Any, ...], int] = {}

    def work(step: StudyStep) -> list[StepWork]:
        if step.kind == "keep":
            return [StepWork(("keep",), plan.instruction_rows)]
        if step.kind == "show":
            return [
                StepWork(("audit", step.task, request_name(requests[step.arm, step.seed, step.task])), shown_rows(plan))
            ]
        if step.kind == "audit":
            return _audit_work(step.task, configs[step.task], requests[step.arm, step.seed, step.task])
        if step.arm in STARTS:
            return [
                StepWork(
                    ("train", task, "+".join(STYLES)), configs[task].adapt_rows * configs[task].adapt_num_train_epochs
                )
                for task in plan.tasks
            ]
        name, recipe = ArmName.parse(step.arm), recipes.get(step.arm, {})
        return [
            part
            for task in tasks_practised(plan, name)
            for part in _training_work(
                StudyStep("train", step.arm, step.seed, task), task_settings(plan, task, recipe), explained
            )
        ]

    return {step: work(step) for step in steps}


SEARCH_SETTINGS = ("target_method", "infill_words", "target_operators", "lesson_form")
"""Settings by which the words of ``faithful`` are found: targets are made anew for a block that changes one."""


def shown_rows(plan: StudyPlan) -> int:
    """Return how many built-in texts are shown of each task."""
    tasks = {unit.task for unit in plan_units(plan) if is_unit_shown(plan, unit)}
    return -(-SHOWN_BUILT_IN_TEXTS // max(len(tasks), 1))


def request_name(request: AuditRequest) -> str:
    """Return a request in words, as the name of its rate has it."""
    return ",".join((*request.styles, *request.settings, *request.readouts))


def _audit_work(task: str, config: Config, request: AuditRequest) -> list[StepWork]:
    """Return the work of an audit and of the decisions that go with it."""
    # None is the whole split, whose size is known only when it is read: a thousand is usual here.
    decided = (config.decide_rows or 1000) + config.calibration_rows
    return [StepWork(("audit", task, request_name(request)), config.rows or 1000), StepWork(("decide", task), decided)]


def _training_work(step: StudyStep, config: Config, explained: dict[tuple[Any, ...], int]) -> list[StepWork]:
    """Return the work of a training on the texts of one task, and of those targets that no step before it makes.

    Args:
        step: The training on this task.
        config: Its settings.
        explained: By task, seed and search: how many texts have targets by then; added to.
    """
    arm = ArmName.parse(step.arm)
    texts = texts_practised(config) // (2 if arm.variant in (HALF, REFRESHED) else 1)
    search = step.task, step.seed, *(getattr(config, key) for key in SEARCH_SETTINGS)
    targets = texts if arm.variant == REFRESHED else max(texts - explained.get(search, 0), 0)
    if arm.variant != REFRESHED:  # whose second half is explained by another model
        explained[search] = max(texts, explained.get(search, 0))
    return [
        StepWork(("train", step.task, "+".join(arm.styles)), texts * config.num_train_epochs),
        StepWork(("targets", step.task), targets),
    ]
