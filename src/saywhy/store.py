"""The run folder: written once, chunk by chunk, resumed after any kill (``docs/rows.md``).

A stage is planned in fixed chunks. Each finished chunk is one file, written under another name and renamed; when
all are there they are merged into the stage's JSONL files. What exists is never computed again.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saywhy.config import differences, told
from saywhy.records import SCHEMA, SaywhyError

Chunk = Mapping[str, Sequence[Mapping[str, Any]]]
"""File stem -> the lines that a chunk adds to it."""


PACKED = ".gz"
"""Behind the name of a file that is compressed (released banks)."""


def write(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all; compressed if its name ends in ``.gz``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as stream:
        stream.write(_packed(text) if path.suffix == PACKED else text.encode("utf-8"))
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def _packed(text: str) -> bytes:
    """Compress without time or name, so that the same text gives the same bytes."""
    whole = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=whole, mtime=0) as stream:
        stream.write(text.encode("utf-8"))
    return whole.getvalue()


def existing(path: Path) -> Path | None:
    """Return ``path``, or its compressed twin where only that is there; None if neither is."""
    twin = path.with_name(path.name + PACKED)
    return path if path.is_file() else twin if twin.is_file() else None


def read(path: Path) -> str:
    """Return the text of a file, or of its compressed twin where only that is there.

    Raises:
        SaywhyError: If the file is compressed and damaged.
    """
    found = existing(path) or path
    if found.suffix != PACKED:
        return found.read_text("utf-8")
    try:
        return gzip.decompress(found.read_bytes()).decode("utf-8")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise SaywhyError(f"{found} is damaged ({error}): restore it") from error


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as readable JSON, whole or not at all."""
    write(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSONL, whole or not at all."""
    write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        SaywhyError: If it is damaged.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise SaywhyError(f"{path} is damaged ({error}): delete it and run again") from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read JSONL, compressed or not."""
    return [json.loads(line) for line in read(path).split("\n") if line]


class RunFolder:
    """A run on disk.

    Attributes:
        path: The folder.
        manifest: What ``run.json`` holds.
    """

    def __init__(self, path: Path, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Open or begin a run.

        Args:
            path: The folder; made if missing.
            config: The resolved settings. A folder of other settings is refused.
            facts: What else ``run.json`` is to say (versions, prompts, task, ...).

        Raises:
            SaywhyError: If the folder holds another run, or something else.
        """
        self.path = path
        file = path / "run.json"
        if file.is_file():
            self.manifest = read_json(file)
            if self.manifest.get("bank"):
                raise SaywhyError(f"{path} is a released bank, without its texts: choose another with out=FOLDER")
            self._check(config, facts)
        else:
            if path.exists() and any(path.iterdir()):
                raise SaywhyError(f"{path} is no run folder and not empty: choose another with out=FOLDER")
            self.manifest = {"schema": SCHEMA, "config": dict(config), **facts, "seconds": {}, "counts": {}}
            write_json(file, self.manifest)

    def _check(self, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        if self.manifest.get("schema") != SCHEMA:
            raise SaywhyError(f"{self.path} was written by schema {self.manifest.get('schema')}, this is {SCHEMA}")
        changed = differences(told(self.manifest["config"]), told(config))
        for fact in ("task", "prompts", "data"):
            changed += differences(self.manifest.get(fact, {}), facts.get(fact, {}))
        mine, theirs = self.manifest.get("model", {}), facts.get("model", {})
        for key in ("fingerprint", "adapter"):
            changed += differences({key: mine.get(key)}, {key: theirs.get(key)})
        if changed:
            raise SaywhyError(
                f"{self.path} holds another run ({'; '.join(changed)}): choose another folder with out=FOLDER, "
                f"or delete this one"
            )

    def note(self, **facts: Any) -> None:
        """Write facts into ``run.json``; dicts are merged."""
        for key, value in facts.items():
            old = self.manifest.get(key)
            self.manifest[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        write_json(self.path / "run.json", self.manifest)

    def spent(self, stage: str, seconds: float) -> None:
        """Add computing time to a stage."""
        before = self.manifest["seconds"].get(stage, 0.0)
        self.note(seconds={stage: round(before + seconds, 1)})

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time that a block takes to a stage."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.spent(stage, time.monotonic() - began)

    def stage(self, folder: str, files: Sequence[str], chunks: int, compute: Callable[[int], Chunk]) -> None:
        """Run a stage of ``chunks`` chunks, except for what is already there.

        Args:
            folder: Where its files are, below the run folder.
            files: Stems of the JSONL files that it makes.
            chunks: How many chunks it is planned in.
            compute: Makes one chunk.
        """
        where = self.path / folder
        parts = where / f".{files[0]}-parts"
        if not parts.exists() and all((where / f"{name}.jsonl").is_file() for name in files):
            return
        for number in range(chunks):
            part = parts / f"{number:05d}.json"
            if not part.is_file():
                write_json(part, {name: list(lines) for name, lines in compute(number).items()})
        made = [read_json(parts / f"{number:05d}.json") for number in range(chunks)]
        for name in files:
            write_lines(where / f"{name}.jsonl", (line for part in made for line in part.get(name, [])))
        shutil.rmtree(parts, ignore_errors=True)

    def done(self, folder: str, files: Sequence[str]) -> bool:
        """Whether a stage is complete."""
        where = self.path / folder
        return not (where / f".{files[0]}-parts").exists() and all((where / f"{f}.jsonl").is_file() for f in files)

    def json(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the JSON file ``name``, made once."""
        path = self.path / name
        if not path.is_file():
            write_json(path, make())
        return read_json(path)
