"""What the assistant says as an explanation, and all else that could stand in its place."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

from saywhy.config import Config
from saywhy.records import STYLES, SaywhyError, StyleName
from saywhy.training.lessons import Lesson, Target
from saywhy.words import REDACTED_MARK, candidates, match_case, occurrences, replace_words, take_out


def lessons_with_a_choice(lessons: Sequence[Lesson], config: Config) -> list[Lesson]:
    """Return the lessons whose texts have two explanations or more in each style: a single one cannot be preferred."""
    kept = [
        lesson
        for lesson in lessons
        if lesson.effects is None or all(len(lesson.effects.of(style).words) > 1 for style in config.train_styles)
    ]
    if not kept:
        raise SaywhyError(
            f"objective={config.objective}: no training text has two words to choose from: use longer ones"
        )
    return kept


def with_candidates(row: dict[str, Any], lesson: Lesson) -> dict[str, Any]:
    """Return an explanation's row with the effect of every explanation that could stand there; others as they are."""
    if row["style"] not in STYLES or lesson.effects is None:
        return row
    effects = lesson.effects.of(row["style"])
    values = [round(value, 4) for value in effects.values]
    candidates_of_row: dict[str, list[Any]] = {
        "words": list(effects.words),
        "inserted": list(effects.inserted),
        "effects": values,
    }
    if lesson.reference:
        candidates_of_row["reference"] = [round(value, 4) for value in lesson.reference[row["style"]]]
    return {**row, "text": lesson.item.example.text, "candidates": candidates_of_row}


def with_rejected(row: dict[str, Any], lesson: Lesson, seed: int) -> dict[str, Any]:
    """Return an explanation's row with another explanation of the text, drawn at random: the worse one of a pair."""
    style, target = row["style"], lesson.targets[row["style"]]
    if lesson.effects is None:
        return row
    effects = lesson.effects.of(style)
    others = [
        other
        for word, new in zip(effects.words, effects.inserted, strict=True)
        if (other := Target((word,), (new,) if new else ())) != dataclasses.replace(target, hit=None)
    ]
    drawn = random.Random(f"{seed}:{row['id']}:{style}:rejected").choice(others)
    content, _ = completion(lesson.item.example.text, style, drawn)
    return {**row, "rejected": [{"role": "assistant", "content": content}]}


def completion(text: str, style: StyleName, target: Target) -> tuple[str, list[list[int]]]:
    """Return what the assistant says, and the spans of it that are decisions."""
    cores = {word.key: word.core for word in candidates(text)}
    if style == "attribution":
        words = ", ".join(cores[key] for key in target.words)
        return words, [[0, len(words)]]
    if style == "redaction":
        edited = take_out(text, target.words)
        # Only the mark's beginning is a decision: the rest of it follows by itself.
        return edited, [[at, at + 1] for at in _starts_of(REDACTED_MARK, edited)]
    new = {key: match_case(word, cores[key]) for key, word in zip(target.words, target.inserted, strict=True)}
    edited = replace_words(text, new)
    spans, shift = [], 0
    for word in (word for word in occurrences(text) if word.key in new):
        start, length = word.core_start + shift, len(new[word.key])
        spans.append([start, start + length])
        shift += length - (word.core_end - word.core_start)
    return edited, spans


def _starts_of(mark: str, text: str) -> list[int]:
    starts, at = [], text.find(mark)
    while at >= 0:
        starts.append(at)
        at = text.find(mark, at + 1)
    return starts
