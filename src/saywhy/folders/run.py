"""The run folder: written once, chunk by chunk, resumed after any kill (``docs/rows.md``)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saywhy.config import differences, told
from saywhy.folders.lock import LOCK
from saywhy.folders.shared import SharedFolder
from saywhy.folders.store import lacks, read_object, write_json
from saywhy.processes import first
from saywhy.progress import say
from saywhy.records import SCHEMA, SaywhyError


class RunFolder(SharedFolder):
    """A run on disk.

    Attributes:
        manifest: What ``run.json`` holds.
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
        file = path / "run.json"
        # What is there is listed first: another process of this launch may be writing the manifest just now.
        there = [one.name for one in path.iterdir()] if path.exists() else []
        if any(not name.startswith((LOCK, f".{file.name}.")) for name in there) and not file.is_file():
            raise SaywhyError(f"{path} is no run folder and not empty: choose another with out=FOLDER")
        super().__init__(path)
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


def _number_format(model: Mapping[str, Any]) -> str | None:
    """Return what ``run.json`` says of device and number format, None if it does not."""
    if "products" not in model:
        return None
    return f"{model.get('device')}, {model.get('dtype')} weights, {model['products']} products"
