"""Banks of one study: what a bank beside a study has is not done again; and what banks of one study must share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saywhy.bank.paths import portable
from saywhy.bank.release import is_bank
from saywhy.folders.checksums import refuse_damage
from saywhy.folders.entries import refuse_links
from saywhy.folders.store import existing_file, read_lines, read_object
from saywhy.models.fingerprints import weights_fingerprint
from saywhy.records import SaywhyError
from saywhy.setting_names import current_names
from saywhy.settings import differences
from saywhy.study.frozen import read_frozen, settled_hash
from saywhy.study.plan import MACHINE_SETTINGS
from saywhy.study.requests import AuditKey, AuditRequest
from saywhy.study.steps import StudyStep, folder_of_step, stages_of_audit
from saywhy.words import candidates_rule

StudyManifest = Mapping[str, Any]
"""The content of ``study.json``, or of the part of it that is about one machine."""

FREE_PLAN_KEYS = ("blocks", "about", "data")
"""Keys in which two plans of one study may differ: blocks may be added, and the texts' hashes tell the data."""


class BankBeside:
    """A bank beside a study.

    Attributes:
        bank: Its folder.
        requests: What each audit of the study asks for.
        adapters: Fingerprints of the adapters that the bank was made with, by ``ARM, seed N``.
    """

    def __init__(
        self, bank: Path, manifest: Mapping[str, Any], frozen: str, requests: Mapping[AuditKey, AuditRequest]
    ) -> None:
        """Open ``bank``, which must be of the study whose ``study.json`` is ``manifest``.

        Raises:
            SaywhyError: If it is no bank, of another study, or of this one made otherwise.
        """
        bank_manifest = read_bank(bank)
        refuse_other_study({**portable(manifest), "frozen": frozen}, bank_manifest, "this study", f"beside={bank}")
        self.bank, self.requests = bank, requests
        self.adapters: dict[str, str] = {}
        for machine in (bank_manifest, *bank_manifest.get("machines", ())):
            self.adapters = {**machine.get("adapters", {}), **self.adapters}
        self._audited: dict[StudyStep, set[tuple[str, str, str]]] = {}

    def has(self, step: StudyStep) -> bool:
        """Whether the bank has the results of a step; of a training never, since banks have no adapters."""
        if step.kind == "train":
            return False
        folder = self.bank / folder_of_step(step)
        if step.kind == "keep":
            return (folder / "retention.json").is_file()
        request = self.requests.get((step.arm, step.seed, step.task))
        if request is None:
            return False
        stages = stages_of_audit(step, request)  # without the start's verdicts: a bank may be older than these
        has_files = all(existing_file(folder / f"{name}.jsonl") for files in stages for name in files)
        return has_files and (step.kind == "show" or self._covers(step, folder))

    def _covers(self, step: StudyStep, folder: Path) -> bool:
        """Whether the rows of an audit have all styles, settings and readouts that are asked for now."""
        if step not in self._audited:
            rows = read_lines(folder / "rows.jsonl", "style", "setting", "readout")
            self._audited[step] = {(row["style"], row["setting"], row["readout"]) for row in rows}
        return self._audited[step] >= set(self.requests[step.arm, step.seed, step.task].combinations())

    def retraining_note(self, arm: str, seed: int, adapter: Path) -> str | None:
        """Return a note that ``adapter`` is not the one the bank was made with; None if it is or the bank has none."""
        fingerprint = self.adapters.get(f"{arm}, seed {seed}")
        if fingerprint in (None, weights_fingerprint(adapter)):
            return None
        return (
            f"{arm}, seed {seed}: trained again, it is not bit for bit the one of {self.bank} (another machine, other "
            "versions); what goes on from it here goes on from this one"
        )


def read_bank(bank: Path) -> dict[str, Any]:
    """Return the ``study.json`` of a bank; under ``frozen`` the hash of its confirmatory part.

    Raises:
        SaywhyError: If it is no bank of a study in which something was frozen, is damaged, or holds a link.
    """
    refuse_links(bank)
    if not is_bank(bank) or not (bank / "study.json").is_file():
        raise SaywhyError(f"{bank} is no bank of a study: give what saywhy release wrote")
    if not (bank / "frozen.json").is_file():
        raise SaywhyError(f"{bank} has no frozen.json: nothing was audited in it yet")
    refuse_damage(bank / "study.json")
    return read_objects(bank / "study.json", "plan", "arms", "seconds", "model") | {
        "frozen": settled_hash(read_frozen(bank / "frozen.json"))
    }


def read_objects(path: Path, *keys: str, remedy: str = "restore it") -> dict[str, Any]:
    """Read a JSON object that holds objects under ``keys``; ``remedy``: what to do if it is damaged.

    Raises:
        SaywhyError: If it does not.
    """
    manifest = read_object(path, *keys, remedy=remedy)
    if damaged := [key for key in keys if not isinstance(manifest[key], dict)]:
        raise SaywhyError(f"{path} is damaged ('{damaged[0]}' is no object): {remedy}")
    return manifest


def refuse_other_study(first: StudyManifest, second: StudyManifest, first_name: object, second_name: object) -> None:
    """Refuse the manifest of another study, or of this one made otherwise; messages call the two by the names.

    Raises:
        SaywhyError: If the two differ in the frozen part, the model, the sentences, the rule for candidates, the
            schema, the plan (but for ``FREE_PLAN_KEYS``), or the recipe of an arm that both have.
    """
    for difference, first_value, second_value in (
        ("was frozen otherwise", first["frozen"], second["frozen"]),
        ("is of another model", first["model"].get("fingerprint"), second["model"].get("fingerprint")),
        ("was asked with other sentences", first.get("prompts"), second.get("prompts")),
        ("has candidates of another rule", candidates_rule(first), candidates_rule(second)),
        ("has another form", first.get("schema"), second.get("schema")),
    ):
        if first_value != second_value:
            raise SaywhyError(f"{second_name} {difference} than {first_name}: only banks of one study fit together")
    if changed := differences(_comparable_plan(first), _comparable_plan(second)):
        raise SaywhyError(f"{second_name} has another plan than {first_name} ({'; '.join(changed)})")
    for arm in sorted(set(first["arms"]) & set(second["arms"])):
        recipes = [
            {**recipe, "with": current_names(recipe.get("with", {}))}
            for recipe in (first["arms"][arm], second["arms"][arm])
        ]
        if changed := differences(*recipes):
            raise SaywhyError(f"{second_name} has another {arm} than {first_name} ({'; '.join(changed)})")


def _comparable_plan(manifest: StudyManifest) -> dict[str, Any]:
    """Return the part of a plan that all banks of one study share."""
    plan = {key: value for key, value in current_plan(manifest["plan"]).items() if key not in FREE_PLAN_KEYS}
    return plan | {"with": {key: value for key, value in plan["with"].items() if key not in MACHINE_SETTINGS}}


def current_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan as ``study.json`` holds it, with its settings under the names of today."""
    blocks = [{**block, "with": current_names(block.get("with") or {})} for block in plan.get("blocks", ())]
    return {**plan, "with": current_names(plan.get("with") or {}), "blocks": blocks}
