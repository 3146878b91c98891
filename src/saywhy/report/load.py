"""Read a run folder into records (its files are documented in ``docs/rows.md``)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from saywhy.checks import Curve, Judged, Probe, Spare
from saywhy.folders.checksums import refuse_damage, remedy_of
from saywhy.folders.entries import refuse_links
from saywhy.folders.run import TEXT_ORDER
from saywhy.folders.store import existing_file, read_json, read_lines, read_object
from saywhy.records import (
    OPERATORS,
    ROW_SCHEMA,
    CounterfactualGrid,
    Decision,
    Example,
    Operator,
    Row,
    SaywhyError,
    SetAside,
    Table,
)
from saywhy.report.arm_records import AnyRunRecord, check_files, check_name, load_arm, records_of
from saywhy.stats.sentences import SentenceScores
from saywhy.words import candidates, candidates_rule

SeedArm = tuple[int, str]
"""(seed, arm)."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A point of the loss of a training (nats a row).

    Attributes:
        step: Behind which step.
        loss: Of the batches since the point before, or of the held-out texts.
        heldout: Whether of the latter.
    """

    step: int
    loss: float
    heldout: bool


HELDOUT_LOSS = "eval_loss"
LOSS_FILES = {"losses.json": "loss", "heldout.json": HELDOUT_LOSS}
"""Files of an adapter's folder on how the loss of its training went -> the key of a loss in their entries."""

NO_TEXTS = "the texts are not part of a bank"
"""Why a number or a section is missing from the report of a released bank."""

_SEED_FOLDER = re.compile(r"seed-(\d+)")


@dataclass(frozen=True)
class LoadedRun:
    """The content of a run folder.

    Attributes:
        folder: The run folder.
        manifest: Content of ``run.json``.
        texts: The explained texts by id.
        rows: All rows, ordered by seed and arm, with what the tables and grids of an older folder know of effects.
        tables: The leave-one-word-out tables of each (seed, arm).
        grids: The counterfactual grids of each (seed, arm).
        decisions: The predictions for accuracy and agreement: the whole split unless `decide_rows` says less.
        set_aside: Texts that could not be used, with the reason.
        targets: Content of ``targets.json`` of each seed (``seed-0``), and of each range of texts and arm that has
            targets of its own (``seed-0/targets-from-100.json``): share of training texts with a hit, by style.
        judged: The one-word explanations judged under variations, noise included.
        judged_by_start: The explanations of several words, judged by the start model (``measure.start``).
        probes: Requests that should not move the answer.
        curves: The k-curve of each text: hits of several words, and the scores of the readout.
        spares: For each free explanation the words that it could do without.
        checked: Names of the robustness checks with a file in some arm (``paraphrase-1``, ``noise``, ...).
        counts: Number of candidates of each text of a bank, by id; empty for a run with its texts.
        losses: How the loss of each trained (seed, arm) went, as far as its files are at hand.
        sentences: What the metrics say of each explanation in sentences.
        arm_settings: Settings in which the training of an arm differs from the run's, by its name: in a study.
    """

    folder: Path
    manifest: Mapping[str, Any]
    texts: Mapping[str, Example]
    rows: tuple[Row, ...]
    tables: Mapping[SeedArm, tuple[Table, ...]] = field(default_factory=dict)
    grids: Mapping[SeedArm, tuple[CounterfactualGrid, ...]] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    targets: Mapping[str, Any] = field(default_factory=dict)
    judged: tuple[Judged, ...] = ()
    judged_by_start: tuple[Judged, ...] = ()
    probes: tuple[Probe, ...] = ()
    curves: tuple[Curve, ...] = ()
    spares: tuple[Spare, ...] = ()
    checked: frozenset[str] = frozenset()
    counts: Mapping[str, int] = field(default_factory=dict)
    losses: Mapping[SeedArm, tuple[Loss, ...]] = field(default_factory=dict)
    sentences: tuple[SentenceScores, ...] = ()
    arm_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def bank(self) -> bool:
        """Whether this is a released bank: verdicts without anyone's text (``saywhy release``)."""
        return bool(self.manifest.get("bank"))

    @cached_property
    def words(self) -> dict[str, tuple[str, ...]]:
        """The candidates of each text, by the rule of the run; in a bank ``#0``, ``#1``, ..."""
        if self.bank:
            return {text: tuple(f"#{at}" for at in range(count)) for text, count in self.counts.items()}
        rule = candidates_rule(self.manifest)
        return {
            text: tuple(word.key for word in candidates(example.text, rule)) for text, example in self.texts.items()
        }

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """The arms with rows or decisions: first in the order of the manifest, then those that it does not name."""
        present = {row.arm for row in self.rows} | {decision.arm for decision in self.decisions}
        named = [arm for arm in self.manifest.get("arms", []) if arm in present]
        return (*named, *sorted(present - set(named)))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the rows, ascending."""
        return tuple(sorted({row.seed for row in self.rows}))

    @property
    def operators(self) -> tuple[Operator, ...]:
        """All operators, those of the run first, in its order: the first is primary."""
        chosen = self.manifest.get("config", {}).get("operators") or ()
        return tuple(dict.fromkeys((*(operator for operator in chosen if operator in OPERATORS), *OPERATORS)))

    @property
    def task(self) -> Mapping[str, Any]:
        """The task's entry of the manifest."""
        return self.manifest.get("task") or {}


def load_manifest(folder: Path) -> dict[str, Any]:
    """Read ``run.json``.

    Raises:
        SaywhyError: If the folder is no run, has another schema, or holds a link.
    """
    refuse_links(folder)
    if not (folder / "run.json").is_file():
        raise SaywhyError(f"{folder} is no run: it has no run.json; give the folder that a run wrote")
    refuse_damage(folder / "run.json")
    manifest = read_object(folder / "run.json", remedy=remedy_of(folder / "run.json"))
    schema = manifest.get("schema", ROW_SCHEMA)
    if schema != ROW_SCHEMA:
        raise SaywhyError(f"{folder} has row schema {schema}, this saywhy reads {ROW_SCHEMA}; install its version")
    return manifest


def target_count_files(seed_folder: Path) -> list[Path]:
    """Return a seed's files with the hits of training targets: one for each range of texts, or for an arm."""
    paths = [*seed_folder.glob("targets*.json"), *seed_folder.glob("*/targets*.json")]
    return sorted(path for path in paths if not path.stem.endswith("-end"))


def load_run(folder: Path | str) -> LoadedRun:
    """Read a run folder; files that a run may lack are taken as empty.

    Args:
        folder: The run folder, or a bank.

    Raises:
        SaywhyError: If the folder is no run, has another schema, or holds a broken line.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    labels = len((manifest.get("task") or {}).get("labels") or ())
    texts = {example.id: example for example in records_of(folder / "texts.jsonl", Example)}
    arm_folders = _seed_arm_folders(folder, manifest)
    arms = {seed_arm: load_arm(arm_folder, set(texts), labels) for seed_arm, arm_folder in arm_folders}
    checks = [record for arm in arms.values() for record in arm.checks]
    check_folders = [arm_folder / "robustness" for _, arm_folder in arm_folders]
    target_files = [path for seed_folder in sorted(folder.glob("seed-*/")) for path in target_count_files(seed_folder)]
    targets = {
        path.relative_to(folder).as_posix().removesuffix("/targets.json"): read_object(path) for path in target_files
    }
    counts = _bank_word_counts(folder) if manifest.get("bank") else {}
    return LoadedRun(
        folder=folder,
        manifest=manifest,
        texts=texts,
        rows=tuple(row for arm in arms.values() for row in arm.rows),
        tables={seed_arm: arm.tables for seed_arm, arm in arms.items()},
        grids={seed_arm: arm.grids for seed_arm, arm in arms.items()},
        decisions=tuple(decision for arm in arms.values() for decision in arm.decisions),
        set_aside=tuple(records_of(folder / "set_aside.jsonl", SetAside)),
        targets=targets,
        judged=tuple(record for record in checks if isinstance(record, Judged)),
        judged_by_start=tuple(record for arm in arms.values() for record in arm.judged_by_start),
        probes=tuple(record for record in checks if isinstance(record, Probe)),
        curves=tuple(record for record in checks if isinstance(record, Curve)),
        spares=tuple(record for record in checks if isinstance(record, Spare)),
        checked=frozenset(check_name(file) for check_folder in check_folders for file in check_files(check_folder)),
        counts=counts,
        sentences=tuple(record for arm in arms.values() for record in arm.sentences),
        losses={seed_arm: losses for seed_arm, where in arm_folders if (losses := losses_of(where / "adapter"))},
    )


def by_place(run: LoadedRun) -> LoadedRun:
    """Return a run with the place of each text as its id; one of an older version as it is (``TEXT_ORDER``).

    Texts are resampled in the order of their ids, and those of a bank are others: so both give the same numbers.
    """
    if run.manifest.get("text_order") != TEXT_ORDER:
        return run
    places: dict[str, str] = {}

    def place(text: str) -> str:
        return places.setdefault(text, f"{len(places):07d}")

    def moved(records: Iterable[AnyRunRecord]) -> tuple[AnyRunRecord, ...]:
        return tuple(replace(record, id=place(record.id)) for record in records)  # type: ignore[type-var,attr-defined]

    return replace(
        run,
        texts={example.id: example for example in moved(run.texts.values())},
        rows=moved(run.rows),
        tables={seed_arm: moved(tables) for seed_arm, tables in run.tables.items()},
        grids={seed_arm: moved(grids) for seed_arm, grids in run.grids.items()},
        decisions=moved(run.decisions),
        judged=moved(run.judged),
        judged_by_start=moved(run.judged_by_start),
        probes=moved(run.probes),
        curves=moved(run.curves),
        spares=moved(run.spares),
        sentences=moved(run.sentences),
        counts={place(text): count for text, count in run.counts.items()},
    )


def losses_of(adapter: Path) -> tuple[Loss, ...]:
    """Read how the loss of a training went; nothing if its adapter is not here, nor the bank of it.

    Raises:
        SaywhyError: If a file of it is damaged.
    """
    losses = []
    for name, key in LOSS_FILES.items():
        entries = read_json(adapter / name) if (adapter / name).is_file() else []
        try:
            read = [Loss(int(entry["step"]), float(entry[key]), key == HELDOUT_LOSS) for entry in entries]
            if any(point.step < 1 or not math.isfinite(point.loss) for point in read):
                raise ValueError("a step below 1, or a loss that is no number")
            losses += read
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise SaywhyError(f"{adapter / name} is damaged: delete it, its picture is left out then") from error
    return tuple(losses)


def _bank_word_counts(folder: Path) -> dict[str, int]:
    """Read the number of candidates of each text of a bank, by id."""
    path = folder / "texts.jsonl"
    return {line["id"]: int(line["words"]) for line in read_lines(path, "id", "words")} if existing_file(path) else {}


def _seed_arm_folders(folder: Path, manifest: Mapping[str, Any]) -> list[tuple[SeedArm, Path]]:
    """List (seed, arm) and path of the ``seed-S/ARM`` folders, seeds ascending, arms in the manifest's order."""
    order = {arm: at for at, arm in enumerate(manifest.get("arms", []))}
    arm_folders = []
    for seed_folder in folder.glob("seed-*"):
        match = _SEED_FOLDER.fullmatch(seed_folder.name)
        if match and seed_folder.is_dir():
            arm_folders += [
                ((int(match[1]), arm_folder.name), arm_folder)
                for arm_folder in seed_folder.iterdir()
                if arm_folder.is_dir()
            ]
    return sorted(arm_folders, key=lambda item: (item[0][0], order.get(item[0][1], len(order)), item[0][1]))
