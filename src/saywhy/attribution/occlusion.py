"""Occlusion: a word's score is how far the margin falls without it. Exact, because it *is* the recheck."""

from __future__ import annotations

from collections.abc import Sequence

from saywhy.records import Table, WordScores


def occlusion(tables: Sequence[Table]) -> list[WordScores]:
    """Return the drops (nats) of leave-one-word-out tables as word scores."""
    return [WordScores(table.words, table.drops, "occlusion") for table in tables]
