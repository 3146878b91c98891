"""The three styles of explanation: read a reply, judge its form, apply it (DESIGN.md section 1, *Validity*).

``read`` is the only way from a model's reply to an ``Explanation``. It forgives dress (quotes, bullets, bold,
prefaces) and never content; every failure carries one of ``REASONS``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace as with_fields
from difflib import SequenceMatcher

from saywhy.records import Explanation, Setting, StyleName
from saywhy.words import MARK, Word, budget, candidates, fold, fold_marks, occurrences, replace, take_out

REASONS = (
    "empty reply",
    "refusal",
    "names no word of the text",
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
)
"""Every reason for which a reply is invalid."""

_REFUSAL = re.compile(
    r"\b(?:i'?m sorry|i am sorry|i (?:can ?not|can'?t|am unable|am not able|don'?t know)|as an ai|unable to)\b", re.I
)
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
_DRESS = re.compile(r"\*\*|__|`")
_QUOTED = re.compile(r"""(?<!\w)["']([^"']+)["'](?!\w)""")
_IS = re.compile(r"\b(?:words?|answer|term)\b[^\"':]*?(?:\b(?:is|was|are|were)\b|:)\s*:?\s*(?P<rest>\S.*)$", re.I | re.S)
_ASIDE = re.compile(r"\s*\([^()]*\)\s*\.?$")
_SEPARATOR = re.compile(r"\s*(?:,|;|\n|\band\b|/)\s*")


def read(
    style: StyleName, setting: Setting, text: str, reply: str, label_words: Collection[str] = ()
) -> Explanation:
    """Read a reply of ``style`` to ``text``.

    Args:
        style: What was asked for.
        setting: one-word or free.
        text: The explained text.
        reply: What the model said.
        label_words: Words that a counterfactual may not insert.
    """
    if not reply.strip():
        return Explanation(reason="empty reply")
    found = _READERS[style](text, reply.strip(), setting, frozenset(fold(word) for word in label_words))
    if not found.valid and found.reason != "inserts a label word" and _REFUSAL.search(fold_marks(reply)):
        return Explanation(reason="refusal")
    return found


def apply(explanation: Explanation, style: StyleName, text: str, stand_in: str = MARK) -> Explanation:
    """Return ``explanation`` with the text that its recheck classifies, under the operator of ``stand_in``."""
    if not explanation.valid or style == "counterfactual":
        return explanation
    return with_fields(explanation, edited=take_out(text, explanation.words, stand_in))


def swap(text: str, key: str, new: str) -> Explanation:
    """Return the counterfactual that puts ``new`` in place of the word ``key``."""
    return Explanation(words=(key,), inserted=(fold(new),), edited=replace(text, {key: new}))


def _read_attribution(text: str, reply: str, setting: Setting, _labels: frozenset[str]) -> Explanation:
    known = {word.key for word in candidates(text)}
    best = Explanation(reason="names no word of the text")
    for items in _named_items(reply):
        keys = list(dict.fromkeys(key for item in items for key in _keys_of(item, known)))
        if not keys or not set(keys) <= known:
            continue
        best = _within_setting(keys, text, setting, "names several words")
        if best.valid:
            return best
    return best


def _named_items(reply: str) -> Iterable[list[str]]:
    """Yield the ways in which a reply may name words, plainest first: each a list of items."""
    plain = _DRESS.sub("", fold_marks(reply)).strip()
    lines = [_BULLET.sub("", line).strip() for line in plain.splitlines() if line.strip()]
    yield lines[:1] if len(lines) == 1 else lines
    for line in (" , ".join(lines), *lines[:1]):
        rest = _ASIDE.sub("", line)
        if match := _IS.search(rest):
            tail = match["rest"]
            quoted = _QUOTED.findall(tail)
            yield quoted or _SEPARATOR.split(tail.rstrip("."))
        if quoted := _QUOTED.findall(rest):
            yield quoted
        yield [item for item in _SEPARATOR.split(rest.rstrip(".")) if item]


def _keys_of(item: str, known: set[str]) -> list[str]:
    """Return the folded words of an item; a run of pure punctuation counts only if the text has it."""
    found = [word.key for word in occurrences(item)]
    return [key for key in found if key in known or any(char.isalnum() for char in key)]


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
    return fold_marks(before) in ("", fold_marks(first.lead)) and fold_marks(behind) in ("", fold_marks(last.trail))


def _read_counterfactual(text: str, reply: str, setting: Setting, labels: frozenset[str]) -> Explanation:
    edit = _swapped if setting == "one-word" else _rewritten
    return _first_valid(_undress(reply), lambda body: edit(text, body, labels))


def _swapped(text: str, body: str, labels: frozenset[str]) -> Explanation:
    old, new = occurrences(text), occurrences(body)
    if len(old) != len(new):
        return Explanation(reason="inserts or deletes words")
    pairs = [(a, b) for a, b in zip(old, new, strict=True) if a.key != b.key]
    if not pairs:
        return Explanation(reason="text unchanged")
    if len({(a.key, b.key) for a, b in pairs}) > 1:
        return Explanation(reason="changes several words")
    if pairs[0][1].key in labels:
        return Explanation(reason="inserts a label word")
    edited, at = "", 0
    for a, b in pairs:
        edited += text[at : a.core_start] + b.core
        at = a.core_end
    return Explanation(words=(pairs[0][0].key,), inserted=(pairs[0][1].key,), edited=edited + text[at:])


def _rewritten(text: str, body: str, labels: frozenset[str]) -> Explanation:
    old, new = [w.key for w in occurrences(text)], [w.key for w in occurrences(body)]
    gone: list[str] = []
    come: list[str] = []
    for tag, i, k, j, m in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag != "equal":
            gone += old[i:k]
            come += new[j:m]
    words, inserted = tuple(dict.fromkeys(gone)), tuple(dict.fromkeys(come))
    if not words and not inserted:
        return Explanation(reason="text unchanged")
    if max(len(words), len(inserted)) > budget(text):
        return Explanation(reason="over budget")
    if labels & set(inserted):
        return Explanation(reason="inserts a label word")
    return Explanation(words=words, inserted=inserted, edited=" ".join(body.split()))


def _first_valid(bodies: Iterable[str], judge: Callable[[str], Explanation]) -> Explanation:
    """Return the first valid reading, else that of the plainest body."""
    readings = []
    for body in bodies:
        readings.append(judge(body))
        if readings[-1].valid:
            return readings[-1]
    return readings[0]


def _undress(reply: str) -> list[str]:
    """Return the texts that a reply may mean: whole, without dress, behind a preface, its first line."""
    whole = reply.strip()
    bodies = [whole, _DRESS.sub("", whole), _BULLET.sub("", whole)]
    lines = [line.strip() for line in whole.splitlines() if line.strip()]
    if len(lines) > 1:
        bodies += [lines[0], lines[-1], " ".join(lines[1:])]
    bodies += [body.split(":", 1)[1].strip() for body in [whole, *lines] if ":" in body]
    bodies += [body[1:-1].strip() for body in bodies if len(body) > 2 and fold_marks(body[0]) in "\"'" and
               fold_marks(body[-1]) == fold_marks(body[0])]
    return list(dict.fromkeys(body for body in bodies if body)) or [whole]


_READERS: Mapping[StyleName, Callable[[str, str, Setting, frozenset[str]], Explanation]] = {
    "attribution": _read_attribution,
    "redaction": _read_redaction,
    "counterfactual": _read_counterfactual,
}
