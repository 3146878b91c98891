"""What ``frozen.json`` fixed before the first audit of the study, and whether the plan still agrees with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from saywhy.arms import KINDS, task_name
from saywhy.records import NON_INFERIORITY_MARGIN, SaywhyError
from saywhy.report.cells import CellKey
from saywhy.report.study.load import StudyRun

CONFIRMATORY_ALPHA = 0.05
"""Level of the confirmatory tests unless ``frozen.json`` has one."""


@dataclass(frozen=True, slots=True)
class ConfirmatoryCell:
    """A confirmatory cell, named beforehand: an arm against another on one task.

    Attributes:
        task: The task that is tested on.
        key: The arm's cell.
        against: The arm that it is compared with.
        direction: The expected direction of the difference: ``higher`` or ``lower``.
        seeds: The seeds that it is to be measured under; empty if that was not frozen.
    """

    task: str
    key: CellKey
    against: str
    direction: str = "higher"
    seeds: tuple[int, ...] = ()


def frozen_cells_of(study: StudyRun) -> tuple[ConfirmatoryCell, ...]:
    """Return the frozen cells in their order.

    Raises:
        SaywhyError: If a cell lacks a key.
    """
    confirmatory_cells = []
    for number, cell in enumerate(study.frozen.get("cells", ()), start=1):
        try:
            key = CellKey(cell["arm"], cell["style"], cell["setting"], cell["readout"], cell.get("operator", "redact"))
            task, seeds = task_name(cell["task"]), tuple(cell.get("seeds", ()))
            confirmatory_cells.append(
                ConfirmatoryCell(task, key, cell["against"], cell.get("direction", "higher"), seeds)
            )
        except (KeyError, TypeError) as error:
            where = f"cell {number} of {study.folder / 'frozen.json'}"
            raise SaywhyError(f"{where} cannot be read ({error!r}); restore the file") from error
    return tuple(confirmatory_cells)


def alpha_of(study: StudyRun) -> float:
    """Return the level of the confirmatory tests."""
    return float(study.frozen.get("tests", {}).get("alpha", CONFIRMATORY_ALPHA))


def accepted_losses(study: StudyRun) -> tuple[float, float]:
    """Return the accepted loss of accuracy and that of agreement (shares)."""
    tests = study.frozen.get("tests", {})
    return float(tests.get("accuracy_loss", NON_INFERIORITY_MARGIN)), float(
        tests.get("agreement_loss", NON_INFERIORITY_MARGIN)
    )


def frozen_digest(frozen: Mapping[str, Any]) -> str:
    """Return the hash of ``frozen.json`` without its key ``hash``: sha256 of its canonical JSON."""
    content = {key: value for key, value in frozen.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def objections(study: StudyRun) -> list[str]:
    """Return the ways in which the study's confirmatory part is not the frozen one; empty if it is."""
    if not study.frozen:
        return ["nothing was frozen: there is no frozen.json, so no comparison on this page is confirmatory"]
    problems = []
    if study.frozen.get("hash") != frozen_digest(study.frozen):
        problems.append("frozen.json was changed after it was written: its hash is not that of its content")
    elif study.manifest.get("frozen", study.frozen["hash"]) != study.frozen["hash"]:
        problems.append("frozen.json is not the one that was written before the first audit: study.json has its hash")
    cells, parts = frozen_cells_of(study), list(study.plan.get("confirmatory", ()))
    unplanned = [cell for cell in cells if not any(_belongs_to_plan(study, cell, part) for part in parts)]
    if unplanned:
        problems.append(f"{len(unplanned)} frozen cells are not in the plan's confirmatory part")
    if "bars" in study.frozen and study.frozen["bars"] != study.plan.get("bars", []):
        problems.append("the plan's bars are not the frozen ones")
    for part in parts:
        for style in part.get("styles", ()):
            frozen_in_style = [
                cell for cell in cells if cell.key.style == style and _belongs_to_plan(study, cell, part)
            ]
            if not frozen_in_style:
                problems.append(f"the plan confirms {part.get('arm')} in {style}, which was not frozen")
    return problems


def _belongs_to_plan(study: StudyRun, cell: ConfirmatoryCell, part: Mapping[str, Any]) -> bool:
    """Whether a frozen cell belongs to a part of the plan's confirmatory list."""
    arm, against = study.arm(cell.key.arm), study.arm(cell.against)
    block = next(
        (planned for planned in study.plan.get("blocks", ()) if planned.get("name") == part.get("block")), None
    )
    trained_arms = [trained_arm for trained_arm in (arm, against) if trained_arm.kind in KINDS]
    return (
        part.get("arm") in (arm.kind_and_variant, arm.kind, arm.name)
        and (block is None or all(trained_arm.variant == (block.get("variant") or "") for trained_arm in trained_arms))
        and part.get("against") in (against.kind_and_variant, against.kind, against.name)
        and cell.key.style in part.get("styles", ())
        and cell.key.setting == part.get("setting", cell.key.setting)
        and cell.key.readout == part.get("readout", cell.key.readout)
        and cell.direction == part.get("direction", cell.direction)
    )
