"""Effects of folders written before rows had them, recovered where tables and grids know them exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from saywhy.records import CounterfactualGrid, Row, Table
from saywhy.stats.effects import edit_effects


def with_rises(grids: Iterable[CounterfactualGrid], labels: int) -> tuple[CounterfactualGrid, ...]:
    """Return grids with their rises, where a task has two ``labels``: what the one loses, the other gains."""
    return tuple(replace(grid, rises=grid.drops) if labels == 2 and not grid.rises else grid for grid in grids)


def with_effects(rows: Iterable[Row], tables: Sequence[Table], grids: Sequence[CounterfactualGrid]) -> list[Row]:
    """Return the rows of an arm and seed with the effects of one-word explanations that lack them.

    A row stays as it is where its table or grid is missing, is of another answer or label, has another effect for the
    word, or does not know the rises.

    Args:
        rows: The rows.
        tables: The arm's own leave-one-word-out tables.
        grids: The arm's own counterfactual grids (``with_rises``).
    """
    tables_by_text = {(table.id, table.operator): table for table in tables}
    grids_by_text = {grid.id: grid for grid in grids}
    completed = []
    for row in rows:
        if row.effect_floor is None and row.setting == "one-word":
            counterfactual = row.style == "counterfactual"
            record = grids_by_text.get(row.id) if counterfactual else tables_by_text.get((row.id, row.operator))
            row = row if record is None else _with_effect(row, record)
        completed.append(row)
    return completed


def _with_effect(row: Row, record: Table | CounterfactualGrid) -> Row:
    """Return a row with its effect and those of all edits in its text's table or grid."""
    effects = edit_effects(record)
    if isinstance(record, Table):
        known = dict(zip(record.words, effects, strict=True)).get(row.words[0]) if row.valid and row.words else None
        same = record.label == row.prediction and known == row.drop
    else:
        # The row knows the fall of the answer: with two labels, that is the rise of the other.
        same = record.named == row.named and effects == record.drops
    if not effects or not same:
        return row
    return replace(row, effect=row.drop, effect_floor=math.fsum(effects) / len(effects), effect_ceiling=max(effects))
