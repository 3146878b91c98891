"""Read a run folder into values (its files are documented in ``docs/rows.md``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from saywhy.checks import Curve, Judged, Probe, Spare
from saywhy.folders.store import PACKED, existing, read_lines, read_object, read_records
from saywhy.records import (
    SCHEMA,
    Decision,
    Example,
    Grid,
    Record,
    Row,
    SaywhyError,
    SetAside,
    Table,
)
from saywhy.words import candidates

R = TypeVar("R", bound=Record)

Place = tuple[int, str]
"""(seed, arm): where a file of a run belongs."""

NO_TEXTS = "the texts are not part of a bank"
"""Why a number or a section is missing from the report of a released bank."""

_SEED = re.compile(r"seed-(\d+)")


@dataclass(frozen=True)
class Run:
    """A run, read.

    Attributes:
        folder: Where it lies.
        manifest: ``run.json``.
        texts: The explained texts by id.
        rows: All rows, ordered by seed and arm.
        tables: The leave-one-word-out tables of each (seed, arm).
        grids: The counterfactual grids of each (seed, arm).
        decisions: The predictions for accuracy and agreement: the whole split unless `decide_rows` says less.
        set_aside: Texts that could not be used.
        targets: ``targets.json`` of each seed (``seed-0``), and of each stretch of texts and arm that has targets of
            its own (``seed-0/targets-from-100.json``): share of training texts with a hit, a style.
        judged: The one-word explanations judged under variations, noise included.
        probes: Requests that should not move the answer.
        curves: Hits of several words, and the scores of the readout.
        spares: Words that free explanations could do without.
        checked: Robustness checks that are complete in some arm (``paraphrase-1``, ``noise``, ...).
        counts: Number of distinct words of each text, by id; what is left of the texts of a bank.
    """

    folder: Path
    manifest: Mapping[str, Any]
    texts: Mapping[str, Example]
    rows: tuple[Row, ...]
    tables: Mapping[Place, tuple[Table, ...]] = field(default_factory=dict)
    grids: Mapping[Place, tuple[Grid, ...]] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    targets: Mapping[str, Any] = field(default_factory=dict)
    judged: tuple[Judged, ...] = ()
    probes: tuple[Probe, ...] = ()
    curves: tuple[Curve, ...] = ()
    spares: tuple[Spare, ...] = ()
    checked: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def bank(self) -> bool:
        """Whether this is a released bank: verdicts without anyone's text (``saywhy release``)."""
        return bool(self.manifest.get("bank"))

    @cached_property
    def words(self) -> dict[str, tuple[str, ...]]:
        """The distinct words of each text, in order of first occurrence; in a bank ``#0``, ``#1``, ..."""
        if self.bank:
            return {text: tuple(f"#{at}" for at in range(many)) for text, many in self.counts.items()}
        return {text: tuple(word.key for word in candidates(one.text)) for text, one in self.texts.items()}

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """The arms in the order of the manifest, then those that only the rows know."""
        present = {row.arm for row in self.rows} | {d.arm for d in self.decisions}
        named = [arm for arm in self.manifest.get("arms", []) if arm in present]
        return (*named, *sorted(present - set(named)))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the rows, ascending."""
        return tuple(sorted({row.seed for row in self.rows}))

    @property
    def task(self) -> Mapping[str, Any]:
        """The task's entry of the manifest."""
        found = self.manifest.get("task", {})
        return found if isinstance(found, Mapping) else {"name": str(found)}


def load_manifest(folder: Path) -> dict[str, Any]:
    """Read what ``run.json`` says.

    Raises:
        SaywhyError: If the folder is no run, or has another schema.
    """
    if not (folder / "run.json").is_file():
        raise SaywhyError(f"{folder} is no run: it has no run.json; give the folder that a run wrote")
    manifest = read_object(folder / "run.json")
    schema = manifest.get("schema", SCHEMA)
    if schema != SCHEMA:
        raise SaywhyError(f"{folder} has row schema {schema}, this saywhy reads {SCHEMA}; install its version")
    return manifest


def records_of(path: Path, kind: type[R]) -> list[R]:
    """Read one record a line, compressed or not; a file that a run may lack is empty.

    Raises:
        SaywhyError: If a line is no such record; the last one of a run that was killed is left out.
    """
    return read_records(path, kind, unfinished=True) if existing(path) else []


def target_counts(seed: Path) -> list[Path]:
    """Return a seed's files that say how often training targets hit: one a stretch of texts, or an arm."""
    found = [*seed.glob("targets*.json"), *seed.glob("*/targets*.json")]
    return sorted(path for path in found if not path.stem.endswith("-end"))


def load_run(folder: Path | str) -> Run:
    """Read a run folder; files that a run may lack are taken as empty.

    Raises:
        SaywhyError: If the folder is no run, has a newer schema, or holds a broken line.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    rows: list[Row] = []
    decisions: list[Decision] = []
    tables: dict[Place, tuple[Table, ...]] = {}
    grids: dict[Place, tuple[Grid, ...]] = {}
    for place, inner in _places(folder, manifest):
        rows += records_of(inner / "rows.jsonl", Row)
        decisions += records_of(inner / "decisions.jsonl", Decision)
        tables[place] = tuple(records_of(inner / "tables.jsonl", Table))
        grids[place] = tuple(records_of(inner / "grids.jsonl", Grid))
    inner_folders = [inner / "robustness" for _, inner in _places(folder, manifest)]
    found = [path for seed in sorted(folder.glob("seed-*/")) for path in target_counts(seed)]
    targets = {path.relative_to(folder).as_posix().removesuffix("/targets.json"): read_object(path) for path in found}
    counts = _counts(folder) if manifest.get("bank") else {}
    return Run(
        folder=folder,
        manifest=manifest,
        texts={example.id: example for example in records_of(folder / "texts.jsonl", Example)},
        rows=tuple(rows),
        tables=tables,
        grids=grids,
        decisions=tuple(decisions),
        set_aside=tuple(records_of(folder / "set_aside.jsonl", SetAside)),
        targets=targets,
        judged=_checked(inner_folders, Judged),
        probes=_checked(inner_folders, Probe),
        curves=_checked(inner_folders, Curve),
        spares=_checked(inner_folders, Spare),
        checked=frozenset(_stem(file) for one in inner_folders for file in _files(one)),
        counts=counts,
    )


VERDICTS: type[Record] = Judged
"""What a file of a check holds unless ``KINDS_OF_CHECKS`` says something else."""

KINDS_OF_CHECKS: Mapping[str, type[Record]] = {
    "rewrite": Probe,
    "wrong-target": Probe,
    "k-curve": Curve,
    "minimality": Spare,
}
"""Checks that judge no explanation again, and what their files hold."""


def _checked(folders: Sequence[Path], kind: type[R]) -> tuple[R, ...]:
    """Read what robustness checks have found, where they hold ``kind``."""
    files = [file for folder in folders for file in _files(folder)]
    wanted = [file for file in files if KINDS_OF_CHECKS.get(_stem(file), VERDICTS) is kind]
    return tuple(record for file in wanted for record in records_of(file, kind))


def _files(folder: Path) -> list[Path]:
    """List the JSONL files of a folder, compressed or not."""
    return sorted([*folder.glob("*.jsonl"), *folder.glob(f"*.jsonl{PACKED}")], key=_stem)


def _stem(file: Path) -> str:
    return file.name.removesuffix(PACKED).removesuffix(".jsonl")


def _counts(folder: Path) -> dict[str, int]:
    """Read how many distinct words each text of a bank has."""
    path = folder / "texts.jsonl"
    return {one["id"]: int(one["words"]) for one in read_lines(path, "id", "words")} if existing(path) else {}


def _places(folder: Path, manifest: Mapping[str, Any]) -> list[tuple[Place, Path]]:
    """List the ``seed-S/ARM`` folders, seeds ascending, arms in the manifest's order."""
    order = {arm: at for at, arm in enumerate(manifest.get("arms", []))}
    found = []
    for outer in folder.glob("seed-*"):
        match = _SEED.fullmatch(outer.name)
        if match and outer.is_dir():
            found += [((int(match[1]), inner.name), inner) for inner in outer.iterdir() if inner.is_dir()]
    return sorted(found, key=lambda item: (item[0][0], order.get(item[0][1], len(order)), item[0][1]))
