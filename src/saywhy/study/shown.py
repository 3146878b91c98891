"""The examples that a released bank shows in place of its texts: built-in texts, explained by the confirmatory arms."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from saywhy.records import Readout
from saywhy.study.member import StudyTaskRun

SHOWN_READOUTS: tuple[Readout, ...] = ("constrained", "guided")
"""Readouts of the examples on built-in texts."""


def built_in_task_run(member: StudyTaskRun, out: Path, rows: int) -> StudyTaskRun:
    """Return the run of a study's task on ``rows`` built-in test texts, with the folder ``out``.

    It uses the calibration constants and the pinned words of the task's own texts.
    """
    config = member.config.model_copy(update={"data": "pocket", "rows": rows, "decide_rows": rows})
    requests = {
        audit: dataclasses.replace(request, settings=("one-word",), readouts=SHOWN_READOUTS)
        for audit, request in member.requests.items()
    }
    return StudyTaskRun(config, out, member.models, requests, member.stretch_ends, member.classifiers, practised=False)
