"""Which words are named: the best one, or that of a place; and what naming the first or last word would score.

Naming the first is what the calibration calls *parrot* (docs/measuring.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from saywhy import stats
from saywhy.records import Table
from saywhy.report.arms import tables_of
from saywhy.report.cells import Key, excesses
from saywhy.report.format import Sheet, Shown, change, estimate, number, sheet
from saywhy.report.study.load import Arm
from saywhy.report.study.sheets import beside
from saywhy.report.study.summary import StudySummary, main_arms
from saywhy.stats import Difference, Interval
from saywhy.stats.intervals import by_text

PLACES: Mapping[str, int] = {"first": 0, "last": -1}
"""Which candidate of a text, in order of first occurrence."""


@dataclass(frozen=True, slots=True)
class Place:
    """Explanations of one style beside those that always name the word of one place, judged by the arm's own tables.

    Attributes:
        task: The task.
        arm: The arm.
        style: attribution or redaction (a counterfactual has more to it than a place).
        named: Place -> mean excess of its word.
        beyond: Place -> mean excess of the arm's explanations minus that; exploratory, uncorrected.
    """

    task: str
    arm: Arm
    style: str
    named: Mapping[str, Interval]
    beyond: Mapping[str, Difference]


def places_of(summary: StudySummary) -> Iterator[Place]:
    """Yield the comparisons of every arm of the answer on the tasks that it practised on."""
    for arm in main_arms(summary):
        for task in summary.study.runs:
            if task not in arm.tasks:
                continue
            tables = tables_of(summary.study.runs[task], arm.name, summary.operator)
            for key, rows in summary.rows[task].items():
                if _wanted(key, arm.name, summary):
                    mine = excesses(rows)
                    there = {one: tables[one] for one in mine if one in tables}
                    named = {place: _excesses(there, at) for place, at in PLACES.items()}
                    if there:
                        yield Place(
                            task,
                            arm,
                            key.style,
                            {place: _mean(found, summary.seed) for place, found in named.items()},
                            {p: stats.paired_difference(mine, found, summary.seed) for p, found in named.items()},
                        )


def _wanted(key: Key, arm: str, summary: StudySummary) -> bool:
    place = (key.setting, key.readout, key.operator) == ("one-word", "constrained", summary.operator)
    return place and key.arm == arm and key.style != "counterfactual"


def _excesses(tables: Mapping[stats.Key, Table], at: int) -> dict[stats.Key, float]:
    return {key: one.hits()[at] - one.floor() for key, one in tables.items()}


def _mean(found: Mapping[stats.Key, float], seed: int) -> Interval:
    texts = by_text((text, value) for (text, _), value in found.items())
    return stats.mean_interval(texts.values(), seed)


def places_sheet(summary: StudySummary) -> Sheet | None:
    """Return how far explanations are from naming a place."""
    rows: list[list[Shown | str]] = []
    for one in places_of(summary):
        told = [estimate(one.named[place]) for place in PLACES]
        rows.append([one.task, one.style, one.arm.name, *told, *(change(one.beyond[place]) for place in PLACES)])
    header = ("task", "style", "arm", *(f"{p} word" for p in PLACES), *(f"minus {p} word" for p in PLACES))
    note = (
        "One-word, constrained. Excess of an explainer that names the first (last) word of every text, in the arm's "
        "own tables, and how much more the arm's explanations have; exploratory and not corrected. An arm that is no "
        "better than a place has learned where, not what."
    )
    return sheet("Beyond a place", header, rows, note, texts=3) if rows else None


@dataclass(frozen=True, slots=True)
class Named:
    """Which words the explanations of a cell name, in the arm's own leave-one-word-out tables.

    Attributes:
        task: The task.
        key: The cell.
        best: Share that names the word whose removal costs the answer most.
        first: Share that names the first word of its text.
        chance: Either share, if words were drawn at random.
    """

    task: str
    key: Key
    best: Interval
    first: Interval
    chance: float


def named_of(summary: StudySummary) -> Iterator[Named]:
    """Yield what the arms of the answer name on the tasks that they practised on, their controls and starts too."""
    for task, cells in summary.rows.items():
        names = beside(summary, task)
        for key, rows in cells.items():
            if key.arm not in names or not _wanted(key, key.arm, summary):
                continue
            tables = tables_of(summary.study.runs[task], key.arm, summary.operator)
            both = [(row.words, tables[row.id, row.seed]) for row in rows if (row.id, row.seed) in tables and row.valid]
            texts = len({row.id for row in rows})
            if both:
                yield Named(
                    task,
                    key,
                    stats.rate([words == (table.words[table.best()],) for words, table in both], texts),
                    stats.rate([words == table.words[:1] for words, table in both], texts),
                    math.fsum(1 / len(table.words) for _, table in both) / len(both),
                )


def named_sheet(summary: StudySummary) -> Sheet | None:
    """Return how often explanations name the very word that matters most, beside how often they name the first."""
    rows: list[list[Shown | str]] = []
    for one in named_of(summary):
        shares = [estimate(one.best), estimate(one.first), Shown(number(one.chance))]
        rows.append([one.task, one.key.style, one.key.arm, str(one.best.n), *shares])
    header = ("task", "style", "arm", "n", "names the best word", "names the first word", "chance")
    note = (
        "One-word, constrained. Best: the word whose removal costs the arm's own answer most, whether or not it flips "
        "(top-1 agreement with occlusion, in texts that cannot flip too). Chance: of a random word."
    )
    return sheet("The best word", header, rows, note, texts=3) if rows else None
