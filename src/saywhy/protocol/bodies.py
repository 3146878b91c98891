"""Which texts a reply may mean: whole, without formatting, behind a preface, one of its lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from saywhy.protocol.naming import BULLET_MARK
from saywhy.words import fold_marks, occurrences

_CANNOT = r"(?:can ?not|can'?t|don'?t know|not (?:able|capable|sure)|unable)"
_REFUSAL = re.compile(
    rf"\b(?:i'?m sorry|i am sorry|(?:i|i'?m|i am) {_CANNOT}|as an ai|unable to)\b",
    re.I,
)
_REFUSES_ITSELF = re.compile(
    rf"{_REFUSAL.pattern}|(?:\A|[^\w\s']\s*|\b(?:and|but|so|just|still|really)\s+){_CANNOT}\b", re.I
)
"""A text that has such words: "cannot wait" goes without its "I"."""

_FORMATTING_MARKS = re.compile(r"\*\*|__|`")
FENCE = re.compile(r"^\s*```\w*\s*$", re.M)
"""A line that begins or ends a block of code."""

_TAG = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|scratchpad)"
_THOUGHT_BEGINS = re.compile(rf"<{_TAG}>|\[THINK\]|<\|begin_of_thought\|>", re.I)
_THOUGHT_ENDS = re.compile(rf"</{_TAG}>|\[/THINK\]|<\|end_of_thought\|>", re.I)
_BLOCK_QUOTE = re.compile(r"^\s*>\s?", re.M)
_EMPHASIS = re.compile(r"([*_])(?!\1)(.+)(?<!\1)\1", re.S)
_QUOTED = re.compile(r"([\"'\u2018-\u201e\u00ab\u00bb])(.+)(?:[\"'\u2018-\u201e\u00ab\u00bb])[.,;]?", re.S)
_TRAILING_NOTE = re.compile(r"\s*\([^()]*\)\s*$")


def without_thoughts(text: str, reply: str) -> str | None:
    """Return a reply without what the model thought before it answered; None if the thought does not end.

    A thought may have begun in the prompt, so what stands before its end goes in any case. Tags that the explained text
    has itself are copied.
    """
    own = {match.group() for tag in (_THOUGHT_BEGINS, _THOUGHT_ENDS) for match in tag.finditer(text)}
    ends = [match.end() for match in _THOUGHT_ENDS.finditer(reply) if match.group() not in own]
    answer = reply[ends[-1] :] if ends else reply
    is_open = any(match.group() not in own for match in _THOUGHT_BEGINS.finditer(answer))
    return None if is_open else answer.strip()


def is_refusal(text: str, reply: str) -> bool:
    """Whether a reply refuses; that to a text that speaks so itself ("I cannot wait") never does."""
    return bool(_REFUSAL.search(fold_marks(reply)) and not _REFUSES_ITSELF.search(fold_marks(text)))


def most_similar_body(text: str, bodies: Sequence[str]) -> str:
    """Return the one of ``bodies`` most like ``text``: the others have a preface or a note.

    Of equals it is the last, without quotes and marks of emphasis, which are no words.
    """
    return max(reversed(bodies), key=lambda body: likeness(text, body))


def likeness(text: str, body: str) -> float:
    """Return how alike the words of two texts are, from 0 to 1: the share of them that may stay, in their order."""
    from rapidfuzz.distance import Indel

    text_keys, body_keys = ([word.key for word in occurrences(side)] for side in (text, body))
    return Indel.normalized_similarity(text_keys, body_keys)


def possible_bodies(reply: str) -> list[str]:
    """Return the texts that a reply may mean: whole, without formatting, behind a preface, one of its lines.

    They are distinct, and the whole reply is the first.
    """
    whole = FENCE.sub("", reply).strip()
    lines = [line.strip() for line in whole.splitlines() if line.strip()]
    bodies = [whole, *([" ".join(lines[1:]), " ".join(lines[:-1]), *lines] if len(lines) > 1 else [])]
    bodies += [BULLET_MARK.sub("", body) for body in bodies]
    bodies += [body.split(":", 1)[1].strip() for body in bodies if ":" in body]
    bodies += [_BLOCK_QUOTE.sub("", body).strip() for body in bodies]
    bodies += [_FORMATTING_MARKS.sub("", body).strip() for body in bodies]
    bodies += [match[2].strip() for body in bodies if (match := _EMPHASIS.fullmatch(body))]
    bodies += [match[2].strip() for body in bodies if (match := _QUOTED.fullmatch(body))]
    bodies += [_TRAILING_NOTE.sub("", body).strip() for body in bodies]
    return list(dict.fromkeys(body for body in bodies if body)) or [whole]
