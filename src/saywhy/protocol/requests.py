"""Which request of the protocol a chat ends with: the inverse of ``prompts``, for models that answer by a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from saywhy.protocol import prompts
from saywhy.protocol.prompts import Message
from saywhy.protocol.wordings import (
    PRACTISED_WORDINGS,
    REQUESTED_LENGTHS,
    SENTENCE_WORDINGS,
    STEPS_FIRST_WORDINGS,
    UNSEEN_WORDINGS,
    length_wording,
)
from saywhy.records import Setting, StyleName
from saywhy.tasks.task import Task
from saywhy.words import free_word_budget


class KnownRequest(NamedTuple):
    """What a request asks for.

    Attributes:
        style: Its style.
        setting: one-word, free or sentences.
        named: The label that a counterfactual is to bring about.
        wording: The wording in which it is asked (``protocol.wordings``).
    """

    style: StyleName
    setting: Setting
    named: str | None
    wording: str


class RequestReader:
    """Reads the last turn of chats about a task."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._by_count: dict[int, dict[str, KnownRequest]] = {}
        self._of_lengths = {
            style: [length_wording(style, length, task.steps_order) for length in lengths]
            for style, lengths in REQUESTED_LENGTHS.items()
        }

    def read(self, messages: Sequence[Message]) -> KnownRequest | None:
        """Return what the last turn of a chat asks for, in any wording; None if it is no request of the protocol."""
        asked = messages[-1]["content"]
        for wording in (*STEPS_FIRST_WORDINGS, *self._of_lengths["steps"]):
            if asked.startswith(f"{wording.format(noun=self._task.noun)}\n"):
                return KnownRequest("steps", "sentences", None, wording)
        if len(messages) == 1:
            return None
        count = free_word_budget(prompts.explained_text(self._task, list(messages)))
        if count not in self._by_count:
            self._by_count[count] = self._requests(count)
        return self._by_count[count].get(asked)

    def _requests(self, count: int) -> dict[str, KnownRequest]:
        """Return what each request asks for, in all wordings; ``count``: how many keywords there may be."""
        in_words = [
            KnownRequest(style, setting, named, wording)
            for (style, setting), practised in PRACTISED_WORDINGS.items()
            for wording in (
                prompts.pinned_wording(style, setting, self._task.plan),
                *practised,
                *UNSEEN_WORDINGS[style, setting],
            )
            for named in (self._task.labels if style == "counterfactual" else (None,))
        ]
        in_sentences = [
            KnownRequest(style, "sentences", None, wording)
            for style, wordings in SENTENCE_WORDINGS.items()
            for wording in (*wordings, *self._of_lengths[style])
        ]
        return {
            prompts.request_turn(self._task, *request, count=count)["content"]: request
            for request in (*in_words, *in_sentences)
        }
