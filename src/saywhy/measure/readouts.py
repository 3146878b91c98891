"""How an explanation is got out of a model: generated text, or the likeliest of all valid ones.

Constrained readouts are skill without format (docs/definitions.md, *Readouts*).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from saywhy.measure.edits import Item, one_word_swaps
from saywhy.models.interface import Choice, Copy, Departure, Edit, Model
from saywhy.protocol import prompts
from saywhy.protocol import styles as readers
from saywhy.protocol.prompts import Message
from saywhy.records import Explanation, Setting, StyleName
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.words import candidates, match_case, replace_words, take_out


def conversation(task: Task, item: Item, ask: Message) -> list[Message]:
    """Return the chat in which the model has answered with its calibrated label and is asked ``ask``."""
    example = item.example
    first = prompts.question_chat(task, example.text, example.context)
    return [*first, prompts.answer_turn(task, item.prediction.label), ask]


def explanation_chat(task: Task, item: Item, style: StyleName, setting: Setting) -> list[Message]:
    """Return the chat that asks for an explanation; a counterfactual names the runner-up."""
    named = item.prediction.runner_up if style == "counterfactual" else None
    return conversation(task, item, prompts.request_turn(task, style, setting, named))


def generated(
    model: Model,
    task: Task,
    items: Sequence[Item],
    asks: Sequence[tuple[StyleName, Setting]],
) -> list[list[tuple[str, Explanation]]]:
    """Return each greedy reply and its reading, for each of ``asks`` of each item.

    All are asked for at once: the requests of an item share the chat in which it was answered.
    """
    requests = [(item, style, setting) for item in items for style, setting in asks]
    replies = model.generate(
        [explanation_chat(task, item, style, setting) for item, style, setting in requests],
        [reply_room(item.example.text, style, setting) for item, style, setting in requests],
        copied=[None if style == "attribution" else item.example.text for item, style, _ in requests],
    )
    label_words = tuple(task.labels.values())
    readings = iter(
        (reply, readers.read_reply(style, setting, item.example.text, reply, label_words))
        for (item, style, setting), reply in zip(requests, replies, strict=True)
    )
    return [[next(readings) for _ in asks] for _ in items]


def reply_room(text: str, style: StyleName, setting: Setting) -> int:
    """Return how many tokens a reply may take: a word or a list, or a copy and some room for the marks."""
    if style == "attribution":
        return 16 if setting == "one-word" else 48
    wide = len(text.encode("utf-8", "replace")) - len(text)  # scripts of which a letter may take several tokens
    return len(text) // 2 + wide + 24


def constrained(
    model: Model,
    task: Task,
    items: Sequence[Item],
    styles: Sequence[StyleName],
    pinned: Pinned,
    *,
    placebo: bool = False,
) -> list[dict[StyleName, Explanation]]:
    """Return the model's likeliest one-word explanation of each item, in each style.

    Args:
        model: Who explains.
        task: The task.
        items: Texts and predictions.
        styles: The styles.
        pinned: The words that a counterfactual may insert, by named label.
        placebo: Subtract the same scores after a request for *any* word (robustness).
    """
    scores = explanation_scores(model, task, items, styles, pinned)
    if placebo:
        blind = _edit_scores(
            model,
            items,
            styles,
            pinned,
            lambda item, style: conversation(task, item, prompts.placebo_turn(task, style)),
        )
        scores = [
            {style: _minus(of_edits, of_placebo[style]) for style, of_edits in by_style.items()}
            for by_style, of_placebo in zip(scores, blind, strict=True)
        ]
    return [
        {style: _likeliest_explanation(item.example.text, style, of_edits) for style, of_edits in by_style.items()}
        for item, by_style in zip(items, scores, strict=True)
    ]


def word_scores(model: Model, task: Task, items: Sequence[Item]) -> list[dict[str, float]]:
    """Return what the constrained attribution readout chooses by: log P(word, end of turn) of each candidate (nats)."""
    scores = explanation_scores(model, task, items, ("attribution",), {})
    return [{key: score for (key, _), (score, _) in by_style["attribution"].items()} for by_style in scores]


EditScores = dict[tuple[str, str], tuple[float, float]]
"""(word, inserted) -> (score of the word, score of what is inserted)."""


def explanation_scores(
    model: Model, task: Task, items: Sequence[Item], styles: Sequence[StyleName], pinned: Pinned
) -> list[dict[StyleName, EditScores]]:
    """Return the scores (nats) by which the constrained readout compares the one-word explanations of each item.

    Args:
        model: Who explains.
        task: The task.
        items: Texts and predictions.
        styles: The styles.
        pinned: The words that a counterfactual may insert, by named label.
    """
    return _edit_scores(
        model, items, styles, pinned, lambda item, style: explanation_chat(task, item, style, "one-word")
    )


def explanation_log_probabilities(style: StyleName, scores: EditScores) -> tuple[float, ...]:
    """Return the log-probability (nats) of each explanation among all of a text in a style, in the order of ``scores``.

    The distribution that training calls ``objectives.candidate_log_probabilities``: a place is as likely as its
    likeliest edit, and what is inserted is compared with the other insertions at its place.
    """
    of_place: dict[str, float] = {}
    inserted: dict[str, list[float]] = {}
    for (word, _), (score, of_inserted) in scores.items():
        of_place[word] = max(score, of_place.get(word, score))
        inserted.setdefault(word, []).append(of_inserted)
    places = _log_of_sum(list(of_place.values()))
    norms = {word: _log_of_sum(values) for word, values in inserted.items()}
    return tuple(
        of_place[word] - places + (of_inserted - norms[word] if style == "counterfactual" else 0.0)
        for (word, _), (_, of_inserted) in scores.items()
    )


def _log_of_sum(values: Sequence[float]) -> float:
    """Return log(sum(exp(values)))."""
    highest = max(values)
    return highest + math.log(sum(math.exp(value - highest) for value in values))


def _minus(scores: EditScores, placebo: EditScores) -> EditScores:
    return {
        edit: (of_word - placebo[edit][0], of_inserted - placebo[edit][1])
        for edit, (of_word, of_inserted) in scores.items()
    }


def _edit_scores(
    model: Model,
    items: Sequence[Item],
    styles: Sequence[StyleName],
    pinned: Pinned,
    ask: Callable[[Item, StyleName], list[Message]],
) -> list[dict[StyleName, EditScores]]:
    words = [candidates(item.example.text) for item in items] if "attribution" in styles else []
    choices = [
        word_choice(ask(item, "attribution"), [word.core for word in of_text])
        for item, of_text in zip(items, words, strict=False)
    ]
    copied = [(i, style) for i in range(len(items)) for style in styles if style != "attribution"]
    moves = [_moves(items[i], style, pinned) for i, style in copied]
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


def _moves(item: Item, style: StyleName, pinned: Pinned) -> list[tuple[str, str]]:
    """Return (word, what is put in its place) of every one-word edit; a redaction puts in nothing of its own."""
    text = item.example.text
    if style == "redaction":
        return [(word.key, "") for word in candidates(text)]
    return [(key, new) for key, new, _ in one_word_swaps(text, pinned[item.prediction.runner_up])]


def word_choice(chat: list[Message], cores: Sequence[str]) -> Choice:
    """Return the choice of one word of ``cores`` as the whole reply to ``chat``."""
    return Choice(chat, tuple(cores), ends=True)


def word_edits(text: str, moves: Sequence[tuple[str, str]]) -> tuple[Edit, ...]:
    """Return the edited copies of ``text``, one a (word, what is put in its place; empty: it is redacted)."""
    words = {word.key: word for word in candidates(text)}
    edits = []
    for key, new in moves:
        word = words[key]
        edited = replace_words(text, {key: match_case(new, word.core)}) if new else take_out(text, {key})
        # Only the mark's beginning is compared: the rest of it follows by itself.
        edits.append(Edit(edited, word.core_start + (len(new) or 1)))
    return tuple(edits)


def _leaving(departure: Departure) -> tuple[float, float]:
    """Return log P(the edit begins) - log P(the copy goes on), and log P(the inserted word)."""
    return departure.begins - departure.stays, departure.inserted


def _likeliest_explanation(text: str, style: StyleName, scores: EditScores) -> Explanation:
    """Return the explanation at the best position; a counterfactual inserts the likeliest word there."""
    where = max(scores, key=lambda key: scores[key][0])[0]
    if style != "counterfactual":
        return Explanation(words=(where,), edited=take_out(text, {where}))
    _, new = max((key for key in scores if key[0] == where), key=lambda key: scores[key][1])
    edited = next(text for key, word, text in one_word_swaps(text, (new,)) if key == where)
    return Explanation(words=(where,), inserted=(new,), edited=edited)
