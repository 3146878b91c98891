"""The chats in which a model has answered and is asked to explain itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.protocol import prompts
from saywhy.protocol.prompts import Message
from saywhy.records import Prediction, Setting, StyleName
from saywhy.words import free_word_budget

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

ROOM_OF_ANSWER = 32
"""Tokens kept free behind steps for the answer."""


def conversation(task: Task, item: Item, ask: Message) -> list[Message]:
    """Return the chat in which the model has answered with its calibrated label and is asked ``ask``."""
    example = item.example
    first = prompts.question_chat(task, example.text, example.context)
    return [*first, prompts.answer_turn(task, item.prediction.label), ask]


def explanation_chat(
    task: Task, item: Item, style: StyleName, setting: Setting, wording: str | None = None
) -> list[Message]:
    """Return the chat that asks for an explanation, in the pinned wording unless another is given.

    A counterfactual names the runner-up, keywords how many there may be; steps may come before the answer.
    """
    if style == "steps" and task.steps_order == "before":
        return prompts.steps_first_chat(task, item.example.text, item.example.context, wording)
    count = free_word_budget(item.example.text) if style == "keywords" else None
    named = item.prediction.runner_up if style == "counterfactual" else None
    return conversation(task, item, prompts.request_turn(task, style, setting, named, wording, count=count))


def predictions_behind_steps(
    classifier: Classifier, items: Sequence[Item], steps: Sequence[Sequence[str]]
) -> list[Prediction | None]:
    """Return the prediction for each item behind the steps that the model wrote before it answered.

    None where there are none, or both do not fit the model's context.
    """
    chats = [steps_chat(classifier.task, item, of_text) for item, of_text in zip(items, steps, strict=True) if of_text]
    predictions = iter(fitting_predictions(classifier, chats))
    return [next(predictions) if of_text else None for of_text in steps]


def steps_chat(task: Task, item: Item, steps: Sequence[str]) -> list[Message]:
    """Return the chat that asks for the label behind steps; without any, the one that asks at once."""
    example = item.example
    if not steps:
        return prompts.question_chat(task, example.text, example.context)
    return prompts.behind_steps(prompts.steps_first_chat(task, example.text, example.context), "\n".join(steps))


def fitting_predictions(classifier: Classifier, chats: Sequence[list[Message]]) -> list[Prediction | None]:
    """Return the prediction in each chat; None where it does not fit the model's context."""
    too_long = classifier.model.objections(chats, ROOM_OF_ANSWER)
    predictions = iter(
        classifier.predict_chats([chat for chat, reason in zip(chats, too_long, strict=True) if not reason])
    )
    return [None if reason else next(predictions) for reason in too_long]
