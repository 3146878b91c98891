"""Verdicts on edited texts: looked up in what a text's table and grid know, rechecked where they know nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from saywhy.measure.edits import Item, log_odds_drop, log_odds_rise, one_word_swaps, recheck, stand_in
from saywhy.measure.predict import Classifier
from saywhy.records import CounterfactualGrid, Operator, Prediction, Table
from saywhy.tasks.lexicon import Pinned
from saywhy.words import take_out


class Verdict(NamedTuple):
    """What the recheck of an edited text says.

    Attributes:
        label: Its label.
        drop: Fall of the log-odds of the prediction (nats).
        rise: Rise of the log-odds of the runner-up (nats), the label that a counterfactual names; None where only the
            table of a task with more than two labels knows the edit.
    """

    label: str
    drop: float
    rise: float | None


Verdicts = dict[str, Verdict]
"""Edited text -> its verdict."""


def judge_edits(
    classifier: Classifier,
    items: Sequence[Item],
    operator: Operator,
    tables: Sequence[Table],
    grids: Sequence[CounterfactualGrid],
    pinned: Pinned,
    edits: Sequence[Sequence[str]],
) -> list[Verdicts]:
    """Return the verdict on each edited text of each item, beside all that its table and grid know.

    Args:
        classifier: Who classifies.
        items: Texts and predictions.
        operator: How words are taken out in ``tables``.
        tables: Their leave-one-word-out tables.
        grids: Their counterfactuals; empty: none.
        pinned: The words that were inserted in ``grids``, by named label.
        edits: The edited texts of each item; those that are not known yet are rechecked at once.
    """
    filler = stand_in(classifier.task, operator)
    known = [_known(item, table, grid, filler, pinned) for item, table, grid in zip_longest(items, tables, grids)]
    unknown = [
        list(dict.fromkeys(text for text in edited if text not in verdicts))
        for edited, verdicts in zip(edits, known, strict=True)
    ]
    rechecked = recheck(classifier, items, unknown)
    for item, verdicts, texts, after in zip(items, known, unknown, rechecked, strict=True):
        for text, prediction in zip(texts, after, strict=True):
            verdicts[text] = verdict_of(item.prediction, prediction)
    return known


def verdict_of(before: Prediction, after: Prediction) -> Verdict:
    """Return what the prediction for an edited text says of the one before."""
    return Verdict(after.label, log_odds_drop(before, after), log_odds_rise(before, after, before.runner_up))


def _known(item: Item, table: Table, grid: CounterfactualGrid | None, filler: str, pinned: Pinned) -> Verdicts:
    """Return the verdicts of a text's table and grid."""
    text, two_labels = item.example.text, len(item.prediction.scores) == 2
    verdicts = {
        take_out(text, {key}, filler): Verdict(label, fall, fall if two_labels else None)
        for key, label, fall in zip(table.words, table.labels, table.drops, strict=True)
    }
    if grid:
        swapped = (edited for _, _, edited in one_word_swaps(text, pinned[grid.named]))
        for edited, label, fall, rise in zip(swapped, grid.labels, grid.drops, grid.rises, strict=True):
            verdicts[edited] = Verdict(label, fall, rise)
    return verdicts
