"""The three styles of explanation: read a reply, judge its form, apply it (docs/definitions.md, *Validity*).

``read`` is the only way from a model's reply to an ``Explanation``. It forgives dress (quotes, bullets, bold,
prefaces) and never content; every failure carries one of ``REASONS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace as with_fields
from difflib import SequenceMatcher

from saywhy.protocol.naming import BULLET, named
from saywhy.records import Explanation, Setting, StyleName
from saywhy.words import MARK, Word, budget, candidates, fold, fold_marks, occurrences, take_out

REASONS = (
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
)
"""Every reason for which a reply is invalid."""

_REFUSAL = re.compile(
    r"\b(?:i'?m sorry|i am sorry|i (?:can ?not|can'?t|don'?t know)|as an ai|unable to"
    r"|(?:i'?m|i am) not (?:able|capable|sure)|i am unable)\b",
    re.I,
)
_DRESS = re.compile(r"\*\*|__|`")
_MARK = re.compile(r"\[\s*redacted\s*\]", re.I)
_NOTE = re.compile(r"\s*\([^()]*\)\s*$")


def read(style: StyleName, setting: Setting, text: str, reply: str, label_words: Collection[str] = ()) -> Explanation:
    """Read a reply of ``style`` to ``text``.

    Args:
        style: What was asked for.
        setting: one-word or free.
        text: The explained text.
        reply: What the model said.
        label_words: Words that a counterfactual may not insert; "the answer is LABEL" names no word either.
    """
    if not reply.strip():
        return Explanation(reason="empty reply")
    labels = frozenset(fold(word) for word in label_words)
    found = _READERS[style](text, _MARK.sub(MARK, reply.strip()), setting, labels)
    refusal = _REFUSAL.search(fold_marks(reply))
    if not found.valid and refusal and fold(refusal.group()) not in fold(text):
        return Explanation(reason="refusal")
    return found


def apply(explanation: Explanation, style: StyleName, text: str, stand_in: str = MARK) -> Explanation:
    """Return ``explanation`` with the text that is rechecked under the operator of ``stand_in``."""
    if not explanation.valid or style == "counterfactual":
        return explanation
    return with_fields(explanation, edited=take_out(text, explanation.words, stand_in))


def rewritten(text: str, reply: str) -> Explanation:
    """Read the reply to a request for other words of the same meaning: any text will do that is not the text itself."""
    if not reply.strip():
        return Explanation(reason="empty reply")
    body = _likest(text, reply)
    if _REFUSAL.search(fold_marks(body)) and not _REFUSAL.search(fold_marks(text)):
        return Explanation(reason="refusal")
    if [word.key for word in occurrences(body)] == [word.key for word in occurrences(text)]:
        return Explanation(reason="text unchanged")
    return Explanation(edited=body)


def _likest(text: str, reply: str) -> str:
    """Return what a reply says without preface and notes: of the texts that it may mean the one most like ``text``."""
    old = [word.key for word in occurrences(text)]

    def likeness(body: str) -> float:
        return SequenceMatcher(a=old, b=[word.key for word in occurrences(body)], autojunk=False).ratio()

    return max(_undress(reply), key=likeness)


def _read_attribution(text: str, reply: str, setting: Setting, labels: frozenset[str]) -> Explanation:
    known = {word.key for word in candidates(text)}
    keys = named(reply, known, labels)
    if not known & set(keys):
        return Explanation(reason="names no word of the text")
    if known >= set(keys):
        return _within_setting(keys, text, setting, "names several words")
    several = setting == "one-word"
    return Explanation(reason="names several words" if several else "names words that are not in the text")


def _within_setting(keys: Sequence[str], text: str, setting: Setting, several: str) -> Explanation:
    if setting == "one-word" and len(keys) > 1:
        return Explanation(reason=several)
    if len(keys) > budget(text):
        return Explanation(reason="over budget")
    return Explanation(words=tuple(keys), edited=take_out(text, keys))


def _read_redaction(text: str, reply: str, setting: Setting, _labels: frozenset[str]) -> Explanation:
    return _first_valid(_undress(reply), lambda body: _redacted(text, body, setting))


def _redacted(text: str, body: str, setting: Setting) -> Explanation:
    if MARK not in body:
        return Explanation(reason="nothing redacted")
    runs, said = occurrences(text), body.split()
    taken = _align(runs, [_spaced(run) for run in said])
    if taken is None:
        partial = any(_partly(run) for run in said) and _align(runs, ["*" if MARK in r else r for r in said])
        return Explanation(reason="redacts part of a word" if partial else "text changed outside [REDACTED]")
    keys = list(dict.fromkeys(runs[i].key for i in taken))
    return _within_setting(keys, text, setting, "redacts several words")


def _spaced(run: str) -> str:
    """Fold a run of the reply; ``[REDACTED]`` in any case is the mark."""
    return run if MARK in run else fold_marks(run)


def _partly(run: str) -> bool:
    outside = run.replace(MARK, "")
    return MARK in run and any(char.isalnum() for char in outside)


def _align(runs: Sequence[Word], said: Sequence[str]) -> list[int] | None:
    """Return the indices of ``runs`` that the marks of ``said`` stand for, or None if the rest differs.

    A mark may stand for several neighbouring words. ``*`` is a mark that fits any one run.
    """
    dead: set[tuple[int, int]] = set()

    def walk(i: int, j: int) -> list[int] | None:
        if j == len(said):
            return [] if i == len(runs) else None
        if i == len(runs) or (i, j) in dead:
            return None
        if said[j] == "*" or MARK in said[j]:
            for last in range(i, len(runs)):
                if said[j] != "*" and not _stands_for(said[j], runs[i], runs[last]):
                    continue
                tail = walk(last + 1, j + 1)
                if tail is not None:
                    return [*range(i, last + 1), *tail]
        elif said[j] == fold_marks(runs[i].run):
            tail = walk(i + 1, j + 1)
            if tail is not None:
                return tail
        dead.add((i, j))
        return None

    return walk(0, 0)


def _stands_for(said: str, first: Word, last: Word) -> bool:
    """Whether a run with the mark covers the cores of ``first`` to ``last``; edge punctuation may go too."""
    before, _, behind = said.partition(MARK)
    leads, trails = ("", fold_marks(first.lead)), ("", fold_marks(last.trail))
    return fold_marks(before) in leads and fold_marks(behind) in trails


def _read_counterfactual(text: str, reply: str, setting: Setting, labels: frozenset[str]) -> Explanation:
    # The body most like the text is the edit; the others still wear a preface or a note.
    found = (_swapped if setting == "one-word" else _rewritten)(text, _likest(text, reply))
    if MARK.casefold().strip("[]") in found.inserted:
        return Explanation(reason="inserts [REDACTED]")
    if any({word.key for word in occurrences(label)} <= set(found.inserted) for label in labels):
        return Explanation(reason="inserts a label word")
    return found


def _swapped(text: str, body: str) -> Explanation:
    old, new = occurrences(text), occurrences(body)
    if len(old) != len(new):
        return Explanation(reason="inserts or deletes words")
    pairs = [(a, b) for a, b in zip(old, new, strict=True) if a.key != b.key]
    if not pairs:
        return Explanation(reason="text unchanged")
    if len({(a.key, b.key) for a, b in pairs}) > 1:
        return Explanation(reason="changes several words")
    edited, at = "", 0
    for a, b in pairs:
        edited += text[at : a.core_start] + b.core
        at = a.core_end
    return Explanation(words=(pairs[0][0].key,), inserted=(pairs[0][1].key,), edited=edited + text[at:])


def _rewritten(text: str, body: str) -> Explanation:
    old, new = occurrences(text), occurrences(body)
    gone: list[str] = []
    come: list[str] = []
    pieces: list[str] = []
    matcher = SequenceMatcher(a=[w.key for w in old], b=[w.key for w in new], autojunk=False)
    for tag, i, k, j, m in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(text[old[i].start : old[k - 1].start + len(old[k - 1].run)])
            continue
        gone += [word.key for word in old[i:k]]
        come += [word.key for word in new[j:m]]
        pieces += [word.run for word in new[j:m]]
    words, inserted = tuple(dict.fromkeys(gone)), tuple(dict.fromkeys(come))
    if not words and not inserted:
        return Explanation(reason="text unchanged")
    if max(len(words), len(inserted)) > budget(text):
        return Explanation(reason="over budget")
    return Explanation(words=words, inserted=inserted, edited=" ".join(pieces))


def _first_valid(bodies: Iterable[str], judge: Callable[[str], Explanation]) -> Explanation:
    """Return the first valid reading, else that of the plainest body."""
    readings = []
    for body in bodies:
        readings.append(judge(body))
        if readings[-1].valid:
            return readings[-1]
    return readings[0]


def _undress(reply: str) -> list[str]:
    """Return the texts that a reply may mean: whole, without dress, behind a preface, one of its lines."""
    whole = reply.strip()
    lines = [line.strip() for line in whole.splitlines() if line.strip()]
    bodies = [whole, *([" ".join(lines[1:]), " ".join(lines[:-1]), *lines] if len(lines) > 1 else [])]
    bodies += [BULLET.sub("", body) for body in bodies]
    bodies += [body.split(":", 1)[1].strip() for body in bodies if ":" in body]
    bodies += [_DRESS.sub("", body).strip() for body in bodies]
    bodies += [body[1:-1].strip() for body in bodies if fold_marks(body[:1] + body[-1:]) in ('""', "''")]
    bodies += [_NOTE.sub("", body).strip() for body in bodies]
    return list(dict.fromkeys(body for body in bodies if body)) or [whole]


_READERS: Mapping[StyleName, Callable[[str, str, Setting, frozenset[str]], Explanation]] = {
    "attribution": _read_attribution,
    "redaction": _read_redaction,
    "counterfactual": _read_counterfactual,
}
