"""What the frozen start model says of the word that another arm names: looked up in its table or grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from saywhy.records import CounterfactualGrid, Row, Table
from saywhy.stats.paired import TextSeed

EditValues = Callable[[Table | CounterfactualGrid], Sequence[float]]
"""One value for each edit of a table or grid (a hit, an effect); empty if they are unknown."""


class StartGrade(NamedTuple):
    """What the start model says of one explanation.

    Attributes:
        row: The explanation.
        value: The value of its edit in the start model; 0 for an invalid one.
        values: Those of every edit of the text.
    """

    row: Row
    value: float
    values: Sequence[float]


def start_grades(
    rows: Sequence[Row],
    tables: Mapping[TextSeed, Table],
    grids: Mapping[TextSeed, CounterfactualGrid],
    edit_values: EditValues,
) -> Iterator[StartGrade]:
    """Yield the grades of one-word explanations; nothing if there are others among them.

    A word that is not in the start model's table is worth 0. Counterfactuals that the start model's grid does not hold
    are left out: those towards another label than the start model's own runner-up, and those that insert a word outside
    the pinned list.

    Args:
        rows: Rows of one cell.
        tables: The start model's leave-one-word-out tables, same operator, by (text, seed).
        grids: The start model's counterfactual grids, by (text, seed).
        edit_values: What of the tables and grids is looked up.
    """
    for row in rows if all(row.setting == "one-word" for row in rows) else ():
        counterfactual = row.style == "counterfactual"
        record = (grids if counterfactual else tables).get((row.id, row.seed))
        values = () if record is None else edit_values(record)
        if record is None or not values or (isinstance(record, CounterfactualGrid) and record.named != row.named):
            continue
        value: float | None = 0.0
        if row.valid and isinstance(record, CounterfactualGrid):
            by_edit = dict(zip(zip(record.words, record.inserted, strict=True), values, strict=True))
            value = by_edit.get((row.words[0], row.inserted[0])) if row.words and row.inserted else None
        elif row.valid and row.words:
            value = dict(zip(record.words, values, strict=True)).get(row.words[0], 0.0)
        if value is not None:
            yield StartGrade(row, float(value), values)
