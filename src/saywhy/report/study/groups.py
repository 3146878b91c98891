"""Hits by class, length of the text and margin of the start arm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saywhy import stats
from saywhy.records import STYLES, Row
from saywhy.report.arms import matched_seeds, tables_of
from saywhy.report.cells import excesses
from saywhy.report.format import NO_NUMBER, Sheet, SheetCell, change_cell, number, sheet_of
from saywhy.report.study.load import StudyArm
from saywhy.report.study.summary import StudySummary, is_finding, main_arms
from saywhy.stats import Difference

GROUP_PARTS = 3
"""Number of parts of about equal size into which texts are cut by length and by margin."""


@dataclass(frozen=True, slots=True)
class TextGroup:
    """A group of texts of a task, with hits and excess of an arm of the answer (one word, as findings are read).

    Attributes:
        task: The task.
        arm: The arm.
        grouping: class, length or margin.
        name: The class, or the range of lengths or margins.
        texts: Number of texts.
        hits: Style -> mean hit and mean floor of the arm, in the styles that it practised.
        difference: Mean excess minus the control's, styles averaged within a text; exploratory, uncorrected.
    """

    task: str
    arm: StudyArm
    grouping: str
    name: str
    texts: int
    hits: Mapping[str, tuple[float, float]]
    difference: Difference


def groups_of(summary: StudySummary) -> list[TextGroup]:
    """Return the groups of every arm of the answer on the tasks that it practised."""
    groups: list[TextGroup] = []
    for arm in main_arms(summary):
        control = summary.study.control(arm)
        for task in summary.study.runs:
            if control is not None and task in arm.tasks:
                groups += _groups_of_task(summary, task, arm, control)
    return groups


def _groups_of_task(summary: StudySummary, task: str, arm: StudyArm, control: StudyArm) -> Iterator[TextGroup]:
    arm_rows, control_rows = (_practised_rows(summary, task, compared, arm) for compared in (arm, control))
    if not arm_rows or not control_rows:
        return
    for grouping, names, part_of in _group_cuts(summary, task, arm_rows):
        for name in names:
            arm_part, control_part = (
                [row for row in side if part_of(row) == name] for side in (arm_rows, control_rows)
            )
            if arm_part and control_part:
                hits: dict[str, tuple[float, float]] = {}
                for style in STYLES:
                    pair = _mean_hit_and_floor([row for row in arm_part if row.style == style])
                    hits |= {style: pair} if pair is not None else {}
                new, old = (_excess_over_styles(side) for side in matched_seeds(arm_part, control_part))
                difference = stats.paired_difference(new, old, summary.seed)
                yield TextGroup(task, arm, grouping, name, len({row.id for row in arm_part}), hits, difference)


def _practised_rows(summary: StudySummary, task: str, arm: StudyArm, practised: StudyArm) -> list[Row]:
    """Return the one-word rows of ``arm`` in the styles that the arm of the answer practised."""
    return [
        row
        for key, rows in summary.rows[task].items()
        if is_finding(summary, key) and key.arm == arm.name and key.style in practised.styles
        for row in rows
    ]


def _excess_over_styles(rows: Sequence[Row]) -> dict[stats.TextSeed, float]:
    """Return the excess of each (text, seed), averaged over the styles."""
    sides = [excesses([row for row in rows if row.style == style]) for style in STYLES]
    keys = dict.fromkeys(key for side in sides for key in side)
    means = {}
    for key in keys:
        values = [side[key] for side in sides if key in side]
        means[key] = sum(values) / len(values)
    return means


def _mean_hit_and_floor(rows: Sequence[Row]) -> tuple[float, float] | None:
    if not rows:
        return None
    return sum(row.hit for row in rows) / len(rows), sum(row.floor for row in rows) / len(rows)


GroupCut = tuple[str, list[str], Callable[[Row], str | None]]
"""The grouping (class, length or margin), the names of its parts, and the part of a row."""


def _group_cuts(summary: StudySummary, task: str, rows: Sequence[Row]) -> list[GroupCut]:
    """Return the groupings: by gold label, by length and by the start arm's margin, which are the same for all arms."""
    task_summary = summary.tasks[task]
    tables = tables_of(task_summary.run, task_summary.start, summary.operator)
    labels = [str(label) for label in task_summary.run.task.get("labels", ())]
    gold = {row.id: row.gold for row in rows}
    gold_labels = {str(label) for label in gold.values() if label is not None}
    classes = [label for label in labels if label in gold_labels] + sorted(gold_labels - set(labels))
    lengths = {text: float(len(table.words)) for (text, _), table in tables.items()}
    margins: dict[str, list[float]] = {}
    for (text, _), table in tables.items():
        margins.setdefault(text, []).append(table.margin)
    ids = {row.id for row in rows}
    cuts: list[GroupCut] = [("class", classes, lambda row: row.gold)] if classes else []
    mean_margins = {text: sum(text_margins) / len(text_margins) for text, text_margins in margins.items()}
    for grouping, values, form in (("length", lengths, "{:.0f}"), ("margin", mean_margins, "{:.2f}")):
        selected = {text: value for text, value in values.items() if text in ids}
        if selected:
            cuts.append(_equal_parts(grouping, selected, form))
    return cuts


def _equal_parts(grouping: str, values: Mapping[str, float], form: str) -> GroupCut:
    """Cut texts by a value into parts of about equal size; texts of equal values are in the same part."""
    numbers = np.array(sorted(values.values()))
    edges = sorted({float(np.quantile(numbers, at / GROUP_PARTS, method="lower")) for at in range(1, GROUP_PARTS)})
    part = {text: sum(value > edge for edge in edges) for text, value in values.items()}
    unit = "words" if grouping == "length" else "nats"
    names = {}
    for at in sorted(set(part.values())):
        inside = [values[text] for text in values if part[text] == at]
        low, high = form.format(min(inside)), form.format(max(inside))
        names[at] = f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
    return grouping, list(names.values()), lambda row: names.get(part.get(row.id, -1))


def groups_sheet(summary: StudySummary) -> Sheet | None:
    """Return hits by class, length and margin."""
    groups = groups_of(summary)
    styles = list(dict.fromkeys(style for group in groups for style in group.hits))
    rows: list[list[SheetCell | str]] = [
        [
            group.task,
            group.grouping,
            group.name,
            str(group.texts),
            *_hit_cells(group.hits, styles),
            change_cell(group.difference),
        ]
        for group in groups
    ]
    header = ("task", "by", "texts", "n", *(f"hit, {style}" for style in styles), "difference of excess")
    note = (
        f"The arms of the answer, one-word, {summary.readout}, on the task that they practised: share of hits, in "
        "brackets the floor. Difference: of mean excess to the matched control, styles averaged within a text; "
        "exploratory and not corrected. Class is the gold label; length counts distinct words; margin is that of the "
        "start arm."
    )
    return sheet_of("Class, length, margin", header, rows, note, texts=3) if rows else None


def _hit_cells(hits: Mapping[str, tuple[float, float]], styles: Sequence[str]) -> list[SheetCell]:
    return [
        SheetCell(number(hits[style][0]), f"({number(hits[style][1])})") if style in hits else SheetCell(NO_NUMBER)
        for style in styles
    ]
