"""Predicted against measured: what finished studies took, beside what this package would have said of them.

Two things are held against what was: the simulation (studies done for that, with the rates that they measured and the
seconds of their steps), and the model of growth (a published study, from tokens and a GEMM rate).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.common import grid
from benchmarks.scale.events import Cluster, simulate
from benchmarks.scale.growth import SHAPES, rates_on_cpu
from benchmarks.scale.jobs import NONE, StudyJobs
from benchmarks.scale.network import Job
from benchmarks.scale.tokens import TokenCounts
from saywhy.folders.store import read_json, read_object
from saywhy.records import SaywhyError
from saywhy.study.beside import current_plan
from saywhy.study.plan import StudyPlan

CPU_GEMM = (140e9, 225e9)
"""FLOP a second of products on two cores: the least and the most of RESULTS.md with two threads."""
CPU_SHARES = {
    "audit": (0.44, 0.74),
    "decide": (0.60, 0.74),
    "targets": (0.60, 0.74),
    "train": (0.24, 0.51),
    "keep": (0.44, 0.74),
}
"""Shares of it, least and most (RESULTS.md: audits from 44 %, tables 60 to 74 %; training 24, now 43 to 51 %)."""


def journal_of(folder: Path) -> tuple[StudyPlan, dict[str, float]]:
    """Return the plan of a study or bank and the measured seconds of its steps.

    Raises:
        SaywhyError: If the folder holds none.
    """
    path = folder / "study.json"
    if not path.is_file():
        raise SaywhyError(f"{folder} holds no study.json: give the folder of a finished study, or a bank of one")
    manifest = read_object(path)
    return StudyPlan(**current_plan(manifest["plan"])), dict(manifest["seconds"])


def wall_seconds(folder: Path) -> float:
    """Return the seconds from a study's first step to its last, by when its rates and its journal were written."""
    return (folder / "study.json").stat().st_mtime - (folder / "rates.json").stat().st_mtime


def growth_table(bank: Path, counts: TokenCounts) -> str:
    """Return the table of a published study: measured seconds by kind, and those that growth would have told."""
    plan, measured = journal_of(bank)
    slow, fast = (
        StudyJobs(plan, "135m", rates_on_cpu(counts, SHAPES["135m"], gemm, shares), NONE).step_seconds()
        for gemm, shares in zip(
            CPU_GEMM, ({kind: ends[end] for kind, ends in CPU_SHARES.items()} for end in (0, 1)), strict=True
        )
    )
    return by_kind(fast, slow, measured)


def by_kind(fast: Mapping[str, float], slow: Mapping[str, float], measured: Mapping[str, float]) -> str:
    """Return a table of the seconds of steps by kind: predicted from fast to slow, measured, how far beside."""
    lines = []
    shared = [name for name in measured if slow.get(name)]
    for kind in [*dict.fromkeys(name.split()[0] for name in shared), "all"]:
        names = [name for name in shared if kind in (name.split()[0], "all")]
        low, high, took = (sum(seconds[name] for name in names) for seconds in (fast, slow, measured))
        beside = (
            "within" if low <= took <= high else f"{took / low - 1:+.0%}" if took < low else f"{took / high - 1:+.0%}"
        )
        within = sum(fast[name] <= measured[name] <= slow[name] for name in names)
        lines.append([kind, str(len(names)), f"{low:,.0f} to {high:,.0f}", f"{took:,.0f}", beside, f"{within}"])
    return grid(["steps", "number", "predicted, s", "measured, s", "beside the range", "steps within theirs"], lines)


def simulation_table(alone: Path, spread: Sequence[Path]) -> str:
    """Return the table of studies done by one process, and by several of which each has its seeds.

    Args:
        alone: Folder of the study that one process did.
        spread: Folders of the same study, each done at the same time by a process of its own.
    """
    lines = []
    for name, folders in (("one process", [alone]), (f"{len(spread)} processes, by seeds", list(spread))):
        done = [journal_of(folder) for folder in folders]
        by_rates = max(
            simulated(plan, seconds, read_json(folder / "rates.json"))
            for folder, (plan, seconds) in zip(folders, done, strict=True)
        )
        by_steps = max(of_steps(plan, seconds) for plan, seconds in done)
        wall = max(map(wall_seconds, folders))
        cells = [f"{seconds:.0f} ({wall / seconds:.2f})" for seconds in (by_rates, by_steps)]
        lines.append([name, *cells, f"{wall:.0f}"])
    header = [
        "done by",
        "predicted from its rates, s (measured / predicted)",
        "from the seconds of its steps, s",
        "measured, s",
    ]
    return grid(header, lines)


def simulated(plan: StudyPlan, done: Mapping[str, float], rates: Mapping[str, float]) -> float:
    """Return the seconds of one worker for the steps that were done, at measured rates.

    No rate is measured of what is kept beside the tasks: there, the seconds that it took stand.
    """
    jobs = StudyJobs(plan, "measured", rates, NONE).jobs()
    return simulate(_only(jobs, plan, done, kept_as_measured=("keep",)), Cluster(1)).makespan


def of_steps(plan: StudyPlan, done: Mapping[str, float]) -> float:
    """Return the seconds of one worker for the steps that were done, with the seconds that they took."""
    jobs = StudyJobs(plan, "measured", {}, NONE).jobs()
    return simulate(_only(jobs, plan, done, kept_as_measured=("train", "audit", "keep", "show")), Cluster(1)).makespan


def _only(
    jobs: Sequence[Job], plan: StudyPlan, done: Mapping[str, float], kept_as_measured: Sequence[str]
) -> list[Job]:
    """Return the jobs of steps that were done, and the targets that they need; some with their measured seconds."""
    by_name = {job.name: job for job in jobs}
    kept: dict[str, Job] = {}
    for step, seconds in done.items():
        job = by_name.get(f"measured: {step}")
        if job is None:
            continue
        for name in job.needs:
            kept.setdefault(name, by_name[name])
        kept[job.name] = replace(job, seconds=seconds / job.pieces) if job.kind in kept_as_measured else job
    return list(kept.values())
