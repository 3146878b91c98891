"""``study.json``: what a study is, how it was made, and how long each step took."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saywhy.arms import Trained, task_name
from saywhy.config import Config, differences
from saywhy.folders.lock import LOCK
from saywhy.folders.store import write_json
from saywhy.models.spec import Spec
from saywhy.processes import first
from saywhy.protocol import prompts
from saywhy.records import SCHEMA, SaywhyError
from saywhy.runs.manifest import model_facts, revision, versions
from saywhy.study.expand import asked
from saywhy.study.plan import Plan
from saywhy.study.same import read_objects


class Journal:
    """The manifest of a study.

    Attributes:
        path: ``study.json``.
        told: What it holds.
        before: The plan as it was when the study was left, None for a new one.
    """

    def __init__(
        self,
        out: Path,
        plan: Plan,
        arms: Mapping[str, Mapping[str, Any]],
        facts: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Open the study in ``out`` or begin one; nothing is written yet.

        Raises:
            SaywhyError: If the folder holds another study, this one with other cells, or something else.
        """
        self.path = out / "study.json"
        self.told: dict[str, Any] = {"schema": SCHEMA, "seconds": {}}
        self.before: Mapping[str, Any] | None = None
        now = plan.resolved()
        if self.path.is_file():
            self.told = read_objects(self.path, "plan", "seconds")
            if self.told.get("bank"):
                raise SaywhyError(f"{out} is a released bank: say beside={out}, and another folder with out=FOLDER")
            self.before = self.told["plan"]
            if changed := _changes(self.told["plan"], now):
                raise SaywhyError(
                    f"{out} holds study {self.told['plan'].get('name')}, and the file was changed after its start "
                    f"({changed}): restore it, or begin anew with out=FOLDER"
                )
        elif first() and out.exists() and any(not one.name.startswith(LOCK) for one in out.iterdir()):
            raise SaywhyError(f"{out} is no study and not empty: choose another folder with out=FOLDER")
        else:
            self.told |= facts()
        self.told |= {"plan": now, "arms": {name: _arm(name, recipe) for name, recipe in arms.items()}}
        self.told["audits"] = [
            {"arm": arm, "seed": seed, "task": task_name(task), "ways": [list(way) for way in wanted.ways()]}
            for (arm, seed, task), wanted in asked(plan).items()
        ]
        self.told["revisions"] = list(
            dict.fromkeys([*self.told.get("revisions", ()), self.told.get("git"), revision()])
        )

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of each step so far, by its name."""
        found: Mapping[str, float] = self.told["seconds"]
        return found

    def spent(self, step: str, seconds: float) -> None:
        """Add to the time of a step."""
        self.told["seconds"][step] = round(self.seconds.get(step, 0.0) + seconds, 1)
        self.keep()

    def keep(self) -> None:
        """Write the file."""
        if first():
            write_json(self.path, self.told)


def facts(config: Config, spec: Spec) -> dict[str, Any]:
    """Return how a study is made: model, versions, sentences."""
    return {
        "model": model_facts(config, spec),
        "versions": versions(),
        "git": revision(),
        "prompts": {"version": str(prompts.VERSION), **prompts.sentences()},
    }


def _arm(name: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    arm = Trained.parse(name)
    return {
        "kind": arm.kind,
        "variant": arm.variant,
        "styles": list(arm.styles),
        "tasks": list(arm.tasks),
        "with": dict(recipe),
    }


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return what was changed in a plan since its start.

    Blocks may be added behind the others, and data may be moved: its hashes stand in ``run.json`` of each task.
    """
    old, new = ({**plan, "data": ""} for plan in (before, now))
    kept, given = old.pop("blocks"), new.pop("blocks")
    found = differences(old, new)
    there = {one["name"]: one for one in given[: len(kept)]}
    changed = [one["name"] for one in kept if there.get(one["name"]) != one]
    return "; ".join([*found, *([f"block {', '.join(changed)}"] if changed else [])])
