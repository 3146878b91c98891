"""What an audit says of a text, from which the checks go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from saywhy.measure.edits import Item
from saywhy.records import CounterfactualGrid, Example, Operator, Prediction, Row, Table


@dataclass(frozen=True, slots=True)
class AuditedText:
    """A text of the audit with its explanations under the primary operator.

    Attributes:
        item: The text with the audit's prediction (its label and margin; rows keep no other scores).
        rows: The rows of the primary operator.
        table: The leave-one-word-out table of that operator.
        grid: The counterfactuals; None where none were asked for.
    """

    item: Item
    rows: tuple[Row, ...]
    table: Table
    grid: CounterfactualGrid | None = None

    @property
    def one_word(self) -> list[Row]:
        """The rows of the one-word setting."""
        return [row for row in self.rows if row.setting == "one-word"]

    @property
    def edits(self) -> list[str]:
        """The edited texts of the one-word setting."""
        return [row.edited for row in self.one_word if row.edited is not None]


def audited_texts(
    examples: Sequence[Example],
    rows: Sequence[Row],
    tables: Sequence[Table],
    grids: Sequence[CounterfactualGrid],
    operator: Operator,
) -> dict[str, AuditedText]:
    """Return what an audit says under one operator, by text; a text without rows is left out."""
    rows_by_text: dict[str, list[Row]] = {}
    for row in rows:
        if row.operator == operator:
            rows_by_text.setdefault(row.id, []).append(row)
    table_of = {table.id: table for table in reversed(tables) if table.operator == operator}
    grid_of = {grid.id: grid for grid in grids}
    return {
        example.id: AuditedText(
            Item(example, _prediction(of_text)), tuple(of_text), table_of[example.id], grid_of.get(example.id)
        )
        for example in examples
        if (of_text := rows_by_text.get(example.id))
    }


def _prediction(rows: Sequence[Row]) -> Prediction:
    """Return what rows keep of a prediction: no scores, a runner-up only where a counterfactual names one."""
    named = next((row.named for row in rows if row.named), "")
    return Prediction(rows[0].prediction, rows[0].raw_prediction, {}, rows[0].margin, named)
