"""Which words are named: the best one, or that of a place; and what naming the first or last word would score.

Naming the first is what the calibration calls *parrot* (docs/measuring.md). Of a counterfactual it is asked where the
edit is, whatever is put there: each word of a text counts with the mean of all pinned words in its place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from saywhy import stats
from saywhy.records import Grid, Row, Table
from saywhy.report.arms import grids_of, tables_of
from saywhy.report.cells import Key
from saywhy.report.format import Sheet, Shown, change, estimate, number, sheet
from saywhy.report.study.load import Arm
from saywhy.report.study.sheets import beside
from saywhy.report.study.summary import StudySummary, main_arms
from saywhy.stats import Difference, Interval
from saywhy.stats.intervals import by_text

PLACES: Mapping[str, int] = {"first": 0, "last": -1}
"""Which candidate of a text, in order of first occurrence."""


@dataclass(frozen=True, slots=True)
class Spots:
    """What an edit of each word of a text does to an arm's own answer.

    Attributes:
        words: The distinct words of the text, in order of first occurrence.
        hits: Whether taking each out hits; counterfactual: how many of the pinned words hit in its place (a share).
        drops: Fall of the answer's log-odds (nats); counterfactual: the mean over the pinned words.
    """

    words: tuple[str, ...]
    hits: tuple[float, ...]
    drops: tuple[float, ...]

    @classmethod
    def of_table(cls, table: Table) -> Spots:
        """Return those of a leave-one-word-out table."""
        return cls(table.words, tuple(map(float, table.hits())), table.drops)

    @classmethod
    def of_grid(cls, grid: Grid) -> Spots:
        """Return those of a counterfactual grid."""
        told: dict[str, list[tuple[bool, float]]] = {}
        for word, hit, drop in zip(grid.words, grid.hits(), grid.drops, strict=True):
            told.setdefault(word, []).append((hit, drop))
        means = [(math.fsum(h for h, _ in some) / len(some), math.fsum(d for _, d in some) / len(some))
                 for some in told.values()]  # fmt: skip
        return cls(tuple(told), tuple(hit for hit, _ in means), tuple(drop for _, drop in means))

    @property
    def best(self) -> str:
        """The word whose edit costs the answer most."""
        return self.words[self.drops.index(max(self.drops))]

    def excess(self, word: str | None) -> float:
        """Return how much more a word's edit hits than a random word's; None and other words do not hit."""
        return dict(zip(self.words, self.hits, strict=True)).get(word or "", 0.0) - math.fsum(self.hits) / len(
            self.hits
        )


def spots_of(summary: StudySummary, task: str, key: Key) -> dict[stats.Key, Spots]:
    """Return what edits of each text do to the arm of a cell, by (text, seed)."""
    run = summary.study.runs[task]
    if key.style == "counterfactual":
        return {place: Spots.of_grid(grid) for place, grid in grids_of(run, key.arm).items() if grid.words}
    tables = tables_of(run, key.arm, summary.operator)
    return {place: Spots.of_table(table) for place, table in tables.items() if table.words}


@dataclass(frozen=True, slots=True)
class Place:
    """Explanations of one style beside those that always name the word of one place, judged by the arm's own tables.

    Attributes:
        task: The task.
        arm: The arm.
        style: The style; of a counterfactual, the place of its edit is judged.
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
            for key, rows in summary.rows[task].items():
                spots = spots_of(summary, task, key) if _wanted(key, arm.name, summary) else {}
                there = {(row.id, row.seed): row for row in rows if (row.id, row.seed) in spots}
                mine = {place: spots[place].excess(_word(row)) for place, row in there.items()}
                named = {
                    name: {place: spots[place].excess(spots[place].words[at]) for place in there}
                    for name, at in PLACES.items()
                }
                if there:
                    yield Place(
                        task,
                        arm,
                        key.style,
                        {name: _mean(found, summary.seed) for name, found in named.items()},
                        {n: stats.paired_difference(mine, found, summary.seed) for n, found in named.items()},
                    )


def _word(row: Row) -> str | None:
    return row.words[0] if row.valid and row.words else None


def _wanted(key: Key, arm: str, summary: StudySummary) -> bool:
    place = (key.setting, key.readout, key.operator) == ("one-word", "constrained", summary.operator)
    return place and key.arm == arm


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
        "better than a place has learned where, not what. Counterfactuals: the place of the edit, whatever is put "
        "there (mean over the pinned words)."
    )
    return sheet("Beyond a place", header, rows, note, texts=3) if rows else None


@dataclass(frozen=True, slots=True)
class Named:
    """Which words the explanations of a cell name, in the arm's own tables and grids.

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
            spots = spots_of(summary, task, key)
            both = [(_word(row), spots[row.id, row.seed]) for row in rows if (row.id, row.seed) in spots and row.valid]
            texts = len({row.id for row in rows})
            if both:
                yield Named(
                    task,
                    key,
                    stats.rate([word == one.best for word, one in both], texts),
                    stats.rate([word == one.words[0] for word, one in both], texts),
                    math.fsum(1 / len(one.words) for _, one in both) / len(both),
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
        "(top-1 agreement with occlusion, in texts that cannot flip too); counterfactuals: in whose place the pinned "
        "words do so on average. Chance: of a random word."
    )
    return sheet("The best word", header, rows, note, texts=3) if rows else None
