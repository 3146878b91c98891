"""Training rows of the label turn: the answer, and the probabilities that an anchor holds on to."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from saywhy.measure.edits import Item
from saywhy.protocol import prompts
from saywhy.records import Example, SaywhyError
from saywhy.training.lessons import Lesson

if TYPE_CHECKING:
    from saywhy.config import Config
    from saywhy.tasks.task import Task


def label_row(task: Task, example: Example, label: str) -> dict[str, Any]:
    """Return the training row of the label turn."""
    return {
        "id": example.id,
        "style": "label",
        "setting": None,
        "prompt": prompts.question_chat(task, example.text, example.context),
        "completion": [prompts.answer_turn(task, label)],
        "decision": None,
    }


def decided_label_row(task: Task, example: Example, label: str) -> dict[str, Any]:
    """Return the label turn with the label word as its decision: the lead-in teaches nothing."""
    row, (before, _) = label_row(task, example, label), prompts.answer_parts(task)
    start, turn = len(before) + 1 if before else 0, row["completion"][0]["content"]
    return {**row, "decision": [[start, min(start + len(prompts.answers(task)[label]), len(turn))]]}


LEAST_SHARE = 0.01
"""A label less likely than this gets no row of its own: it would hardly weigh."""


def anchor_rows(task: Task, items: Sequence[Item], weight: float = 1.0) -> list[dict[str, Any]]:
    """Return the label turn of each text once a label, with the ``share`` that the model gives it, times ``weight``.

    The cross-entropy to one's own probabilities is the KL divergence but for a constant: it is least where the margins
    stay as they are, while a single label would drive them apart. (A text of which the model is sure beyond
    ``LEAST_SHARE`` has a single one: there a margin of more than four nats may grow.) The probabilities are the
    calibrated ones: they differ from the raw ones by the same constants in every text, which calibration takes out
    again. The question is always the audit's, under which they were measured: another one has probabilities of its own,
    and to hold it to these would move the model, while what is audited is to stay.
    """
    return [row for item in items for row in _rows_of_labels(task, item.example, item.prediction.scores, weight)]


MOST_ANCHORED_LABELS = 20
"""An anchor practises a row a label and text: of more labels than this it would be all that is practised."""


def refuse_anchor(config: Config, task: Task) -> None:
    """Refuse an anchor on a task of many labels.

    Raises:
        SaywhyError: With how many there are.
    """
    if config.anchor and len(task.labels) > MOST_ANCHORED_LABELS:
        raise SaywhyError(
            f"anchor={config.anchor:g}: task '{task.name}' has {len(task.labels)} labels, and an anchor practises a "
            f"row a label of each edited text: up to {MOST_ANCHORED_LABELS}; leave anchor= out"
        )


def edited_anchor_rows(task: Task, lessons: Sequence[Lesson], weight: float) -> list[dict[str, Any]]:
    """Return the same of the edited texts of each lesson: what a text says without a word stays, too.

    A model that learns to name words learns by the way that a text with ``[REDACTED]`` is one whose answer has changed
    (issue 18): it becomes brittle, and its own tables flatter it.
    """
    return [
        row
        for lesson in lessons
        for edited in lesson.edited
        for row in _rows_of_labels(
            task, dataclasses.replace(lesson.item.example, text=edited.text), edited.scores, weight
        )
    ]


def _rows_of_labels(
    task: Task, example: Example, scores: Mapping[str, float], weight: float
) -> Iterator[dict[str, Any]]:
    for label, score in scores.items():
        if (share := math.exp(score)) >= LEAST_SHARE:
            yield {**decided_label_row(task, example, label), "share": round(weight * share, 4)}
