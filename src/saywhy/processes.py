"""The processes that do one work: those of a launch, or the workers of a cluster and the process that leads them.

Of a launch (``accelerate launch --num_processes 2 -m saywhy run ...``), how many they are and which is this one is read
from the launcher's environment variables, so nothing heavy is imported. On a cluster (``saywhy study --on ray``) the
leader says which part of a file a worker computes: a ``PartMaker`` says so to the code that comes to that part.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from saywhy.records import SaywhyError


class PartMaker(Protocol):
    """Who computes the parts of files, where that is not for the process that comes to them to do.

    Attributes:
        is_leader: Whether this process keeps the files: it merges, and writes manifests and checksums.
    """

    is_leader: bool

    def parts(self, place: Path, numbers: Iterable[int], compute: Callable[[int], Any]) -> Iterable[tuple[int, Any]]:
        """Yield the number and the content of parts of what is made at ``place``, in any order."""


_part_maker: ContextVar[PartMaker | None] = ContextVar("_part_maker", default=None)


@contextmanager
def making_parts(maker: PartMaker | None) -> Iterator[None]:
    """Let parts be made by ``maker`` in what this thread does meanwhile; None: each by the process that comes to it."""
    token = _part_maker.set(maker)
    try:
        yield
    finally:
        _part_maker.reset(token)


def computed_parts(place: Path, numbers: Iterable[int], compute: Callable[[int], Any]) -> Iterable[tuple[int, Any]]:
    """Yield the number and the content of parts, as they get ready.

    Args:
        place: The file or folder that they are parts of.
        numbers: Which ones; asked for one by one.
        compute: Makes the content of a part; the same in any process and at any time.
    """
    maker = _part_maker.get()
    return maker.parts(place, numbers, compute) if maker else ((number, compute(number)) for number in numbers)


def makes_parts() -> bool:
    """Whether parts are made by a ``PartMaker``."""
    return _part_maker.get() is not None


def is_worker() -> bool:
    """Whether this process computes parts for another one, which leads and keeps the files."""
    maker = _part_maker.get()
    return maker is not None and not maker.is_leader


def world_size() -> int:
    """Return how many processes work together; 1 without a launcher.

    Raises:
        SaywhyError: If the environment names no such number; so do those below.
    """
    return _from_environment("WORLD_SIZE", 1, 1)


def process_rank() -> int:
    """Return the number of this process among all of the launch, from 0."""
    return _from_environment("RANK", 0, 0, world_size() - 1) if world_size() > 1 else 0


def local_rank() -> int:
    """Return the number of this process among those on this machine: which graphics card is its own."""
    return _from_environment("LOCAL_RANK", 0, 0, world_size() - 1) if world_size() > 1 else 0


def local_world_size() -> int:
    """Return how many of the processes are on this machine."""
    return _from_environment("LOCAL_WORLD_SIZE", 1, 1, world_size()) if world_size() > 1 else 1


def _from_environment(name: str, default: int, least: int, most: int | None = None) -> int:
    """Return the whole number of a launcher's variable."""
    value = os.environ.get(name) or str(default)
    if value.isdecimal() and len(value) < 10 and least <= int(value) and (most is None or int(value) <= most):
        return int(value)
    allowed = f"from {least} to {most}" if most is not None else f"from {least} on"
    raise SaywhyError(
        f"the environment has {name}={value}, which is no whole number {allowed}: start saywhy by torchrun or "
        "accelerate launch, or unset WORLD_SIZE"
    )


def is_first_process() -> bool:
    """Whether this process is the one that merges, reports, and speaks to the user."""
    return process_rank() == 0 and not is_worker()


def launch_name() -> str:
    """Return a name that the processes of this launch share, and no other launch at the same time has."""
    if world_size() == 1:
        return f"{socket.gethostname()}:{os.getpid()}"
    rendezvous = ":".join(os.environ.get(name, "") for name in ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"))
    return f"{rendezvous}:{socket.gethostname()}" if local_world_size() == world_size() else rendezvous
