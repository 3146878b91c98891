"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from saywhy.records import SaywhyError


def user_path(path: str | Path) -> Path:
    """Return a path with ``~`` and ``~name`` resolved.

    Raises:
        SaywhyError: If there is no such home folder, or if no file can have the name.
    """
    if "\0" in str(path):
        raise SaywhyError(f"{path}: no path holds a zero character: mend it")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise SaywhyError(f"{path}: there is no home folder of that name: write the whole path, or ./~name") from error
