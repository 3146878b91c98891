"""What explanations in sentences mention: a table a style, and their columns of ``table.csv``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saywhy import stats
from saywhy.records import SENTENCE_STYLES, Row
from saywhy.report.arms import marked_arm
from saywhy.report.cells import CellKey
from saywhy.report.format import NO_NUMBER, Sheet, SheetCell, estimate_cell, interval_columns, number, sheet_of
from saywhy.report.marks import SENTENCE_NAMES, shipped_fooled_metrics
from saywhy.stats import Interval

if TYPE_CHECKING:
    from saywhy.report.summary import Cell, Summary

SENTENCES_NOTE = (
    "Hit: the answer changes when all mentioned words are taken out. Floor: hits of random sets of as many words; "
    "ceiling: the greedy best set. Words: mean number of words of the text that a valid reply mentions. Coverage: "
    "share of the content words of a reply that are words of the text: 0 is a reply that says all in other words. "
    "Denied: replies that say of a word of the text that it did not count."
)
STEPS_FIRST_NOTE = "Same answer: texts in which the answer behind the steps is the prediction that is explained."


@dataclass(frozen=True, slots=True)
class CellMentions:
    """What the replies of a cell in sentences mention.

    Attributes:
        coverage: Mean share of a reply's content words that are words of the text.
        words: Mean number of words of the text that a valid reply mentions.
        denied: Share of the replies that deny a word.
        same_answer: Share of the replies with steps before the answer whose answer is the prediction.
    """

    coverage: Interval
    words: Interval
    denied: Interval
    same_answer: Interval


def mentions_of_cells(cells: Mapping[CellKey, Sequence[Row]], seed: int) -> dict[CellKey, CellMentions]:
    """Return what the replies of each cell in sentences mention; empty for a run without any."""
    return {key: _mentions_of(rows, seed) for key, rows in cells.items() if key.setting == "sentences"}


def _mentions_of(rows: Sequence[Row], seed: int) -> CellMentions:
    followed = [row for row in rows if row.steps_answer is not None]
    return CellMentions(
        coverage=stats.mean_interval(stats.per_text(rows, lambda row: row.coverage).values(), seed),
        words=stats.mean_interval(
            stats.per_text((row for row in rows if row.valid), lambda row: float(len(row.words))).values(), seed
        ),
        denied=_share_of_replies(rows, (bool(row.denied) for row in rows)),
        same_answer=_share_of_replies(followed, (row.steps_answer == row.prediction for row in followed)),
    )


def _share_of_replies(rows: Sequence[Row], hits: Iterable[bool]) -> Interval:
    return stats.rate(list(hits), len({row.id for row in rows}))


def mention_columns(summary: Summary, key: CellKey) -> dict[str, float | int | None]:
    """Return what the replies of a cell mention, as columns of ``table.csv``; none in other settings."""
    if key not in summary.mentions:
        return {}
    mentioned = summary.mentions[key]
    return {
        **interval_columns("coverage", mentioned.coverage),
        **interval_columns("words_mentioned", mentioned.words),
        **interval_columns("denied", mentioned.denied),
        **interval_columns("same_answer_behind_steps", mentioned.same_answer),
    }


def sentence_sheets(summary: Summary) -> list[Sheet]:
    """Return one table a style in sentences, under the first operator; none for a run without any."""
    sheets: list[Sheet] = []
    for style in SENTENCE_STYLES:
        cells = [
            cell
            for cell in summary.cells
            if cell.key in summary.mentions
            and (cell.key.style, cell.key.operator) == (style, summary.cells[0].key.operator)
        ]
        if not cells:
            continue
        fooled = shipped_fooled_metrics()
        hit, excess, share = (
            name + fooled.sign(SENTENCE_NAMES.get(name, name)) for name in ("hit", "excess", "effect share")
        )
        header = ("arm", "n", "valid", hit, "floor", "ceiling", excess, "score", share)
        rows = [_sentence_row(summary, cell) for cell in cells]
        note = "" if sheets else SENTENCES_NOTE
        if summary.mentions[cells[0].key].same_answer.n:
            note = f"{note} {STEPS_FIRST_NOTE}".strip()
        columns = (*header, "words", "coverage", "denied", "same answer")
        sheets.append(sheet_of(style, columns, rows, note, texts=1))
    return sheets


def _sentence_row(summary: Summary, cell: Cell) -> list[SheetCell | str]:
    mentioned = summary.mentions[cell.key]
    return [
        marked_arm(summary.run, cell.key.arm, cell.key.operator),
        str(cell.rows),
        estimate_cell(cell.validity),
        estimate_cell(cell.hit),
        SheetCell(number(cell.floor.value)),
        SheetCell(number(cell.ceiling.value)),
        estimate_cell(cell.excess),
        estimate_cell(cell.score),
        estimate_cell(cell.effect_share),
        estimate_cell(mentioned.words),
        estimate_cell(mentioned.coverage),
        estimate_cell(mentioned.denied),
        estimate_cell(mentioned.same_answer) if mentioned.same_answer.n else SheetCell(NO_NUMBER),
    ]
