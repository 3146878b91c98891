"""Calibrated forced choice: the model's own label for a text (docs/definitions.md, *Prediction*)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from saywhy.models.interface import Choice, Model, Tick
from saywhy.protocol import prompts
from saywhy.protocol.prompts import Message
from saywhy.records import Example, Prediction, SaywhyError

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

Text = tuple[str, Mapping[str, str]]
"""The explained field and the context fields."""


class Classifier:
    """A model that answers one task, with its frozen calibration constants.

    Attributes:
        model: Who answers.
        task: What is asked.
        constants: One a label: its mean normalised log-probability (nats) over the calibration texts.
    """

    def __init__(self, model: Model, task: Task, constants: Mapping[str, float]) -> None:
        if set(constants) != set(task.labels):
            raise SaywhyError(
                f"the calibration constants are for {sorted(constants)}, the task '{task.name}' has "
                f"{sorted(task.labels)}: calibrate anew"
            )
        self.model = model
        self.task = task
        self.constants = dict(constants)

    def predict(self, texts: Sequence[Text], tick: Tick | None = None) -> list[Prediction]:
        """Return the calibrated prediction for each text."""
        return self.predict_chats([prompts.question_chat(self.task, *text) for text in texts], tick)

    def predict_chats(self, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[Prediction]:
        """Return the calibrated prediction at the end of each chat, which asks for the label."""
        raw = chat_label_scores(self.model, self.task, chats, tick)
        return [self._calibrated(scores) for scores in raw]

    def predict_examples(self, examples: Sequence[Example], tick: Tick | None = None) -> list[Prediction]:
        """Return the calibrated prediction for each example."""
        return self.predict([(example.text, example.context) for example in examples], tick)

    def _calibrated(self, raw: Mapping[str, float]) -> Prediction:
        scores = _normalised({label: value - self.constants[label] for label, value in raw.items()})
        ranked = sorted(scores, key=lambda label: -scores[label])
        return Prediction(
            label=ranked[0],
            raw_label=max(raw, key=lambda label: raw[label]),
            scores=scores,
            margin=scores[ranked[0]] - scores[ranked[1]],
            runner_up=ranked[1],
        )


class RememberingClassifier(Classifier):
    """A classifier that puts each text to the model once: for rechecks that overlap.

    It keeps every prediction, so it is for the texts of a chunk, not for a corpus.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier.model, classifier.task, classifier.constants)
        self._predictions: dict[tuple[str, tuple[tuple[str, str], ...]], Prediction] = {}

    def predict(self, texts: Sequence[Text], tick: Tick | None = None) -> list[Prediction]:
        """Return the calibrated prediction for each text; ``tick`` counts those that are new."""
        keys = [(text, tuple(sorted(context.items()))) for text, context in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._predictions}
        if new:
            self._predictions.update(zip(new, super().predict(list(new.values()), tick), strict=True))
        return [self._predictions[key] for key in keys]


def label_scores(model: Model, task: Task, texts: Sequence[Text], tick: Tick | None = None) -> list[dict[str, float]]:
    """Return the log-probability (nats) of each label's answer after the lead-in, normalised over the labels."""
    return chat_label_scores(model, task, [prompts.question_chat(task, *text) for text in texts], tick)


def chat_label_scores(
    model: Model, task: Task, chats: Sequence[list[Message]], tick: Tick | None = None
) -> list[dict[str, float]]:
    """Return what ``label_scores`` does, at the end of chats that ask for the label."""
    words = tuple(prompts.answers(task).values())
    before, _ = prompts.answer_parts(task)
    choices = [Choice(chat, words, before) for chat in chats]
    return [_normalised(dict(zip(task.labels, scores, strict=True))) for scores in model.choose(choices, tick)]


def _normalised(scores: Mapping[str, float]) -> dict[str, float]:
    top = max(scores.values())
    norm = top + math.log(math.fsum(math.exp(value - top) for value in scores.values()))
    return {label: value - norm for label, value in scores.items()}
