"""Training rows: what the assistant is taught to say, the label turn and the explanations.

Rows are TRL's conversational ``prompt``/``completion``: ``trl sft`` can use them unchanged, but it would take each
label of ``anchor_rows`` for as good as the others.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from saywhy.clashes import PREFERENCE_OBJECTIVES
from saywhy.config import Config
from saywhy.measure.chats import explanation_chat
from saywhy.measure.edits import Item
from saywhy.measure.rooms import copies_text
from saywhy.records import SENTENCE_STYLES, SETTINGS, STYLES, SaywhyError, Setting, StyleName
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.training.completions import (
    behind_its_name,
    completion,
    lessons_with_a_choice,
    with_candidates,
    with_rejected,
)
from saywhy.training.label_rows import anchor_rows, edited_anchor_rows, label_row
from saywhy.training.lessons import Lesson, Target, Targets
from saywhy.training.phrasing import Phrasing, phrasing_of, pinned_phrasing
from saywhy.training.sentences import sentence_completion
from saywhy.training.targets import as_answered, random_targets
from saywhy.words import candidates, occurrences

NOTHING_FLIPS = "no text has a word that flips the answer: verified=false, or more train_rows"
"""What is said where ``verified`` leaves nothing to train on."""


NOTHING_SUPPORTED = (
    "train_styles: no text has a word that a sentence can name, one that speaks for the answer and is neither "
    "in the question nor a label word: practise a one-word style too, or give more train_rows"
)
"""What is said where no text has words for the sentences that alone are practised."""


def explanation_row(
    phrasing: Phrasing, item: Item, style: StyleName, setting: Setting, target: Target
) -> dict[str, Any]:
    """Return the training row of an explanation of one word or a few.

    ``decision`` holds the character spans of the completion in which the word is decided on: everything else in
    a redaction or counterfactual is a copy, and the loss may tell them apart.
    """
    content, spans = completion(item.example.text, style, target)
    if phrasing.task_of(item.example).plan == "named-first" and style != "attribution":
        content, spans = behind_its_name(item.example.text, target, content, spans if target.inserted else [])
    return _practised_row(phrasing, item, style, setting, content, spans)


def sentence_rows(phrasing: Phrasing, item: Item, style: StyleName, target: Target) -> list[dict[str, Any]]:
    """Return the training row of an explanation in sentences, ``decision`` the words that it names, as a list.

    The list is empty where the reader would read other words in every template.
    """
    written = sentence_completion(phrasing.task_of(item.example), item, style, target.words, phrasing.seed)
    return [_practised_row(phrasing, item, style, "sentences", *written)] if written else []


def _practised_row(
    phrasing: Phrasing, item: Item, style: StyleName, setting: Setting, content: str, spans: list[list[int]]
) -> dict[str, Any]:
    """Return a row that asks for an explanation as ``phrasing`` does, and is replied to with ``content``."""
    asked, wording = phrasing.task_of(item.example), phrasing.wording_of(item.example, style, setting)
    return {
        "id": item.example.id,
        "style": style,
        "setting": setting,
        "prompt": explanation_chat(asked, item, style, setting, wording),
        "completion": [{"role": "assistant", "content": content}],
        "decision": spans,
    }


def stay_rows(
    phrasing: Phrasing, items: Sequence[Item], targets: Sequence[Targets], styles: Sequence[StyleName], share: float
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
        for style in filter(copies_text, styles):
            if spans := _behind(text, of_text[style].words):
                row = explanation_row(phrasing, item, style, "one-word", of_text[style])
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
    phrasing: Phrasing | None = None,
) -> list[dict[str, Any]]:
    """Return the training rows of some texts: the label turn and one row a style, if the text has words for it.

    Args:
        task: The task.
        items: Texts and predictions.
        targets: What each explanation takes.
        styles: Which styles are trained.
        setting: one-word or free, of the styles of words.
        labels: The label turn's labels; None: no label turn.
        phrasing: How the rows ask; None: as the audit does.
    """
    rows, phrasing = [], phrasing or pinned_phrasing(task)
    for number, (item, of_text) in enumerate(zip(items, targets, strict=True)):
        if labels is not None:
            rows.append(label_row(phrasing.task_of(item.example), item.example, labels[number]))
        for style in styles:
            if style in SENTENCE_STYLES:
                rows += sentence_rows(phrasing, item, style, of_text[style]) if style in of_text else []
            else:
                rows.append(explanation_row(phrasing, item, style, setting, of_text[style]))
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
        seed: Its seed, by which sentences are drawn (``wordings``), and what ``dpo`` rejects.

    Raises:
        SaywhyError: If no text is kept.
    """
    lessons = [
        lesson
        for lesson, of_faithful in zip(lessons, faithful, strict=True)
        if not config.verified or of_faithful.hits(config.train_styles)
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
    phrasing = phrasing_of(config, task, seed)
    rows = text_rows(task, items, targets, config.train_styles, labels=labels, phrasing=phrasing)
    if all(row["style"] == "label" for row in rows):
        raise SaywhyError(NOTHING_SUPPORTED)
    if config.objective != "word":
        by_id = {lesson.item.example.id: lesson for lesson in lessons}
        rows = [with_candidates(row, by_id[row["id"]], task.plan) for row in rows]
    if config.anchor:
        rows += anchor_rows(task, items, config.anchor) + edited_anchor_rows(task, lessons, config.anchor)
    elif config.label_weight and keeps_probabilities:
        rows += anchor_rows(task, items)
    if config.stay_weight:
        rows += stay_rows(phrasing, items, targets, config.train_styles, config.stay_weight)
    return rows


def _preference_rows(config: Config, task: Task, lessons: Sequence[Lesson], seed: int) -> list[dict[str, Any]]:
    """Return what TRL's own trainers practise on: the explanations with their effects, and what either also asks."""
    rows, phrasing = [], phrasing_of(config, task, seed)
    for lesson in lessons:
        for style in config.train_styles:
            row = explanation_row(phrasing, lesson.item, style, "one-word", lesson.targets[style])
            row = with_candidates(row, lesson, task.plan)
            if config.objective == "dpo":
                rows.append(with_rejected(row, lesson, seed))
            else:
                rows.append({**row, "label_words": list(task.labels.values())})
    return rows


def adapted_rows(config: Config, task: Task, items: Sequence[Item], pinned: Pinned, seed: int) -> list[dict[str, Any]]:
    """Return the rows of ``adapted``: labels, and the formats of ``STYLES`` in the run's settings, from random words.

    It never practises sentences, whoever else does: arms that practised words and arms that practised sentences go on
    from one model, to which sentences are new.
    """
    gold = config.adapt_labels == "gold"
    answered = [as_answered(item, str(item.example.label)) for item in items] if gold else list(items)
    rows: list[dict[str, Any]] = []
    settings = tuple(setting for setting in config.settings if setting in SETTINGS) or SETTINGS[:1]
    for number, setting in enumerate(settings):
        of_setting = answered[number :: len(settings)]
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
