"""The run folder: written once, chunk by chunk, resumed after any kill (``docs/rows.md``).

A stage is planned in fixed chunks. Each finished chunk is one file, written under another name and renamed; when
all are there they are merged into the stage's JSONL files. What exists is never computed again.

The processes of a launch share the chunks of a stage: each computes those that fall to it, the first one merges. Rows
hang on their chunk alone, so they are those of one process.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saywhy.config import differences, told
from saywhy.processes import first, rank, world
from saywhy.progress import say
from saywhy.records import SCHEMA, SaywhyError
from saywhy.sitting import LOCK, Sitting
from saywhy.store import lacks, read_json, read_object, write_json, write_lines

Chunk = Mapping[str, Sequence[Mapping[str, Any]]]
"""File stem -> the lines that a chunk adds to it."""


class RunFolder:
    """A run on disk.

    Attributes:
        path: The folder.
        manifest: What ``run.json`` holds.
        sitting: This process's part in the work on it.
    """

    def __init__(
        self, path: Path, config: Mapping[str, Any], facts: Mapping[str, Any], unbound: Sequence[str] = ()
    ) -> None:
        """Open or begin a run.

        Args:
            path: The folder; made if missing.
            config: The resolved settings. A folder of other settings is refused.
            facts: What else ``run.json`` is to say (versions, prompts, task, ...).
            unbound: Settings that may be others than those of the folder, which takes the new ones over.

        Raises:
            SaywhyError: If the folder holds another run, or something else, or if another process is at work in it.
        """
        self.path = path
        file = path / "run.json"
        # What is there is listed first: another process of this launch may be writing the manifest just now.
        there = [one.name for one in path.iterdir()] if path.exists() else []
        if any(not name.startswith((LOCK, f".{file.name}.")) for name in there) and not file.is_file():
            raise SaywhyError(f"{path} is no run folder and not empty: choose another with out=FOLDER")
        self.sitting = Sitting(path)
        self._shares = False
        if first() and not file.is_file():
            write_json(file, {"schema": SCHEMA, "config": dict(config), **facts, "seconds": {}, "counts": {}})
        self.sitting.wait(file.is_file, file.name)
        self.manifest = read_object(file)
        if self.manifest.get("bank"):
            raise SaywhyError(f"{path} is a released bank, without its texts: choose another with out=FOLDER")
        self._check(config, facts, unbound)
        self._compare_formats(facts)
        now = {key: config[key] for key in unbound}
        if now != {key: self.manifest["config"].get(key) for key in now}:
            self.note(config=now)

    def _check(self, config: Mapping[str, Any], facts: Mapping[str, Any], unbound: Sequence[str]) -> None:
        if self.manifest.get("schema") != SCHEMA:
            raise SaywhyError(f"{self.path} was written by schema {self.manifest.get('schema')}, this is {SCHEMA}")
        if problem := lacks(self.manifest, ("config", "seconds")):
            raise SaywhyError(f"{self.path / 'run.json'} is damaged ({problem}): choose another folder with out=FOLDER")
        changed = differences(told(self.manifest["config"]), told(config), unbound)
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
        self.keep_json("run.json", self.manifest)

    def keep_json(self, name: str, data: Any) -> None:
        """Write the JSON file ``name``; of several processes, which must agree on it, the first one does."""
        if first():
            write_json(self.path / name, data)

    def keep_lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the JSONL file ``name``; of several processes, which must agree on it, the first one does."""
        if first():
            write_lines(self.path / name, rows)

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
        """Run a stage of ``chunks`` chunks, except for what is already there; return when all processes are through.

        Args:
            folder: Where its files are, below the run folder.
            files: Stems of the JSONL files that it makes.
            chunks: How many chunks it is planned in.
            compute: Makes one chunk; the same chunk in any process and at any time.
        """
        where = _parts(self.path / folder, files)
        parts = [where / f"{number:05d}.json" for number in range(chunks)]
        for number in range(rank(), chunks, world()):
            # The first process may have merged between two looks: what was in the parts is done then.
            if not parts[number].is_file() and not self.done(folder, files):
                write_json(parts[number], self._computed(compute, number))
        if first() and not self.done(folder, files):
            self._merge(folder, files, parts)
        self.sitting.wait(lambda: self.done(folder, files), f"{folder}/{files[0]}.jsonl")

    def _computed(self, compute: Callable[[int], Chunk], number: int) -> dict[str, list[Mapping[str, Any]]]:
        self._shares = True
        try:
            return {name: list(lines) for name, lines in compute(number).items()}
        finally:
            self._shares = False

    def _merge(self, folder: str, files: Sequence[str], parts: Sequence[Path]) -> None:
        """Write the files of a stage once all of its parts are there."""
        for part in parts:
            self.sitting.wait(part.is_file, f"{folder}/{part.parent.name}/{part.name}")
        made = [read_object(part) for part in parts]
        for name in files:
            write_lines(self.path / folder / f"{name}.jsonl", (line for part in made for line in part.get(name, [])))
        where = _parts(self.path / folder, files)
        if where.exists():
            # At once: another process must see all parts or none.
            merged = where.with_name(f"{where.name}-merged")
            shutil.rmtree(merged, ignore_errors=True)
            where.rename(merged)
            shutil.rmtree(merged, ignore_errors=True)

    def done(self, folder: str, files: Sequence[str]) -> bool:
        """Whether a stage is complete."""
        where = self.path / folder
        return not _parts(where, files).exists() and all((where / f"{name}.jsonl").is_file() for name in files)

    def json(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the JSON file ``name``, made once: by the first process, for which the others wait.

        Within a chunk, whoever needs it makes it: the first process may have none that needs it.
        """
        path = self.path / name
        if not path.is_file() and (first() or self._shares):
            made = make()
            if not path.is_file():
                write_json(path, made)
        self.sitting.wait(path.is_file, name)
        return read_json(path)


def _number_format(model: Mapping[str, Any]) -> str | None:
    """Return what ``run.json`` says of device and number format, None if it does not."""
    if "products" not in model:
        return None
    return f"{model.get('device')}, {model.get('dtype')} weights, {model['products']} products"


def _parts(where: Path, files: Sequence[str]) -> Path:
    """Return the folder of the chunks of a stage that makes ``files`` in ``where``."""
    return where / f".{files[0]}-parts"
