"""The run folder: written once, chunk by chunk, resumed after any kill (``docs/rows.md``).

A stage is planned in fixed chunks. Each finished chunk is one file, written under another name and renamed; when
all are there they are merged into the stage's JSONL files. What exists is never computed again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from saywhy.config import differences, told
from saywhy.progress import say
from saywhy.records import SCHEMA, Record, SaywhyError

T = TypeVar("T")
R = TypeVar("R", bound=Record)

Chunk = Mapping[str, Sequence[Mapping[str, Any]]]
"""File stem -> the lines that a chunk adds to it."""


def write(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


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


def read_object(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        SaywhyError: If it is damaged, or lacks one of ``keys``.
    """
    found = read_json(path)
    if problem := _lacks(found, keys):
        raise SaywhyError(f"{path} is damaged ({problem}): delete it and run again")
    return cast(dict[str, Any], found)


def read_lines(path: Path, *keys: str) -> list[dict[str, Any]]:
    """Read JSONL.

    Raises:
        SaywhyError: If a line is damaged, or lacks one of ``keys``.
    """

    def checked(line: Any) -> dict[str, Any]:
        if problem := _lacks(line, keys):
            raise ValueError(problem)
        return cast(dict[str, Any], line)

    return list(_read(path, checked))


def read_records(path: Path, kind: type[R], *, unfinished: bool = False) -> list[R]:
    """Read one record a line; ``unfinished``: a last line that a killed run left half-written is left out.

    Raises:
        SaywhyError: If a line is no such record.
    """
    return list(_read(path, kind.from_dict, kind.__name__, unfinished=unfinished))


def _read(path: Path, make: Callable[[Any], T], name: str = "object", *, unfinished: bool = False) -> Iterator[T]:
    try:
        content = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise SaywhyError(f"{path} is damaged ({error}): delete it and run again") from error
    lines = content.split("\n")  # and nothing else: texts may hold other line ends
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield make(json.loads(line))
        except (ValueError, TypeError, AttributeError) as error:
            if unfinished and number == len(lines):
                return
            what = f"line {number} of {path} is no {name} ({error})"
            raise SaywhyError(f"{what}: delete the line, or the file and run again") from error


def _lacks(found: Any, keys: Sequence[str]) -> str | None:
    """Return why ``found`` is no object with ``keys``, None if it is."""
    if not isinstance(found, dict):
        return "no JSON object"
    missing = [key for key in keys if key not in found]
    return f"it lacks {missing[0]!r}" if missing else None


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
            self.manifest = read_object(file)
            self._check(config, facts)
            self._compare_formats(facts)
        else:
            if path.exists() and any(path.iterdir()):
                raise SaywhyError(f"{path} is no run folder and not empty: choose another with out=FOLDER")
            self.manifest = {"schema": SCHEMA, "config": dict(config), **facts, "seconds": {}, "counts": {}}
            write_json(file, self.manifest)

    def _check(self, config: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        if self.manifest.get("schema") != SCHEMA:
            raise SaywhyError(f"{self.path} was written by schema {self.manifest.get('schema')}, this is {SCHEMA}")
        if problem := _lacks(self.manifest, ("config", "seconds")):
            raise SaywhyError(f"{self.path / 'run.json'} is damaged ({problem}): choose another folder with out=FOLDER")
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

    def _compare_formats(self, facts: Mapping[str, Any]) -> None:
        """Say, and keep, that a run goes on with other numbers than it was begun with: on another machine."""
        begun, now = (_number_format(one.get("model", {})) for one in (self.manifest, facts))
        if begun and now and begun != now:
            say(f"{self.path} was begun on {begun}, and goes on on {now}: verdicts that are close may differ")
            also = self.manifest["model"].get("also", [])
            self.note(model={"also": list(dict.fromkeys([*also, now]))})

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
        made = [read_object(parts / f"{number:05d}.json") for number in range(chunks)]
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


def _number_format(model: Mapping[str, Any]) -> str | None:
    """Return what ``run.json`` says of device and number format, None if it does not."""
    if "products" not in model:
        return None
    return f"{model.get('device')}, {model.get('dtype')} weights, {model['products']} products"
