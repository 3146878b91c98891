"""Every sentence that a model reads (docs/definitions.md). A changed prompt is a changed experiment.

``PROMPTS_VERSION`` is written into every run; the snapshot tests pin each sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from saywhy.records import ReplyPlan, Setting, StyleName

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

PROMPTS_VERSION = 1

Message = dict[str, str]
"""``{"role": ..., "content": ...}``, as chat templates take it."""

_REQUESTS: Mapping[tuple[StyleName, Setting], str] = {
    ("attribution", "one-word"): "Which word of the {noun} decided your answer? Reply with one word.",
    (
        "attribution",
        "free",
    ): "Which words of the {noun} decided your answer? Reply with the words, separated by commas.",
    (
        "redaction",
        "one-word",
    ): "Copy the {noun}, with the word that decided your answer replaced by [REDACTED].",
    ("redaction", "free"): "Copy the {noun}, with all words that decided your answer replaced by [REDACTED].",
    ("counterfactual", "one-word"): "Copy the {noun}, with one word replaced so that the answer is {named}.",
    ("counterfactual", "free"): "Copy the {noun}, with a few words replaced so that the answer is {named}.",
}

_NAMED_FIRST: Mapping[tuple[StyleName, Setting], str] = {
    (
        "redaction",
        "one-word",
    ): "Which word of the {noun} decided your answer? Reply with one word, and on the next line "
    "copy the {noun}, with this word replaced by [REDACTED].",
    (
        "redaction",
        "free",
    ): "Which words of the {noun} decided your answer? Reply with the words, separated by commas, and "
    "on the next line copy the {noun}, with these words replaced by [REDACTED].",
    (
        "counterfactual",
        "one-word",
    ): "Which word of the {noun} decided your answer? Reply with one word, and on the next "
    "line copy the {noun}, with this word replaced so that the answer is {named}.",
    ("counterfactual", "free"): "Which words of the {noun} decided your answer? Reply with the words, separated by "
    "commas, and on the next line copy the {noun}, with these words replaced so that the answer is {named}.",
}
"""Requests of the plan ``named-first``: they begin like those for attributions, so that naming is the same act."""

_PLACEBOS: Mapping[StyleName, str] = {
    "attribution": "Name any word of the {noun}. Reply with one word.",
    "redaction": "Copy the {noun}, with any word replaced by [REDACTED].",
    "counterfactual": "Copy the {noun}, with any word replaced by another word.",
}

_NAMED_FIRST_PLACEBOS: Mapping[StyleName, str] = {
    "redaction": "Name any word of the {noun}. Reply with one word, and on the next line copy the {noun}, with this "
    "word replaced by [REDACTED].",
    "counterfactual": "Name any word of the {noun}. Reply with one word, and on the next line copy the {noun}, with "
    "this word replaced by another word.",
}

_REWRITE = "Rewrite the {noun} in other words. Keep its meaning."


def question_chat(task: Task, text: str, context: Mapping[str, str]) -> list[Message]:
    """Return the chat that asks for the label: the question first, the explained field last."""
    fields = [f"{name.capitalize()}: {context[name]}" for name in task.context]
    lines = [task.question, *fields, f"{task.noun.capitalize()}: {text}"]
    return [{"role": "user", "content": "\n".join(lines)}]


def explained_text(task: Task, messages: list[Message]) -> str:
    """Return the text that a chat asks about: the inverse of ``question_chat`` (scripted models read with it)."""
    return messages[0]["content"].split(f"\n{task.noun.capitalize()}: ", 1)[1]


def answer_turn(task: Task, label: str) -> Message:
    """Return the assistant's turn that answers with ``label``."""
    return {"role": "assistant", "content": f"{task.lead_in} {task.labels[label]}."}


def request_turn(task: Task, style: StyleName, setting: Setting, named: str | None) -> Message:
    """Return the user's turn that asks for an explanation; ``named`` is the counterfactual's label."""
    label_word = "" if named is None else task.labels[named]
    return {"role": "user", "content": _requests(task.plan)[style, setting].format(noun=task.noun, named=label_word)}


def placebo_turn(task: Task, style: StyleName) -> Message:
    """Return the user's turn that asks for *any* word: what the placebo-corrected readout subtracts."""
    return {"role": "user", "content": _placebos(task.plan)[style].format(noun=task.noun)}


def rewrite_turn(task: Task) -> Message:
    """Return the user's turn that asks for other words of the same meaning: the answer should stay."""
    return {"role": "user", "content": _REWRITE.format(noun=task.noun)}


def _requests(plan: ReplyPlan) -> Mapping[tuple[StyleName, Setting], str]:
    return {**_REQUESTS, **_NAMED_FIRST} if plan == "named-first" else _REQUESTS


def _placebos(plan: ReplyPlan) -> Mapping[StyleName, str]:
    return {**_PLACEBOS, **_NAMED_FIRST_PLACEBOS} if plan == "named-first" else _PLACEBOS


def prompt_sentences(plan: ReplyPlan = "direct") -> dict[str, str]:
    """Return every template of a plan by name, for the snapshot tests and the report's appendix."""
    templates = {f"{style}, {setting}": template for (style, setting), template in _requests(plan).items()}
    return templates | {f"{style}, placebo": template for style, template in _placebos(plan).items()}


def check_prompt_sentences() -> dict[str, str]:
    """Return the templates that only robustness checks ask, by check; an audit's prompts do not depend on them."""
    return {"rewrite": _REWRITE, "wrong-target": _REQUESTS["counterfactual", "one-word"]}
