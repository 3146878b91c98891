"""Explanations in sentences: read a reply, judge its form, find the words that it mentions (docs/definitions.md).

What a reply is dressed in is forgiven (thoughts, fences, JSON, prefaces); a reply that mentions no word of the text, or
is nothing but the text, has a reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Any

from saywhy.protocol.bodies import FENCE, is_refusal, without_thoughts
from saywhy.protocol.mentions import mentions
from saywhy.protocol.styles import UNFINISHED
from saywhy.records import Explanation, StyleName
from saywhy.words import Word, candidates, fold_marks, free_word_budget, occurrences, take_out

MOST_WORDS = 300
"""Words of a reply: three sentences or five steps have fewer, whoever writes them."""

_QUOTES = "\"'\u2018\u2019\u201c\u201d*_`"
_LEAST_QUOTED = 3
"""Candidates of a text from which on a quotation of all of it points at none of its words."""

_PREFACE = re.compile(
    r"\A(?:(?:sure|certainly|of course|okay|ok|absolutely)[ ,!.]+(?=(?:here|the|my|i|let)\b))?"
    r"(?:[^\n.!?]{0,120}:[ \t]*\n+)?",
    re.I,
)
_STEP_BEGINS = re.compile(
    r"^[ \t]*[-*_#> ]*[(\[]?(?:step[ \t]*)?\d{1,2}(?:[ \t]*[.):\]*_]+(?!\d)|[ \t]+[-\u2013\u2014][ \t])", re.I | re.M
)
_ABBREVIATION = re.compile(r"\b(?:(?:\w\.)+|(?:etc|vs|mr|mrs|ms|dr|st)\.)", re.I)
"""Stops that end no sentence: of single letters (*e.g.*, *U.S.*, *B.*) and some shortened words."""
_SENTENCE_END = re.compile(r"[.!?]+[\"')\]\u201d\u2019]*(?=\s|\Z)|\n+")
_JSON_BEGINS = re.compile(r'\{\s*"|\[\s*[\["{]')
_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(?P<key>\s*:\s*(?=["\[{]))?')
"""A string of JSON, and whether it is the key of a value that holds others."""


def read_sentences(
    style: StyleName, text: str, reply: str, excluded: Collection[str] = (), *, cut: bool = False, length: int = 0
) -> Explanation:
    """Read a reply of ``style`` to ``text``; what the model thought before it answered is not read.

    Args:
        style: The style that was asked for.
        text: The explained text.
        reply: The model's reply.
        excluded: Words that never count as mentioned: label words, words of the question.
        cut: Whether the reply was cut off for want of room.
        length: How many keywords were asked for by number: so many are never over the budget.
    """
    answer = without_thoughts(text, reply)
    if answer is None:
        return Explanation(reason="cut off")
    if not answer:
        return Explanation(reason="cut off" if cut else "empty reply")
    if len(answer.split()) > MOST_WORDS:
        return Explanation(reason="too long")
    explanation = _read_body(style, text, _plain_body(answer), excluded, length)
    if not explanation.valid and is_refusal(text, answer):
        return Explanation(reason="refusal")
    if not cut:
        return explanation
    # Whole sentences stand, whatever would have followed; a list is only whole with its last word.
    whole = _read_body(style, text, _plain_body(UNFINISHED.sub("", answer)), excluded, length)
    is_whole = whole.valid and (style != "keywords" or whole == explanation)
    return whole if is_whole else Explanation(reason="cut off")


def _read_body(style: StyleName, text: str, body: str, excluded: Collection[str], length: int) -> Explanation:
    """Return what a reply without its dress mentions; of steps, what stands before the first is no part of them."""
    if style == "steps":
        body = "\n".join(_steps_in(body))
    own_words = _without_whole_text(text, body)
    result = mentions(text, own_words, excluded)
    if not result.words:
        reason = "names no word of the text" if own_words == body else "repeats the text"
        return Explanation(reason=reason, denied=result.denied, coverage=result.coverage)
    if style == "keywords" and len(result.words) > max(free_word_budget(text), length):
        return Explanation(reason="over budget", denied=result.denied, coverage=result.coverage)
    edited = take_out(text, result.words)
    return Explanation(words=result.words, edited=edited, denied=result.denied, coverage=result.coverage)


def _plain_body(answer: str) -> str:
    """Return an answer without fences and preface, JSON as lines of its strings."""
    body = _PREFACE.sub("", FENCE.sub("", answer).strip(), count=1)
    if not _JSON_BEGINS.match(body):
        return body
    try:
        value, end = json.JSONDecoder().raw_decode(body)
    except (json.JSONDecodeError, RecursionError):  # cut off, or not quite JSON
        strings = [match[1] for match in _JSON_STRING.finditer(body) if not match["key"]]
    else:
        if body[end:].partition("\n")[0].strip():  # '["slow"] and ["rude"] decided'
            return body
        strings = list(_json_strings(value))
    return "\n".join(strings) or body


def explanation_length(style: StyleName, text: str, reply: str) -> int:
    """Return how long a reply to ``text`` is, in the unit of its style: keywords, sentences or steps.

    >>> explanation_length("reasons", "so sad", "It is sad, e.g. by Mr. B. Sad!  Very sad.")
    2
    """
    if style == "steps":
        return len(steps_of(text, reply))
    body = _plain_body(without_thoughts(text, reply) or "")
    if style == "keywords":
        return sum(bool(candidates(item)) for item in re.split(r"[,;\n]", body))
    return sum(bool(candidates(sentence)) for sentence in _SENTENCE_END.split(_ABBREVIATION.sub("", body)))


def steps_of(text: str, reply: str, *, cut: bool = False) -> list[str]:
    """Return the steps of a reply to ``text``, in order, without thoughts, fences and preface.

    A step begins at a line with a number of its own (*2.*, *Step 2:*); in a reply without such lines each is a step.
    Of a reply that was cut off (``cut``) the whole sentences count, as in ``read_sentences``.
    """
    answer = without_thoughts(text, reply) or ""
    return _steps_in(_plain_body(UNFINISHED.sub("", answer) if cut else answer))


def _steps_in(body: str) -> list[str]:
    """Return the steps of a reply without its dress."""
    begins = [match.start() for match in _STEP_BEGINS.finditer(body)]
    steps = [body[start:end] for start, end in pairwise([*begins, len(body)])] if begins else body.splitlines()
    return [step.strip() for step in steps if _STEP_BEGINS.sub("", step).strip()]  # no number that was left alone


def _json_strings(value: Any) -> Iterator[str]:
    """Yield the strings of JSON; a key is one where its value is no text: {"love": 0.9}."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            yield from _json_strings(part)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _json_strings(part) if isinstance(part, str | list | dict) else (key,)


def _without_whole_text(text: str, body: str) -> str:
    """Return a reply without the places where it quotes the text from its first to its last word, and their quotes."""
    text_words, words = _spoken(text), _spoken(body)
    if len(candidates(text)) < _LEAST_QUOTED:
        return body
    text_keys, text_gaps = [word.key for word in text_words], _gaps(text, text_words)
    pieces, end, at = [], 0, 0
    while at + len(text_words) <= len(words):
        quoted = words[at : at + len(text_words)]
        # With its punctuation between them: "so, good" lists the words of "so good".
        if [word.key for word in quoted] == text_keys and _gaps(body, quoted) == text_gaps:
            first, last = quoted[0], quoted[-1]
            pieces.append(body[end : first.start] + first.lead.rstrip(_QUOTES))
            end, at = last.core_end + len(last.trail) - len(last.trail.lstrip(_QUOTES + ".,!?")), at + len(text_words)
        else:
            at += 1
    return " ".join([*pieces, body[end:]])


def _spoken(text: str) -> list[Word]:
    """Return the words of ``text`` but for marks that stand alone: a quotation may set them apart ("ok. " of "ok.")."""
    return [word for word in occurrences(text) if word.core.strip(_QUOTES + ".,;:")]


def _gaps(text: str, words: Sequence[Word]) -> list[str]:
    """Return the folded punctuation between words of ``text``, without blanks and the marks that open a word."""
    return ["".join(fold_marks(text[word.core_end : after.start]).split()) for word, after in pairwise(words)]
