"""Every edit of a text, rechecked: the leave-one-word-out table and the counterfactual grid.

The same edit is the same number everywhere: one-word verdicts, floors, ceilings, attribution by occlusion and
the lexical arm all look things up here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from saywhy.measure.predict import Classifier
from saywhy.records import Example, Grid, Operator, Prediction, Table
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.words import MARK, candidates, match_case, replace, take_out

Verdicts = dict[str, tuple[str, float]]
"""Edited text -> (label, fall of the log-odds of the prediction in nats)."""


@dataclass(frozen=True, slots=True)
class Item:
    """A text with the prediction that is to be explained."""

    example: Example
    prediction: Prediction


def stand_in(task: Task, operator: Operator) -> str:
    """Return what the operator puts in place of a word."""
    return {"redact": MARK, "delete": "", "infill": task.stand_in}[operator]


def recheck(classifier: Classifier, items: Sequence[Item], edits: Sequence[Sequence[str]]) -> list[list[Prediction]]:
    """Classify the edited texts of each item in fresh chats, byte-identical but for the text."""
    texts = [(text, item.example.context) for item, mine in zip(items, edits, strict=True) for text in mine]
    found = iter(classifier.predict(texts))
    return [[next(found) for _ in mine] for mine in edits]


def drop(before: Prediction, after: Prediction) -> float:
    """Return by how much (nats) the log-odds of the label of ``before`` fell."""
    return before.margin - after.margin_of(before.label)


def hits(after: str | None, prediction: str, named: str | None) -> bool:
    """Return whether an explanation is faithful, given the recheck's label; an invalid one (None) never is."""
    if after is None:
        return False
    return after == named if named else after != prediction


def verdicts(text: str, table: Table, filler: str, grid: Grid | None, inserted: Sequence[str]) -> Verdicts:
    """Return what a text's table and grid already know.

    Args:
        text: The unchanged text.
        table: Its leave-one-word-out table.
        filler: What the table's operator puts in place of a word.
        grid: Its counterfactuals; None: none.
        inserted: The pinned words of the grid's label.
    """
    known = {
        take_out(text, {key}, filler): (label, fall)
        for key, label, fall in zip(table.words, table.labels, table.drops, strict=True)
    }
    if grid:
        for (_, _, edited), label, fall in zip(swaps(text, inserted), grid.labels, grid.drops, strict=True):
            known[edited] = label, fall
    return known


def tables(classifier: Classifier, items: Sequence[Item], operator: Operator) -> list[Table]:
    """Take out each candidate of each text and classify what is left."""
    return every_edit(classifier, items, (operator,), None)[0][operator]


def every_edit(
    classifier: Classifier,
    items: Sequence[Item],
    operators: Sequence[Operator],
    pinned: Pinned | None,
) -> tuple[dict[Operator, list[Table]], list[Grid]]:
    """Recheck every one-word edit of each text at once: they share their text's beginning in one tree.

    Args:
        classifier: Who classifies.
        items: Texts and predictions.
        operators: A table is made for each.
        pinned: The words that a counterfactual may insert, by named label; None: no grids.
    """
    removed = [[_removals(item, stand_in(classifier.task, one)) for one in operators] for item in items]
    swapped = [list(swaps(item.example.text, pinned[item.prediction.runner_up])) if pinned else [] for item in items]
    texts = [
        [text for one in takes for text in one] + [text for _, _, text in mine]
        for takes, mine in zip(removed, swapped, strict=True)
    ]
    made: dict[Operator, list[Table]] = {operator: [] for operator in operators}
    grids: list[Grid] = []
    for item, takes, mine, found in zip(items, removed, swapped, recheck(classifier, items, texts), strict=True):
        after = iter(found)
        for operator, one in zip(operators, takes, strict=True):
            made[operator].append(_table(item, operator, [next(after) for _ in one]))
        if pinned:
            grids.append(_grid(item, mine, list(after)))
    return made, grids


def _removals(item: Item, filler: str) -> list[str]:
    return [take_out(item.example.text, {word.key}, filler) for word in candidates(item.example.text)]


def _table(item: Item, operator: Operator, found: Sequence[Prediction]) -> Table:
    return Table(
        id=item.example.id,
        operator=operator,
        label=item.prediction.label,
        margin=item.prediction.margin,
        words=tuple(word.key for word in candidates(item.example.text)),
        labels=tuple(after.label for after in found),
        drops=tuple(drop(item.prediction, after) for after in found),
    )


def _grid(item: Item, moves: Sequence[tuple[str, str, str]], found: Sequence[Prediction]) -> Grid:
    return Grid(
        id=item.example.id,
        named=item.prediction.runner_up,
        words=tuple(key for key, _, _ in moves),
        inserted=tuple(new for _, new, _ in moves),
        labels=tuple(after.label for after in found),
        drops=tuple(drop(item.prediction, after) for after in found),
    )


def swaps(text: str, inserted: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (candidate, inserted word, edited text) for every one-word counterfactual of ``text``."""
    for word in candidates(text):
        for new in inserted:
            if new != word.key:
                yield word.key, new, replace(text, {word.key: match_case(new, word.core)})
