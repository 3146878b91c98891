"""What was found out about files of a model, kept in the cache folder: it need not be found out again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from saywhy.folders.store import write_text
from saywhy.models.spec import cache_folder

SETTLED = 2.0
"""Seconds after which a file's times tell whether it was written again; before, a second write may leave them equal."""


def kept(kind: str, files: Iterable[Path], belongs: Any, compute: Callable[[], str]) -> str:
    """Return what ``compute`` says of files: kept from an earlier call, as long as none of them has been written since.

    Args:
        kind: What is computed.
        files: What it is computed from.
        belongs: What else it depends on; JSON-able.
        compute: Computes it; one line of text. What is empty is not kept.
    """
    stamps = [(str(file.resolve()), file.stat()) for file in files]
    state = [(path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in stamps]
    name = hashlib.sha256(json.dumps([kind, belongs, state]).encode()).hexdigest()[:24]
    file = cache_folder() / "kept" / f"{kind}-{name}.txt"
    with suppress(OSError, UnicodeDecodeError):  # where nothing is kept, or it is damaged, it is computed
        content, _, check = file.read_text(encoding="utf-8").partition("\n")
        if check == _check(name, content):
            return content
    content = compute()
    if content and time.time() - max((stat.st_ctime for _, stat in stamps), default=0.0) > SETTLED:
        with suppress(OSError):  # a cache that cannot be written costs time, nothing else
            write_text(file, f"{content}\n{_check(name, content)}")
    return content


def _check(name: str, content: str) -> str:
    """Return what tells that a kept file is whole."""
    return hashlib.sha256(f"{name} {content}".encode()).hexdigest()[:16]
