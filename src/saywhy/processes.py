"""The processes of one launch (``accelerate launch --num_processes 2 -m saywhy run ...``): how many, and which is this.

Both are read from the launcher's environment variables, so nothing heavy is imported.
"""

from __future__ import annotations

import os
import socket

from saywhy.records import SaywhyError


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
    return process_rank() == 0


def launch_name() -> str:
    """Return a name that the processes of this launch share, and no other launch at the same time has."""
    if world_size() == 1:
        return f"{socket.gethostname()}:{os.getpid()}"
    rendezvous = ":".join(os.environ.get(name, "") for name in ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"))
    return f"{rendezvous}:{socket.gethostname()}" if local_world_size() == world_size() else rendezvous
