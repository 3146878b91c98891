"""Verdicts on edited texts: looked up in what a text's table and grid know, rechecked where they know nothing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from saywhy.measure.edits import Item, log_odds_drop, one_word_swaps, recheck, stand_in
from saywhy.measure.predict import Classifier
from saywhy.records import CounterfactualGrid, Operator, Table
from saywhy.tasks.lexicon import Pinned
from saywhy.words import take_out


class Verdict(NamedTuple):
    """What the recheck of an edited text says.

    Attributes:
        label: Its label.
        drop: Fall of the log-odds of the prediction (nats).
    """

    label: str
    drop: float


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
            verdicts[text] = Verdict(prediction.label, log_odds_drop(item.prediction, prediction))
    return known


def _known(item: Item, table: Table, grid: CounterfactualGrid | None, filler: str, pinned: Pinned) -> Verdicts:
    """Return the verdicts of a text's table and grid."""
    text = item.example.text
    verdicts = {
        take_out(text, {key}, filler): Verdict(label, fall)
        for key, label, fall in zip(table.words, table.labels, table.drops, strict=True)
    }
    if grid:
        swapped = (edited for _, _, edited in one_word_swaps(text, pinned[grid.named]))
        for edited, label, fall in zip(swapped, grid.labels, grid.drops, strict=True):
            verdicts[edited] = Verdict(label, fall)
    return verdicts
