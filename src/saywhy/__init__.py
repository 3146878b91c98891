"""saywhy measures whether a model's explanation of its own answer is faithful, trains it, and proves it.

What is listed here is what a program of yours needs; it is loaded when it is first used. Deeper paths may move.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saywhy.config import Config
    from saywhy.explainer.decision import ExplainedDecision, ExplainRequest
    from saywhy.explainer.explainer import Explainer
    from saywhy.records import Row, SaywhyError
    from saywhy.report import write_report
    from saywhy.report.load import LoadedRun, load_run
    from saywhy.report.study import load_study, write_study_report
    from saywhy.runs.run import Run
    from saywhy.study.plan import StudyPlan
    from saywhy.study.read import read_plan
    from saywhy.study.run import StudyRunner
    from saywhy.tasks.task import Task, load_task

__version__ = "0.1.0"

_HOMES = {
    "Config": "saywhy.config",
    "ExplainRequest": "saywhy.explainer.decision",
    "ExplainedDecision": "saywhy.explainer.decision",
    "Explainer": "saywhy.explainer.explainer",
    "LoadedRun": "saywhy.report.load",
    "Row": "saywhy.records",
    "Run": "saywhy.runs.run",
    "SaywhyError": "saywhy.records",
    "StudyPlan": "saywhy.study.plan",
    "StudyRunner": "saywhy.study.run",
    "Task": "saywhy.tasks.task",
    "load_run": "saywhy.report.load",
    "load_study": "saywhy.report.study",
    "load_task": "saywhy.tasks.task",
    "read_plan": "saywhy.study.read",
    "write_report": "saywhy.report",
    "write_study_report": "saywhy.report.study",
}
"""Where each public name is defined."""

__all__ = [
    "Config",
    "ExplainRequest",
    "ExplainedDecision",
    "Explainer",
    "LoadedRun",
    "Row",
    "Run",
    "SaywhyError",
    "StudyPlan",
    "StudyRunner",
    "Task",
    "load_run",
    "load_study",
    "load_task",
    "read_plan",
    "write_report",
    "write_study_report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'saywhy' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
