"""What explainers that only look at a place would score: the first word of every text, or the last.

Naming the first is what the calibration calls *parrot* (docs/measuring.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from saywhy import stats
from saywhy.records import Table
from saywhy.report.arms import tables_of
from saywhy.report.cells import Key, excesses
from saywhy.report.format import Sheet, Shown, change, estimate, sheet
from saywhy.report.study.load import Arm
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
