"""The processes of one launch (``accelerate launch --num_processes 2 -m saywhy run ...``): how many, and which is this.

Both are read from the launcher's environment variables, so nothing heavy is imported.
"""

from __future__ import annotations

import os
import socket


def world_size() -> int:
    """Return how many processes work together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def process_rank() -> int:
    """Return the number of this process among all of the launch, from 0."""
    return int(os.environ.get("RANK") or 0) if world_size() > 1 else 0


def local_rank() -> int:
    """Return the number of this process among those on this machine: which graphics card is its own."""
    return int(os.environ.get("LOCAL_RANK") or 0) if world_size() > 1 else 0


def local_world_size() -> int:
    """Return how many of the processes are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or 1) if world_size() > 1 else 1


def is_first_process() -> bool:
    """Whether this process is the one that merges, reports, and speaks to the user."""
    return process_rank() == 0


def launch_name() -> str:
    """Return a name that the processes of this launch share, and no other launch at the same time has."""
    if world_size() == 1:
        return f"{socket.gethostname()}:{os.getpid()}"
    rendezvous = ":".join(os.environ.get(name, "") for name in ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"))
    return f"{rendezvous}:{socket.gethostname()}" if local_world_size() == world_size() else rendezvous
