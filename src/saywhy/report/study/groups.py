"""Hits by class, length of the text and margin: for whom the training works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from saywhy import stats
from saywhy.records import STYLES, Row
from saywhy.report.arms import matched_seeds, tables_of
from saywhy.report.cells import Key, excesses
from saywhy.report.study.load import Arm
from saywhy.report.study.summary import StudySummary, main_arms
from saywhy.stats import Difference

PARTS = 3
"""Into how many parts of equal size lengths and margins are cut."""


@dataclass(frozen=True, slots=True)
class Group:
    """Some texts of a task, and what an arm of the answer does on them (one-word, the constrained readout if any).

    Attributes:
        task: The task.
        arm: The arm.
        by: class, length or margin.
        name: Which texts.
        texts: How many texts.
        hits: Style -> mean hit and mean floor of the arm, in the styles that it practised.
        difference: Mean excess minus the control's, styles averaged within a text; exploratory, uncorrected.
    """

    task: str
    arm: Arm
    by: str
    name: str
    texts: int
    hits: Mapping[str, tuple[float, float]]
    difference: Difference


def groups_of(summary: StudySummary) -> list[Group]:
    """Return the groups of every arm of the answer on the tasks that it practised on."""
    found: list[Group] = []
    for arm in main_arms(summary):
        control = summary.study.control(arm)
        for task in summary.study.runs:
            if control is not None and task in arm.tasks:
                found += _of_task(summary, task, arm, control)
    return found


def _of_task(summary: StudySummary, task: str, arm: Arm, control: Arm) -> Iterator[Group]:
    mine, theirs = (_rows(summary, task, one, arm) for one in (arm, control))
    if not mine or not theirs:
        return
    for by, names, group in _cuts(summary, task, mine):
        for name in names:
            ours, others = ([row for row in side if group(row) == name] for side in (mine, theirs))
            if ours and others:
                told: dict[str, tuple[float, float]] = {}
                for style in STYLES:
                    pair = _means([row for row in ours if row.style == style])
                    told |= {style: pair} if pair is not None else {}
                new, old = (_pooled(side) for side in matched_seeds(ours, others))
                difference = stats.paired_difference(new, old, summary.seed)
                yield Group(task, arm, by, name, len({row.id for row in ours}), told, difference)


def _rows(summary: StudySummary, task: str, arm: Arm, practised: Arm) -> list[Row]:
    """Return the one-word rows of ``arm`` in the styles that the arm of the answer practised."""
    cells = summary.rows[task]
    readout = "constrained" if any(key.readout == "constrained" for key in cells) else "generated"
    return [
        row
        for key, rows in cells.items()
        if key == Key(arm.name, key.style, "one-word", readout, key.operator)  # type: ignore[arg-type]
        and key.operator == summary.operator
        and key.style in practised.styles
        for row in rows
    ]


def _pooled(rows: Sequence[Row]) -> dict[stats.Key, float]:
    """Return the excess of each (text, seed), averaged over the styles."""
    sides = [excesses([row for row in rows if row.style == style]) for style in STYLES]
    keys = dict.fromkeys(key for side in sides for key in side)
    found = {}
    for key in keys:
        values = [side[key] for side in sides if key in side]
        found[key] = sum(values) / len(values)
    return found


def _means(rows: Sequence[Row]) -> tuple[float, float] | None:
    if not rows:
        return None
    return sum(row.hit for row in rows) / len(rows), sum(row.floor for row in rows) / len(rows)


Cut = tuple[str, list[str], Callable[[Row], str | None]]
"""What is cut by, the names of the parts, and which part a row belongs to."""


def _cuts(summary: StudySummary, task: str, rows: Sequence[Row]) -> list[Cut]:
    """Return the groupings. They go by what no arm changes: the gold label, the text, and the start arm's margin."""
    found = summary.tasks[task]
    tables = tables_of(found.run, found.start, summary.operator)
    labels = [str(label) for label in found.run.task.get("labels", ())]
    gold = {row.id: row.gold for row in rows}
    known = {str(label) for label in gold.values() if label is not None}
    classes = [label for label in labels if label in known] + sorted(known - set(labels))
    lengths = {text: float(len(table.words)) for (text, _), table in tables.items()}
    margins: dict[str, list[float]] = {}
    for (text, _), table in tables.items():
        margins.setdefault(text, []).append(table.margin)
    ids = {row.id for row in rows}
    cuts: list[Cut] = [("class", classes, lambda row: row.gold)] if classes else []
    of_margin = {text: sum(some) / len(some) for text, some in margins.items()}
    for by, values, form in (("length", lengths, "{:.0f}"), ("margin", of_margin, "{:.2f}")):
        mine = {text: value for text, value in values.items() if text in ids}
        if mine:
            cuts.append(_parts(by, mine, form))
    return cuts


def _parts(by: str, values: Mapping[str, float], form: str) -> Cut:
    """Cut texts into parts of about equal size by a number; equal numbers stay together."""
    numbers = np.array(sorted(values.values()))
    edges = sorted({float(np.quantile(numbers, at / PARTS, method="lower")) for at in range(1, PARTS)})
    part = {text: sum(value > edge for edge in edges) for text, value in values.items()}
    unit = "words" if by == "length" else "nats"
    names = {}
    for at in sorted(set(part.values())):
        inside = [values[text] for text in values if part[text] == at]
        low, high = form.format(min(inside)), form.format(max(inside))
        names[at] = f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
    return by, list(names.values()), lambda row: names.get(part.get(row.id, -1))
