"""``saywhy study FILE``: read the plan, say what is to be done and how long it takes, do it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from saywhy.paths import user_path
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.study.expand import audit_requests, recipes_of_arms
from saywhy.study.plan import MACHINE_SETTINGS, StudyPlan
from saywhy.study.rates import duration_in_words
from saywhy.study.read import read_plan
from saywhy.study.run import StudyRunner
from saywhy.study.steps import is_unit_confirmatory, steps_of_unit, steps_of_units


def run_study(file: Path, pairs: Sequence[str], *, dry: bool = False) -> Path | None:
    """Run a study file as far as the time allows.

    Args:
        file: The YAML file.
        pairs: ``out=FOLDER``, ``hours=2``; ``seeds=1,2`` (only these: a study may be spread over machines and joined
            again); ``blocks=NAME,NAME`` (only these, in this order); ``beside=BANK`` (what that bank has is not done
            again); ``precision=float32``; ``model=``, ``data=`` in place of the file's.
        dry: Only say what would be done and how long it takes; the rates measured for that are kept.

    Returns:
        The study's folder, None if it was dry.

    Raises:
        SaywhyError: If the file or a pair is not understood, or the folder holds something else.
    """
    options = dict(_option_pair(pair) for pair in pairs)
    plan = read_plan(file, {key: value for key, value in options.items() if key in PLAN_OVERRIDES})
    machine_settings = {key: value for key, value in options.items() if key in MACHINE_SETTINGS}
    plan = plan.model_copy(update={"with_": {**plan.with_, **machine_settings}})
    out = user_path(options.get("out", f"runs/{plan.name}"))
    hours = _parse_hours(options.get("hours"))
    beside = user_path(options["beside"]) if "beside" in options else None
    study_run = StudyRunner(
        plan, out, _parse_seeds(options.get("seeds"), plan), beside, _parse_blocks(options.get("blocks"), plan)
    )
    if dry:
        say_study_plan(study_run)
        return None
    study_run.run(hours)
    return out


PLAN_OVERRIDES = ("model", "data")
"""Entries of a study file that the command line may replace."""


def _option_pair(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    allowed = ("out", "hours", "seeds", "blocks", "beside", *MACHINE_SETTINGS, *PLAN_OVERRIDES)
    if not equals or key not in allowed:
        raise SaywhyError(f"'{pair}': a study takes {'=, '.join(allowed)}=; the rest stands in its file")
    return key, value


def _parse_hours(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if hours <= 0 or not math.isfinite(hours):
        raise SaywhyError(f"hours={text}: give a number above 0, such as hours=2")
    return hours


def _parse_seeds(text: str | None, plan: StudyPlan) -> tuple[int, ...]:
    if text is None:
        return plan.seeds
    seeds_by_text = {str(seed): seed for seed in plan.seeds}
    seed_texts = [seed_text.strip() for seed_text in text.split(",")]
    if unknown := [seed_text for seed_text in seed_texts if seed_text not in seeds_by_text]:
        raise SaywhyError(
            f"seeds={text}: '{unknown[0]}' is no seed of study {plan.name}, which has {', '.join(seeds_by_text)}"
        )
    return tuple(seeds_by_text[seed_text] for seed_text in seed_texts)


def _parse_blocks(text: str | None, plan: StudyPlan) -> tuple[str, ...] | None:
    if text is None:
        return None
    chosen = []
    for beginning in (part.strip() for part in text.split(",")):
        names = [block.name for block in plan.blocks]
        matching = [name for name in names if beginning and name.startswith(beginning)]
        if beginning in names:
            matching = [beginning]
        if len(matching) != 1:
            problem = f"begins {len(matching)} of the blocks" if matching else "is no block"
            raise SaywhyError(
                f"blocks={text}: '{beginning}' {problem} of study {plan.name}, which has: {'; '.join(names)}"
            )
        chosen += matching
    return tuple(dict.fromkeys(chosen))


def say_study_plan(study_run: StudyRunner) -> None:
    """Print what a study would do, in order, and about how long each unit takes on this machine."""
    plan: StudyPlan = study_run.plan
    say(f"study {plan.name}: {plan.about}".rstrip(": "))
    tasks, seeds = ", ".join(plan.all_tasks), ", ".join(map(str, plan.seeds))
    say(f"model {plan.model}; data {plan.data}; tasks {tasks}; seeds {seeds}")
    cost = study_run.costs()
    units = study_run.units_here(cost)
    steps = steps_of_units(plan, units)
    left = set(study_run.steps_left(steps))
    trained, audits = len(recipes_of_arms(plan)), len(audit_requests(plan))
    say(f"{trained} trained arms, {audits} audits, {len(steps)} steps, {len(left)} left")
    listed: set[object] = set()
    for unit in units:
        new_steps = [step for step in steps_of_unit(plan, unit) if step in left and step not in listed]
        if all(step.kind == "train" for step in new_steps):
            new_steps = []  # only later units need these
        listed.update(new_steps)
        status = "confirmatory" if is_unit_confirmatory(plan, unit) else "exploratory"
        arms = ", ".join(unit.arms)
        duration = duration_in_words(study_run.corrected_seconds(cost, new_steps))
        say(f"{duration:>8}  {status} {unit.block}: {arms} on {unit.task}, seed {unit.seed}")
    total = study_run.corrected_seconds(cost, sorted(left, key=lambda step: step.name))
    say(f"about {duration_in_words(total)} in all, measured here")
