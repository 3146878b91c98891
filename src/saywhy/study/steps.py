"""A plan as a graph of steps, each done once, in an order that can stop anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from saywhy import pocket
from saywhy.arms import HALF, MADE, REFRESHED, Trained, task_name
from saywhy.bank.leaks import BUILT_IN
from saywhy.config import Config
from saywhy.records import STYLES
from saywhy.study.expand import Asked, Unit, asked, practised, seed_of, settings, trained_arms, units
from saywhy.study.plan import Plan

SHOWN = 20
"""Examples on built-in texts, over all tasks."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        kind: train, audit, keep (what the model kept of its other abilities) or show (examples on built-in texts).
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


def place_of(step: Step) -> str:
    """Return the folder of what a step leaves, within that of a study or a bank."""
    if step.kind in ("audit", "show"):
        where = "tasks" if step.kind == "audit" else BUILT_IN
        return f"{where}/{task_name(step.task)}/seed-{step.seed}/{step.arm}"
    return f"models/seed-{step.seed}/{step.arm}"


def needed(plan: Plan, arm: str, seed: int) -> list[Step]:
    """Return the trainings that lead to an arm, first things first."""
    if arm == "base":
        return []
    if arm == "adapted":
        return [Step("train", arm, seed)]
    return [*needed(plan, before(arm), seed), Step("train", arm, seed)]


def before(arm: str) -> str:
    """Return the arm that ``arm`` goes on from."""
    told = Trained.parse(arm)
    return replace(told, variant=HALF).name if told.variant == REFRESHED else "adapted"


def of_unit(plan: Plan, unit: Unit) -> list[Step]:
    """Return the steps of a unit, each behind those that it needs."""
    found: list[Step] = []
    for arm in unit.arms:
        seed = seed_of(plan, arm, unit.seed)
        found += needed(plan, arm, seed)
        found.append(Step("audit", arm, seed, unit.task))
        if plan.instruction_rows:
            found.append(Step("keep", arm, seed))
    if is_shown(plan, unit):
        found += [Step("show", arm, unit.seed, unit.task) for arm in unit.arms if arm not in MADE]
    return list(dict.fromkeys(found))


def is_shown(plan: Plan, unit: Unit) -> bool:
    """Whether a released bank takes examples from the arms of a unit: it has no texts of its own to show."""
    seeds = plan.block(unit.block).seeds or plan.seeds
    own = plan.data == "pocket"  # then the page shows the texts of the study itself
    return is_confirmatory(plan, unit) and unit.seed == seeds[0] and unit.task in pocket.TASKS and not own


def contrasts(plan: Plan, unit: Unit) -> int:
    """Return how many comparisons a unit completes."""
    block = plan.block(unit.block)
    ways = sum(
        1 for setting in block.settings for readout in block.readouts if (setting, readout) != ("free", "constrained")
    )
    return max(len(unit.arms) - 1, 1) * len(block.styles) * ways


def is_confirmatory(plan: Plan, unit: Unit) -> bool:
    """Whether a unit holds confirmatory cells."""
    return any(one.block == unit.block for one in plan.confirmatory)


def in_order(plan: Plan, cost: dict[Step, float], done: Iterable[Step] = ()) -> list[Unit]:
    """Return the units: confirmatory ones as the plan has them, then those that say most per hour still to spend.

    Args:
        plan: The study.
        cost: Seconds that each step takes.
        done: Steps that cost nothing more.
    """
    known = set(done)
    left = units(plan)
    found = [unit for unit in left if is_confirmatory(plan, unit)]
    for unit in found:
        known.update(of_unit(plan, unit))
    left = [unit for unit in left if not is_confirmatory(plan, unit)]

    def gain(unit: Unit) -> float:
        price = sum(cost[step] for step in of_unit(plan, unit) if step not in known)
        return contrasts(plan, unit) / max(price, 1e-9)

    while left:
        best = max(left, key=gain)  # the first of equals: the plan's order
        left.remove(best)
        known.update(of_unit(plan, best))
        found.append(best)
    return found


def all_steps(plan: Plan, order: Sequence[Unit]) -> list[Step]:
    """Return every step once, in the order of the units."""
    return list(dict.fromkeys(step for unit in order for step in of_unit(plan, unit)))


@dataclass(frozen=True, slots=True)
class Size:
    """How much work a step is, in the units in which rates are measured.

    Attributes:
        rate: Which rate it goes by: (kind, task, what is asked).
        count: How many texts.
    """

    rate: tuple[str, ...]
    count: int


def sizes(plan: Plan, steps: Iterable[Step]) -> dict[Step, list[Size]]:
    """Return the work of each of ``steps``; what follows from the whole plan is worked out once."""
    wanted, recipes = asked(plan), trained_arms(plan)
    configs = {task: settings(plan, task) for task in plan.known}

    def work(step: Step) -> list[Size]:
        if step.kind == "keep":
            return [Size(("keep",), plan.instruction_rows)]
        if step.kind == "show":
            return [Size(("audit", step.task, _shape(wanted[step.arm, step.seed, step.task])), shown_rows(plan))]
        if step.kind == "audit":
            return _audited(step.task, configs[step.task], wanted[step.arm, step.seed, step.task])
        if step.arm in MADE:
            known = {task: configs[task] for task in plan.tasks}
            return [Size(("train", t, "+".join(STYLES)), one.adapt_rows * one.adapt_epochs) for t, one in known.items()]
        told, recipe = Trained.parse(step.arm), recipes.get(step.arm, {})
        return [size for task in practised(plan, told) for size in _trained(task, settings(plan, task, recipe), told)]

    return {step: work(step) for step in steps}


def shown_rows(plan: Plan) -> int:
    """Return how many built-in texts are shown of each task."""
    tasks = {unit.task for unit in units(plan) if is_shown(plan, unit)}
    return -(-SHOWN // max(len(tasks), 1))


def _shape(wanted: Asked) -> str:
    return ",".join((*wanted.styles, *wanted.settings, *wanted.readouts))


def _audited(task: str, config: Config, wanted: Asked) -> list[Size]:
    # None is the whole split, whose size is known only when it is read: a thousand is usual here.
    decided = (config.decide_rows or 1000) + config.calibration_rows
    return [Size(("audit", task, _shape(wanted)), config.rows or 1000), Size(("decide", task), decided)]


def _trained(task: str, config: Config, arm: Trained) -> list[Size]:
    texts = config.train_rows // 2 if arm.variant in (HALF, REFRESHED) else config.train_rows
    return [
        Size(("train", task, "+".join(arm.styles)), texts * config.epochs),
        Size(("targets", task), texts if arm.kind == "faithful" else 0),
    ]
