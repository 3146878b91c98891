"""What the assistant says as an explanation, and all else that could stand in its place."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from saywhy.records import STYLES, ReplyPlan, SaywhyError, StyleName
from saywhy.training.lessons import Lesson, Target, TextEffects
from saywhy.words import REDACTED_MARK, candidates, match_case, occurrences, replace_words

if TYPE_CHECKING:
    from saywhy.config import Config


def lessons_with_a_choice(lessons: Sequence[Lesson], config: Config) -> list[Lesson]:
    """Return the lessons whose texts have two words or more to choose from in each style: one cannot be preferred."""
    ranked = [style for style in config.train_styles if style in STYLES]
    kept = [lesson for lesson in lessons if all(len(_effects_of(lesson).of(style).words) > 1 for style in ranked)]
    if not kept:
        raise SaywhyError(f"objective={config.objective}: no text has two words to choose from: use longer ones")
    return kept


def with_candidates(row: dict[str, Any], lesson: Lesson, plan: ReplyPlan) -> dict[str, Any]:
    """Return an explanation's row with the effect of every explanation that could stand there; others as they are.

    Where a reply names its word first, its candidates are words: a replaced one counts as its best replacement.
    """
    if row["style"] not in STYLES:
        return row
    named_first = plan == "named-first" and row["style"] != "attribution"
    effects = _effects_of(lesson).of(row["style"])
    effects = effects.by_word() if named_first else effects
    values = [round(value, 4) for value in effects.values]
    candidates_of_row: dict[str, list[Any]] = {
        "words": list(effects.words),
        "inserted": list(effects.inserted),
        "effects": values,
    }
    if lesson.reference:
        candidates_of_row["reference"] = [round(value, 4) for value in lesson.reference[row["style"]]]
    return {**row, "text": lesson.item.example.text, "candidates": candidates_of_row, "named_first": named_first}


def _effects_of(lesson: Lesson) -> TextEffects:
    assert lesson.effects is not None, "the lessons were made for the objective word"
    return lesson.effects


def with_rejected(row: dict[str, Any], lesson: Lesson, seed: int) -> dict[str, Any]:
    """Return an explanation's row with another explanation of the text, drawn at random: the worse one of a pair."""
    style, target = row["style"], lesson.targets[row["style"]]
    effects = _effects_of(lesson).of(style)
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
        new = dict.fromkeys(target.words, REDACTED_MARK)
    else:
        new = {key: match_case(word, cores[key]) for key, word in zip(target.words, target.inserted, strict=True)}
    edited = replace_words(text, new)
    spans, shift = [], 0
    for word in (word for word in occurrences(text) if word.key in new):
        start, length = word.core_start + shift, len(new[word.key])
        # Only a mark's beginning is a decision: the rest of it follows by itself.
        spans.append([start, start + (1 if style == "redaction" else length)])
        shift += length - (word.core_end - word.core_start)
    return edited, spans


def behind_its_name(text: str, target: Target, edited: str, spans: list[list[int]]) -> tuple[str, list[list[int]]]:
    """Return a reply that names its words before it edits them: naming is the decision, and what is inserted."""
    line, _ = completion(text, "attribution", target)
    shifted = [[start + len(line) + 1, stop + len(line) + 1] for start, stop in spans]
    return f"{line}\n{edited}", [[0, len(line)], *shifted]
