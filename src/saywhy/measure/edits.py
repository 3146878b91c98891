"""Every edit of a text, rechecked: the leave-one-word-out table and the grid of counterfactuals.

The same edit is the same number everywhere: one-word verdicts, floors, ceilings, attribution by occlusion and
training targets all come from these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saywhy.measure.predict import Classifier
from saywhy.records import CounterfactualGrid, Example, Operator, Prediction, Table
from saywhy.tasks.lexicon import Pinned
from saywhy.words import REDACTED_MARK, candidates, match_case, replace_words, take_out

if TYPE_CHECKING:
    from saywhy.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Item:
    """A text with the prediction that is to be explained."""

    example: Example
    prediction: Prediction


def items_of(classifier: Classifier, examples: Sequence[Example]) -> list[Item]:
    """Return texts with the predictions of ``classifier``."""
    return [Item(*pair) for pair in zip(examples, classifier.predict_examples(examples), strict=True)]


def stand_in(task: Task, operator: Operator) -> str:
    """Return what the operator puts in place of a word."""
    return {"redact": REDACTED_MARK, "delete": "", "infill": task.stand_in}[operator]


def recheck(classifier: Classifier, items: Sequence[Item], edits: Sequence[Sequence[str]]) -> list[list[Prediction]]:
    """Classify the edited texts of each item in fresh chats, byte-identical but for the text."""
    texts = [(text, item.example.context) for item, edited in zip(items, edits, strict=True) for text in edited]
    predictions = iter(classifier.predict(texts))
    return [[next(predictions) for _ in edited] for edited in edits]


def log_odds_drop(before: Prediction, after: Prediction) -> float:
    """Return by how much (nats) the log-odds of the label of ``before`` fell."""
    return before.margin - after.margin_of(before.label)


def log_odds_rise(before: Prediction, after: Prediction, label: str) -> float:
    """Return by how much (nats) the log-odds of ``label`` rose."""
    return after.margin_of(label) - before.margin_of(label)


def leave_one_out_tables(classifier: Classifier, items: Sequence[Item], operator: Operator) -> list[Table]:
    """Take out each candidate of each text and classify what is left."""
    return every_edit(classifier, items, (operator,), None)[0][operator]


def every_edit(
    classifier: Classifier,
    items: Sequence[Item],
    operators: Sequence[Operator],
    pinned: Pinned | None,
) -> tuple[dict[Operator, list[Table]], list[CounterfactualGrid]]:
    """Recheck every one-word edit of each text at once: they share their text's beginning in one tree.

    Args:
        classifier: Who classifies.
        items: Texts and predictions.
        operators: A table is made for each.
        pinned: The words that a counterfactual may insert, by named label; None: no grids.
    """
    fillers = [stand_in(classifier.task, operator) for operator in operators]
    removals = [[_removals(item, filler) for filler in fillers] for item in items]
    replacements = [
        list(one_word_swaps(item.example.text, pinned[item.prediction.runner_up])) if pinned else [] for item in items
    ]
    texts = [
        [text for taken_out in by_operator for text in taken_out] + [text for _, _, text in swapped]
        for by_operator, swapped in zip(removals, replacements, strict=True)
    ]
    rechecked = recheck(classifier, items, texts)
    by_operator: dict[Operator, list[Table]] = {operator: [] for operator in operators}
    grids: list[CounterfactualGrid] = []
    for item, removed, swapped, predictions in zip(items, removals, replacements, rechecked, strict=True):
        after = iter(predictions)
        for operator, taken_out in zip(operators, removed, strict=True):
            by_operator[operator].append(_table(item, operator, [next(after) for _ in taken_out]))
        if pinned:
            grids.append(_grid(item, swapped, list(after)))
    return by_operator, grids


def _removals(item: Item, filler: str) -> list[str]:
    return [take_out(item.example.text, {word.key}, filler) for word in candidates(item.example.text)]


def _table(item: Item, operator: Operator, after: Sequence[Prediction]) -> Table:
    return Table(
        id=item.example.id,
        operator=operator,
        label=item.prediction.label,
        margin=item.prediction.margin,
        words=tuple(word.key for word in candidates(item.example.text)),
        labels=tuple(prediction.label for prediction in after),
        drops=tuple(log_odds_drop(item.prediction, prediction) for prediction in after),
    )


def _grid(item: Item, swapped: Sequence[tuple[str, str, str]], after: Sequence[Prediction]) -> CounterfactualGrid:
    return CounterfactualGrid(
        id=item.example.id,
        named=item.prediction.runner_up,
        words=tuple(key for key, _, _ in swapped),
        inserted=tuple(new for _, new, _ in swapped),
        labels=tuple(prediction.label for prediction in after),
        drops=tuple(log_odds_drop(item.prediction, prediction) for prediction in after),
        rises=tuple(log_odds_rise(item.prediction, prediction, item.prediction.runner_up) for prediction in after),
    )


def one_word_swaps(text: str, inserted: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (candidate, inserted word, edited text) for every one-word counterfactual of ``text``."""
    for word in candidates(text):
        for new in inserted:
            if new != word.key:
                yield word.key, new, replace_words(text, {word.key: match_case(new, word.core)})
