"""What the assistant says in training: the label turn and the explanations, as rows.

Rows are TRL's conversational ``prompt``/``completion``: ``trl sft`` can use them unchanged (but it would
take each label of ``anchor_rows`` for as good as the others).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from saywhy.measure import readouts
from saywhy.measure.edits import Item
from saywhy.protocol import prompts
from saywhy.records import Example, Setting, StyleName
from saywhy.tasks.task import Task
from saywhy.training.targets import Pick, Picks
from saywhy.words import MARK, candidates, match_case, occurrences, replace, take_out


def label_row(task: Task, example: Example, label: str) -> dict[str, Any]:
    """Return the training row of the label turn."""
    return {
        "id": example.id,
        "style": "label",
        "setting": None,
        "prompt": prompts.question(task, example.text, example.context),
        "completion": [prompts.answer(task, label)],
        "decision": None,
    }


def decided_label_row(task: Task, example: Example, label: str) -> dict[str, Any]:
    """Return the label turn with the label word as its decision: the lead-in teaches nothing."""
    row, word = label_row(task, example, label), task.labels[label]
    at = row["completion"][0]["content"].rindex(word)
    return {**row, "decision": [[at, at + len(word)]]}


LEAST = 0.01
"""A label less likely than this gets no row of its own: it would teach nothing."""


def anchor_rows(task: Task, items: Sequence[Item]) -> list[dict[str, Any]]:
    """Return the label turn of each text once a label, with the ``share`` that the model gives it.

    The cross-entropy to one's own probabilities is the KL divergence but for a constant: it is least where the margins
    stay as they are, while a single label would drive them apart. The probabilities are the calibrated ones: they
    differ from the raw ones by the same constants in every text, which calibration takes out again.
    """
    return [
        {**decided_label_row(task, item.example, label), "share": round(share, 4)}
        for item in items
        for label, score in item.prediction.scores.items()
        if (share := math.exp(score)) >= LEAST
    ]


def explanation_row(task: Task, item: Item, style: StyleName, setting: Setting, pick: Pick) -> dict[str, Any]:
    """Return the training row of an explanation.

    ``decision`` holds the character spans of the completion in which the word is decided on: everything else in
    a redaction or counterfactual is a copy, and the loss may tell them apart.
    """
    content, spans = completion(item.example.text, style, pick)
    return {
        "id": item.example.id,
        "style": style,
        "setting": setting,
        "prompt": readouts.request(task, item, style, setting),
        "completion": [{"role": "assistant", "content": content}],
        "decision": spans,
    }


def completion(text: str, style: StyleName, pick: Pick) -> tuple[str, list[list[int]]]:
    """Return what the assistant says, and the spans of it that are decisions."""
    cores = {word.key: word.core for word in candidates(text)}
    if style == "attribution":
        said = ", ".join(cores[key] for key in pick.words)
        return said, [[0, len(said)]]
    if style == "redaction":
        edited = take_out(text, pick.words)
        # Only the mark's beginning is a decision: the rest of it follows by itself.
        return edited, [[at, at + 1] for at in _found(edited, MARK)]
    new = {key: match_case(word, cores[key]) for key, word in zip(pick.words, pick.inserted, strict=True)}
    edited = replace(text, new)
    spans, shift = [], 0
    for word in _occurrences_of(text, new):
        spans.append([word[0] + shift, word[0] + shift + len(new[word[2]])])
        shift += len(new[word[2]]) - (word[1] - word[0])
    return edited, spans


def _occurrences_of(text: str, keys: Mapping[str, str]) -> list[tuple[int, int, str]]:
    return [(w.core_start, w.core_end, w.key) for w in occurrences(text) if w.key in keys]


def _found(text: str, piece: str) -> list[int]:
    starts, at = [], text.find(piece)
    while at >= 0:
        starts.append(at)
        at = text.find(piece, at + 1)
    return starts


def stay_rows(
    task: Task, items: Sequence[Item], picks: Sequence[Picks], styles: Sequence[StyleName], share: float
) -> list[dict[str, Any]]:
    """Return a row a text and copied style in which the words behind the deciding one stay, the text being unedited.

    An edited copy teaches at which words it goes on before the deciding one, but nothing of those behind it: seen from
    there, a copy without an edit is always late, so that the edit seems the more overdue the later it is. The readout
    compares all positions. Only the beginnings of those words are supervised (``copied`` is what other tokens count).
    """
    made = []
    for item, mine in zip(items, picks, strict=True):
        text = item.example.text
        said = [{"role": "assistant", "content": text}]
        for style in styles:
            spans = _behind(text, mine[style].words)
            if style != "attribution" and spans:
                row = explanation_row(task, item, style, "one-word", mine[style])
                made.append({**row, "completion": said, "decision": spans, "copied": 0.0, "share": share})
    return made


def _behind(text: str, keys: Sequence[str]) -> list[list[int]]:
    """Return where the candidates begin whose first occurrence is behind every occurrence of ``keys``."""
    last = max(word.core_start for word in occurrences(text) if word.key in keys)
    return [[word.core_start, word.core_start + 1] for word in candidates(text) if word.core_start > last]


def rows(
    task: Task,
    items: Sequence[Item],
    picks: Sequence[Picks],
    styles: Sequence[StyleName],
    setting: Setting = "one-word",
    *,
    labels: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Return the training rows of some texts: the label turn and one row a style.

    Args:
        task: The task.
        items: Texts and predictions.
        picks: What each explanation takes.
        styles: Which styles are trained.
        setting: one-word or free.
        labels: The label turn's labels; None: no label turn.
    """
    made = []
    for i, (item, mine) in enumerate(zip(items, picks, strict=True)):
        if labels is not None:
            made.append(label_row(task, item.example, labels[i]))
        made += [explanation_row(task, item, style, setting, mine[style]) for style in styles]
    return made
