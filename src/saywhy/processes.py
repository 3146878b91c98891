"""The processes of one launch (``accelerate launch --num_processes 2 -m saywhy run ...``): how many, and which is this.

The launcher says so in the environment, so nothing heavy is imported to know it.
"""

from __future__ import annotations

import os
import socket


def world() -> int:
    """Return how many processes work together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def rank() -> int:
    """Return the number of this process among them, from 0."""
    return int(os.environ.get("RANK") or 0) if world() > 1 else 0


def local() -> int:
    """Return the number of this process among those on this machine: which graphics card is its own."""
    return int(os.environ.get("LOCAL_RANK") or 0) if world() > 1 else 0


def here() -> int:
    """Return how many of the processes are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or 1) if world() > 1 else 1


def first() -> bool:
    """Whether this process is the one that merges, reports, and speaks to the user."""
    return rank() == 0


def launch() -> str:
    """Return a name that the processes of this launch share, and no other launch at the same time has."""
    if world() == 1:
        return f"{socket.gethostname()}:{os.getpid()}"
    meeting = ":".join(os.environ.get(name, "") for name in ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"))
    return f"{meeting}:{socket.gethostname()}" if here() == world() else meeting
