"""Every edit of a text, rechecked: the leave-one-word-out table and the counterfactual grid.

The same edit is the same number everywhere: one-word verdicts, floors, ceilings, attribution by occlusion and
the lexical arm all look things up here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from saywhy.models.protocol import Tick
from saywhy.predict import Classifier
from saywhy.records import Example, Grid, Operator, Prediction, Table
from saywhy.tasks import Task
from saywhy.words import MARK, candidates, match_case, replace, take_out

Pinned = Mapping[str, tuple[str, ...]]
"""label -> the words that a counterfactual towards it may insert."""


@dataclass(frozen=True, slots=True)
class Item:
    """A text with the prediction that is to be explained."""

    example: Example
    prediction: Prediction


def stand_in(task: Task, operator: Operator) -> str:
    """Return what the operator puts in place of a word."""
    return {"redact": MARK, "delete": "", "infill": task.stand_in}[operator]


def recheck(
    classifier: Classifier, items: Sequence[Item], edits: Sequence[Sequence[str]], tick: Tick | None = None
) -> list[list[Prediction]]:
    """Classify the edited texts of each item in fresh chats, byte-identical but for the text."""
    texts = [(text, item.example.context) for item, mine in zip(items, edits, strict=True) for text in mine]
    found = iter(classifier.predict(texts, tick))
    return [[next(found) for _ in mine] for mine in edits]


def drop(before: Prediction, after: Prediction) -> float:
    """Return by how much (nats) the log-odds of the label of ``before`` fell."""
    return before.margin - after.margin_of(before.label)


def tables(classifier: Classifier, items: Sequence[Item], operator: Operator, tick: Tick | None = None) -> list[Table]:
    """Take out each candidate of each text and classify what is left."""
    filler = stand_in(classifier.task, operator)
    keys = [tuple(word.key for word in candidates(item.example.text)) for item in items]
    texts = [[without(item.example.text, key, filler) for key in mine] for item, mine in zip(items, keys, strict=True)]
    return [
        Table(
            id=item.example.id,
            operator=operator,
            label=item.prediction.label,
            margin=item.prediction.margin,
            words=mine,
            labels=tuple(after.label for after in found),
            drops=tuple(drop(item.prediction, after) for after in found),
        )
        for item, mine, found in zip(items, keys, recheck(classifier, items, texts, tick), strict=True)
    ]


def without(text: str, key: str, filler: str) -> str:
    """Take one word out; where the word *is* the stand-in, the text stays and the edit is none."""
    if filler and key == filler.casefold():
        return text
    return take_out(text, {key}, filler)


def swaps(text: str, inserted: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (candidate, inserted word, edited text) for every one-word counterfactual of ``text``."""
    for word in candidates(text):
        for new in inserted:
            if new != word.key:
                yield word.key, new, replace(text, {word.key: match_case(new, word.core)})


def grids(classifier: Classifier, items: Sequence[Item], pinned: Pinned, tick: Tick | None = None) -> list[Grid]:
    """Put each pinned word of the runner-up label in place of each candidate and classify."""
    moves = [list(swaps(item.example.text, pinned[item.prediction.runner_up])) for item in items]
    found = recheck(classifier, items, [[text for _, _, text in mine] for mine in moves], tick)
    return [
        Grid(
            id=item.example.id,
            named=item.prediction.runner_up,
            words=tuple(key for key, _, _ in mine),
            inserted=tuple(new for _, new, _ in mine),
            labels=tuple(after.label for after in after_all),
            drops=tuple(drop(item.prediction, after) for after in after_all),
        )
        for item, mine, after_all in zip(items, moves, found, strict=True)
    ]
