"""The report of a study in parts, in reading order: page, Markdown and LaTeX all render these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saywhy.report.cells import RESULT_CONDITIONS, RESULT_READOUTS
from saywhy.report.format import Sheet, counted, joined
from saywhy.report.sheets import reason_sheet, result_sheets, set_aside_sheet
from saywhy.report.study.donors import donors_sheet
from saywhy.report.study.frozen import frozen_cells_of, objections
from saywhy.report.study.gains import OTHER_TARGET_KINDS, Axis, Gain
from saywhy.report.study.gate import not_releasable
from saywhy.report.study.groups import groups_sheet
from saywhy.report.study.load import StudyRun
from saywhy.report.study.made import arms_sheet, numbers_sheet, study_provenance_sheets, study_targets_sheet
from saywhy.report.study.places import named_sheet, places_sheet
from saywhy.report.study.pooled import pooled_sheet
from saywhy.report.study.retention import class_sheets, gate_sheet, instruction_sheet
from saywhy.report.study.sentences import sentences_sheets
from saywhy.report.study.sheets import (
    ablation_sheet,
    bars_sheet,
    compared_arms,
    gain_sheet,
    graded_sheet,
    results_sheet,
    study_curve_sheet,
)
from saywhy.report.study.summary import StudySummary


@dataclass(frozen=True)
class ReportPart:
    """A part of the report.

    Attributes:
        anchor: Its name within the page, and the first piece of its LaTeX label.
        title: Its heading.
        words: Paragraphs before everything else.
        pictures: Names of its pictures; those that were not drawn are left out.
        sheets: Its tables.
        printed: Whether its tables go into ``tables.tex``.
    """

    anchor: str
    title: str
    words: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    printed: bool = False


def parts_of(summary: StudySummary) -> list[ReportPart]:
    """Return the parts that have something to show, in reading order; ``last_parts`` come after them."""
    parts = [
        _confirmatory_part(summary),
        _part("bars", "Bars", [bars_sheet(summary)], printed=True),
        _part("results", "Where the arms stand", _results_sheets(summary), printed=True),
        _part("sentences", "Explanations in sentences", sentences_sheets(summary), printed=True),
        _part("pooled", "How far it carries", [pooled_sheet(summary)], printed=True),
        _styles_part(summary),
        _tasks_part(summary),
        _free_part(summary),
        _others_part(summary),
        _part("graded", "By the current and by the start model", [graded_sheet(summary)], ["graded"], printed=True),
        _curve_part(summary),
        _ablations_part(summary),
        _retention_part(summary),
        _groups_part(summary),
        _failures_part(summary),
    ]
    return [part for part in parts if part.sheets or part.words]


def last_parts(summary: StudySummary) -> list[ReportPart]:
    """Return the parts at the end: how the study was made, and every cell."""
    cell_parts = [
        _part(
            f"cells-{task}",
            f"Every cell, {task}",
            [*result_sheets(run_summary), *result_sheets(run_summary, primary=False)],
            printed=True,
        )
        for task, run_summary in summary.tasks.items()
    ]
    provenance = _part(
        "made",
        "Everything needed to repeat it",
        [arms_sheet(summary), numbers_sheet(summary), study_targets_sheet(summary), *study_provenance_sheets(summary)],
    )
    return [part for part in (provenance, *cell_parts) if part.sheets]


def _part(
    anchor: str,
    title: str,
    sheets: Iterable[Sheet | None],
    pictures: Sequence[str] = (),
    words: Sequence[str] = (),
    *,
    printed: bool = False,
) -> ReportPart:
    return ReportPart(anchor, title, tuple(words), tuple(pictures), tuple(filter(None, sheets)), printed)


def _confirmatory_part(summary: StudySummary) -> ReportPart:
    """Return what was frozen, whether the page holds to it, and the confirmatory comparisons."""
    study = summary.study
    words = []
    if study.frozen:
        words.append(
            f"Frozen before the first audit of this study: {counted(len(frozen_cells_of(study)), 'cell')}, hash "
            f"{study.frozen.get('hash')}."
        )
        words += [
            f"{name.capitalize()}: {sentence}."
            for name in ("tests", "exclusions", "texts")
            if (sentence := _frozen_in_words(study, name))
        ]
    deviations = objections(study)
    if deviations:
        words.append("This page does NOT hold to what was frozen: " + "; ".join(deviations) + ".")
    else:
        words.append("The confirmatory cells of this page are the frozen ones; the hash is that of the file.")
    cells_sheet = gain_sheet(summary, "Confirmatory cells", summary.confirmatory, planning=True)
    return _part("confirmatory", "The confirmatory part", [cells_sheet], ["confirmatory"], words, printed=True)


def _frozen_in_words(study: StudyRun, name: str) -> str:
    """Return a section of ``frozen.json`` in words."""
    section = study.frozen.get(name, {})
    return "; ".join(f"{key.replace('_', ' ')}: {_value_in_words(value)}" for key, value in section.items())


def _value_in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value_in_words(item)}" for key, item in value.items())
    return "none" if value is None else str(value)


def _results_sheets(summary: StudySummary) -> list[Sheet | None]:
    return [
        *(results_sheet(summary, *condition) for condition in RESULT_CONDITIONS),
        *_exploratory_sheets(summary, "practised", "Against the control, ", unfrozen=True),
    ]


def exploratory_sheet(summary: StudySummary, title: str, gains: Sequence[Gain]) -> Sheet | None:
    """Return comparisons that were not named beforehand, with what Holm's correction went over.

    Frozen ones among them, and lines of their kind that another table shows, are said to be.
    """
    families = {gain.family for gain in gains}
    members = sum(gain.family in families for gain in summary.gains)
    lines = "these lines" if members == len(gains) else f"all {members} comparisons of this kind"
    note = f"Exploratory. Holm over {lines}."
    if any(gain.frozen for gain in gains):
        note = "Exploratory, Holm over these lines; but confirmatory ones are corrected with all of their kind."
    return gain_sheet(summary, title, gains, note)


def _exploratory_sheets(
    summary: StudySummary,
    axis: Axis,
    title: str = "",
    *,
    unfrozen: bool = False,
    counts: Callable[[Gain], bool] = lambda gain: True,
) -> list[Sheet]:
    """Return the comparisons about one thing, one table a setting and readout.

    Args:
        summary: The study.
        axis: What they are about.
        title: Stands before setting and readout.
        unfrozen: Whether a table of frozen comparisons alone, which stand elsewhere, is left out.
        counts: Whether a comparison is shown.
    """
    sheets = []
    for setting, readout in RESULT_CONDITIONS:
        gains = [gain for gain in summary.of_axis(axis, setting=setting, readout=readout) if counts(gain)]
        if not (unfrozen and all(gain.frozen for gain in gains)):
            sheets.append(exploratory_sheet(summary, f"{title}{setting}, {readout}", gains))
    return [sheet for sheet in sheets if sheet is not None]


def _styles_part(summary: StudySummary) -> ReportPart:
    sheets = _exploratory_sheets(summary, "other style")
    words = () if sheets else ("No arm was tested in a style that it had not practised.",)
    pictures = [f"styles-{readout}" for readout in RESULT_READOUTS]
    return _part("styles", "Style x style: practised and tested", sheets, pictures, words, printed=True)


def _tasks_part(summary: StudySummary) -> ReportPart:
    sheets = _exploratory_sheets(summary, "other task", "Other tasks, ")
    sheets += _exploratory_sheets(summary, "unseen task", "Unseen tasks, ")
    words = () if sheets else ("No arm was tested on a task that it had not practised.",)
    pictures = [f"tasks-{readout}" for readout in RESULT_READOUTS]
    return _part("tasks", "Task x task: practised and tested", sheets, pictures, words, printed=True)


def _free_part(summary: StudySummary) -> ReportPart:
    gains = summary.of_axis("free", setting="free")
    words = () if gains else ("Free explanations were not measured.",)
    sheets = [exploratory_sheet(summary, "free, generated", gains)]
    return _part("free", "From one word to free explanations", sheets, ["free"], words, printed=True)


def _others_part(summary: StudySummary) -> ReportPart:
    """Compare with the arms that say whether it is self-report: lexical, transplant; and with those before training."""
    sheets = [
        *_exploratory_sheets(summary, "other arm"),
        *(donors_sheet(summary), named_sheet(summary), places_sheet(summary)),
    ]
    rivals = {arm.kind for arm in summary.study.arms.values()} & set(OTHER_TARGET_KINDS)
    measured = {
        summary.study.arm(gain.contrast.rival).kind
        for setting, readout in RESULT_CONDITIONS
        for gain in summary.of_axis("other arm", setting=setting, readout=readout)
    }
    words = (
        "Above lexical (the word that the corpus associates with the label) and transplant (words of another model's "
        "decisions), an arm reports on itself; on a level with them, it imitates what is plausible.",
        *([f"Not measured yet: {joined(absent)}."] if (absent := sorted(rivals - measured)) else []),
    )
    return _part("others", "Self-report or imitation", sheets, (), words if any(sheets) else (), printed=True)


def _curve_part(summary: StudySummary) -> ReportPart:
    points_sheet = study_curve_sheet(summary)
    words = () if points_sheet else ("Only one number of training texts was measured.",)
    return _part("curve", "Learning curve", [points_sheet], ["curve", "curve-effect-share"], words, printed=True)


def _ablations_part(summary: StudySummary) -> ReportPart:
    """Compare variants with the arm that they vary, and each with a control that practised in the same way."""

    def is_like_its_control(gain: Gain) -> bool:
        return summary.study.arm(gain.contrast.rival).variant == gain.arm.variant

    sheets = _exploratory_sheets(
        summary, "variant", "Variants against their own controls, ", counts=is_like_its_control
    )
    return _part("ablations", "Ablations", [ablation_sheet(summary), *sheets], ["ablations"], printed=True)


def _groups_part(summary: StudySummary) -> ReportPart:
    pictures = [f"groups-{task}" for task in summary.tasks]
    return _part("groups", "Class, length, margin", [groups_sheet(summary)], pictures, printed=True)


def _retention_part(summary: StudySummary) -> ReportPart:
    failed = {
        name: reasons
        for name, reasons in not_releasable(summary.kept).items()
        if summary.study.arm(name).kind != "random"
    }
    words = [f"Not releasable: {name} ({'; '.join(reasons)})." for name, reasons in failed.items()]
    sheets = [gate_sheet(summary), *class_sheets(summary), instruction_sheet(summary)]
    if not any(sheets):
        words = ["Nothing was measured of what the arms kept."]
    return _part(
        "retention",
        "Retention and the gate",
        sheets,
        [f"retention-{task}" for task in summary.tasks],
        words,
        printed=True,
    )


def _failures_part(summary: StudySummary) -> ReportPart:
    """Return why replies are invalid and texts were set aside, a table a task."""
    sheets = []
    for task, run_summary in summary.tasks.items():
        arms = compared_arms(summary, task)
        compared = replace(run_summary, cells=tuple(cell for cell in run_summary.cells if cell.key.arm in arms))
        for failures in (reason_sheet(compared), set_aside_sheet(run_summary)):
            if failures is not None:
                sheets.append(replace(failures, title=f"{failures.title}, {task}"))
    pictures = [f"replies-{task}" for task in summary.tasks]
    words = (
        "The arms of the answer, their controls and what they went on from; of all others: cells.csv, column reasons.",
    )
    return _part("failed", "What failed, and why", sheets, pictures, words if sheets else (), printed=True)
