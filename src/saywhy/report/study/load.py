"""Read a study folder: its plan, what was frozen, the run of each task, what the models kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from saywhy.arms import ALL_NAME, STARTS, joined_styles, task_name
from saywhy.folders.checksums import refuse_damage
from saywhy.folders.entries import refuse_links
from saywhy.folders.store import read_json
from saywhy.records import SaywhyError
from saywhy.report.examples import BUILT_IN_EXAMPLES
from saywhy.report.load import LoadedRun, Loss, by_place, load_run, losses_of

STUDY_SCHEMA = 1
"""Version of ``study.json`` that is read here."""


@dataclass(frozen=True, slots=True)
class StudyArm:
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
    def kind_and_variant(self) -> str:
        """Kind and variant, e.g. ``faithful-refreshed``."""
        return f"{self.kind}-{self.variant}" if self.variant else self.kind

    @property
    def practice(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What it practised, in whatever order it was written down."""
        return tuple(sorted(self.styles)), tuple(sorted(self.tasks))

    @property
    def practised(self) -> str:
        """The styles in words: ``all`` of one word, or their names."""
        return joined_styles(self.styles)

    def asked_for(self, style: str) -> str:
        """Return a style that it is tested in, with what it practised where that is something else.

        E.g. ``redaction to counterfactual``.
        """
        return style if style in self.styles or not self.styles else f"{self.practised} to {style}"


@dataclass(frozen=True, slots=True)
class ModelKept:
    """What the model of one arm and seed kept besides the task (``retention.json``).

    Attributes:
        losses: Row of held-out instruction data -> its loss (nats a token).
        plain: Plain instruction -> whether the answer is still plain.
        reasons: Plain instruction -> why its answer is not.
        source: Where the instruction data is from; empty if that was not recorded.
        set_aside: Reason -> how many rows of the instruction data could not be used.
    """

    losses: Mapping[str, float]
    plain: Mapping[str, bool]
    reasons: Mapping[str, str]
    source: str = ""
    set_aside: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyRun:
    """A study folder as read; of a study half done, what is there.

    Attributes:
        folder: Where it lies.
        manifest: ``study.json``.
        frozen: ``frozen.json``; empty if nothing was frozen yet.
        arms: Every arm that the study knows, by name.
        runs: Task -> what was measured on it, in the order of the plan.
        kept: (seed, arm) -> what the model kept besides the task.
        examples: Runs on built-in texts that a bank shows in place of its own texts.
        losses: How the loss of each trained (seed, arm) went; a model half-way to refreshed targets is no arm.
    """

    folder: Path
    manifest: Mapping[str, Any]
    frozen: Mapping[str, Any]
    arms: Mapping[str, StudyArm]
    runs: Mapping[str, LoadedRun]
    kept: Mapping[tuple[int, str], ModelKept]
    examples: tuple[LoadedRun, ...] = ()
    losses: Mapping[tuple[int, str], tuple[Loss, ...]] = field(default_factory=dict)

    @property
    def plan(self) -> Mapping[str, Any]:
        """The study file, resolved."""
        plan: Mapping[str, Any] = self.manifest.get("plan", {})
        return plan

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

    def arm(self, name: str) -> StudyArm:
        """Return an arm by its name.

        Raises:
            SaywhyError: If ``study.json`` does not know it.
        """
        if name in self.arms:
            return self.arms[name]
        if name in STARTS:
            return StudyArm(name, name)
        raise SaywhyError(f"{self.folder / 'study.json'} knows no arm '{name}', but there are rows of it; restore it")

    def practised_on(self, arm: StudyArm) -> str:
        """Return the tasks that an arm practised on in words: ``all`` or their names."""
        joint = len(arm.tasks) > 1 and set(arm.tasks) >= set(self.tasks)
        return ALL_NAME if joint else "+".join(arm.tasks)

    def control(self, arm: StudyArm) -> StudyArm | None:
        """Return the matched control: kind random, same variant, styles and tasks, else the one without variant."""
        controls = [
            control for control in self.arms.values() if control.kind == "random" and control.practice == arm.practice
        ]
        exact = [control for control in controls if control.variant == arm.variant]
        plain = [control for control in controls if not control.variant]
        return next(iter(exact + plain), None)

    def plain_twin(self, arm: StudyArm) -> StudyArm | None:
        """Return the arm without variant that ``arm`` is a variant of."""
        twins = (
            twin
            for twin in self.arms.values()
            if twin.kind == arm.kind and twin.practice == arm.practice and not twin.variant
        )
        return next(twins, None) if arm.variant else None


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
    refuse_links(folder)
    refuse_damage(folder / "study.json")
    manifest = _json_object(folder / "study.json")
    if manifest.get("schema", STUDY_SCHEMA) != STUDY_SCHEMA:
        raise SaywhyError(f"{folder} has study schema {manifest.get('schema')}, this saywhy reads {STUDY_SCHEMA}")
    frozen_path = folder / "frozen.json"
    tasks = [task_name(task) for task in manifest.get("plan", {}).get("tasks", ())]
    arms = {name: _study_arm(name, entry, tasks) for name, entry in manifest.get("arms", {}).items()}
    return StudyRun(
        folder=folder,
        manifest=manifest,
        frozen=_json_object(frozen_path) if frozen_path.is_file() else {},
        arms=arms,
        runs=_task_runs(folder, manifest),
        kept=_models_kept(folder / "models"),
        examples=tuple(load_run(path.parent) for path in sorted((folder / BUILT_IN_EXAMPLES).rglob("run.json"))),
        losses={
            seed_arm: losses
            for seed_arm, model in _model_folders(folder / "models")
            if (seed_arm[1] in {*arms, *STARTS}) and (losses := losses_of(model / "adapter"))
        },
    )


def _json_object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise SaywhyError(f"{path} holds no JSON object; restore it or start the study anew")
    return content


def _study_arm(name: str, entry: Mapping[str, Any], all_tasks: Sequence[str]) -> StudyArm:
    """Read an arm; one that practised jointly on all tasks has them all."""
    practised = tuple(map(task_name, entry.get("tasks", ())))
    return StudyArm(
        name,
        str(entry.get("kind", name)),
        str(entry.get("variant") or ""),
        tuple(entry.get("styles", ())),
        tuple(all_tasks) if practised == (ALL_NAME,) else practised,
        dict(entry.get("with", {})),
    )


def _task_runs(folder: Path, manifest: Mapping[str, Any]) -> dict[str, LoadedRun]:
    """Read the run of each task, arms in the order of the study."""
    plan = manifest.get("plan", {})
    order = [task_name(task) for task in (*plan.get("tasks", ()), *plan.get("unseen", ()))]
    folders = {path.parent.name: path.parent for path in sorted((folder / "tasks").glob("*/run.json"))}
    names = [name for name in order if name in folders] + [name for name in folders if name not in order]
    arms = list(dict.fromkeys([*STARTS, *manifest.get("arms", {})]))
    settings = {name: entry.get("with", {}) for name, entry in manifest.get("arms", {}).items()}
    runs = {}
    for name in names:
        run = by_place(load_run(folders[name]))
        runs[name] = replace(run, manifest={**run.manifest, "arms": arms}, arm_settings=settings)
    return runs


def _models_kept(models: Path) -> dict[tuple[int, str], ModelKept]:
    """Read what each model kept, seeds ascending."""
    folders = [(seed_arm, model / "retention.json") for seed_arm, model in _model_folders(models)]
    return {seed_arm: _model_kept(path) for seed_arm, path in folders if path.is_file()}


def _model_folders(models: Path) -> list[tuple[tuple[int, str], Path]]:
    """List (seed, arm) and folder of each model, seeds ascending."""
    folders = [(path.parent.name.removeprefix("seed-"), path) for path in models.glob("seed-*/*/")]
    return sorted(((int(seed), path.name), path) for seed, path in folders if seed.isdigit())


def _model_kept(path: Path) -> ModelKept:
    data = _json_object(path)
    replay, plain = data.get("replay", {}), data.get("plain", {})
    instructions = plain.get("asked", ())
    try:
        return ModelKept(
            dict(zip(replay.get("ids", ()), replay.get("losses", ()), strict=True)),
            dict(zip(instructions, plain.get("plain", ()), strict=True)),
            {
                instruction: reason
                for instruction, reason in zip(instructions, plain.get("reasons", ()), strict=False)
                if reason
            },
            str(replay.get("source") or ""),
            dict(replay.get("set_aside") or {}),
        )
    except ValueError as error:
        raise SaywhyError(f"{path}: as many losses as ids, as many answers as asked are needed ({error})") from error
