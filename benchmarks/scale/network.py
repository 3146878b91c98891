"""Jobs that wait for one another: their order, what stands behind each, the longest chain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saywhy.records import SaywhyError


@dataclass(frozen=True, slots=True)
class Job:
    """A step of a plan, or a part of one that others wait for.

    Attributes:
        name: Its name, one of a kind.
        kind: What sort of work it is.
        base: Base weights that a worker holds for it.
        adapter: What it holds beside them: an arm, or its training.
        pieces: How many pieces it has: what a lost worker costs is one.
        seconds: Seconds of a piece.
        spread: Whether several workers may share its pieces; else they follow one another.
        needs: Jobs that must be done before it begins.
        size: Bytes that a piece writes.
        files: Files that a piece writes.
        seed: Seed of the arm, by which a study is spread by hand.
    """

    name: str
    kind: str
    base: str
    adapter: str
    pieces: int
    seconds: float
    spread: bool = True
    needs: tuple[str, ...] = ()
    size: float = 0.0
    files: int = 1
    seed: int = 0

    @property
    def work(self) -> float:
        """Seconds of all pieces."""
        return self.pieces * self.seconds

    @property
    def shortest(self) -> float:
        """Seconds that it takes on any number of workers."""
        return self.seconds if self.spread else self.work


def tails(jobs: Sequence[Job]) -> dict[str, float]:
    """Return how many seconds of jobs stand behind the beginning of each, on any number of workers."""
    behind: dict[str, float] = dict.fromkeys((job.name for job in jobs), 0.0)
    lengths: dict[str, float] = {}
    for job in reversed(ordered(jobs)):
        lengths[job.name] = job.shortest + behind[job.name]
        for name in job.needs:
            behind[name] = max(behind[name], lengths[job.name])
    return lengths


def critical_path(jobs: Sequence[Job]) -> list[Job]:
    """Return the longest chain of jobs that wait for one another, first to last."""
    lengths, path = tails(jobs), list[Job]()
    ready = [job for job in jobs if not job.needs]
    while ready:
        path.append(max(ready, key=lambda job: lengths[job.name]))
        ready = [job for job in jobs if path[-1].name in job.needs]
    return path


def ordered(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs, each behind those that it needs.

    Raises:
        SaywhyError: If one needs a job that is not there, or, around some corners, itself.
    """
    by_name = {job.name: job for job in jobs}
    missing = {name: len(job.needs) for name, job in by_name.items()}
    dependents: dict[str, list[str]] = {name: [] for name in by_name}
    for job in jobs:
        for name in job.needs:
            if name not in by_name:
                raise SaywhyError(f"{job.name} needs {name}, which is no job of the plan")
            dependents[name].append(job.name)
    order = [name for name, count in missing.items() if not count]
    for name in order:
        for dependent in dependents[name]:
            missing[dependent] -= 1
            if not missing[dependent]:
                order.append(dependent)
    if len(order) < len(by_name):
        raise SaywhyError(f"jobs wait for each other: {', '.join(sorted(set(by_name) - set(order)))}")
    return [by_name[name] for name in order]
