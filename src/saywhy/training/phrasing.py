"""How training rows ask: as the audit does, or in sentences drawn for each text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from saywhy.checks import ALL_CHECKS, check_of
from saywhy.config import Config
from saywhy.protocol.prompts import pinned_wording, practised_sentences, sentence_requests
from saywhy.protocol.wordings import PRACTISED_WORDINGS, Request
from saywhy.records import Example, Setting, StyleName
from saywhy.robustness.variants import variant_sentences, variants
from saywhy.tasks.task import Task

AnyDrawn = TypeVar("AnyDrawn")


@dataclass(frozen=True, slots=True)
class Phrasing:
    """The sentences among which the rows of a text draw theirs.

    Attributes:
        questions: The task as it may be asked, by name, the audit's way first.
        requests: The wordings of each request, the audit's first.
        seed: Of the draws, those of templates of explanations in sentences included.
    """

    questions: Mapping[str, Task]
    requests: Mapping[Request, Sequence[str]]
    seed: int

    def task_of(self, example: Example) -> Task:
        """Return the task as the rows of a text ask it: one way a text, so that they share its chat in the tree."""
        return self._drawn(list(self.questions.values()), example, "question")

    def wording_of(self, example: Example, style: StyleName, setting: Setting) -> str:
        """Return the wording in which a text's explanation is asked for."""
        return self._drawn(self.requests[style, setting], example, style)

    def _drawn(self, options: Sequence[AnyDrawn], example: Example, part: str) -> AnyDrawn:
        digest = hashlib.sha256(f"{self.seed}:{example.id}:{part}".encode()).digest()
        return options[int.from_bytes(digest[:7]) % len(options)]


def pinned_phrasing(task: Task, seed: int = 0) -> Phrasing:
    """Return the phrasing of the audit: no request is drawn, but the templates of explanations in sentences are."""
    requests: dict[Request, Sequence[str]]
    requests = {request: (pinned_wording(*request, task.plan),) for request in PRACTISED_WORDINGS}
    requests |= {request: wordings[:1] for request, wordings in sentence_requests(task.steps_order).items()}
    return Phrasing({"pinned": task}, requests, seed)


def phrasing_of(config: Config, task: Task, seed: int) -> Phrasing:
    """Return the phrasing of an arm's rows: arms of one seed draw the same, whatever they explain with."""
    if config.wordings == "pinned":
        return pinned_phrasing(task, seed)
    return Phrasing(question_pool(task), {**PRACTISED_WORDINGS, **sentence_requests(task.steps_order)}, seed)


def question_pool(task: Task) -> dict[str, Task]:
    """Return the ways in which a task is asked in practice, by name: each of its questions, in both label orders.

    Not by other label words: those would be other answers.
    """
    others = variants(task, [ALL_CHECKS])
    pool = {"pinned": task} | {name: asked for name, asked in others.items() if check_of(name) == "paraphrases"}
    turned = {name: variants(asked, [ALL_CHECKS]).get("labels-reversed") for name, asked in pool.items()}
    return pool | {f"{name}, labels reversed": asked for name, asked in turned.items() if asked}


def phrasing_sentences(config: Config, task: Task) -> dict[str, dict[str, str]]:
    """Return every sentence from which the rows of an arm are drawn, for ``run.json``; none where none are drawn."""
    if config.wordings == "pinned":
        return {}
    questions = variant_sentences(question_pool(task))
    return {
        "requests": practised_sentences(config.train_styles, config.steps_order),
        **{f"question, {name}": sentences for name, sentences in questions.items()},
    }
