"""The run folder: written once, chunk by chunk, resumed after any kill (``docs/rows.md``)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saywhy.arms import STARTS
from saywhy.checks import judge_name
from saywhy.folders.checksums import is_begun, remedy_of
from saywhy.folders.lock import LOCK_FILE
from saywhy.folders.shared import SharedFolder
from saywhy.folders.store import object_problem, read_object
from saywhy.progress import say
from saywhy.records import ROW_SCHEMA, SaywhyError
from saywhy.settings import differences, with_defaults
from saywhy.words import candidates_rule

AUDIT_FILES = ("rows", "tables", "grids")
DECIDED_FILES = ("decisions",)
SAMPLE_FILES = ("samples",)
"""The sampled replies in sentences: of audits with ``mention_samples`` above 1."""
SENTENCE_FILES = ("sentences",)
"""The metrics of explanations in sentences: of audits that ask for any."""
START_FILES = {start: (judge_name(start),) for start in STARTS}
"""By the arm that the others went on from: its verdicts on their explanations of several words, where asked for."""
SCORES_FOLDER = "attribution"
"""Folder of the scores that attribution methods give to words, one file a method."""
TEXT_ORDER = "listed"
"""``text_order`` of ``run.json``: statistics take the texts in the order of ``texts.jsonl``, not of their ids.

So a bank, whose ids are others, gives the same resamples.
"""


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
            facts: What else ``run.json`` holds (versions, prompts, task, ...).
            unbound: Settings that may differ from those of the folder; it then records the new ones.

        Raises:
            SaywhyError: If the folder holds another run, or something else, or if another process is at work in it.
        """
        file = path / "run.json"
        # The folder is listed first: another process of this launch may be writing the manifest just now.
        names = [entry.name for entry in path.iterdir()] if path.exists() else []
        if any(not name.startswith((LOCK_FILE, f".{file.name}.")) for name in names) and not is_begun(file):
            raise SaywhyError(f"{path} is no run folder and not empty: choose another with out=FOLDER")
        super().__init__(path, file.name)
        if not file.is_file():
            new = {"schema": ROW_SCHEMA, "config": dict(config), **facts, "seconds": {}, "counts": {}}
            self.keep_manifest(file.name, new)
        self.lock.wait(file.is_file, file.name)
        self.manifest = read_object(file, remedy=remedy_of(file))
        if self.manifest.get("bank"):
            raise SaywhyError(f"{path} is a released bank, without its texts: choose another with out=FOLDER")
        self._check(config, facts, unbound)
        self._compare_formats(facts)
        free = {key: config[key] for key in unbound}
        if free != {key: self.manifest["config"].get(key) for key in free}:
            self.note(config=free)

    def _check(self, config: Mapping[str, Any], facts: Mapping[str, Any], unbound: Sequence[str]) -> None:
        if self.manifest.get("schema") != ROW_SCHEMA:
            raise SaywhyError(f"{self.path} was written by schema {self.manifest.get('schema')}, this is {ROW_SCHEMA}")
        if problem := object_problem(self.manifest, ("config", "seconds")):
            raise SaywhyError(f"{self.path / 'run.json'} is damaged ({problem}): choose another folder with out=FOLDER")
        refuse_other_candidates(self.path, self.manifest, candidates_rule(facts))
        changed = differences(with_defaults(self.manifest["config"]), with_defaults(config), unbound)
        for fact in ("task", "prompts", "data"):
            changed += differences(self.manifest.get(fact, {}), facts.get(fact, {}))
        recorded, current = self.manifest.get("model", {}), facts.get("model", {})
        # The chat template is not noted by older versions.
        for key in ("fingerprint", "adapter", *({"template"} & recorded.keys() & current.keys())):
            changed += differences({key: recorded.get(key)}, {key: current.get(key)})
        if changed:
            raise SaywhyError(
                f"{self.path} holds another run ({'; '.join(changed)}): choose another folder with out=FOLDER, "
                f"or delete this one"
            )

    def _compare_formats(self, facts: Mapping[str, Any]) -> None:
        """Print and record that a run goes on in another number format, or on another device, than it was begun in."""
        recorded, current = (_number_format(run_facts.get("model", {})) for run_facts in (self.manifest, facts))
        if recorded and current and recorded != current:
            say(f"{self.path} was begun on {recorded}, and goes on on {current}: verdicts that are close may differ")
            formats = self.manifest["model"].get("also", [])
            self.note(model={"also": list(dict.fromkeys([*formats, current]))})

    def note(self, **facts: Any) -> None:
        """Write facts into ``run.json``; dicts are merged."""
        with self.writing:
            for key, value in facts.items():
                old = self.manifest.get(key)
                self.manifest[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
            self.keep_manifest("run.json", self.manifest)

    def spent(self, stage: str, seconds: float) -> None:
        """Add computing time to a stage."""
        with self.writing:
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


def refuse_other_candidates(folder: Path, manifest: Mapping[str, Any], rule: int) -> None:
    """Refuse to go on with a run or study whose explanations could name other words.

    Args:
        folder: Where it lies.
        manifest: Its ``run.json`` or ``study.json``.
        rule: The rule for candidates by which it would go on.

    Raises:
        SaywhyError: If it was begun by another rule.
    """
    if (begun := candidates_rule(manifest)) != rule:
        raise SaywhyError(
            f"{folder} was begun with candidates of rule {begun}, this saywhy goes on by rule {rule} "
            "(docs/definitions.md, Word): 'saywhy report' reads it as it is; begin anew with out=FOLDER, or go on with "
            "the version that began it"
        )


def _number_format(model: Mapping[str, Any]) -> str | None:
    """Return the device and number format that ``run.json`` records of its model, None if it has none."""
    if "products" not in model:
        return None
    return f"{model.get('device')}, {model.get('dtype')} weights, {model['products']} products"
