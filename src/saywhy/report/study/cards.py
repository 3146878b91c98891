"""The model cards of a study: beside each adapter, what was measured of it on every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from saywhy.models.spec import CONSTANTS_FILE
from saywhy.report.card import write_card
from saywhy.report.study.load import Arm
from saywhy.report.study.summary import StudySummary
from saywhy.report.summary import Summary


def write_study_cards(summary: StudySummary) -> list[Path]:
    """Write the card of each adapter that the study trained and audited; return their paths."""
    written = []
    for told in sorted(summary.study.folder.glob(f"models/seed-*/*/adapter/{CONSTANTS_FILE}")):
        name = told.parent.parent.name
        measured = [task for task, keys in summary.rows.items() if any(key.arm == name for key in keys)]
        if not measured:
            continue  # what another arm goes on from, or not audited yet
        arm = summary.study.arm(name)
        control = summary.study.control(arm)
        found = [_of_task(summary, task, arm) for task in measured]
        taught = [summary.tasks[task] for task in summary.study.tasks if task in summary.tasks]  # adapted learned all
        against = control.name if control else None
        written.append(write_card(told.parent, found, name, control=against, taught=taught))
    return written


def _of_task(summary: StudySummary, task: str, arm: Arm) -> Summary:
    """Return the numbers of a task as the report of a run has them, with the settings that the arm was trained with."""
    found = summary.tasks[task]
    kept = [one for one in summary.kept if one.task == task]
    return replace(
        found,
        run=replace(found.run, manifest=_trained_with(found.run.manifest, arm.settings)),
        contrasts=tuple(gain.contrast for gain in summary.gains if gain.task == task),
        retention=tuple(one.kept for one in kept),
        yardstick=next((one.yardstick for one in kept), None),
    )


def _trained_with(manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**manifest, "config": {**manifest.get("config", {}), **settings}}
