"""The process that speaks to Ray: it gives the parts of a study to workers, and those of lost workers to others.

Ray ends the process that it runs in when its cluster disappears, prints what it likes, and takes over signals. So it
has one of its own, which the leader of the study starts and hears through a pipe (``crew``).
"""

from __future__ import annotations

import math
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from saywhy.folders.object_store import ObjectFolder
from saywhy.printable import in_one_line
from saywhy.records import SaywhyError
from saywhy.study.actors import ClusterWorker, join_cluster
from saywhy.study.messages import ClusterOrder, ClusterState, ClusterTrouble, PartReply, PartRequest
from saywhy.study.resources import StepResources
from saywhy.study.room import Amounts, Share, free_share, room_on
from saywhy.study.worker import Greeting, token_path

MOST_LOSSES = 3
"""So many workers may be lost over one part, or before they have begun."""
TURN_SECONDS = 0.02
"""The longest wait for a worker, after which the leader is listened to again."""
POLL_SECONDS = 2.0
"""Seconds after which the cluster is asked again what it has."""


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
    _workers: list[ClusterWorker] = field(default_factory=list)
    _losses: Counter[int | None] = field(default_factory=Counter)
    _totals: Mapping[str, float] = field(default_factory=dict)
    _machines: dict[str, Amounts] = field(default_factory=dict)
    _capacity: dict[str, int] = field(default_factory=dict)
    _last_poll: float = -math.inf

    def run(self) -> None:
        """Give parts to workers until the leader hangs up.

        Raises:
            SaywhyError: If the cluster cannot do what it is asked for.
            EOFError: When the leader has hung up.
        """
        join_cluster()
        while True:
            self._poll()
            while self.connection.poll(0 if self._waiting or self._busy() else 0.1):
                self._waiting.append(self.connection.recv())
                self._waiting.sort(key=lambda request: (request.rank, request.id))
            self._hire()
            self._assign()
            self._collect()

    def _busy(self) -> bool:
        return any(worker.pending is not None for worker in self._workers)

    def _poll(self) -> None:
        """Ask what the machines of the cluster have in all, from time to time; tell the leader what changes for it."""
        import ray

        if time.monotonic() - self._last_poll < POLL_SECONDS:
            return
        self._last_poll = time.monotonic()
        self._machines = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}
        self._totals = sum(map(Counter, self._machines.values()), Counter())
        most = math.inf if self.order.workers is None else self.order.workers
        capacity: dict[str, int] = {}
        for kind, resources in self.order.resources.items():
            needed = resources.needed(self._totals)
            room = sum(room_on(needed, machine) for machine in self._machines.values())
            capacity[kind] = int(min(room, most))
        if capacity != self._capacity:
            self._capacity = capacity
            self._tell()

    def _resources(self, request: PartRequest) -> StepResources:
        kind: Any = request.step.kind if request.step else "audit"
        return self.order.resources[kind]

    def _hire(self) -> None:
        """Begin workers for what waits, as far as machines have room; a kind that has none gets that of idle others."""
        for resources in dict.fromkeys(map(self._resources, self._waiting)):
            waiting = [request for request in self._waiting if self._resources(request) == resources]
            alike = [worker for worker in self._workers if worker.resources == resources]
            needed = resources.needed(self._totals)
            if not alike and not any(room_on(needed, machine) for machine in self._machines.values()):
                raise SaywhyError(
                    f"{waiting[0].name} needs {resources}, and no machine of the cluster has that: change resources: "
                    "in the study file, or add a machine"
                )
            unoccupied = sum(not worker.request for worker in alike)
            for _ in range(len(waiting) - unoccupied):
                share = self._free_share(needed)
                if share is None:
                    break
                alike.append(ClusterWorker.begun(self.order, resources, share))
                self._workers.append(alike[-1])
            if not any(worker.is_placed or worker.is_new() for worker in alike):
                self._let_go(waiting[0], needed)
                break  # else workers for what comes later would take the room again

    def _free_share(self, needed: Amounts) -> Share | None:
        if self.order.workers is not None and len(self._workers) >= self.order.workers:
            return None
        return free_share(needed, self._machines, [worker.share for worker in self._workers])

    def _let_go(self, request: PartRequest, needed: Amounts) -> None:
        """End idle workers, if only what comes after ``request`` is asked of them, until one that it needs has room.

        They are ended on the machine on which the fewest others are at work: what is free on two machines fits none.
        """
        wanted = {self._resources(earlier) for earlier in self._waiting if earlier.rank < request.rank}
        idle = [worker for worker in self._workers if worker.pending is None and worker.resources not in wanted]
        busy = Counter(worker.share.machine for worker in self._workers if worker not in idle)
        large = [name for name, machine in self._machines.items() if room_on(needed, machine)]
        target = min(large, key=lambda name: busy[name], default=None)
        is_full = self.order.workers is not None and len(self._workers) >= self.order.workers
        is_unplaced = any(worker.resources == self._resources(request) for worker in self._workers)
        for worker in sorted(idle, key=lambda worker: worker.share.machine != target):
            if worker.share.machine != target and not (is_full or is_unplaced):
                return
            worker.end()
            self._workers.remove(worker)
            is_full = False
            if not is_unplaced and self._free_share(needed):
                return

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

    def _take(self, worker: ClusterWorker, value: Any) -> None:
        """Take the answer of a worker to the last call."""
        worker.pending = None
        if isinstance(value, Greeting):
            self._welcome(worker, value)
            worker.is_ready = True
            self._losses[None] = 0
            self._tell()
        elif worker.request is None:
            worker.is_placed = True
            worker.pending = worker.actor.greet.remote(self.order.out, self.order.token, worker.answer)
        else:
            content, seconds = value
            self.connection.send(PartReply(worker.request.id, content, seconds))
            worker.request = None

    def _tell(self, note: str = "") -> None:
        ready = sum(worker.is_ready for worker in self._workers)
        self.connection.send(ClusterState(ready, self._capacity, note))

    def _welcome(self, worker: ClusterWorker, greeting: Greeting) -> None:
        """Refuse a worker that does not see the folder, or would compute with something else than the leader."""
        copy = token_path(self.order.out, worker.answer)
        store = self.order.store
        is_seen = ObjectFolder(store, copy.parent).take(copy.name) if store else copy.is_file()
        if trouble := greeting.trouble or (None if is_seen else "what is written there is not seen here"):
            raise SaywhyError(
                f"{store or self.order.out} is not on {greeting.host} what it is here ({trouble}): give a folder that "
                "all machines share and may write to with out=FOLDER"
            )
        copy.unlink(missing_ok=True)
        greeting.refuse_unlike(self.order.precision)
        if greeting.machine in self._machines and greeting.machine != worker.share.machine:  # Ray has placed it there
            others = [other.share for other in self._workers if other is not worker]
            there = {greeting.machine: self._machines[greeting.machine]}
            amounts = worker.share.amounts
            worker.share = free_share(amounts, there, others) or Share(greeting.machine, amounts)

    def _lose(self, worker: ClusterWorker, error: Exception) -> None:
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
