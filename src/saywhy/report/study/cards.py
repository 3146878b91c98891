"""The model cards of a study, beside each adapter: what was measured of its arm on every task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from saywhy.models.shipped import ADAPTER_MANIFEST
from saywhy.report.card import write_card
from saywhy.report.study.load import StudyArm
from saywhy.report.study.summary import StudySummary
from saywhy.report.summary import Summary


def write_study_cards(summary: StudySummary) -> list[Path]:
    """Write the card of each adapter that the study trained and audited; return their paths."""
    paths = []
    for constants_file in sorted(summary.study.folder.glob(f"models/seed-*/*/adapter/{ADAPTER_MANIFEST}")):
        name = constants_file.parent.parent.name
        measured = [task for task, keys in summary.rows.items() if any(key.arm == name for key in keys)]
        if not measured:
            continue  # only the start of another arm, or not audited yet
        arm = summary.study.arm(name)
        control = summary.study.control(arm)
        summaries = [_task_summary_for_card(summary, task, arm) for task in measured]
        # The start arm, adapted, learned the labels of all tasks of the study.
        taught = [summary.tasks[task] for task in summary.study.tasks if task in summary.tasks]
        against = control.name if control else None
        paths.append(write_card(constants_file.parent, summaries, name, control=against, training_summaries=taught))
    return paths


def _task_summary_for_card(summary: StudySummary, task: str, arm: StudyArm) -> Summary:
    """Return the numbers of a task as the report of a run has them, with the settings that the arm was trained with."""
    task_summary = summary.tasks[task]
    kept = [arm_kept for arm_kept in summary.kept if arm_kept.task == task]
    return replace(
        task_summary,
        run=replace(task_summary.run, manifest=_manifest_with_settings(task_summary.run.manifest, arm.settings)),
        contrasts=tuple(gain.contrast for gain in summary.gains if gain.task == task),
        retention=tuple(arm_kept.kept for arm_kept in kept),
        yardstick=next((arm_kept.yardstick for arm_kept in kept), None),
    )


def _manifest_with_settings(manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**manifest, "config": {**manifest.get("config", {}), **settings}}
