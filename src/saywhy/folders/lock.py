"""Locks: a folder is used by one process, or by the processes of one launch, and by no others.

The first process holds ``.lock`` in the folder, the others ``.lock-1``, ``.lock-2``, ... These are locks of the
operating system (flock): they end with their process, however it ends, so there is none to clear away by hand.

Processes wait for each other by waiting for files. They must see one folder in any case, a wait for a file has no limit
that a long chunk could exceed, and processes that resume at different points cannot get out of step, as they would
with barriers that count calls. A process that waits checks that the others still hold their locks.

Workers of a cluster take no lock: their leader holds it, and has them compute only what needs nothing else. What a
worker does not see of that, it does not see at all, or only a little later (files of a network).
"""

from __future__ import annotations

import errno
import json
import math
import os
import socket
import stat
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saywhy.processes import is_first_process, is_worker, launch_name, makes_parts, process_rank, world_size
from saywhy.records import SaywhyError

LOCK_FILE = ".lock"
LOCK_PATIENCE = 2.0
"""Seconds for which a lock that another process holds is tried again: that process may be ending."""
LAUNCH_PATIENCE = 1800.0
"""Seconds within which all processes of a launch must have begun."""
SHARED_PATIENCE = 90.0
"""Seconds within which a machine must see what another one wrote: network file systems look again once a minute."""
_LOCKED_ERRORS = (errno.EACCES, errno.EAGAIN)
_LAUNCHER = os.getppid()

_open_locks: weakref.WeakValueDictionary[Path, _HeldLock] = weakref.WeakValueDictionary()
_launch_locks: dict[Path, _HeldLock] = {}
"""Held until this process ends: of a launch, so that the others can tell "left this folder" from "died"."""


class _HeldLock:
    """A locked file that says who holds it; it is released with the last reference to it, or with the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        handle, _ = _take_lock(path, LOCK_PATIENCE)
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "launch": launch_name(), "launcher": _LAUNCHER}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(holder).encode(), 0)
        weakref.finalize(self, _release_lock, path, handle, os.getpid())


def _take_lock(path: Path, patience: float) -> tuple[int, bool]:
    """Return the locked file ``path``, made if missing, and whether it is really locked.

    Args:
        path: The file.
        patience: Seconds for which it is tried.

    Raises:
        SaywhyError: If another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    while True:
        handle = _open_lock(path)
        locked = _try_lock(handle)
        # The former holder may have removed the file: then the others no longer find the file that is locked here.
        if locked is not False and path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle, locked is True
        os.close(handle)
        if time.monotonic() > deadline:
            holder = _lock_holder(path)
            raise SaywhyError(
                f"{path.parent} is in use by process {holder.get('pid')} on {holder.get('host')}: "
                "wait until it has ended, or choose another folder with out=FOLDER"
            )
        time.sleep(0.05)


def _open_lock(path: Path) -> int:
    """Open the file ``path``, made if missing: a file of its own, since the holder's name is written over its content.

    Raises:
        SaywhyError: If it is a link to another file.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise SaywhyError(f"{path} is a link: delete it, or choose another folder with out=FOLDER") from None
        raise
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(handle)
        raise SaywhyError(f"{path} is no lock, or a link: delete it, or choose another folder with out=FOLDER")
    return handle


def _try_lock(handle: int, *, shared: bool = False) -> bool | None:
    """Lock an open file; False if another process holds it, None where there are no such locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _LOCKED_ERRORS else None
    return True


def _release_lock(path: Path, handle: int, owner: int) -> None:
    if os.getpid() != owner:
        return  # a forked child
    if world_size() == 1:
        path.unlink(missing_ok=True)
    os.close(handle)


def _lock_holder(path: Path) -> dict[str, Any]:
    """Return the holder that a lock file names (pid, host, launch, launcher); {} if it is missing or empty."""
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


@contextmanager
def exclusive_lock(path: Path) -> Iterator[bool]:
    """Hold the lock ``path`` alone, among all processes of all launches; wait for it as long as it takes.

    Yields:
        Whether it is really locked: not on a file system without locks.
    """
    handle, locked = _take_lock(path, math.inf)
    try:
        yield locked
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


class FolderLock:
    """This process's lock on a folder, and its waits for the other processes of the launch.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock; several objects of one process share it.

        Raises:
            SaywhyError: If another process, of another launch, holds it; if process 0 does not begin.
        """
        self.folder = folder.resolve()
        self._began = time.monotonic()
        if is_worker():
            return
        if not is_first_process():
            self.wait(lambda: _is_of_this_launch(_lock_holder(self.folder / LOCK_FILE)), "its start")
        path = _lock_path(self.folder, process_rank())
        self._lock = _open_locks.get(path) or _HeldLock(path)
        _open_locks[path] = self._lock
        if world_size() > 1:
            _launch_locks[path] = self._lock

    def wait(self, ready: Callable[[], bool], awaited: str) -> None:
        """Wait until ``ready``, which another process of the launch brings about.

        Args:
            ready: Called again and again, at most a second apart.
            awaited: What is waited for, for the message.

        Raises:
            SaywhyError: If a process of this launch has ended before.
        """
        if makes_parts():
            wait_to_see(ready, self.folder / awaited)
        pause = 0.01
        while not ready():
            gone = self._gone()
            if gone and not ready():
                raise SaywhyError(
                    f"{gone} before {awaited} was there in {self.folder}: what was computed is kept, run the same "
                    "command again"
                )
            time.sleep(pause)
            pause = min(1.5 * pause, 1.0)

    def _gone(self) -> str | None:
        """Return which process of the launch has ended or did not begin, as a message; None if none is known to."""
        late = time.monotonic() - self._began > LAUNCH_PATIENCE
        for number in set(range(world_size())) - {process_rank()}:
            alive = [
                _is_holder_alive(_lock_path(folder, number))
                for folder in {self.folder, *(path.parent for path in _launch_locks)}
            ]
            if False in alive:
                return f"process {number} of {world_size()} has ended"
            if late and not any(alive):
                return f"process {number} of {world_size()} did not begin within {LAUNCH_PATIENCE / 60:.0f} minutes"
        return None


def wait_to_see(ready: Callable[[], bool], path: Path) -> None:
    """Wait until this machine sees what another machine of the cluster has written.

    Args:
        ready: Whether it does; called some times a second.
        path: What that is, for the message.

    Raises:
        SaywhyError: If it does not in ``SHARED_PATIENCE`` seconds.
    """
    deadline = time.monotonic() + SHARED_PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise SaywhyError(
                f"{path} was written, and is not seen on {socket.gethostname()} after {SHARED_PATIENCE:.0f} s: give a "
                "folder that all machines share with out=FOLDER"
            )
        time.sleep(0.1)


def _lock_path(folder: Path, number: int) -> Path:
    return folder / (f"{LOCK_FILE}-{number}" if number else LOCK_FILE)


def _is_of_this_launch(holder: dict[str, Any]) -> bool:
    """Whether a lock was taken in this launch, not in one of the same name that was killed before it."""
    same_host = holder.get("host") == socket.gethostname()
    return holder.get("launch") == launch_name() and (not same_host or holder.get("launcher") == _LAUNCHER)


def _is_holder_alive(path: Path) -> bool | None:
    """Whether the holder of a lock of this launch is alive; None if that is not known.

    A holder on another machine counts as alive: not every shared file system carries locks between machines. There the
    launcher ends all processes when one ends.
    """
    holder = _lock_holder(path)
    if not _is_of_this_launch(holder):
        return None
    if holder.get("host") != socket.gethostname():
        return True
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _try_lock(handle, shared=True) is not True
    finally:
        os.close(handle)
