"""The three styles of explanation: read a reply, judge its form, apply it (docs/definitions.md, *Validity*).

Only this module turns a model's reply into an ``Explanation``. Formatting (quotes, bullets, bold, prefaces) is
forgiven, content never; every failure carries one of the reasons below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace as with_fields
from functools import partial

from saywhy.protocol.bodies import is_refusal, most_similar_body, possible_bodies, without_thoughts
from saywhy.protocol.counterfactuals import read_free_edit, read_one_word_edit
from saywhy.protocol.naming import words_named_by_reply
from saywhy.protocol.redactions import normalise_marks, redacted_words
from saywhy.records import Explanation, ReplyPlan, Setting, StyleName
from saywhy.words import REDACTED_MARK, candidates, fold, free_word_budget, occurrences, take_out

INVALID_REASONS = (
    "empty reply",
    "refusal",
    "names no word of the text",
    "names words that are not in the text",
    "names several words",
    "over budget",
    "nothing redacted",
    "redacts several words",
    "redacts part of a word",
    "text changed outside [REDACTED]",
    "text unchanged",
    "changes several words",
    "inserts or deletes words",
    "inserts a label word",
    "inserts [REDACTED]",
    "edits other words than it names",
    "gives several texts",
    "repeats the text",
    "too long",
    "cut off",
)
"""Every reason for which a reply is invalid."""

UNFINISHED = re.compile(r"(?:(?<=[.!?])[ \t]|\A|\n)(?:(?![.!?][ \t]|\n).)*\Z")
"""The last line or sentence of a reply that was cut off."""


def read_reply(
    style: StyleName,
    setting: Setting,
    text: str,
    reply: str,
    label_words: Collection[str] = (),
    plan: ReplyPlan = "direct",
    *,
    cut: bool = False,
) -> Explanation:
    """Read a reply of ``style`` to ``text``; what the model thought before it answered is not read.

    Args:
        style: The style that was asked for.
        setting: one-word or free.
        text: The explained text.
        reply: The model's reply.
        label_words: Words that a counterfactual may not insert; "the answer is LABEL" names no word either.
        plan: named-first: the first line of a reply that edits names the words, and they bind.
        cut: Whether the reply was cut off for want of room.
    """
    answer = without_thoughts(text, reply)
    if answer is None:
        return Explanation(reason="cut off")
    if not answer:
        return Explanation(reason="cut off" if cut else "empty reply")
    labels = frozenset(fold(word) for word in label_words)
    named_first = plan == "named-first" and style != "attribution"
    read = partial(_bound_by_name, style) if named_first else _STYLE_READERS[style]
    explanation = read(text, normalise_marks(text, answer), setting, labels)
    if not explanation.valid and is_refusal(text, answer):
        return Explanation(reason="refusal")
    # One word named is the same word whatever would have followed.
    if cut and (style != "attribution" or setting == "free"):
        whole = normalise_marks(text, UNFINISHED.sub("", answer))
        if not explanation.valid or not whole or read(text, whole, setting, labels) != explanation:
            return Explanation(reason="cut off")
    return explanation


def _bound_by_name(style: StyleName, text: str, reply: str, setting: Setting, labels: frozenset[str]) -> Explanation:
    """Read a reply whose first line names the words that the lines behind it edit."""
    first_line, _, behind = reply.partition("\n")
    naming = _read_attribution(text, first_line, setting, labels)
    if not naming.valid or not behind.strip():
        return naming if not naming.valid else Explanation(reason="text unchanged")
    edit = _STYLE_READERS[style](text, behind.strip(), setting, labels)
    if edit.valid and set(edit.words) != set(naming.words):
        return Explanation(reason="edits other words than it names")
    return edit


def apply_operator(explanation: Explanation, style: StyleName, text: str, stand_in: str = REDACTED_MARK) -> Explanation:
    """Return ``explanation`` with the text that is rechecked under the operator of ``stand_in``."""
    if not explanation.valid or style == "counterfactual":
        return explanation
    return with_fields(explanation, edited=take_out(text, explanation.words, stand_in))


def read_rewrite(text: str, reply: str, *, cut: bool = False) -> Explanation:
    """Read the reply to a request for other words of the same meaning: any text will do that is not the text itself.

    What the model thought before it answered is not read, nor a text that was cut off for want of room.
    """
    answer = without_thoughts(text, reply)
    if answer is None or cut:
        return Explanation(reason="cut off")
    if not answer:
        return Explanation(reason="empty reply")
    body = most_similar_body(text, possible_bodies(answer))
    if is_refusal(text, body):
        return Explanation(reason="refusal")
    if [word.key for word in occurrences(body)] == [word.key for word in occurrences(text)]:
        return Explanation(reason="text unchanged")
    return Explanation(edited=body)


def _read_attribution(text: str, reply: str, setting: Setting, labels: frozenset[str]) -> Explanation:
    text_keys = {word.key for word in candidates(text)}
    keys = words_named_by_reply(reply, text_keys, labels)
    if not text_keys & set(keys):
        return Explanation(reason="names no word of the text")
    if text_keys >= set(keys):
        return _explanation_within_setting(keys, text, setting, "names several words")
    one_word = setting == "one-word"
    return Explanation(reason="names several words" if one_word else "names words that are not in the text")


def _explanation_within_setting(keys: Sequence[str], text: str, setting: Setting, several_reason: str) -> Explanation:
    if setting == "one-word" and len(keys) > 1:
        return Explanation(reason=several_reason)
    if len(keys) > free_word_budget(text):
        return Explanation(reason="over budget")
    return Explanation(words=tuple(keys), edited=take_out(text, keys))


def _read_redaction(text: str, reply: str, setting: Setting, _labels: frozenset[str]) -> Explanation:
    readings = []
    for body in possible_bodies(reply):
        words = redacted_words(text, body)
        readings.append(
            Explanation(reason=words)
            if isinstance(words, str)
            else _explanation_within_setting(words, text, setting, "redacts several words")
        )
    valid = {reading.words: reading for reading in readings if reading.valid}
    if len(valid) > 1 and not readings[0].valid:
        return Explanation(reason="gives several texts")
    return next(iter(valid.values()), readings[0])


def _read_counterfactual(text: str, reply: str, setting: Setting, labels: frozenset[str]) -> Explanation:
    if setting == "one-word":
        return read_one_word_edit(text, reply, labels)
    return read_free_edit(text, reply, labels, free_word_budget(text))


_STYLE_READERS: Mapping[StyleName, Callable[[str, str, Setting, frozenset[str]], Explanation]] = {
    "attribution": _read_attribution,
    "redaction": _read_redaction,
    "counterfactual": _read_counterfactual,
}
