"""A sitting: one process, or the processes of one launch, at work in a folder, and nobody else.

The first process holds ``.lock`` in the folder, the others ``.lock-1``, ``.lock-2``, ... These are locks of the
operating system (flock): they end with their process, however it ends, so there is none to clear away by hand.

Processes wait for each other by waiting for files. They must see one folder in any case, a wait for a file has no limit
that a long chunk could exceed, and processes that resume at different points cannot get out of step, as they would
with barriers that count calls. A process that waits looks whether the others still hold their locks.
"""

from __future__ import annotations

import errno
import json
import math
import os
import socket
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saywhy.processes import first, launch, rank, world
from saywhy.records import SaywhyError

LOCK = ".lock"
PATIENCE = 2.0
"""Seconds for which a lock that another process holds is asked for again: it may be ending."""
START = 1800.0
"""Seconds within which all processes of a launch must have begun."""
_TAKEN = (errno.EACCES, errno.EAGAIN)
_LAUNCHER = os.getppid()

_known: weakref.WeakValueDictionary[Path, _Lock] = weakref.WeakValueDictionary()
_kept: dict[Path, _Lock] = {}
"""Held until this process ends: of a launch, so that the others can tell "left this folder" from "died"."""


class _Lock:
    """A locked file that says who holds it; it is let go with the last reference to it, or with the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        handle, _ = _taken(path, PATIENCE)
        told = {"pid": os.getpid(), "host": socket.gethostname(), "launch": launch(), "launcher": _LAUNCHER}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(told).encode(), 0)
        weakref.finalize(self, _let_go, path, handle, os.getpid())


def _taken(path: Path, patience: float) -> tuple[int, bool]:
    """Return the locked file ``path``, made if missing, and whether it is really locked.

    Args:
        path: The file.
        patience: Seconds for which it is asked for.

    Raises:
        SaywhyError: If another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + patience
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        locked = _flock(handle)
        # Who held it may have removed it: then what is locked is no longer what the others find.
        if locked is not False and path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle, locked is True
        os.close(handle)
        if time.monotonic() > until:
            told = _told(path)
            raise SaywhyError(
                f"{path.parent} is in use by process {told.get('pid')} on {told.get('host')}: wait until it has ended, "
                "or choose another folder with out=FOLDER"
            )
        time.sleep(0.05)


def _flock(handle: int, *, shared: bool = False) -> bool | None:
    """Lock an open file; False if another process holds it, None where there are no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _TAKEN else None
    return True


def _let_go(path: Path, handle: int, owner: int) -> None:
    if os.getpid() != owner:
        return  # a forked child
    if world() == 1:
        path.unlink(missing_ok=True)
    os.close(handle)


def _told(path: Path) -> dict[str, Any]:
    """Return what a lock says of its holder; {} if it is not there or not yet written."""
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


@contextmanager
def turn(path: Path) -> Iterator[bool]:
    """Wait for one's turn, of all processes of all launches, at what the lock ``path`` stands for.

    Yields:
        Whether it is really one's own: not on a file system without locks.
    """
    handle, locked = _taken(path, math.inf)
    try:
        yield locked
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


class Sitting:
    """This process's part in the work on a folder.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        """Come in; several objects of one process share a lock.

        Raises:
            SaywhyError: If another process, of another launch, is at work there; if process 0 does not come.
        """
        self.folder = folder.resolve()
        self._began = time.monotonic()
        if not first():
            self.wait(lambda: _of_launch(_told(self.folder / LOCK)), "its start")
        path = _place(self.folder, rank())
        self._lock = _known.get(path) or _Lock(path)
        _known[path] = self._lock
        if world() > 1:
            _kept[path] = self._lock

    def wait(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until ``ready``, which another process of the launch sees to.

        Args:
            ready: Asked again and again, at most a second apart.
            what: What is waited for, for the message.

        Raises:
            SaywhyError: If a process of this launch has ended before.
        """
        pause = 0.01
        while not ready():
            gone = self._gone()
            if gone and not ready():
                raise SaywhyError(
                    f"{gone} before {what} was there in {self.folder}: what was computed is kept, run the same "
                    "command again"
                )
            time.sleep(pause)
            pause = min(1.5 * pause, 1.0)

    def _gone(self) -> str | None:
        """Return which process of the launch is no longer there, None if none is known to be gone."""
        late = time.monotonic() - self._began > START
        for number in set(range(world())) - {rank()}:
            alive = [_alive(_place(folder, number)) for folder in {self.folder, *(path.parent for path in _kept)}]
            if False in alive:
                return f"process {number} of {world()} has ended"
            if late and not any(alive):
                return f"process {number} of {world()} did not begin within {START / 60:.0f} minutes"
        return None


def _place(folder: Path, number: int) -> Path:
    return folder / (f"{LOCK}-{number}" if number else LOCK)


def _of_launch(told: dict[str, Any]) -> bool:
    """Whether a lock was taken in this launch, not in one of the same name that was killed before it."""
    here = told.get("host") == socket.gethostname()
    return told.get("launch") == launch() and (not here or told.get("launcher") == _LAUNCHER)


def _alive(path: Path) -> bool | None:
    """Whether the holder of a lock of this launch lives; None if that cannot be said.

    Of other machines it is not said: not every shared file system carries locks between them. There the launcher ends
    all processes when one ends.
    """
    told = _told(path)
    if not _of_launch(told):
        return None
    if told.get("host") != socket.gethostname():
        return True
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _flock(handle, shared=True) is not True
    finally:
        os.close(handle)
