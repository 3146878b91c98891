"""Paths as users write them."""

from __future__ import annotations

import re
from pathlib import Path

from saywhy.records import SaywhyError

_STORE = re.compile(r"[A-Za-z][A-Za-z0-9+]*://")
VLLM_PREFIX = "vllm:"
"""What the names of models that vLLM computes begin with."""


def is_vllm_name(name: str) -> bool:
    """Return whether ``model=`` means a model that vLLM computes."""
    return name.startswith(VLLM_PREFIX)


def is_store(address: str | Path) -> bool:
    """Return whether ``address`` is that of a store: s3://bucket/folder."""
    return bool(_STORE.match(str(address)))


def user_path(path: str | Path) -> Path:
    """Return a path with ``~`` and ``~name`` resolved.

    Raises:
        SaywhyError: If there is no such home folder, if no file can have the name, or if it is the address of a store.
    """
    if store := _STORE.match(str(path)):
        raise SaywhyError(
            f"{path}: {store[0]} is no folder, and files there can be neither locked nor renamed: give a folder "
            "(saywhy study --on ray takes a store as out=)"
        )
    if "\0" in str(path):
        raise SaywhyError(f"{path}: no path holds a zero character: mend it")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise SaywhyError(f"{path}: there is no home folder of that name: write the whole path, or ./~name") from error
