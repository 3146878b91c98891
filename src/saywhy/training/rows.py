"""Training rows: what the assistant is taught to say, the label turn and the explanations.

Rows are TRL's conversational ``prompt``/``completion``: ``trl sft`` can use them unchanged, but it would take each
label of ``anchor_rows`` for as good as the others.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saywhy.config import Config
from saywhy.measure import readouts
from saywhy.measure.edits import Item
from saywhy.objective_settings import PREFERENCE_OBJECTIVES
from saywhy.protocol import prompts
from saywhy.records import STYLES, Example, SaywhyError, Setting, StyleName
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.training.completions import completion, lessons_with_a_choice, with_candidates, with_rejected
from saywhy.training.lessons import Lesson, Target, Targets
from saywhy.training.targets import as_answered, random_targets
from saywhy.words import candidates, occurrences

NOTHING_FLIPS = "no training text has a word that flips the answer: verified=false, or more train_rows"
"""What is said where ``verified`` leaves nothing to train on."""


def label_row(task: Task, example: Example, label: str) -> dict[str, Any]:
    """Return the training row of the label turn."""
    return {
        "id": example.id,
        "style": "label",
        "setting": None,
        "prompt": prompts.question_chat(task, example.text, example.context),
        "completion": [prompts.answer_turn(task, label)],
        "decision": None,
    }


def decided_label_row(task: Task, example: Example, label: str) -> dict[str, Any]:
    """Return the label turn with the label word as its decision: the lead-in teaches nothing."""
    row, word = label_row(task, example, label), task.labels[label]
    at = row["completion"][0]["content"].rindex(word)
    return {**row, "decision": [[at, at + len(word)]]}


LEAST_SHARE = 0.01
"""A label less likely than this gets no row of its own: it would teach nothing."""


def anchor_rows(task: Task, items: Sequence[Item], weight: float = 1.0) -> list[dict[str, Any]]:
    """Return the label turn of each text once a label, with the ``share`` that the model gives it, times ``weight``.

    The cross-entropy to one's own probabilities is the KL divergence but for a constant: it is least where the margins
    stay as they are, while a single label would drive them apart. The probabilities are the calibrated ones: they
    differ from the raw ones by the same constants in every text, which calibration takes out again.
    """
    return [row for item in items for row in _rows_of_labels(task, item.example, item.prediction.scores, weight)]


def edited_anchor_rows(task: Task, lessons: Sequence[Lesson], weight: float) -> list[dict[str, Any]]:
    """Return the same of the edited texts of each lesson: what a text says without a word stays, too.

    A model that learns to name words learns by the way that a text with ``[REDACTED]`` is one whose answer has changed
    (issue 18): it becomes brittle, and its own tables flatter it.
    """
    return [
        row
        for lesson in lessons
        for edited in lesson.edited
        for row in _rows_of_labels(
            task, dataclasses.replace(lesson.item.example, text=edited.text), edited.scores, weight
        )
    ]


def _rows_of_labels(
    task: Task, example: Example, scores: Mapping[str, float], weight: float
) -> Iterator[dict[str, Any]]:
    for label, score in scores.items():
        if (share := math.exp(score)) >= LEAST_SHARE:
            yield {**decided_label_row(task, example, label), "share": round(weight * share, 4)}


def explanation_row(task: Task, item: Item, style: StyleName, setting: Setting, target: Target) -> dict[str, Any]:
    """Return the training row of an explanation.

    ``decision`` holds the character spans of the completion in which the word is decided on: everything else in
    a redaction or counterfactual is a copy, and the loss may tell them apart.
    """
    content, spans = completion(item.example.text, style, target)
    return {
        "id": item.example.id,
        "style": style,
        "setting": setting,
        "prompt": readouts.explanation_chat(task, item, style, setting),
        "completion": [{"role": "assistant", "content": content}],
        "decision": spans,
    }


def stay_rows(
    task: Task, items: Sequence[Item], targets: Sequence[Targets], styles: Sequence[StyleName], share: float
) -> list[dict[str, Any]]:
    """Return a row a text and copied style in which the words behind the deciding one stay, the text being unedited.

    An edited copy teaches at which words it goes on before the deciding one, but nothing of those behind it: seen from
    there, a copy without an edit is always late, so that the edit seems the more overdue the later it is. The readout
    compares all positions. Only the beginnings of those words are supervised (``copied`` is what other tokens count).
    """
    rows = []
    for item, of_text in zip(items, targets, strict=True):
        text = item.example.text
        copy = [{"role": "assistant", "content": text}]
        for style in styles:
            spans = _behind(text, of_text[style].words)
            if style != "attribution" and spans:
                row = explanation_row(task, item, style, "one-word", of_text[style])
                rows.append({**row, "completion": copy, "decision": spans, "copied": 0.0, "share": share})
    return rows


def _behind(text: str, keys: Sequence[str]) -> list[list[int]]:
    """Return where the candidates begin whose first occurrence is behind every occurrence of ``keys``."""
    last = max(word.core_start for word in occurrences(text) if word.key in keys)
    return [[word.core_start, word.core_start + 1] for word in candidates(text) if word.core_start > last]


def text_rows(
    task: Task,
    items: Sequence[Item],
    targets: Sequence[Targets],
    styles: Sequence[StyleName],
    setting: Setting = "one-word",
    *,
    labels: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Return the training rows of some texts: the label turn and one row a style.

    Args:
        task: The task.
        items: Texts and predictions.
        targets: What each explanation takes.
        styles: Which styles are trained.
        setting: one-word or free.
        labels: The label turn's labels; None: no label turn.
    """
    rows = []
    for number, (item, of_text) in enumerate(zip(items, targets, strict=True)):
        if labels is not None:
            rows.append(label_row(task, item.example, labels[number]))
        rows += [explanation_row(task, item, style, setting, of_text[style]) for style in styles]
    return rows


def arm_rows(
    config: Config, task: Task, lessons: Sequence[Lesson], faithful: Sequence[Lesson], seed: int = 0
) -> list[dict[str, Any]]:
    """Return the training rows of an arm.

    Args:
        config: The settings of the arm.
        task: The task.
        lessons: What the arm learns of each text.
        faithful: The same of the arm ``faithful``, whose hits decide which texts are kept (``verified``).
        seed: Of the explanations that ``dpo`` rejects.

    Raises:
        SaywhyError: If no text is kept.
    """
    lessons = [
        lesson
        for lesson, of_faithful in zip(lessons, faithful, strict=True)
        if of_faithful.targets["attribution"].hit or not config.verified
    ]
    if not lessons:
        raise SaywhyError(NOTHING_FLIPS)
    if config.objective != "word":
        lessons = lessons_with_a_choice(lessons, config)
    if config.objective in PREFERENCE_OBJECTIVES:
        return _preference_rows(config, task, lessons, seed)
    items, targets = [lesson.item for lesson in lessons], [lesson.targets for lesson in lessons]
    keeps_probabilities = config.anchor > 0 or config.label_turn == "probabilities"
    labels = [item.prediction.label for item in items] if config.label_weight and not keeps_probabilities else None
    rows = text_rows(task, items, targets, config.train_styles, labels=labels)
    if config.objective != "word":
        by_id = {lesson.item.example.id: lesson for lesson in lessons}
        rows = [with_candidates(row, by_id[row["id"]]) for row in rows]
    if config.anchor:
        rows += anchor_rows(task, items, config.anchor) + edited_anchor_rows(task, lessons, config.anchor)
    elif config.label_weight and keeps_probabilities:
        rows += anchor_rows(task, items)
    if config.stay_weight:
        rows += stay_rows(task, items, targets, config.train_styles, config.stay_weight)
    return rows


def _preference_rows(config: Config, task: Task, lessons: Sequence[Lesson], seed: int) -> list[dict[str, Any]]:
    """Return what TRL's own trainers practise on: the explanations with their effects, and what either also asks."""
    rows = []
    for lesson in lessons:
        for style in config.train_styles:
            row = with_candidates(explanation_row(task, lesson.item, style, "one-word", lesson.targets[style]), lesson)
            if config.objective == "dpo":
                rows.append(with_rejected(row, lesson, seed))
            else:
                rows.append({**row, "label_words": list(task.labels.values())})
    return rows


def adapted_rows(config: Config, task: Task, items: Sequence[Item], pinned: Pinned, seed: int) -> list[dict[str, Any]]:
    """Return the rows of ``adapted``: labels, and the formats of all styles and settings from random words."""
    gold = config.adapt_labels == "gold"
    answered = [as_answered(item, str(item.example.label)) for item in items] if gold else list(items)
    rows: list[dict[str, Any]] = []
    for number, setting in enumerate(config.settings):
        of_setting = answered[number :: len(config.settings)]
        targets = random_targets(of_setting, pinned, seed, free=setting == "free")
        labels = [item.prediction.label for item in of_setting] if gold else None
        rows += text_rows(task, of_setting, targets, STYLES, setting, labels=labels)
    return rows


def rehearsal_rows(
    adapted: Sequence[dict[str, Any]], practised: Sequence[StyleName], texts: int, share: float, seed: int
) -> list[dict[str, Any]]:
    """Return rows of ``adapted`` in the styles that an arm does not practise, so that it keeps their formats.

    Args:
        adapted: The rows of ``adapted``: random words in all styles.
        practised: The styles of the arm.
        texts: How many texts it practises on.
        share: Which share of all its texts are to rehearse.
        seed: Of the choice.
    """
    rows = [row for row in adapted if row["style"] in STYLES and row["style"] not in practised]
    ids = sorted({row["id"] for row in rows})
    wanted = min(round(texts * share / (1 - share)), len(ids))
    drawn = set(random.Random(seed).sample(ids, wanted))
    return [row for row in rows if row["id"] in drawn]
