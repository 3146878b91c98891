"""Which words are named: the best one, or that of a place; and what naming the first or last word would score.

Naming the first is what the calibration calls *parrot* (docs/measuring.md). A counterfactual is judged by the place of
its edit, whatever is put there: each word of a text counts with the mean of all pinned words in its place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from saywhy import stats
from saywhy.records import CounterfactualGrid, Row, Table
from saywhy.report.arms import grids_of, tables_of
from saywhy.report.cells import CellKey
from saywhy.report.format import Sheet, SheetCell, change_cell, estimate_cell, number, sheet_of
from saywhy.report.study.load import StudyArm
from saywhy.report.study.sheets import compared_arms
from saywhy.report.study.summary import StudySummary, is_finding, main_arms
from saywhy.stats import Difference, Interval
from saywhy.stats.intervals import by_text

WORD_PLACES: Mapping[str, int] = {"first": 0, "last": -1}
"""Which candidate of a text, in order of first occurrence."""


@dataclass(frozen=True, slots=True)
class WordEffects:
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
    def of_table(cls, table: Table) -> WordEffects:
        """Return the edits of a leave-one-word-out table."""
        return cls(table.words, tuple(map(float, table.hits())), table.drops)

    @classmethod
    def of_grid(cls, grid: CounterfactualGrid) -> WordEffects:
        """Return the edits of a counterfactual grid."""
        outcomes_of_word: dict[str, list[tuple[bool, float]]] = {}
        for word, hit, drop in zip(grid.words, grid.hits(), grid.drops, strict=True):
            outcomes_of_word.setdefault(word, []).append((hit, drop))
        hits = tuple(math.fsum(hit for hit, _ in outcomes) / len(outcomes) for outcomes in outcomes_of_word.values())
        drops = tuple(math.fsum(drop for _, drop in outcomes) / len(outcomes) for outcomes in outcomes_of_word.values())
        return cls(tuple(outcomes_of_word), hits, drops)

    @property
    def best(self) -> str:
        """The word whose edit costs the answer most."""
        return self.words[self.drops.index(max(self.drops))]

    def excess(self, word: str | None) -> float:
        """Return how much more a word's edit hits than a random word's; None and other words do not hit."""
        hit = dict(zip(self.words, self.hits, strict=True)).get(word or "", 0.0)
        return hit - math.fsum(self.hits) / len(self.hits)


def word_effects_of(summary: StudySummary, task: str, key: CellKey) -> dict[stats.TextSeed, WordEffects]:
    """Return what edits of each text do to the arm of a cell, by (text, seed)."""
    run = summary.study.runs[task]
    if key.style == "counterfactual":
        return {
            text_seed: WordEffects.of_grid(grid) for text_seed, grid in grids_of(run, key.arm).items() if grid.words
        }
    tables = tables_of(run, key.arm, summary.operator)
    return {text_seed: WordEffects.of_table(table) for text_seed, table in tables.items() if table.words}


@dataclass(frozen=True, slots=True)
class PlaceComparison:
    """Explanations of one style beside those that always name the word of one place, judged by the arm's own tables.

    Attributes:
        task: The task.
        arm: The arm.
        style: The style; of a counterfactual, the place of its edit is judged.
        named: Place -> mean excess of its word.
        beyond: Place -> mean excess of the arm's explanations minus that; exploratory, uncorrected.
    """

    task: str
    arm: StudyArm
    style: str
    named: Mapping[str, Interval]
    beyond: Mapping[str, Difference]


def place_comparisons(summary: StudySummary) -> Iterator[PlaceComparison]:
    """Yield the comparisons of every arm of the answer on the tasks that it practised on."""
    for arm in main_arms(summary):
        for task in summary.study.runs:
            if task not in arm.tasks:
                continue
            for key, rows in summary.rows[task].items():
                text_effects = word_effects_of(summary, task, key) if _is_primary_cell(key, arm.name, summary) else {}
                judged_rows = {(row.id, row.seed): row for row in rows if (row.id, row.seed) in text_effects}
                excesses = {
                    text_seed: text_effects[text_seed].excess(_named_word(row))
                    for text_seed, row in judged_rows.items()
                }
                place_excesses = {
                    place: {
                        text_seed: text_effects[text_seed].excess(text_effects[text_seed].words[index])
                        for text_seed in judged_rows
                    }
                    for place, index in WORD_PLACES.items()
                }
                if judged_rows:
                    yield PlaceComparison(
                        task,
                        arm,
                        key.style,
                        {
                            place: _mean_excess_interval(named_excesses, summary.seed)
                            for place, named_excesses in place_excesses.items()
                        },
                        {
                            place: stats.paired_difference(excesses, named_excesses, summary.seed)
                            for place, named_excesses in place_excesses.items()
                        },
                    )


def _named_word(row: Row) -> str | None:
    return row.words[0] if row.valid and row.words else None


def _is_primary_cell(key: CellKey, arm: str, summary: StudySummary) -> bool:
    return is_finding(summary, key) and key.arm == arm


def _mean_excess_interval(excesses: Mapping[stats.TextSeed, float], seed: int) -> Interval:
    texts = by_text((text, value) for (text, _), value in excesses.items())
    return stats.mean_interval(texts.values(), seed)


def places_sheet(summary: StudySummary) -> Sheet | None:
    """Return how much more excess explanations have than naming the word of one place."""
    rows: list[list[SheetCell | str]] = []
    for comparison in place_comparisons(summary):
        estimates = [estimate_cell(comparison.named[place]) for place in WORD_PLACES]
        rows.append(
            [
                comparison.task,
                comparison.style,
                comparison.arm.name,
                *estimates,
                *(change_cell(comparison.beyond[place]) for place in WORD_PLACES),
            ]
        )
    header = (
        "task",
        "style",
        "arm",
        *(f"{name} word" for name in WORD_PLACES),
        *(f"minus {name} word" for name in WORD_PLACES),
    )
    note = (
        f"One-word, {summary.readout}. Excess of an explainer that names the first (last) word of every text, in the "
        "arm's own tables, and how much more the arm's explanations have; exploratory and not corrected. An arm that "
        "is no better than a place has learned where, not what. Counterfactuals: the place of the edit, whatever is "
        "put there (mean over the pinned words)."
    )
    return sheet_of("Beyond a place", header, rows, note, texts=3) if rows else None


@dataclass(frozen=True, slots=True)
class NamedWords:
    """Which words the explanations of a cell name, in the arm's own tables and grids.

    Attributes:
        task: The task.
        key: The cell.
        best: Share that names the word whose removal costs the answer most.
        first: Share that names the first word of its text.
        chance: Either share, if words were drawn at random.
    """

    task: str
    key: CellKey
    best: Interval
    first: Interval
    chance: float


def named_words_of(summary: StudySummary) -> Iterator[NamedWords]:
    """Yield what the arms of the answer name on the tasks that they practised on, their controls and starts too."""
    for task, cells in summary.rows.items():
        names = compared_arms(summary, task)
        for key, rows in cells.items():
            if key.arm not in names or not _is_primary_cell(key, key.arm, summary):
                continue
            text_effects = word_effects_of(summary, task, key)
            named_words = [
                (_named_word(row), text_effects[row.id, row.seed])
                for row in rows
                if (row.id, row.seed) in text_effects and row.valid
            ]
            texts = len({row.id for row in rows})
            if named_words:
                yield NamedWords(
                    task,
                    key,
                    stats.rate([word == effects.best for word, effects in named_words], texts),
                    stats.rate([word == effects.words[0] for word, effects in named_words], texts),
                    math.fsum(1 / len(effects.words) for _, effects in named_words) / len(named_words),
                )


def named_sheet(summary: StudySummary) -> Sheet | None:
    """Return how often explanations name the very word that matters most, beside how often they name the first."""
    rows: list[list[SheetCell | str]] = []
    for named in named_words_of(summary):
        shares = [estimate_cell(named.best), estimate_cell(named.first), SheetCell(number(named.chance))]
        rows.append([named.task, named.key.style, named.key.arm, str(named.best.n), *shares])
    header = ("task", "style", "arm", "n", "names the best word", "names the first word", "chance")
    note = (
        f"One-word, {summary.readout}. Best: the word whose removal costs the arm's own answer most, whether or not it "
        "flips (top-1 agreement with occlusion, in texts that cannot flip too); counterfactuals: in whose place the "
        "pinned words do so on average. Chance: of a random word."
    )
    return sheet_of("The best word", header, rows, note, texts=3) if rows else None
