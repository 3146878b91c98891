"""``saywhy study FILE``: read, say what will be done and how long it takes, do it, report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.study.expand import asked, trained_arms
from saywhy.study.plan import MACHINE, Plan
from saywhy.study.read import read_plan
from saywhy.study.run import Grid, in_words
from saywhy.study.steps import all_steps, is_confirmatory, of_unit


def study(file: Path, pairs: Sequence[str], *, dry: bool = False) -> Path | None:
    """Run a study file as far as the time allows.

    Args:
        file: The YAML file.
        pairs: ``out=FOLDER``, ``hours=2``; ``seeds=1,2`` (only these: a study may be spread over machines and joined
            again); ``blocks=NAME,NAME`` (only these, in this order); ``beside=BANK`` (what that bank has is not done
            again); ``precision=float32``; ``model=``, ``data=`` in place of the file's.
        dry: Only say what would be done and how long it takes; what was measured for that is kept.

    Returns:
        The study's folder, None if it was dry.

    Raises:
        SaywhyError: If the file or a word is not understood, or the folder holds something else.
    """
    given = dict(_pair(pair) for pair in pairs)
    plan = read_plan(file, {key: value for key, value in given.items() if key in OVERRIDES})
    machine = {key: value for key, value in given.items() if key in MACHINE}
    plan = plan.model_copy(update={"with_": {**plan.with_, **machine}})
    out = Path(given.get("out", f"runs/{plan.name}")).expanduser()
    hours = _hours(given.get("hours"))
    beside = Path(given["beside"]).expanduser() if "beside" in given else None
    grid = Grid(plan, out, _seeds(given.get("seeds"), plan), beside, _blocks(given.get("blocks"), plan))
    if dry:
        show_plan(grid)
        return None
    grid.run(hours)
    return out


OVERRIDES = ("model", "data")
"""What the command line may put in place of a study file's."""


def _pair(pair: str) -> tuple[str, str]:
    key, sep, value = pair.partition("=")
    known = ("out", "hours", "seeds", "blocks", "beside", *MACHINE, *OVERRIDES)
    if not sep or key not in known:
        raise SaywhyError(f"'{pair}': a study takes {'=, '.join(known)}=; the rest stands in its file")
    return key, value


def _hours(told: str | None) -> float | None:
    if told is None:
        return None
    try:
        hours = float(told)
    except ValueError:
        hours = 0.0
    if hours <= 0 or not math.isfinite(hours):
        raise SaywhyError(f"hours={told}: give a number above 0, such as hours=2")
    return hours


def _seeds(told: str | None, plan: Plan) -> tuple[int, ...]:
    if told is None:
        return plan.seeds
    known = {str(seed): seed for seed in plan.seeds}
    asked = [one.strip() for one in told.split(",")]
    if strange := [one for one in asked if one not in known]:
        raise SaywhyError(f"seeds={told}: '{strange[0]}' is no seed of study {plan.name}, which has {', '.join(known)}")
    return tuple(known[one] for one in asked)


def _blocks(told: str | None, plan: Plan) -> tuple[str, ...] | None:
    if told is None:
        return None
    found = []
    for said in (one.strip() for one in told.split(",")):
        names = [block.name for block in plan.blocks]
        meant = [said] if said in names else [name for name in names if said and name.startswith(said)]
        if len(meant) != 1:
            wrong = f"begins {len(meant)} of the blocks" if meant else "is no block"
            raise SaywhyError(f"blocks={told}: '{said}' {wrong} of study {plan.name}, which has: {'; '.join(names)}")
        found += meant
    return tuple(dict.fromkeys(found))


def show_plan(grid: Grid) -> None:
    """Print what a study would do, in order, and about how long each unit takes on this machine."""
    plan: Plan = grid.plan
    say(f"study {plan.name}: {plan.about}".rstrip(": "))
    say(f"model {plan.model}; data {plan.data}; tasks {', '.join(plan.known)}; seeds {', '.join(map(str, plan.seeds))}")
    cost = grid.costs()
    order = grid.order(cost)
    steps = all_steps(plan, order)
    left = set(grid.left(steps))
    say(f"{len(trained_arms(plan))} trained arms, {len(asked(plan))} audits, {len(steps)} steps, {len(left)} left")
    told: set[object] = set()
    for unit in order:
        new = [step for step in of_unit(plan, unit) if step in left and step not in told]
        if all(step.kind == "train" for step in new):
            new = []  # only later units need these
        told.update(new)
        sort = "confirmatory" if is_confirmatory(plan, unit) else "exploratory"
        arms = ", ".join(unit.arms)
        say(f"{in_words(grid.scaled(cost, new)):>8}  {sort} {unit.block}: {arms} on {unit.task}, seed {unit.seed}")
    say(f"about {in_words(grid.scaled(cost, sorted(left, key=lambda step: step.name)))} in all, measured here")
