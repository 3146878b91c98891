"""What a folder of saywhy holds: plain files and folders, no links, which could lead a reader or writer elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from saywhy.records import SaywhyError


def refuse_links(folder: Path) -> None:
    """Refuse a run folder or bank that holds a link, a pipe or a device, at any depth: it may be somebody else's.

    The folder itself may be reached through a link: that one was named by the user.

    Raises:
        SaywhyError: With the first such entry.
    """
    pending = [os.fspath(folder)] if folder.is_dir() else []
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except FileNotFoundError:  # another process of the launch has just removed its chunks
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            elif not entry.is_file(follow_symlinks=False) and os.path.lexists(entry.path):
                kind = "a link" if entry.is_symlink() else "no plain file"
                raise SaywhyError(
                    f"{entry.path} is {kind}: a run folder or bank may hold none, for it could lead out of the folder; "
                    "put a copy in its place, or delete it"
                )


def is_plain_name(name: str) -> bool:
    """Whether ``name`` can name a file or folder of a run: it leads nowhere else, and does not hide."""
    return name.isprintable() and not name.startswith(".") and not set(name) & set("/\\") and bool(name)


def refuse_path(name: object, where: Path) -> None:
    """Refuse a name in a file, by which others are opened, that leads out of its folder.

    Args:
        name: The name.
        where: The file in which it stands.

    Raises:
        SaywhyError: If it is no plain name.
    """
    if not isinstance(name, str) or not is_plain_name(name):
        raise SaywhyError(f"{where} is damaged ({str(name)[:80]!r} is no name of a file): restore it")
