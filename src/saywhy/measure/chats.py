"""The chats in which a model has answered and is asked to explain itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saywhy.measure.edits import Item
from saywhy.protocol import prompts
from saywhy.protocol.prompts import Message
from saywhy.records import Setting, StyleName

if TYPE_CHECKING:
    from saywhy.tasks.task import Task


def conversation(task: Task, item: Item, ask: Message) -> list[Message]:
    """Return the chat in which the model has answered with its calibrated label and is asked ``ask``."""
    example = item.example
    first = prompts.question_chat(task, example.text, example.context)
    return [*first, prompts.answer_turn(task, item.prediction.label), ask]


def explanation_chat(
    task: Task, item: Item, style: StyleName, setting: Setting, wording: str | None = None
) -> list[Message]:
    """Return the chat that asks for an explanation, in the pinned wording unless another is given.

    A counterfactual names the runner-up.
    """
    named = item.prediction.runner_up if style == "counterfactual" else None
    return conversation(task, item, prompts.request_turn(task, style, setting, named, wording))
