"""What the assistant says as an explanation in sentences: a template, filled with words of the text.

>>> from saywhy.tasks.task import load_task
>>> task = load_task("sentiment140")
>>> fill("Why {answer}? Because the {noun} says {words}.", ["Great", "love"], "positive", task)
('Why positive? Because the tweet says "Great" and "love".', [[38, 43], [50, 54]])
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from string import Formatter
from typing import TYPE_CHECKING

from saywhy.measure.edits import Item
from saywhy.protocol.mentions import mentions
from saywhy.protocol.prompts import uncounted_words
from saywhy.protocol.sentences import read_sentences
from saywhy.records import StyleName
from saywhy.training.sentence_templates import sentence_templates
from saywhy.words import candidates

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

_LISTS: Mapping[str, tuple[str, str]] = {
    "list": ("", ", "),
    "quoted": ('"', ", "),
    "bold": ("**", ", "),
    "words": ('"', " and "),
}
"""How a list is written, by its field: the mark around each word, and what stands before the last."""


def namable_words(task: Task, text: str) -> list[str]:
    """Return the words of a text (folded cores) that a sentence can mention by quoting them, in order of the text.

    Label words, the words of the question and the noun never count as mentioned, nor does what no quotes can hold.
    """
    excluded = uncounted_words(task)
    return [word.key for word in candidates(text) if mentions(text, f'"{word.core}"', excluded).words == (word.key,)]


def sentence_completion(
    task: Task, item: Item, style: StyleName, words: Sequence[str], seed: int
) -> tuple[str, list[list[int]]] | None:
    """Return what the assistant says, and the spans of it in which the words are named.

    The template is drawn by seed, text and style, whatever the words: of those in which the reader reads these words
    and no other ones. A text may hold words of a template ("settled"), which it would mention.

    Args:
        task: The task, as it is asked.
        item: Text and prediction.
        style: keywords, reasons or steps.
        words: The words to name (folded cores), those of steps in the order of effect.
        seed: Seed of the draw.

    Returns: None where no template is read so.
    """
    text, excluded = item.example.text, uncounted_words(task)
    cores = {word.key: word.core for word in candidates(text)}
    templates = list(sentence_templates(style, task.steps_order, len(words)))
    random.Random(f"{seed}:{item.example.id}:{style}").shuffle(templates)
    for template in templates:
        content, spans = fill(template, [cores[key] for key in words], task.labels[item.prediction.label], task)
        reading = read_sentences(style, text, content, excluded)
        if set(reading.words) == set(words) and not reading.denied:
            return content, spans
    return None


def fill(template: str, words: Sequence[str], answer: str, task: Task) -> tuple[str, list[list[int]]]:
    """Return a template filled with ``words``, and where these stand in it."""
    fields = {"answer": answer, "noun": task.noun, "s": "s" * (len(words) > 1)}
    content, spans, one_by_one = "", list[list[int]](), iter(words)
    for literal, field, _, _ in Formatter().parse(template):
        content += literal
        if field is None:
            continue
        if field in fields:
            content += fields[field]
            continue
        mark, before_last = _LISTS.get(field, _LISTS["words"])
        named = [next(one_by_one)] if field == "word" else words
        for number, word in enumerate(named):
            content += "" if number == 0 else ", " if number < len(named) - 1 else before_last
            start = len(content) + len(mark)
            content += f"{mark}{word}{mark}"
            spans.append([start, start + len(word)])
    return content, spans
