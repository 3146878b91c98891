"""What was frozen before the first audit of the study, and whether the report holds to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saywhy.arms import KINDS, task_name
from saywhy.records import SaywhyError
from saywhy.report.cells import Key
from saywhy.report.study.load import StudyRun

ALPHA = 0.05
"""Level of the confirmatory tests unless ``frozen.json`` says another."""

LOSS = 0.02
"""What may be lost of accuracy and agreement unless ``frozen.json`` says otherwise."""


@dataclass(frozen=True, slots=True)
class Confirmatory:
    """One cell that the study named beforehand: an arm against another on one task.

    Attributes:
        task: The task that is tested on.
        key: The arm's cell.
        against: The other arm.
        direction: ``higher`` or ``lower``: what was expected.
        seeds: The seeds that it is to be measured under; empty if that was not frozen.
    """

    task: str
    key: Key
    against: str
    direction: str = "higher"
    seeds: tuple[int, ...] = ()


def confirmatory(study: StudyRun) -> tuple[Confirmatory, ...]:
    """Return the frozen cells in their order.

    Raises:
        SaywhyError: If a cell lacks something.
    """
    found = []
    for number, cell in enumerate(study.frozen.get("cells", ()), start=1):
        try:
            key = Key(cell["arm"], cell["style"], cell["setting"], cell["readout"], cell.get("operator", "redact"))
            task, seeds = task_name(cell["task"]), tuple(cell.get("seeds", ()))
            found.append(Confirmatory(task, key, cell["against"], cell.get("direction", "higher"), seeds))
        except (KeyError, TypeError) as error:
            where = f"cell {number} of {study.folder / 'frozen.json'}"
            raise SaywhyError(f"{where} cannot be read ({error!r}); restore the file") from error
    return tuple(found)


def alpha(study: StudyRun) -> float:
    """Return the level of the confirmatory tests."""
    return float(study.frozen.get("tests", {}).get("alpha", ALPHA))


def losses(study: StudyRun) -> tuple[float, float]:
    """Return how much of accuracy and agreement may be lost (shares)."""
    tests = study.frozen.get("tests", {})
    return float(tests.get("accuracy_loss", LOSS)), float(tests.get("agreement_loss", LOSS))


def digest(frozen: Mapping[str, Any]) -> str:
    """Return the hash of everything in ``frozen.json`` but the hash: sha256 of its canonical JSON."""
    rest = {key: value for key, value in frozen.items() if key != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def objections(study: StudyRun) -> list[str]:
    """Say in what the study's confirmatory part is not the frozen one; nothing if it is."""
    if not study.frozen:
        return ["nothing was frozen: there is no frozen.json, so no comparison on this page is confirmatory"]
    found = []
    if study.frozen.get("hash") != digest(study.frozen):
        found.append("frozen.json was changed after it was written: its hash is not that of its content")
    cells, wanted = confirmatory(study), list(study.plan.get("confirmatory", ()))
    strangers = [cell for cell in cells if not any(_asked(study, cell, part) for part in wanted)]
    if strangers:
        found.append(f"{len(strangers)} frozen cells are not in the plan's confirmatory part")
    if "bars" in study.frozen and study.frozen["bars"] != study.plan.get("bars", []):
        found.append("the plan's bars are not the frozen ones")
    for part in wanted:
        for style in part.get("styles", ()):
            mine = [cell for cell in cells if cell.key.style == style and _asked(study, cell, part)]
            if not mine:
                found.append(f"the plan confirms {part.get('arm')} in {style}, which was not frozen")
    return found


def _asked(study: StudyRun, cell: Confirmatory, part: Mapping[str, Any]) -> bool:
    """Whether a frozen cell is one that a part of the plan asks for."""
    arm, against = study.arm(cell.key.arm), study.arm(cell.against)
    block = next((one for one in study.plan.get("blocks", ()) if one.get("name") == part.get("block")), None)
    trained = [one for one in (arm, against) if one.kind in KINDS]
    return (
        part.get("arm") in (arm.sort, arm.kind, arm.name)
        and (block is None or all(one.variant == (block.get("variant") or "") for one in trained))
        and part.get("against") in (against.sort, against.kind, against.name)
        and cell.key.style in part.get("styles", ())
        and cell.key.setting == part.get("setting", cell.key.setting)
        and cell.key.readout == part.get("readout", cell.key.readout)
        and cell.direction == part.get("direction", cell.direction)
    )
