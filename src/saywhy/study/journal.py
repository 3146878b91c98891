"""The manifest of a study, ``study.json``: its plan, how it was made, and the seconds of each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from saywhy.arms import ArmName, task_name
from saywhy.config import Config
from saywhy.folders.checksums import remedy_of
from saywhy.folders.lock import LOCK_FILE
from saywhy.folders.run import AUDIT_FILES, refuse_other_candidates
from saywhy.folders.shared import SharedFolder
from saywhy.folders.store import read_object
from saywhy.models.spec import ModelSpec
from saywhy.processes import is_first_process
from saywhy.protocol import prompts
from saywhy.records import ROW_SCHEMA, SaywhyError, StepsOrder
from saywhy.runs.manifest import git_revision, model_facts, package_versions
from saywhy.settings import differences, resolved, with_defaults
from saywhy.study.beside import current_plan, read_objects
from saywhy.study.expand import task_settings
from saywhy.study.plan import StudyPlan
from saywhy.study.requests import AuditKey, AuditRequest, audit_requests
from saywhy.study.steps import StudyStep, folder_of_step
from saywhy.words import CANDIDATES_RULE

STUDY_FILE = "study.json"

SHARED_BY_BLOCKS = ("train_rows", "settings")
"""Settings that all blocks share: by them texts are drawn, and ``adapted``, from which all arms go on, is trained."""


class StudyJournal:
    """The manifest of a study.

    Attributes:
        path: ``study.json``.
        manifest: Its content.
        earlier_plan: The plan that the file had; None for a new study.
    """

    def __init__(
        self,
        folder: SharedFolder,
        plan: StudyPlan,
        recipes: Mapping[str, Mapping[str, Any]],
        facts: Callable[[], Mapping[str, Any]],
    ) -> None:
        """Open the study in ``folder`` or begin one; nothing is written yet.

        Raises:
            SaywhyError: If the folder holds another study, this one with other cells or candidates, or something else.
        """
        out, self._folder = folder.path, folder
        self.path = out / STUDY_FILE
        self.manifest: dict[str, Any] = {"schema": ROW_SCHEMA, "seconds": {}}
        self.earlier_plan: Mapping[str, Any] | None = None
        resolved = plan.resolved()
        if self.path.is_file():
            self.manifest = read_objects(self.path, "plan", "seconds", remedy=remedy_of(self.path))
            if self.manifest.get("bank"):
                raise SaywhyError(f"{out} is a released bank: say beside={out}, and another folder with out=FOLDER")
            refuse_other_candidates(out, self.manifest, CANDIDATES_RULE)
            self.earlier_plan = current_plan(self.manifest["plan"])
            if changed := _plan_changes(self.earlier_plan, resolved):
                raise SaywhyError(
                    f"{out} holds study {self.manifest['plan'].get('name')}, and the file was changed after its start "
                    f"({changed}): restore it, or begin anew with out=FOLDER"
                )
        elif is_first_process() and any(
            not entry.name.startswith((LOCK_FILE, f".{STUDY_FILE}.")) for entry in out.iterdir()
        ):
            raise SaywhyError(f"{out} is no study and not empty: choose another folder with out=FOLDER")
        else:
            self.manifest |= facts()
        self.manifest |= {
            "plan": resolved,
            "arms": {name: _arm_entry(name, recipe) for name, recipe in recipes.items()},
        }
        self.manifest["audits"] = [
            {
                "arm": arm,
                "seed": seed,
                "task": task_name(task),
                "ways": [list(combination) for combination in request.combinations()],
            }
            for (arm, seed, task), request in audit_requests(plan).items()
        ]
        self.manifest["revisions"] = list(
            dict.fromkeys([*self.manifest.get("revisions", ()), self.manifest.get("git"), git_revision()])
        )

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of each step so far, by its name."""
        seconds: Mapping[str, float] = self.manifest["seconds"]
        return seconds

    def spent(self, step: str, seconds: float) -> None:
        """Add to the seconds of a step."""
        self.manifest["seconds"][step] = round(self.seconds.get(step, 0.0) + seconds, 1)
        self.write()

    def write(self) -> None:
        """Write the file."""
        self._folder.keep_manifest(STUDY_FILE, self.manifest)


def study_facts(config: Config, spec: ModelSpec) -> dict[str, Any]:
    """Return how a study is made: model, versions, git revision, sentences."""
    return {
        "model": model_facts(config, spec),
        "versions": package_versions(),
        "git": git_revision(),
        "prompts": {"version": str(prompts.PROMPTS_VERSION), **prompts.prompt_sentences(config.plan)},
        "candidates_rule": CANDIDATES_RULE,
    }


def _arm_entry(name: str, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry of ``arms`` for a trained arm."""
    arm = ArmName.parse(name)
    return {
        "kind": arm.kind,
        "variant": arm.variant,
        "styles": list(arm.styles),
        "tasks": list(arm.tasks),
        "with": dict(recipe),
    }


def _plan_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the changes of a plan, in words.

    Blocks may be added behind the others, and data may be moved: its hashes stand in ``run.json`` of each task.
    """
    old, new = ({**plan, "data": ""} for plan in (before, now))
    old_blocks, new_blocks = old.pop("blocks"), new.pop("blocks")
    changes = differences(old, new)
    new_by_name = {block["name"]: block for block in new_blocks[: len(old_blocks)]}
    changed_blocks = [block["name"] for block in old_blocks if new_by_name.get(block["name"]) != block]
    return "; ".join([*changes, *([f"block {', '.join(changed_blocks)}"] if changed_blocks else [])])


def _wordings_asked(requests: Mapping[AuditKey, AuditRequest], task: str) -> tuple[bool, set[StepsOrder]]:
    """Return whether a task is asked for sentences, and in which orders for steps: what ``run.json`` holds of them."""
    asked = [request for (_, _, audited), request in requests.items() if audited == task]
    orders = {request.steps_order for request in asked if "steps" in request.styles}
    return any("sentences" in request.settings for request in asked), orders


def refuse_larger(plan: StudyPlan, earlier_plan: Mapping[str, Any] | None, folder: SharedFolder) -> None:
    """Refuse a plan whose blocks ask for more than the texts, ``adapted`` and audits that the study has.

    Args:
        plan: The plan of now.
        earlier_plan: The plan as the study was left; None for a new study.
        folder: The study.

    Raises:
        SaywhyError: With what is asked for.
    """
    for task in plan.all_tasks:
        path, new = folder.path / "tasks" / task_name(task) / "run.json", resolved(task_settings(plan, task))
        begun = with_defaults(read_object(path).get("config", {})) if path.is_file() else new
        if changed := differences(*({key: settings.get(key) for key in SHARED_BY_BLOCKS} for settings in (begun, new))):
            raise SaywhyError(
                f"{folder.path} is begun, and a new block asks for more than its texts and adapted were made for "
                f"({'; '.join(changed)}): leave it out, or begin anew with out=FOLDER"
            )
    earlier = audit_requests(StudyPlan(**earlier_plan)) if earlier_plan else {}
    for task in plan.all_tasks if earlier else ():
        before, now = (_wordings_asked(requests, task) for requests in (earlier, audit_requests(plan)))
        if now != before and (folder.path / "tasks" / task_name(task)).is_dir():
            raise SaywhyError(
                f"{folder.path} is begun, and a new block asks for sentences on {task_name(task)}, or for steps in "
                "another order, which its texts were not chosen for: leave it out, or begin anew with out=FOLDER"
            )
    for audit, request in audit_requests(plan).items():
        place = folder_of_step(StudyStep("audit", *audit))
        if audit in earlier and not earlier[audit].covers(request) and folder.begun(place, AUDIT_FILES):
            raise SaywhyError(
                f"{audit[0]} is audited on {audit[2]} already, and a new block asks more of it: leave it out, or "
                "begin anew with out=FOLDER (beside=BANK: what a bank of this study has is not done again)"
            )
