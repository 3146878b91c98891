"""How likely a model finds each one-word explanation: the scores that the constrained readout compares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from saywhy.measure.chats import explanation_chat
from saywhy.measure.choices import word_choice, word_edits
from saywhy.measure.edits import Item, one_word_swaps
from saywhy.models.interface import Copy, Departure, Model
from saywhy.protocol.prompts import Message
from saywhy.records import StyleName
from saywhy.tasks.lexicon import Pinned
from saywhy.words import candidates

if TYPE_CHECKING:
    from saywhy.tasks.task import Task


def word_scores(model: Model, task: Task, items: Sequence[Item]) -> list[dict[str, float]]:
    """Return what the constrained attribution readout chooses by: log P(word, end of turn) of each candidate (nats)."""
    scores = explanation_scores(model, task, items, ("attribution",), {})
    return [{key: score for (key, _), (score, _) in by_style["attribution"].items()} for by_style in scores]


EditScores = dict[tuple[str, str], tuple[float, float]]
"""(word, inserted) -> (score of the word, score of what is inserted)."""


def explanation_scores(
    model: Model,
    task: Task,
    items: Sequence[Item],
    styles: Sequence[StyleName],
    pinned: Pinned,
    wordings: Mapping[StyleName, str] | None = None,
) -> list[dict[StyleName, EditScores]]:
    """Return the scores (nats) by which the constrained readout compares the one-word explanations of each item.

    Args:
        model: Who explains.
        task: The task.
        items: Texts and predictions.
        styles: The styles.
        pinned: The words that a counterfactual may insert, by named label.
        wordings: In which words each style is asked for; None: the pinned ones.
    """
    asked = wordings or {}

    def ask(item: Item, style: StyleName) -> list[Message]:
        return explanation_chat(task, item, style, "one-word", asked.get(style))

    return edit_scores(model, items, styles, pinned, ask)


def explanation_log_probabilities(style: StyleName, scores: EditScores) -> tuple[float, ...]:
    """Return the log-probability (nats) of each explanation among all of a text in a style, in the order of ``scores``.

    The distribution that training calls ``objectives.candidate_log_probabilities``: a place is as likely as its
    likeliest edit, and what is inserted is compared with the other insertions at its place.
    """
    of_word = word_log_probabilities([(word, score) for (word, _), (score, _) in scores.items()])
    inserted: dict[str, list[float]] = {}
    for (word, _), (_, of_inserted) in scores.items():
        inserted.setdefault(word, []).append(of_inserted)
    norms = {word: _log_of_sum(values) for word, values in inserted.items()}
    return tuple(
        of_word[word] + (of_inserted - norms[word] if style == "counterfactual" else 0.0)
        for (word, _), (_, of_inserted) in scores.items()
    )


def word_log_probabilities(scores: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Return the log-probability (nats) of each word among all, from (word, score of an edit of it) pairs.

    A word is as likely as its likeliest edit.
    """
    of_word: dict[str, float] = {}
    for word, score in scores:
        of_word[word] = max(score, of_word.get(word, score))
    total = _log_of_sum(list(of_word.values()))
    return {word: score - total for word, score in of_word.items()}


def _log_of_sum(values: Sequence[float]) -> float:
    """Return log(sum(exp(values)))."""
    highest = max(values)
    return highest + math.log(sum(math.exp(value - highest) for value in values))


def minus_placebo(scores: EditScores, placebo: EditScores) -> EditScores:
    """Return scores less those after a request for any word."""
    return {
        edit: (of_word - placebo[edit][0], of_inserted - placebo[edit][1])
        for edit, (of_word, of_inserted) in scores.items()
    }


def edit_scores(
    model: Model,
    items: Sequence[Item],
    styles: Sequence[StyleName],
    pinned: Pinned,
    ask: Callable[[Item, StyleName], list[Message]],
) -> list[dict[StyleName, EditScores]]:
    """Return the scores (nats) of the one-word explanations of each item, asked for by ``ask``."""
    words = [candidates(item.example.text) for item in items] if "attribution" in styles else []
    choices = [
        word_choice(ask(item, "attribution"), [word.core for word in of_text])
        for item, of_text in zip(items, words, strict=False)
    ]
    copied = [(i, style) for i in range(len(items)) for style in styles if style != "attribution"]
    moves = [one_word_moves(items[i], style, pinned) for i, style in copied]
    copies = [
        Copy(ask(items[i], style), items[i].example.text, word_edits(items[i].example.text, of_copy))
        for (i, style), of_copy in zip(copied, moves, strict=True)
    ]
    # All at once: the requests of an item share the chat in which it was answered.
    log_probabilities, departures = model.weigh(choices, copies)
    scores: list[dict[StyleName, EditScores]] = [{} for _ in items]
    for by_style, of_text, of_words in zip(scores, words, log_probabilities, strict=False):
        # log P(word, end of turn) of each candidate
        by_style["attribution"] = {(word.key, ""): (score, 0.0) for word, score in zip(of_text, of_words, strict=True)}
    for (i, style), of_copy, leaving in zip(copied, moves, departures, strict=True):
        scores[i][style] = {move: _leaving(departure) for move, departure in zip(of_copy, leaving, strict=True)}
    return scores


def one_word_moves(item: Item, style: StyleName, pinned: Pinned) -> list[tuple[str, str]]:
    """Return (word, what is put in its place) of every one-word edit; a redaction puts in nothing of its own."""
    text = item.example.text
    if style == "redaction":
        return [(word.key, "") for word in candidates(text)]
    return [(key, new) for key, new, _ in one_word_swaps(text, pinned[item.prediction.runner_up])]


def _leaving(departure: Departure) -> tuple[float, float]:
    """Return log P(the edit begins) - log P(the copy goes on), and log P(the inserted word)."""
    return departure.begins - departure.stays, departure.inserted
