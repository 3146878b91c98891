"""``saywhy study FILE``: read the plan, say what is to be done and how long it takes, do it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from saywhy.folders.checksums import checksum
from saywhy.folders.object_store import ObjectFolder
from saywhy.hints import did_you_mean
from saywhy.models.spec import cache_folder
from saywhy.paths import is_store, user_path
from saywhy.processes import world_size
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.study.crew import Crew, refuse_without_ray
from saywhy.study.expand import recipes_of_arms
from saywhy.study.plan import MACHINE_SETTINGS, StudyPlan
from saywhy.study.rates import duration_in_words
from saywhy.study.read import read_plan
from saywhy.study.requests import audit_requests
from saywhy.study.resources import RESOURCE_OPTIONS, with_options
from saywhy.study.run import StudyRunner
from saywhy.study.spread import SpreadStudy
from saywhy.study.steps import is_unit_confirmatory, steps_of_unit, steps_of_units


def run_study(
    file: Path,
    pairs: Sequence[str],
    *,
    dry: bool = False,
    on: str | None = None,
    report: Callable[[Path], None] | None = None,
) -> None:
    """Run a study file as far as the time allows.

    Args:
        file: The YAML file.
        pairs: ``out=FOLDER`` (on a cluster also the address of one in an object store), ``hours=2``; ``seeds=1,2``
            (only these: a study may be spread over machines and joined again); ``blocks=NAME,NAME`` (only these, in
            this order); ``beside=BANK`` (what that bank has is not done again); ``precision=float32``; ``model=``,
            ``data=`` in place of the file's. On a cluster also ``workers=4`` (so many at a time at most), and what a
            worker needs (``RESOURCE_OPTIONS``).
        dry: Only say what would be done and how long it takes. Nothing is written, but to a study that was begun: it
            keeps the rates measured for that.
        on: ``ray``: by workers on a Ray cluster; None: in this process, or those of its launch.
        report: Reports the study in its folder when it has run; what it writes there belongs to it.

    Raises:
        SaywhyError: If the file or a pair is not understood, the folder holds something else, or a store refuses.
    """
    options = dict(_option_pair(pair, on) for pair in pairs)
    _refuse_cluster(on)
    plan = read_plan(file, {key: value for key, value in options.items() if key in PLAN_OVERRIDES})
    machine_settings = {key: value for key, value in options.items() if key in MACHINE_SETTINGS}
    plan = plan.model_copy(update={"with_": {**plan.with_, **machine_settings}})
    hours, workers = _parse_hours(options.get("hours")), _parse_workers(options.get("workers"))
    resources = with_options(plan.resources, {key: options[key] for key in RESOURCE_OPTIONS if key in options})
    beside = user_path(options["beside"]) if "beside" in options else None
    seeds, blocks = _parse_seeds(options.get("seeds"), plan), _parse_blocks(options.get("blocks"), plan)
    store, out = _store_and_folder(options.get("out", f"runs/{plan.name}"), on, dry)
    if dry:
        with _begun_or_passing(out) as folder:
            say_study_plan(StudyRunner(plan, folder, seeds, beside, blocks))
        return
    with _published(store):
        study_run = StudyRunner(plan, out, seeds, beside, blocks)
        if on:
            with Crew(plan, out, resources, workers, store=store) as crew:
                SpreadStudy(study_run, crew).run(hours)
        else:
            study_run.run(hours)
        if report:
            report(out)


def _store_and_folder(out: str, on: str | None, dry: bool = False) -> tuple[ObjectFolder | None, Path]:
    """Return the object store that ``out=`` names, if it does, and the folder in which this process works."""
    if not on:
        return None, user_path(out)
    if not is_store(out):
        return None, user_path(out).absolute()  # workers have folders of their own to start from
    store = ObjectFolder(out, cache_folder() / "stores" / checksum(out.rstrip("/").encode())[:16] / "study")
    store.refuse_others("study.json")
    if not dry:  # its lock would make an empty copy seem begun
        store.lock()
    store.fetch()
    return store, store.path


@contextmanager
def _published(store: ObjectFolder | None) -> Iterator[None]:
    """Copy to the store what was made meanwhile, however it ends."""
    try:
        yield
    finally:
        if store:
            store.publish()
            say(f"{store.url} holds all of it; the copy in which it was made: {store.path}")


@contextmanager
def _begun_or_passing(out: Path) -> Iterator[Path]:
    """Return the folder of a study, or one that passes where nothing was begun: what is only planned binds nothing."""
    if world_size() > 1 or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        yield out  # the processes of a launch meet in one folder
    else:
        with TemporaryDirectory(prefix="saywhy-") as folder:
            yield Path(folder)


ENGINES = ("ray",)
"""What ``--on`` takes."""
PLAN_OVERRIDES = ("model", "data")
"""Entries of a study file that the command line may replace."""
CLUSTER_OPTIONS = ("workers", *RESOURCE_OPTIONS)
"""Options that only a study on a cluster takes."""


def _refuse_cluster(on: str | None) -> None:
    """Refuse a cluster of which nothing is known, or where this process is one of a launch."""
    if on is None:
        return
    if on not in ENGINES:
        raise SaywhyError(f"--on {on}: it takes {', '.join(ENGINES)}{did_you_mean(on, ENGINES, '; ')}")
    if world_size() > 1:
        raise SaywhyError(f"--on {on} begins its own processes: start it without accelerate or torchrun")
    refuse_without_ray()


def _option_pair(pair: str, on: str | None) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    allowed: tuple[str, ...] = ("out", "hours", "seeds", "blocks", "beside", *MACHINE_SETTINGS, *PLAN_OVERRIDES)
    if key in CLUSTER_OPTIONS and on is None:
        raise SaywhyError(f"'{pair}': it is for workers on a cluster: add --on ray, or leave it out")
    if on:
        allowed += CLUSTER_OPTIONS
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


def _parse_workers(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not 0 < int(text) <= 100_000:
        raise SaywhyError(
            f"workers={text}: give a whole number from 1 on, or leave it out: as many as there is room for"
        )
    return int(text)


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
