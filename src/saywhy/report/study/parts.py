"""The report of a study in parts, in reading order: page, Markdown and LaTeX all render these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saywhy.report.format import Sheet, counted, joined, sheet
from saywhy.report.sheets import main_sheets, reason_sheet, set_aside_sheet
from saywhy.report.study.donors import donors_sheet
from saywhy.report.study.frozen import confirmatory, objections
from saywhy.report.study.gains import OTHERS, Gain
from saywhy.report.study.gate import not_releasable
from saywhy.report.study.keeping import class_sheets, gate_sheet, instruction_sheet
from saywhy.report.study.load import StudyRun
from saywhy.report.study.made import arms_sheet, made_sheets, numbers_sheet, targets_sheet
from saywhy.report.study.places import named_sheet, places_sheet
from saywhy.report.study.pooled import pooled_sheet
from saywhy.report.study.sheets import (
    ablation_sheet,
    bars_sheet,
    beside,
    curve_sheet,
    gain_sheet,
    graded_sheet,
    groups_sheet,
    results_sheet,
)
from saywhy.report.study.summary import StudySummary


@dataclass(frozen=True)
class Part:
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


def parts_of(summary: StudySummary) -> list[Part]:
    """Return the parts that have something to show, those that lead first and every single cell last."""
    found = [
        _confirmatory(summary),
        _part("bars", "Bars", [bars_sheet(summary)], printed=True),
        _part("results", "Where the arms stand", _results(summary), printed=True),
        _part("pooled", "How far it carries", [pooled_sheet(summary)], printed=True),
        _styles(summary),
        _tasks(summary),
        _free(summary),
        _others(summary),
        _part("graded", "By the current and by the start model", [graded_sheet(summary)], ["graded"], printed=True),
        _curve(summary),
        _ablations(summary),
        _retention(summary),
        _groups(summary),
        _failures(summary),
    ]
    return [part for part in found if part.sheets or part.words]


def last_parts(summary: StudySummary) -> list[Part]:
    """Return what stands at the end: how it was made, and every cell."""
    every = [
        _part(
            f"cells-{task}",
            f"Every cell, {task}",
            [*main_sheets(found), *main_sheets(found, primary=False)],
            printed=True,
        )
        for task, found in summary.tasks.items()
    ]
    made = _part(
        "made",
        "Everything needed to repeat it",
        [arms_sheet(summary), numbers_sheet(summary), targets_sheet(summary), *made_sheets(summary)],
    )
    return [part for part in (made, *every) if part.sheets]


def _part(
    anchor: str,
    title: str,
    sheets: Iterable[Sheet | None],
    pictures: Sequence[str] = (),
    words: Sequence[str] = (),
    *,
    printed: bool = False,
) -> Part:
    shown = tuple(one for one in sheets if one is not None)
    return Part(anchor, title, tuple(words), tuple(pictures), shown, printed)


def _confirmatory(summary: StudySummary) -> Part:
    """Say what was frozen, whether the page holds to it, and what came of it."""
    study = summary.study
    words = []
    if study.frozen:
        words.append(
            f"Frozen before the first audit of this study: {counted(len(confirmatory(study)), 'cell')}, hash "
            f"{study.frozen.get('hash')}."
        )
        words += [
            f"{name.capitalize()}: {told}." for name in ("tests", "exclusions", "texts") if (told := _told(study, name))
        ]
    against = objections(study)
    if against:
        words.append("This page does NOT hold to what was frozen: " + "; ".join(against) + ".")
    else:
        words.append("The confirmatory cells of this page are the frozen ones; the hash is that of the file.")
    found = gain_sheet(summary, "Confirmatory cells", summary.confirmatory, planning=True)
    return _part("confirmatory", "The confirmatory part", [found], ["confirmatory"], words, printed=True)


def _told(study: StudyRun, name: str) -> str:
    """Return a part of ``frozen.json`` in words."""
    found = study.frozen.get(name, {})
    return "; ".join(f"{key.replace('_', ' ')}: {_in_words(value)}" for key, value in found.items())


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_in_words(one)}" for key, one in value.items())
    return "none" if value is None else str(value)


def _results(summary: StudySummary) -> list[Sheet | None]:
    return [
        results_sheet(summary, "constrained"),
        results_sheet(summary, "generated"),
        results_sheet(summary, "generated", "free"),
        gain_sheet(
            summary, "Generated replies against the control", _gains(summary, "generated", "practised"), EXPLORATORY
        ),
    ]


EXPLORATORY = "Exploratory. Holm over these lines."


def _both(summary: StudySummary, *axes: str) -> list[Sheet | None]:
    """Return comparisons in the constrained and in the generated one-word readout."""
    return [
        gain_sheet(summary, f"one-word, {readout}", _gains(summary, readout, *axes), EXPLORATORY)
        for readout in ("constrained", "generated")
    ]


def _gains(summary: StudySummary, readout: str, *axes: str) -> list[Gain]:
    return [gain for axis in axes for gain in summary.of_axis(axis, readout=readout)]


def _styles(summary: StudySummary) -> Part:
    sheets = _both(summary, "other style")
    words = () if any(sheets) else ("No arm was tested in a style that it had not practised.",)
    pictures = ("styles-constrained", "styles-generated")
    return _part("styles", "Style x style: practised and tested", sheets, pictures, words, printed=True)


def _tasks(summary: StudySummary) -> Part:
    sheets = [
        gain_sheet(summary, f"{title}, one-word, {readout}", _gains(summary, readout, axis), EXPLORATORY)
        for axis, title in (("other task", "Other tasks"), ("unseen task", "Unseen tasks"))
        for readout in ("constrained", "generated")
    ]
    words = () if any(sheets) else ("No arm was tested on a task that it had not practised.",)
    pictures = ("tasks-constrained", "tasks-generated")
    return _part("tasks", "Task x task: practised and tested", sheets, pictures, words, printed=True)


def _free(summary: StudySummary) -> Part:
    gains = summary.of_axis("free", setting="free", readout="generated")
    words = () if gains else ("Free explanations were not measured.",)
    sheets = [gain_sheet(summary, "free, generated", gains, EXPLORATORY)]
    return _part("free", "From one word to free explanations", sheets, ["free"], words, printed=True)


def _others(summary: StudySummary) -> Part:
    """Compare with the arms that say whether it is self-report: lexical, transplant; and with those before training."""
    sheets = [
        gain_sheet(summary, f"one-word, {readout}", _gains(summary, readout, "other arm"), EXPLORATORY)
        for readout in ("constrained", "generated")
    ]
    sheets += [donors_sheet(summary), named_sheet(summary), places_sheet(summary)]
    rivals = {one.kind for one in summary.study.arms.values()} & set(OTHERS)
    measured = {summary.study.arm(gain.contrast.other).kind for gain in _gains(summary, "constrained", "other arm")}
    words = (
        "Above lexical (the word that the corpus associates with the label) and transplant (words of another model's "
        "decisions), an arm reports on itself; on a level with them, it imitates what is plausible.",
        *([f"Not measured yet: {joined(absent)}."] if (absent := sorted(rivals - measured)) else []),
    )
    return _part("others", "Self-report or imitation", sheets, (), words if any(sheets) else (), printed=True)


def _curve(summary: StudySummary) -> Part:
    found = curve_sheet(summary)
    words = () if found else ("Only one number of training texts was measured.",)
    return _part("curve", "Learning curve", [found], ["curve"], words, printed=True)


def _ablations(summary: StudySummary) -> Part:
    """Compare variants with the arm that they vary, and each with a control that practised in the same way."""
    sheets = []
    for readout in ("constrained", "generated"):
        gains = [g for g in _gains(summary, readout, "variant") if _variant(summary, g.contrast.other) == g.arm.variant]
        sheets.append(
            gain_sheet(summary, f"Variants against their own controls, one-word, {readout}", gains, EXPLORATORY)
        )
    return _part("ablations", "Ablations", [ablation_sheet(summary), *sheets], ["ablations"], printed=True)


def _variant(summary: StudySummary, arm: str) -> str:
    return summary.study.arm(arm).variant


def _groups(summary: StudySummary) -> Part:
    pictures = [f"groups-{task}" for task in summary.tasks]
    return _part("groups", "Class, length, margin", [groups_sheet(summary)], pictures, printed=True)


def _retention(summary: StudySummary) -> Part:
    failed = {
        name: why for name, why in not_releasable(summary.kept).items() if summary.study.arm(name).kind != "random"
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


def _failures(summary: StudySummary) -> Part:
    """Return why replies are invalid and texts were set aside, a table a task."""
    sheets = []
    for task, found in summary.tasks.items():
        names = beside(summary, task)
        mine = replace(found, cells=tuple(cell for cell in found.cells if cell.key.arm in names))
        for one in (reason_sheet(mine), set_aside_sheet(found)):
            if one is not None:
                sheets.append(sheet(f"{one.title}, {task}", one.header, one.rows, one.note, one.texts))
    pictures = [f"replies-{task}" for task in summary.tasks]
    words = (
        "The arms of the answer, their controls and what they went on from; of all others: cells.csv, column reasons.",
    )
    return _part("failed", "What failed, and why", sheets, pictures, words if sheets else (), printed=True)
