"""Twenty texts of a study, drawn at random: what the arms of the answer said, and whether it was so."""

from __future__ import annotations

from dataclasses import replace

from saywhy.arms import MADE
from saywhy.report.examples import Sample, sample
from saywhy.report.load import Run
from saywhy.report.study.sheets import beside
from saywhy.report.study.summary import StudySummary, main_arms

HOW_MANY = 20


def samples(summary: StudySummary) -> tuple[tuple[str, ...], list[tuple[str, Sample]]]:
    """Return the readouts shown, and (task, text with what was said of it): as many of each task as of the others.

    A bank has no texts of its own: the examples come from its run of built-in texts, if it has one. Of each task the
    arms of the answer are shown, and their controls.
    """
    study = summary.study
    if study.bank:
        runs = [_of_answer(summary, run) for run in study.examples]
    else:
        runs = [_of_arms(study.runs[task], beside(summary, task) - set(MADE)) for task in summary.tasks]
    runs = [run for run in runs if run.rows]
    shown: tuple[str, ...] = ()
    made: list[tuple[str, Sample]] = []
    for at, run in enumerate(runs):
        readouts, found = sample(run, summary.seed, HOW_MANY // len(runs) + (at < HOW_MANY % len(runs)))
        shown = max(shown, readouts, key=len)
        made += [(str(run.task.get("name", "built-in texts")), one) for one in found]
    return shown, made


def _of_answer(summary: StudySummary, run: Run) -> Run:
    """Keep the rows of the arms of the answer and of their controls, if the run has any."""
    arms = main_arms(summary)
    names = {arm.name for arm in arms} | {one.name for arm in arms if (one := summary.study.control(arm)) is not None}
    kept = _of_arms(run, names)
    return kept if kept.rows else run


def _of_arms(run: Run, names: set[str]) -> Run:
    return replace(run, rows=tuple(row for row in run.rows if row.arm in names))
