"""Occlusion: a word's score is how far the margin falls without it. Exact, because it *is* the recheck."""

from __future__ import annotations

from collections.abc import Sequence

from saywhy.attribution import MethodOptions
from saywhy.attribution.scores import WordScores
from saywhy.measure.edits import Item, leave_one_out_tables
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.records import Table


def occlusion(
    classifier: Classifier, items: Sequence[Item], options: MethodOptions, tick: Tick | None = None
) -> list[WordScores]:
    """Return by how much (nats) the predicted label's margin falls when ``options.operator`` takes each word out."""
    scores = occlusion_scores(leave_one_out_tables(classifier, items, options.operator))
    if tick:
        tick(len(items))
    return scores


def occlusion_scores(leave_out_tables: Sequence[Table]) -> list[WordScores]:
    """Return leave-one-word-out tables as word scores: the drops (nats)."""
    return [WordScores(table.words, table.drops, "occlusion") for table in leave_out_tables]
