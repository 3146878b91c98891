"""Twenty texts of a study, drawn at random, with the explanations of the arms of the answer and their verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from saywhy.arms import STARTS
from saywhy.records import Setting
from saywhy.report.examples import ExampleCard, example_cards, shown_setting
from saywhy.report.load import LoadedRun
from saywhy.report.study.sheets import compared_arms
from saywhy.report.study.summary import StudySummary, main_arms

STUDY_EXAMPLES = 20


@dataclass(frozen=True, slots=True)
class StudySamples:
    """Examples of a study.

    Attributes:
        readouts: The readouts shown.
        setting: The setting in which the explanations were asked for.
        cards: (task, text with its explanations).
    """

    readouts: tuple[str, ...]
    setting: Setting
    cards: Sequence[tuple[str, ExampleCard]]


def study_samples(summary: StudySummary) -> StudySamples:
    """Return examples, about as many texts of each task.

    A bank has no texts of its own: the examples come from its run of built-in texts, if it has one. Of each task the
    arms of the answer are shown, and their controls.
    """
    study = summary.study
    if study.bank:
        runs = [_only_answer_arms(summary, run) for run in study.examples]
    else:
        runs = [_only_arms(study.runs[task], compared_arms(summary, task) - set(STARTS)) for task in summary.tasks]
    runs = [run for run in runs if run.rows]
    shown_readouts: tuple[str, ...] = ()
    task_samples: list[tuple[str, ExampleCard]] = []
    for at, run in enumerate(runs):
        readouts, drawn = example_cards(
            run, summary.seed, STUDY_EXAMPLES // len(runs) + (at < STUDY_EXAMPLES % len(runs))
        )
        shown_readouts = max(shown_readouts, readouts, key=len)
        task_samples += [(str(run.task.get("name", "built-in texts")), text_sample) for text_sample in drawn]
    return StudySamples(shown_readouts, shown_setting(runs[0]) if runs else "one-word", task_samples)


def _only_answer_arms(summary: StudySummary, run: LoadedRun) -> LoadedRun:
    """Keep the rows of the arms of the answer and of their controls, if the run has any."""
    arms = main_arms(summary)
    names = {arm.name for arm in arms} | {
        control.name for arm in arms if (control := summary.study.control(arm)) is not None
    }
    kept = _only_arms(run, names)
    return kept if kept.rows else run


def _only_arms(run: LoadedRun, names: set[str]) -> LoadedRun:
    return replace(run, rows=tuple(row for row in run.rows if row.arm in names))
