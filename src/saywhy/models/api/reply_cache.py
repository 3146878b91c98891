"""Answers of servers, kept on disk: a second run asks nothing again, a killed one goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from saywhy.folders.store import write_bytes
from saywhy.models.api.completion import Completion, parse_completion


class ReplyCache:
    """Answers by what was asked, each a file that its owner alone can read: replies may copy texts.

    Attributes:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, url: str, request: Mapping[str, Any]) -> Path:
        """Return where the answer to a request lies: named by a hash of everything that is asked."""
        asked = json.dumps([url, request], sort_keys=True, ensure_ascii=True)
        digest = hashlib.sha256(asked.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest[2:]}.json"

    def read(self, path: Path) -> Completion | None:
        """Return the answer at ``path``; None where there is none, or a damaged one."""
        try:
            return parse_completion(path.read_bytes())
        except (OSError, ValueError):
            return None

    def write(self, path: Path, body: bytes) -> None:
        """Keep the body of an answer, whole or not at all.

        Raises:
            OSError: If it cannot be written.
        """
        for folder in (self.folder, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(PermissionError):  # the folder of somebody else, who has let us write into it
            self.folder.chmod(0o700)
        write_bytes(path, body, mode=0o600)
