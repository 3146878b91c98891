"""Every sentence that a model reads (docs/definitions.md). A changed prompt is a changed experiment.

``PROMPTS_VERSION`` is written into every run; the snapshot tests pin each sentence.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from saywhy.protocol.wordings import (
    PRACTISED_WORDINGS,
    SENTENCE_WORDINGS,
    STEPS_FIRST_WORDINGS,
    UNSEEN_WORDINGS,
    Request,
)
from saywhy.records import SENTENCE_STYLES, STYLES, Example, ReplyPlan, Setting, StepsOrder, StyleName
from saywhy.words import fold

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

PROMPTS_VERSION = 1

Message = dict[str, str]
"""``{"role": ..., "content": ...}``, as chat templates take it."""

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

_STOP = "."
"""Ends the turn that answers."""

_ANSWER_NOW = "So what is your answer?"
"""Asks for the answer behind steps that came before it."""

_REWRITE = "Rewrite the {noun} in other words. Keep its meaning."

_WRITE = "Write a {noun}."
"""Asks for a text out of nothing: how likely the reply is says how fluent the model finds it."""

_WHY = "Why?"
"""Stands before an explanation that an untrained model reads, whatever it was asked for with."""


def question_chat(task: Task, text: str, context: Mapping[str, str]) -> list[Message]:
    """Return the chat that asks for the label: the question first, the explained field last.

    A task with a prompt of its own is asked by that.
    """
    if task.prompt:
        system = [{"role": "system", "content": task.prompt.system}] if task.prompt.system else []
        return [*system, {"role": "user", "content": task.prompt.filled({**context, task.text: text})}]
    fields = [f"{name.capitalize()}: {context[name]}" for name in task.context]
    lines = [task.question, *fields, f"{task.noun.capitalize()}: {text}"]
    return [{"role": "user", "content": "\n".join(lines)}]


def text_offset(task: Task, text: str, context: Mapping[str, str]) -> int:
    """Return where the explained field begins in the turn that asks for the label."""
    if task.prompt:
        return task.prompt.text_offset(task.text, {**context, task.text: text})
    return len(question_chat(task, text, context)[-1]["content"]) - len(text)


def explained_text(task: Task, messages: list[Message]) -> str:
    """Return the text that a chat asks about: the inverse of ``question_chat`` (scripted models read with it)."""
    asking = messages[-1:] if _asks_again(messages) else messages
    turn = next(message["content"] for message in asking if message["role"] == "user")
    if task.prompt:
        text = task.prompt.read(turn, task.text, task.context)
        assert text is not None, "no turn of this prompt"
        return text
    return turn.split(f"\n{task.noun.capitalize()}: ", 1)[1]


def asks_for_label(messages: Sequence[Message]) -> bool:
    """Whether a chat asks for the label: first of all, behind steps, or of an edited text (``simulation_chat``)."""
    is_first = all(message["role"] != "assistant" for message in messages)
    return is_first or messages[-1]["content"] == _ANSWER_NOW or _asks_again(messages)


def _asks_again(messages: Sequence[Message]) -> bool:
    """Whether the last turn of a chat asks what its first one asked: they share the line before or behind the text."""
    first, *others = (message["content"].split("\n") for message in messages if message["role"] == "user")
    return bool(others) and len(others[-1]) > 1 and (first[0] == others[-1][0] or first[-1] == others[-1][-1])


def answer_parts(task: Task) -> tuple[str, str]:
    """Return how an answer begins, one blank before its label word, and how it ends."""
    return task.prompt.answer_parts if task.prompt else (task.lead_in, _STOP)


def answer_turn(task: Task, label: str) -> Message:
    """Return the assistant's turn that answers with ``label``."""
    before, behind = answer_parts(task)
    word = f"{task.labels[label]}{behind}"
    return {"role": "assistant", "content": f"{before} {word}" if before else word}


def answers(task: Task) -> dict[str, str]:
    """Return what is compared behind the lead-in, by label: the label words.

    Where one begins another (*1* and *12*), each has the stop of its turn behind it: of a beginning alone the shorter
    word would be likelier in every text.
    """
    folded = sorted(" ".join(fold(word).split()) for word in task.labels.values())
    nested = any(longer.startswith(shorter) for shorter, longer in pairwise(folded))
    stop = answer_parts(task)[1] or _STOP
    return {label: f"{word}{stop}" if nested else word for label, word in task.labels.items()}


def request_turn(
    task: Task,
    style: StyleName,
    setting: Setting,
    named: str | None,
    wording: str | None = None,
    *,
    count: int | None = None,
) -> Message:
    """Return the user's turn that asks for an explanation.

    Args:
        task: The task.
        style: What is asked for.
        setting: one-word, free or sentences.
        named: The counterfactual's label.
        wording: One of ``protocol.wordings``; None: the pinned one.
        count: How many keywords may be listed.
    """
    label_word = "" if named is None else task.labels[named]
    template = wording or pinned_wording(style, setting, task.plan)
    return {"role": "user", "content": template.format(noun=task.noun, named=label_word, count=count)}


def pinned_wording(style: StyleName, setting: Setting, plan: ReplyPlan = "direct") -> str:
    """Return the wording with which audits ask."""
    if setting == "sentences":
        return next(wordings[0] for name, wordings in SENTENCE_WORDINGS.items() if name == style)
    named_first = _NAMED_FIRST.get((style, setting)) if plan == "named-first" else None
    return named_first or PRACTISED_WORDINGS[style, setting][0]


def steps_first_chat(task: Task, text: str, context: Mapping[str, str], wording: str | None = None) -> list[Message]:
    """Return the chat that asks for steps before the answer: the request first, the explained field last."""
    *before, question = question_chat(task, text, context)
    request = (wording or STEPS_FIRST_WORDINGS[0]).format(noun=task.noun)
    return [*before, {**question, "content": f"{request}\n{question['content']}"}]


def behind_steps(chat: Sequence[Message], steps: str) -> list[Message]:
    """Return the chat that asks for the answer behind steps that the model wrote in ``chat`` (``steps_first_chat``)."""
    return [*chat, {"role": "assistant", "content": steps}, {"role": "user", "content": _ANSWER_NOW}]


def uncounted_words(task: Task) -> tuple[str, ...]:
    """Return the words that no explanation in sentences can mention: label words, those of the question, the noun.

    Of a chat of the task's own, the system message counts as the question does, the names of its columns do not.
    """
    own, fields = task.prompt, "|".join(map(re.escape, (task.text, *task.context)))
    asked = re.sub(rf"\{{(?:{fields})\}}", " ", f"{own.system or ''} {own.question}") if own else task.question
    return (*task.labels.values(), asked, task.noun)


def unseen_requests() -> dict[str, dict[StyleName, str]]:
    """Return the one-word requests of the check ``unseen-wording``: by variation, the wording of each style."""
    count = len(UNSEEN_WORDINGS["attribution", "one-word"])
    return {
        f"unseen-wording-{number + 1}": {style: UNSEEN_WORDINGS[style, "one-word"][number] for style in STYLES}
        for number in range(count)
    }


def placebo_turn(task: Task, style: StyleName) -> Message:
    """Return the user's turn that asks for *any* word: what the placebo-corrected readout subtracts."""
    return {"role": "user", "content": _placebos(task.plan)[style].format(noun=task.noun)}


def rewrite_turn(task: Task) -> Message:
    """Return the user's turn that asks for other words of the same meaning: the answer should stay."""
    return {"role": "user", "content": _REWRITE.format(noun=task.noun)}


def writing_chat(task: Task, context: Mapping[str, str]) -> list[Message]:
    """Return the chat that asks for such a text, given the other fields: the reply's likelihood is its fluency."""
    lines = [f"{name.capitalize()}: {context[name]}" for name in task.context]
    return [{"role": "user", "content": "\n".join([*lines, _WRITE.format(noun=task.noun)])}]


def asks_to_write(task: Task, messages: Sequence[Message]) -> bool:
    """Whether a chat is one of ``writing_chat`` (scripted models, which find all texts alike, ask)."""
    return messages[-1]["content"].endswith(_WRITE.format(noun=task.noun))


def simulation_chat(task: Task, example: Example, label: str, explanation: str | None, edited: str) -> list[Message]:
    """Return the chat in which a reader of an answer, and of its explanation if there is one, is asked about an edit.

    Args:
        task: The task.
        example: The explained text.
        label: The explained model's answer to it.
        explanation: What it said of the answer; None: nothing.
        edited: The edited text, of which the reader is to give the label.
    """
    asked = question_chat(task, example.text, example.context)
    explained = [] if explanation is None else [user_turn(_WHY), {"role": "assistant", "content": explanation}]
    return [*asked, answer_turn(task, label), *explained, question_chat(task, edited, example.context)[-1]]


def user_turn(content: str) -> Message:
    """Return a turn of the user's."""
    return {"role": "user", "content": content}


def _placebos(plan: ReplyPlan) -> Mapping[StyleName, str]:
    return {**_PLACEBOS, **_NAMED_FIRST_PLACEBOS} if plan == "named-first" else _PLACEBOS


def prompt_sentences(plan: ReplyPlan = "direct") -> dict[str, str]:
    """Return every template of an audit by name, for the snapshot tests and the report's appendix."""
    templates = {f"{style}, {setting}": pinned_wording(style, setting, plan) for style, setting in PRACTISED_WORDINGS}
    return templates | {f"{style}, placebo": template for style, template in _placebos(plan).items()}


def sentence_prompts(orders: Collection[StepsOrder]) -> dict[str, str]:
    """Return the templates of the setting ``sentences``, as ``prompt_sentences``; ``orders``: of steps and answer."""
    templates = {f"{style}, sentences": pinned_wording(style, "sentences") for style in SENTENCE_STYLES}
    if "before" not in orders:
        return templates
    steps = "steps before the answer, sentences" if "after" in orders else "steps, sentences"
    return templates | {steps: STEPS_FIRST_WORDINGS[0], "answer behind steps": _ANSWER_NOW}


def sentence_requests(order: StepsOrder) -> dict[Request, tuple[str, ...]]:
    """Return the wordings of the requests for sentences, the pinned one first."""
    requests: dict[Request, tuple[str, ...]] = {
        (style, "sentences"): wordings for style, wordings in SENTENCE_WORDINGS.items()
    }
    return requests | ({("steps", "sentences"): STEPS_FIRST_WORDINGS} if order == "before" else {})


def practised_sentences(styles: Sequence[StyleName], order: StepsOrder = "after") -> dict[str, str]:
    """Return the wordings that ``wordings=pool`` practises, by style and number; the first is that of the audit."""
    requests = {**PRACTISED_WORDINGS, **sentence_requests(order)}
    return {
        f"{style}, {setting}, {number}": wording
        for style, setting in requests
        if style in styles and setting in ("one-word", "sentences")
        for number, wording in enumerate(requests[style, setting], start=1)
    }


def check_prompt_sentences(plan: ReplyPlan = "direct") -> dict[str, dict[str, str]]:
    """Return the templates that only robustness checks ask, by check; an audit's prompts do not depend on them."""
    unseen = {
        f"{variation}, {style}": wording
        for variation, of_styles in unseen_requests().items()
        for style, wording in of_styles.items()
    }
    return {
        "rewrite": {"rewrite": _REWRITE},
        "wrong-target": {"wrong-target": pinned_wording("counterfactual", "one-word", plan)},
        "unseen-wording": unseen,
    }
