"""Read a study folder: its plan, what was frozen, the run of each task, what the models kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from saywhy.arms import ALL, MADE, task_name
from saywhy.folders.store import read_json
from saywhy.records import STYLES, SaywhyError
from saywhy.report.examples import BUILT_IN
from saywhy.report.load import Run, load_run

SCHEMA = 1
"""Version of ``study.json`` that is read here."""


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm of a study.

    Attributes:
        name: ``base``, ``adapted``, or ``KIND[-VARIANT].STYLES.TASKS``.
        kind: faithful, random, lexical, transplant, base or adapted.
        variant: What sets it apart from the arm of the same kind, styles and tasks; may be empty.
        styles: The styles that it practised.
        tasks: The tasks that it practised on.
        settings: Settings in which its training differs from the plan's.
    """

    name: str
    kind: str
    variant: str = ""
    styles: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sort(self) -> str:
        """Kind and variant, e.g. ``faithful-refreshed``."""
        return f"{self.kind}-{self.variant}" if self.variant else self.kind

    @property
    def practice(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What it practised, in whatever order it was written down."""
        return tuple(sorted(self.styles)), tuple(sorted(self.tasks))

    @property
    def practised(self) -> str:
        """The styles in words: ``all`` or their names."""
        return "all" if set(self.styles) >= set(STYLES) else "+".join(self.styles)


@dataclass(frozen=True, slots=True)
class Kept:
    """What one model kept beside the task (``retention.json``).

    Attributes:
        losses: Row of instruction data: loss (nats a token).
        plain: Plain instruction: whether the answer is still plain.
        reasons: Plain instruction: why its answer is not.
        source: Where the instruction data is from; empty if that was not recorded.
        aside: Why rows of it could not be used, and how many.
    """

    losses: Mapping[str, float]
    plain: Mapping[str, bool]
    reasons: Mapping[str, str]
    source: str = ""
    aside: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyRun:
    """A study, read; a study half done has what is there.

    Attributes:
        folder: Where it lies.
        manifest: ``study.json``.
        frozen: ``frozen.json``; empty if nothing was frozen yet.
        arms: Every arm that the study knows, by name.
        runs: Task -> what was measured on it, in the order of the plan.
        kept: (seed, arm) -> what the model kept beside the task.
        examples: Runs on built-in texts that a bank shows in place of its own texts.
    """

    folder: Path
    manifest: Mapping[str, Any]
    frozen: Mapping[str, Any]
    arms: Mapping[str, Arm]
    runs: Mapping[str, Run]
    kept: Mapping[tuple[int, str], Kept]
    examples: tuple[Run, ...] = ()

    @property
    def plan(self) -> Mapping[str, Any]:
        """The study file, resolved."""
        found: Mapping[str, Any] = self.manifest.get("plan", {})
        return found

    @property
    def name(self) -> str:
        """What the study calls itself."""
        return str(self.plan.get("name") or self.folder.resolve().name)

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks that are trained on, in the order of the plan."""
        return tuple(map(task_name, self.plan.get("tasks", ())))

    @property
    def unseen(self) -> tuple[str, ...]:
        """The tasks that no arm practised."""
        return tuple(map(task_name, self.plan.get("unseen", ())))

    @cached_property
    def bank(self) -> bool:
        """Whether this is a released bank: without anyone's text."""
        return bool(self.manifest.get("bank")) or any(run.bank for run in self.runs.values())

    def arm(self, name: str) -> Arm:
        """Return an arm by its name.

        Raises:
            SaywhyError: If ``study.json`` does not know it.
        """
        if name in self.arms:
            return self.arms[name]
        if name in MADE:
            return Arm(name, name)
        raise SaywhyError(f"{self.folder / 'study.json'} knows no arm '{name}', but there are rows of it; restore it")

    def practised_on(self, arm: Arm) -> str:
        """Return the tasks that an arm practised on in words: ``all`` or their names."""
        joint = len(arm.tasks) > 1 and set(arm.tasks) >= set(self.tasks)
        return ALL if joint else "+".join(arm.tasks)

    def control(self, arm: Arm) -> Arm | None:
        """Return the matched control: kind random, same variant, styles and tasks, else the one without variant."""
        same = [a for a in self.arms.values() if a.kind == "random" and a.practice == arm.practice]
        exact = [one for one in same if one.variant == arm.variant]
        plain = [one for one in same if not one.variant]
        return next(iter(exact + plain), None)

    def plain_twin(self, arm: Arm) -> Arm | None:
        """Return the arm without variant that ``arm`` is a variant of."""
        found = (a for a in self.arms.values() if a.kind == arm.kind and a.practice == arm.practice and not a.variant)
        return next(found, None) if arm.variant else None


def is_study(folder: Path) -> bool:
    """Whether a folder holds a study of many arms and tasks."""
    return (folder / "study.json").is_file()


def load_study(folder: Path | str) -> StudyRun:
    """Read a study folder or a bank; what a study half done lacks is taken as empty.

    Raises:
        SaywhyError: If the folder is no study, has another schema, or holds a broken file.
    """
    folder = Path(folder)
    if not is_study(folder):
        raise SaywhyError(f"{folder} is no study: it has no study.json; give the folder that a study wrote")
    manifest = _object(folder / "study.json")
    if manifest.get("schema", SCHEMA) != SCHEMA:
        raise SaywhyError(f"{folder} has study schema {manifest.get('schema')}, this saywhy reads {SCHEMA}")
    frozen = folder / "frozen.json"
    tasks = [task_name(task) for task in manifest.get("plan", {}).get("tasks", ())]
    return StudyRun(
        folder=folder,
        manifest=manifest,
        frozen=_object(frozen) if frozen.is_file() else {},
        arms={name: _arm(name, found, tasks) for name, found in manifest.get("arms", {}).items()},
        runs=_runs(folder, manifest),
        kept=_kept(folder / "models"),
        examples=tuple(load_run(found.parent) for found in sorted((folder / BUILT_IN).rglob("run.json"))),
    )


def _object(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise SaywhyError(f"{path} holds no JSON object; restore it or start the study anew")
    return found


def _arm(name: str, found: Mapping[str, Any], all_tasks: Sequence[str]) -> Arm:
    """Read an arm; one that practised jointly on all tasks has them all."""
    practised = tuple(map(task_name, found.get("tasks", ())))
    return Arm(
        name,
        str(found.get("kind", name)),
        str(found.get("variant") or ""),
        tuple(found.get("styles", ())),
        tuple(all_tasks) if practised == (ALL,) else practised,
        dict(found.get("with", {})),
    )


def _runs(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Run]:
    """Read the run of each task, arms in the order of the study."""
    plan = manifest.get("plan", {})
    order = [task_name(task) for task in (*plan.get("tasks", ()), *plan.get("unseen", ()))]
    there = {path.parent.name: path.parent for path in sorted((folder / "tasks").glob("*/run.json"))}
    names = [name for name in order if name in there] + [name for name in there if name not in order]
    arms = list(dict.fromkeys([*MADE, *manifest.get("arms", {})]))
    runs = {}
    for name in names:
        run = load_run(there[name])
        runs[name] = replace(run, manifest={**run.manifest, "arms": arms})
    return runs


def _kept(models: Path) -> dict[tuple[int, str], Kept]:
    """Read what each model kept, seeds ascending."""
    found = {}
    for path in sorted(models.glob("seed-*/*/retention.json")):
        seed = path.parent.parent.name.removeprefix("seed-")
        if seed.isdigit():
            found[int(seed), path.parent.name] = _kept_by(path)
    return found


def _kept_by(path: Path) -> Kept:
    data = _object(path)
    replay, plain = data.get("replay", {}), data.get("plain", {})
    asked = plain.get("asked", ())
    try:
        return Kept(
            dict(zip(replay.get("ids", ()), replay.get("losses", ()), strict=True)),
            dict(zip(asked, plain.get("plain", ()), strict=True)),
            {one: why for one, why in zip(asked, plain.get("reasons", ()), strict=False) if why},
            str(replay.get("source") or ""),
            dict(replay.get("set_aside") or {}),
        )
    except ValueError as error:
        raise SaywhyError(f"{path}: as many losses as ids, as many answers as asked are needed ({error})") from error
