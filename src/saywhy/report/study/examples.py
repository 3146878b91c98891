"""Twenty texts of a study, drawn at random: what the arms of the answer said, and whether it was so."""

from __future__ import annotations

from dataclasses import replace

from saywhy.report.examples import Sample, sample
from saywhy.report.load import Run
from saywhy.report.study.load import STARTS
from saywhy.report.study.sheets import beside
from saywhy.report.study.summary import StudySummary, main_arms

HOW_MANY = 20


def samples(summary: StudySummary) -> tuple[tuple[str, ...], list[tuple[str, Sample]]]:
    """Return the readouts shown, and (task, text with what was said of it): as many of each task as of the others.

    A bank has no texts of its own: the examples come from its run of built-in texts, if it has one. Of each task the
    arms of the answer are shown, and their controls.
    """
    study = summary.study
    if study.examples is not None:
        readouts, found = sample(_of_answer(summary, study.examples), summary.seed, HOW_MANY)
        return readouts, [(str(study.examples.task.get("name", "built-in texts")), one) for one in found]
    if study.bank:
        return (), []
    tasks = [task for task in summary.tasks if beside(summary, task)]
    shown: tuple[str, ...] = ()
    made: list[tuple[str, Sample]] = []
    for at, task in enumerate(tasks):
        run, arms = study.runs[task], beside(summary, task) - set(STARTS)
        share = HOW_MANY // len(tasks) + (at < HOW_MANY % len(tasks))
        readouts, found = sample(replace(run, rows=tuple(r for r in run.rows if r.arm in arms)), summary.seed, share)
        shown = max(shown, readouts, key=len)
        made += [(task, one) for one in found]
    return shown, made


def _of_answer(summary: StudySummary, run: Run) -> Run:
    """Keep the rows of the arms of the answer and of their controls, if the run has any."""
    arms = main_arms(summary)
    names = {arm.name for arm in arms} | {one.name for arm in arms if (one := summary.study.control(arm)) is not None}
    kept = tuple(row for row in run.rows if row.arm in names)
    return replace(run, rows=kept) if kept else run
