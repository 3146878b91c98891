"""A discrete-event run of jobs on workers that load models, share a folder and are lost now and then.

A heap of events suffices (simpy would bring processes and resources of its own for one queue of workers and one of
writes, and a dependency to keep): an event is a worker that is through with something.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.scale.network import Job, ordered, tails
from saywhy.records import SaywhyError


@dataclass(frozen=True, slots=True)
class Cluster:
    """What jobs run on.

    Attributes:
        workers: How many; each computes one piece at a time.
        load: Seconds until a worker can hold base weights, by their name; also after it was lost.
        switch: Seconds until it holds them with another adapter, likewise.
        losses: Lost workers an hour, for each that works.
        restart: Seconds until a lost one is back.
        write_rate: Bytes a second that the shared folder takes from all together.
        file_seconds: Seconds that it takes for a file, whatever its size.
        seed: Of the losses.
    """

    workers: int
    load: Mapping[str, float] = field(default_factory=dict)
    switch: Mapping[str, float] = field(default_factory=dict)
    losses: float = 0.0
    restart: float = 0.0
    write_rate: float = float("inf")
    file_seconds: float = 0.0
    seed: int = 0


@dataclass(slots=True)
class Schedule:
    """How a run went: seconds of all workers, by what they went into, and when each job was done.

    Attributes:
        makespan: Seconds from the beginning to the last piece.
        workers: How many there were.
        computing: Worker seconds of pieces that were finished.
        loading: Worker seconds in which weights were loaded.
        writing: Worker seconds of writing and of waiting for the folder.
        lost: Worker seconds of pieces that were lost, and of restarts.
        losses: How many workers were lost.
        folder: Seconds in which the shared folder was busy.
        size: Bytes written.
        files: Files written.
        began: When each job began.
        ended: When each job ended.
        spans: Kind, begin and end of each piece.
    """

    makespan: float = 0.0
    workers: int = 0
    computing: float = 0.0
    loading: float = 0.0
    writing: float = 0.0
    lost: float = 0.0
    losses: int = 0
    folder: float = 0.0
    size: float = 0.0
    files: int = 0
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    spans: list[tuple[str, float, float]] = field(default_factory=list)

    @property
    def whole(self) -> float:
        """Worker seconds that were paid for."""
        return self.makespan * self.workers

    @property
    def idle(self) -> float:
        """Worker seconds in which nothing was ready to be done."""
        return max(0.0, self.whole - self.computing - self.loading - self.writing - self.lost)

    @property
    def utilisation(self) -> float:
        """Share of the worker seconds that went into pieces that were finished."""
        return self.computing / self.whole if self.whole else 0.0


@dataclass(slots=True)
class _Worker:
    base: str = ""
    adapter: str = ""
    job: Job | None = None


class _Run:
    """The state of a simulation: ready jobs, pieces to begin and to end, workers, the folder."""

    def __init__(self, jobs: Sequence[Job], cluster: Cluster) -> None:
        self.cluster, self.schedule = cluster, Schedule(workers=cluster.workers)
        self.jobs = {job.name: job for job in ordered(jobs)}
        self.lengths = tails(jobs)
        self.to_begin = {job.name: job.pieces for job in jobs}
        self.to_end = dict(self.to_begin)
        self.missing = {job.name: len(job.needs) for job in jobs}
        self.dependents: dict[str, list[str]] = {job.name: [] for job in jobs}
        for job in jobs:
            for name in job.needs:
                self.dependents[name].append(job.name)
        self.untouched: dict[str, list[tuple[float, str]]] = {job.base: [] for job in jobs}  # the longest tail first
        self.shared: dict[str, list[str]] = {job.base: [] for job in jobs}  # begun, with pieces left for others
        self.events: list[tuple[float, int, int, str]] = []
        self.workers = [_Worker() for _ in range(cluster.workers)]
        self.idle = list(range(cluster.workers))
        self.dice = random.Random(cluster.seed)
        self.folder_free, self.count = 0.0, 0
        for name, count in self.missing.items():
            if not count:
                self.offer(name)

    def offer(self, name: str) -> None:
        """Put a job before the workers that look for one."""
        heapq.heappush(self.untouched[self.jobs[name].base], (-self.lengths[name], name))

    def push(self, time: float, worker: int, event: str) -> None:
        """Note what happens to a worker, and when."""
        self.count += 1
        heapq.heappush(self.events, (time, self.count, worker, event))

    def next_job(self, worker: _Worker) -> Job | None:
        """Return the job that a worker turns to: its own, one that nobody has begun, one to share; None: there is none.

        To share a job costs a load of its adapter, so that is done where no other is ready; to change the base weights
        costs more.
        """
        if worker.job and self.to_begin[worker.job.name]:
            return worker.job
        others = sorted((waiting[0], base) for base, waiting in self.untouched.items() if waiting)
        for base in dict.fromkeys([worker.base, *(base for _, base in others), *self.shared]):
            if self.untouched.get(base):
                job = self.jobs[heapq.heappop(self.untouched[base])[1]]
                if job.spread and job.pieces > 1:
                    self.shared[base].append(job.name)
                return job
            if left := [name for name in self.shared.get(base, ()) if self.to_begin[name]]:
                self.shared[base] = left
                return self.jobs[max(left, key=lambda name: self.to_begin[name])]
        return None

    def begin(self, number: int, now: float) -> bool:
        """Let a worker begin a piece; return whether there was one."""
        worker = self.workers[number]
        job = self.next_job(worker)
        worker.job = job
        if job is None:
            return False
        self.to_begin[job.name] -= 1
        loading = 0.0 if worker.base == job.base else self.cluster.load.get(job.base, 0.0)
        if worker.base != job.base or worker.adapter != job.adapter:
            loading += self.cluster.switch.get(job.base, 0.0)
        worker.base, worker.adapter = job.base, job.adapter
        self.schedule.began.setdefault(job.name, now)
        seconds = loading + job.seconds
        lost_after = self.dice.expovariate(self.cluster.losses / 3600) if self.cluster.losses else float("inf")
        if lost_after < seconds:
            self.schedule.lost += lost_after + self.cluster.restart
            self.push(now + lost_after, number, "lost")
        else:
            self.schedule.loading += loading
            self.schedule.computing += job.seconds
            self.schedule.spans.append((job.kind, now + loading, now + seconds))
            self.push(now + seconds, number, "computed")
        return True

    def write(self, number: int, job: Job, now: float) -> None:
        """Let a worker write what it computed, behind those who came before it."""
        seconds = job.size / self.cluster.write_rate + job.files * self.cluster.file_seconds
        self.folder_free = max(now, self.folder_free) + seconds
        self.schedule.folder += seconds
        self.schedule.writing += self.folder_free - now
        self.schedule.size += job.size
        self.schedule.files += job.files
        self.push(self.folder_free, number, "written")

    def end(self, job: Job, now: float) -> None:
        """Note a finished piece; behind the last one, put before the workers what waited for it."""
        self.to_end[job.name] -= 1
        if self.to_end[job.name]:
            return
        self.schedule.ended[job.name] = self.schedule.makespan = now
        for name in self.dependents[job.name]:
            self.missing[name] -= 1
            if not self.missing[name]:
                self.offer(name)

    def lose(self, number: int, job: Job, now: float) -> None:
        """Put the piece of a lost worker before the others; it comes back with empty hands."""
        self.schedule.losses += 1
        self.to_begin[job.name] += 1
        if not job.spread:
            self.offer(job.name)
        elif job.name not in self.shared[job.base]:
            self.shared[job.base].append(job.name)
        self.workers[number] = _Worker()
        self.push(now + self.cluster.restart, number, "back")


def simulate(jobs: Sequence[Job], cluster: Cluster) -> Schedule:
    """Run jobs on a cluster, those with most behind them first.

    Raises:
        SaywhyError: If there is no worker, or the jobs cannot be put in order.
    """
    if cluster.workers < 1:
        raise SaywhyError(f"{cluster.workers} workers: it takes one")
    run = _Run(jobs, cluster)
    now = 0.0
    while True:
        run.idle = [number for number in run.idle if not run.begin(number, now)]
        if not run.events:
            return run.schedule
        now, _, number, event = heapq.heappop(run.events)
        job = run.workers[number].job
        if event == "computed" and job:
            run.write(number, job, now)
            continue
        if event == "written" and job:
            run.end(job, now)
        elif event == "lost" and job:
            run.lose(number, job, now)
            continue
        run.idle.append(number)
