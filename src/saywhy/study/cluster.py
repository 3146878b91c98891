"""The process that speaks to Ray: it gives the parts of a study to workers, and those of lost workers to others.

Ray ends the process that it runs in when its cluster disappears, prints what it likes, and takes over signals. So it
has one of its own, which the leader of the study starts and hears through a pipe (``crew``).
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from saywhy.printable import in_one_line
from saywhy.records import SaywhyError
from saywhy.runs.manifest import package_versions
from saywhy.study.messages import ClusterOrder, ClusterState, ClusterTrouble, PartReply, PartRequest
from saywhy.study.resources import StepResources, fits
from saywhy.study.steps import StudyStep
from saywhy.study.worker import Greeting, token_path

MOST_LOSSES = 3
"""So many workers may be lost over one part, or before they have begun."""
TURN_SECONDS = 0.02
"""The longest wait for a worker, after which the leader is listened to again."""
JOIN_SECONDS = 20.0
"""Seconds within which the head of a cluster must take a connection."""
LOOK_SECONDS = 2.0
"""Seconds between two looks at what the cluster has."""


@dataclass(eq=False, slots=True)
class _Worker:
    """A worker as this process sees it.

    Attributes:
        actor: Ray's handle.
        resources: What it was given.
        needed: The same in Ray's names.
        answer: Name of its copy of the token.
        pending: What Ray will give its answer for.
        request: What it computes; None: nothing.
        step: What it computed last, whose model it holds.
        is_ready: Whether it has been greeted and has opened the study.
    """

    actor: Any
    resources: StepResources
    needed: Mapping[str, float]
    answer: str
    pending: Any
    request: PartRequest | None = None
    step: StudyStep | None = None
    is_ready: bool = False


def serve_cluster(connection: Connection, order: ClusterOrder, log: Path) -> None:
    """Do what the leader asks for until it hangs up: the whole of the process that speaks to Ray."""
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND), stream)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the leader hears it, and hangs up
    try:
        RayCluster(connection, order).run()
    except SaywhyError as error:
        connection.send(ClusterTrouble(str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the leader has hung up
    except Exception:  # whatever it is, the leader ends with it
        connection.send(ClusterTrouble(traceback.format_exc(), is_foreseen=False))
    finally:
        import ray

        ray.shutdown()


@dataclass
class RayCluster:
    """The workers of a study on a Ray cluster.

    Attributes:
        connection: To the leader.
        order: What is to be done.
    """

    connection: Connection
    order: ClusterOrder
    _waiting: list[PartRequest] = field(default_factory=list)
    _workers: list[_Worker] = field(default_factory=list)
    _losses: Counter[int | None] = field(default_factory=Counter)
    _totals: Mapping[str, float] = field(default_factory=dict)
    _machines: list[Mapping[str, float]] = field(default_factory=list)
    _looked: float = -LOOK_SECONDS

    def run(self) -> None:
        """Give parts to workers until the leader hangs up.

        Raises:
            SaywhyError: If the cluster cannot do what it is asked for.
            EOFError: When the leader has hung up.
        """
        self._begin()
        self.connection.send(ClusterState(0))
        while True:
            while self.connection.poll(0 if self._waiting or self._busy() else 0.1):
                self._waiting.append(self.connection.recv())
                self._waiting.sort(key=lambda request: (request.rank, request.id))
            self._look()
            self._hire()
            self._assign()
            self._collect()

    def _begin(self) -> None:
        """Reach the cluster that ``RAY_ADDRESS`` names, or begin one on this machine."""
        import ray

        address = os.environ.get("RAY_ADDRESS") or "local"
        host, _, port = address.rpartition(":")
        own = {"include_dashboard": False, "object_store_memory": 10**8} if address == "local" else {}
        try:
            if port.isdecimal() and "/" not in host:  # Ray itself would try for minutes
                socket.create_connection((host, int(port)), JOIN_SECONDS).close()
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except (RuntimeError, ValueError, OverflowError, OSError) as error:
            raise SaywhyError(
                f"the Ray cluster (RAY_ADDRESS={address}) cannot be used: {in_one_line(str(error), 300)}"
            ) from error

    def _busy(self) -> bool:
        return any(worker.pending is not None for worker in self._workers)

    def _look(self) -> None:
        """See what the machines of the cluster have in all."""
        import ray

        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self._totals = sum(map(Counter, self._machines), Counter())

    def _resources(self, request: PartRequest) -> StepResources:
        kind: Any = request.step.kind if request.step else "audit"
        return self.order.resources[kind]

    def _hire(self) -> None:
        """Begin workers for what waits, as far as the cluster has resources left; let idle ones of other kinds go."""
        for resources in dict.fromkeys(map(self._resources, self._waiting)):
            waiting = [request for request in self._waiting if self._resources(request) == resources]
            alike = [worker for worker in self._workers if worker.resources == resources]
            needed = resources.needed(self._totals)
            if not alike and not any(fits(needed, machine) for machine in self._machines):
                raise SaywhyError(
                    f"{waiting[0].name} needs {resources}, and no machine of the cluster has that: change resources: "
                    "in the study file, or add a machine"
                )
            free = sum(not worker.request for worker in alike)
            for _ in range(len(waiting) - free):
                if not self._has_room(needed) and (alike or not self._let_go(waiting[0])):
                    break
                if not self._has_room(needed):
                    break
                self._start(resources, needed)

    def _has_room(self, needed: Mapping[str, float]) -> bool:
        if self.order.workers is not None and len(self._workers) >= self.order.workers:
            return False
        taken: Counter[str] = sum((Counter(dict(worker.needed)) for worker in self._workers), Counter())
        return fits(needed, {name: total - taken[name] for name, total in self._totals.items()})

    def _let_go(self, request: PartRequest) -> bool:
        """End idle workers of which nothing is asked, or only what comes after ``request``; False if there are none."""
        import ray

        wanted = {self._resources(earlier) for earlier in self._waiting if earlier.rank < request.rank}
        idle = [worker for worker in self._workers if worker.pending is None and worker.resources not in wanted]
        for worker in idle:
            ray.kill(worker.actor)
            self._workers.remove(worker)
        return bool(idle)

    def _start(self, resources: StepResources, needed: Mapping[str, float]) -> None:
        import ray

        actor = (
            ray.remote(self.order.worker)
            .options(
                num_cpus=needed.get("CPU", 0),
                num_gpus=needed.get("GPU", 0),
                memory=int(needed.get("memory", 0)) or None,
                max_restarts=0,
                scheduling_strategy="SPREAD",
            )
            .remote()
        )
        answer = f"{self.order.token}-{secrets.token_hex(4)}"
        pending = actor.greet.remote(self.order.out, self.order.token, answer)
        self._workers.append(_Worker(actor, resources, needed, answer, pending))

    def _assign(self) -> None:
        """Give each idle worker a part: of the step whose model it holds, else of one that no other worker is at."""
        for worker in self._workers:
            fitting = [request for request in self._waiting if self._resources(request) == worker.resources]
            if not worker.is_ready or worker.pending is not None or not fitting:
                continue
            others = {other.step for other in self._workers if other is not worker and other.request}
            request = min(
                fitting, key=lambda request: (request.step != worker.step, request.step in others, request.rank)
            )
            self._waiting.remove(request)
            worker.request, worker.step = request, request.step
            worker.pending = worker.actor.compute.remote(request.step, request.place, request.number)

    def _collect(self) -> None:
        """Take what a worker has ready, and tell the leader."""
        import ray

        by_pending = {worker.pending: worker for worker in self._workers if worker.pending is not None}
        ready, _ = ray.wait(list(by_pending), timeout=TURN_SECONDS) if by_pending else ([], [])
        for pending in ready:
            worker = by_pending[pending]
            try:
                value = ray.get(pending)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, SaywhyError | OSError):
                    raise _worker_problem(error.cause, worker.request) from error
                raise
            except ray.exceptions.RayError as error:
                self._lose(worker, error)
            else:
                self._take(worker, value)

    def _take(self, worker: _Worker, value: Any) -> None:
        """Take the answer of a worker to the last call."""
        worker.pending = None
        if isinstance(value, Greeting):
            self._welcome(worker, value)
            worker.pending = worker.actor.open.remote(self.order.plan, self.order.out, self.order.here)
        elif worker.request is None:
            worker.is_ready = True
            self._losses[None] = 0
            self._tell()
        else:
            content, seconds = value
            self.connection.send(PartReply(worker.request.id, content, seconds))
            worker.request = None

    def _tell(self, note: str = "") -> None:
        self.connection.send(ClusterState(sum(worker.is_ready for worker in self._workers), note))

    def _welcome(self, worker: _Worker, greeting: Greeting) -> None:
        """Refuse a worker that does not see the folder, or would compute with something else than the leader."""
        out, copy = self.order.out, token_path(self.order.out, worker.answer)
        if trouble := greeting.trouble or (None if copy.is_file() else "what is written there is not seen here"):
            raise SaywhyError(
                f"{out} is not on {greeting.host} what it is here ({trouble}): give a folder that all machines "
                "share and may write to with out=FOLDER"
            )
        copy.unlink()
        versions = package_versions()
        other = [name for name in versions if name != "python" and greeting.versions.get(name) != versions[name]]
        if other:
            name = other[0]
            raise SaywhyError(
                f"a worker on {greeting.host} has {name} {greeting.versions.get(name)}, and this is "
                f"{versions[name]}: pip install '{name}=={versions[name]}' there, so that all rows are made alike"
            )

    def _lose(self, worker: _Worker, error: Exception) -> None:
        """Let what a lost worker was at be done by another one."""
        self._workers.remove(worker)
        request = worker.request
        key = request.id if request else None
        self._losses[key] += 1
        reason = in_one_line(str(error).strip().splitlines()[0], 200)
        if self._losses[key] >= MOST_LOSSES:
            what = request.name if request else "the start of a worker"
            raise SaywhyError(
                f"{what} has ended {MOST_LOSSES} workers ({reason}): is "
                "saywhy installed on all machines, and memory enough? (memory: in resources:, chunk: in with:)"
            )
        if request:
            self._waiting.insert(0, request)
            self._tell(f"a worker was lost ({reason}): a part of {request.name} is computed again")


def _worker_problem(cause: BaseException, request: PartRequest | None) -> SaywhyError:
    """Return what a worker cannot do, as what the command ends with."""
    where = f"{request.name}: " if request else ""
    if isinstance(cause, OSError):
        place = f" ({cause.filename})" if cause.filename else ""
        return SaywhyError(f"{where}{cause.strerror or cause}{place}: what was computed is kept; mend it and run again")
    return SaywhyError(f"{where}{cause}")
