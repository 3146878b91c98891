"""The same task asked another way: other sentences, labels in the other order, other label words.

A variant is a ``Task`` of its own, so everything that classifies takes it as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from saywhy.checks import ALL_CHECKS, REPHRASED_CHECKS
from saywhy.protocol import prompts
from saywhy.records import SaywhyError
from saywhy.tasks.task import Task
from saywhy.words import match_case


def variants(task: Task, checks: Sequence[str]) -> dict[str, Task]:
    """Return the variants of ``task`` that ``checks`` ask for, by name (``paraphrase-1``, ``verbaliser``, ...).

    ``all`` takes what the task allows.

    Raises:
        SaywhyError: If a check is named for which the task lacks something.
    """
    tasks: dict[str, Task] = {}
    for check in REPHRASED_CHECKS:
        if check not in checks and ALL_CHECKS not in checks:
            continue
        variants_or_lack = _variants_of(task, check)
        if not isinstance(variants_or_lack, str):
            tasks |= variants_or_lack
        elif check in checks:
            raise SaywhyError(f"robustness={check}: task '{task.name}' {variants_or_lack}")
    return tasks


def _variants_of(task: Task, check: str) -> dict[str, Task] | str:
    """Return the variants of one check, or what the task lacks."""
    if check == "paraphrases":
        return {
            f"paraphrase-{number}": _changed(
                task, question=paraphrase.question, lead_in=paraphrase.lead_in, prompt=None
            )
            for number, paraphrase in enumerate(task.paraphrases, start=1)
        } or "has no paraphrases: add some to its YAML"
    if check == "verbaliser":
        if not task.verbaliser:
            return "has no verbaliser: add one to its YAML"
        words = {word: task.verbaliser[label] for label, word in task.labels.items()}
        return {check: _swapped(task, words, labels=dict(task.verbaliser))}
    order = _listed(task)
    if order is None:
        return "does not list each label word once in its question, so there is no order to reverse"
    return {check: _swapped(task, dict(zip(order, reversed(order), strict=True)))}


def _changed(task: Task, **fields: object) -> Task:
    return task.model_copy(update=fields)


def _swapped(task: Task, words: Mapping[str, str], **fields: object) -> Task:
    """Return the task with other words in what asks for the label."""
    prompt = task.prompt and task.prompt.model_copy(
        update={
            "question": _swap(task.prompt.question, words),
            "system": task.prompt.system and _swap(task.prompt.system, words),
        }
    )
    return _changed(task, question=_swap(task.question, words), prompt=prompt, **fields)


def _listed(task: Task) -> list[str] | None:
    """Return the label words in the order of the question; None if one is not there exactly once."""
    question = task.prompt.question if task.prompt else task.question
    places = {word: [m.start() for m in _whole_word(word).finditer(question)] for word in task.labels.values()}
    if any(len(at) != 1 for at in places.values()):
        return None
    return sorted(places, key=lambda word: places[word])


def _swap(question: str, words: Mapping[str, str]) -> str:
    """Replace whole words, all at once; a word in other case than the label's is replaced by one in that case."""
    by_folded = {word.casefold(): (word, new) for word, new in words.items()}

    def new_word(match: re.Match[str]) -> str:
        written = match.group()
        word, new = by_folded[written.casefold()]
        if written == word:
            return new
        if written.islower():
            return new.lower()
        return new.upper() if written.isupper() and len(written) > 1 else match_case(new, written)

    longest = sorted(words, key=len, reverse=True)
    return re.sub("|".join(_whole_word(word).pattern for word in longest), new_word, question, flags=re.I)


def _whole_word(word: str) -> re.Pattern[str]:
    # A word in braces is the name of a column.
    return re.compile(rf"(?<![\w{{]){re.escape(word)}(?![\w}}])", re.I)


def variant_sentences(tasks: Mapping[str, Task]) -> dict[str, dict[str, str]]:
    """Return what a model reads in each variant: question, lead-in and label words."""
    return {
        name: {
            "question": task.prompt.question if task.prompt else task.question,
            "lead_in": prompts.answer_parts(task)[0],
            "labels": ", ".join(task.labels.values()),
        }
        for name, task in tasks.items()
    }
