"""Occlusion: a word's score is how far the margin falls without it. Exact, because it *is* the recheck."""

from __future__ import annotations

from collections.abc import Sequence

from saywhy.attribution import Options
from saywhy.measure.edits import Item, tables
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.records import Table, WordScores


def occlusion(
    classifier: Classifier, items: Sequence[Item], options: Options, tick: Tick | None = None
) -> list[WordScores]:
    """Return by how much (nats) the predicted label's margin falls when ``options.operator`` takes each word out."""
    found = of_tables(tables(classifier, items, options.operator))
    if tick:
        tick(len(items))
    return found


def of_tables(made: Sequence[Table]) -> list[WordScores]:
    """Return leave-one-word-out tables as word scores: the drops (nats)."""
    return [WordScores(table.words, table.drops, "occlusion") for table in made]
