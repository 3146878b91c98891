"""The crew of a study: its workers as its leader sees them, asked for parts and heard of through a pipe."""

from __future__ import annotations

import importlib.util
import itertools
import multiprocessing
import queue
import secrets
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from saywhy.folders.object_store import ObjectFolder
from saywhy.folders.store import write_text
from saywhy.printable import in_one_line
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.study.cluster import serve_cluster
from saywhy.study.messages import ClusterOrder, ClusterState, ClusterTrouble, PartReply, PartRequest
from saywhy.study.plan import StudyPlan
from saywhy.study.resources import StepKind, StepResources
from saywhy.study.steps import StudyStep
from saywhy.study.worker import StudyWorker, precision_here, token_path

BEGIN_PATIENCE = 180.0
"""Seconds within which a cluster must have answered."""
END_PATIENCE = 30.0
"""Seconds within which the process that speaks to Ray must have ended."""


class CrewEnded(Exception):
    """There is no crew any more: what a thread has asked it for will not come."""


def refuse_without_ray() -> None:
    """Refuse a study on Ray where that is not installed.

    Raises:
        SaywhyError: With how to install it.
    """
    if importlib.util.find_spec("ray") is None:
        raise SaywhyError("--on ray needs Ray: pip install 'saywhy[ray]'")


class Crew:
    """The workers of a study.

    Attributes:
        workers: How many are at work.
        capacity: How many the cluster has room for at a time, by kind of step.
        parts_computed: How many parts they have computed.
        seconds: Seconds that they have computed for each step.
        store: The folder in an object store, if that is where machines meet.
    """

    def __init__(
        self,
        plan: StudyPlan,
        out: Path,
        resources: Mapping[StepKind, StepResources],
        workers: int | None = None,
        worker: type[StudyWorker] = StudyWorker,
        store: ObjectFolder | None = None,
    ) -> None:
        """Reach the cluster; workers begin when something is asked for.

        Args:
            plan: The study.
            out: Its folder, which is there.
            resources: What a worker needs for each kind of step.
            workers: The most workers at a time; None: as many as the cluster has resources for.
            worker: What a worker is.
            store: The folder in an object store, of which ``out`` is the copy; None: all machines share ``out``.

        Raises:
            SaywhyError: If there is no Ray, or its cluster cannot be reached.
        """
        refuse_without_ray()
        self.workers = self.parts_computed = 0
        self.capacity: Mapping[str, int] = {}
        self.seconds: defaultdict[StudyStep | None, float] = defaultdict(float)
        self._ids = itertools.count()
        self._replies: dict[int, queue.SimpleQueue[PartReply | None]] = {}
        self._sending = threading.Lock()
        token = secrets.token_hex(8)
        self._token = token_path(out, token)
        write_text(self._token, token)
        self.store = store
        if store:
            store.publish()
        self._log = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115 - as long as the crew is there
        order = ClusterOrder(
            *(plan, out, Path.cwd(), token, precision_here(plan), resources, workers, worker),
            store=store.url if store else None,
        )
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve_cluster, args=(other, order, Path(self._log.name)), daemon=True)
        self._process.start()
        other.close()
        try:
            self._await_cluster()
        except BaseException:  # an interrupt, too
            self.close()
            raise

    def _await_cluster(self) -> None:
        """Wait until the cluster has answered."""
        deadline = time.monotonic() + BEGIN_PATIENCE
        while not self.turn(1.0):
            if time.monotonic() > deadline:
                raise SaywhyError(
                    f"the Ray cluster did not answer within {BEGIN_PATIENCE:.0f} s: is RAY_ADDRESS right, and "
                    f"RAY_AUTH_MODE=token set if it asks for a token?{self._last_words()}"
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def parts(
        self, step: StudyStep | None, rank: int, place: Path, numbers: Iterable[int]
    ) -> Iterator[tuple[int, Any]]:
        """Yield number and content of parts, as workers have computed them; called in any thread.

        Args:
            step: The step that needs them; None: what comes before all steps.
            rank: The place of the step in the order of the study.
            place: What they are parts of.
            numbers: Which ones.

        Raises:
            CrewEnded: If the crew ends before they are all there.
        """
        replies: queue.SimpleQueue[PartReply | None] = queue.SimpleQueue()
        asked: dict[int, int] = {}
        for number in numbers:
            request = PartRequest(next(self._ids), rank, step, place, number)
            asked[request.id] = number
            with self._sending:
                if self._connection.closed:
                    raise CrewEnded
                self._replies[request.id] = replies
                self._connection.send(request)
        for _ in range(len(asked)):
            reply = replies.get()
            if reply is None:
                raise CrewEnded
            self.seconds[step] += reply.seconds
            yield asked[reply.id], reply.content

    def turn(self, timeout: float) -> bool:
        """Hear what the cluster has to say, for ``timeout`` seconds at most; return whether it said anything.

        Raises:
            SaywhyError: If the cluster cannot go on, or has gone.
        """
        has_spoken = False
        try:
            while self._connection.poll(0.0 if has_spoken else timeout):
                self._hear(self._connection.recv())
                has_spoken = True
        except (EOFError, ConnectionResetError):
            raise SaywhyError(
                f"the Ray cluster has gone{self._last_words()}: what was computed is kept, the same command goes on "
                "from there, also without --on ray"
            ) from None
        return has_spoken

    def _hear(self, message: object) -> None:
        if isinstance(message, PartReply):
            self.parts_computed += 1
            self._replies.pop(message.id).put(message)
        elif isinstance(message, ClusterState):
            self.workers, self.capacity = message.workers, message.capacity
            if message.note:
                say(message.note)
        elif isinstance(message, ClusterTrouble):
            raise SaywhyError(message.text) if message.is_foreseen else RuntimeError(message.text)

    def _last_words(self) -> str:
        """Return the last line that Ray has printed, in brackets; nothing if there is none."""
        lines = Path(self._log.name).read_text("utf-8", "replace").strip().splitlines()
        return f" ({in_one_line(lines[-1], 200)})" if lines else ""

    def close(self) -> None:
        """End all workers; who waits for a part is told."""
        with self._sending:
            self._connection.close()
            replies, self._replies = self._replies, {}
        for waiting in replies.values():
            waiting.put(None)
        self._process.join(END_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
        for token in self._token.parent.glob(f"{self._token.stem}*"):
            with suppress(FileNotFoundError):
                token.unlink()


class StepParts:
    """Has the parts of a step computed by a crew (a ``PartMaker``).

    Attributes:
        crew: The crew.
        step: The step; None: what comes before all steps.
        rank: Its place in the order of the study.
    """

    is_leader = True

    def __init__(self, crew: Crew, step: StudyStep | None, rank: int) -> None:
        self.crew, self.step, self.rank = crew, step, rank

    def parts(self, place: Path, numbers: Iterable[int], compute: Callable[[int], Any]) -> Iterable[tuple[int, Any]]:
        """Yield number and content of parts that workers compute."""
        store = self.crew.store
        if store:
            store.publish()
        for part in self.crew.parts(self.step, self.rank, place, numbers):
            if store and self.step and self.step.kind == "train":
                store.fetch()  # what a worker has trained, it has written itself
            yield part
