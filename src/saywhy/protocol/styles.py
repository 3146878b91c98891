"""The three styles of explanation: read a reply, judge its form, apply it (docs/definitions.md, *Validity*).

Only this module turns a model's reply into an ``Explanation``. Formatting (quotes, bullets, bold, prefaces) is
forgiven, content never; every failure carries one of the reasons below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace as with_fields
from difflib import SequenceMatcher
from functools import partial

from saywhy.protocol.bodies import most_similar_body, possible_bodies
from saywhy.protocol.naming import words_named_by_reply
from saywhy.records import Explanation, ReplyPlan, Setting, StyleName
from saywhy.words import (
    REDACTED_MARK,
    Word,
    candidates,
    fold,
    fold_marks,
    free_word_budget,
    is_bare_punctuation,
    occurrences,
    take_out,
)

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
)
"""Every reason for which a reply is invalid."""

_REFUSAL = re.compile(
    r"\b(?:i'?m sorry|i am sorry|i (?:can ?not|can'?t|don'?t know)|as an ai|unable to"
    r"|(?:i'?m|i am) not (?:able|capable|sure)|i am unable)\b",
    re.I,
)
_LOOSE_REDACTED_MARK = re.compile(r"\[\s*redacted\s*\]", re.I)


def read_reply(
    style: StyleName,
    setting: Setting,
    text: str,
    reply: str,
    label_words: Collection[str] = (),
    plan: ReplyPlan = "direct",
) -> Explanation:
    """Read a reply of ``style`` to ``text``.

    Args:
        style: The style that was asked for.
        setting: one-word or free.
        text: The explained text.
        reply: The model's reply.
        label_words: Words that a counterfactual may not insert; "the answer is LABEL" names no word either.
        plan: named-first: the first line of a reply that edits names the words, and they bind.
    """
    if not reply.strip():
        return Explanation(reason="empty reply")
    labels = frozenset(fold(word) for word in label_words)
    marked = _LOOSE_REDACTED_MARK.sub(REDACTED_MARK, reply.strip())
    named_first = plan == "named-first" and style != "attribution"
    read = partial(_bound_by_name, style) if named_first else _STYLE_READERS[style]
    explanation = read(text, marked, setting, labels)
    refusal = _REFUSAL.search(fold_marks(reply))
    if not explanation.valid and refusal and fold(refusal.group()) not in fold(text):
        return Explanation(reason="refusal")
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


def read_rewrite(text: str, reply: str) -> Explanation:
    """Read the reply to a request for other words of the same meaning: any text will do that is not the text itself."""
    if not reply.strip():
        return Explanation(reason="empty reply")
    body = most_similar_body(text, reply)
    if _REFUSAL.search(fold_marks(body)) and not _REFUSAL.search(fold_marks(text)):
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
    return _first_valid(possible_bodies(reply), lambda body: _read_redacted_body(text, body, setting))


def _read_redacted_body(text: str, body: str, setting: Setting) -> Explanation:
    if REDACTED_MARK not in body:
        return Explanation(reason="nothing redacted")
    runs, reply_runs = occurrences(text), body.split()
    redacted = _aligned_indices(runs, [_folded_run(run) for run in reply_runs])
    if redacted is None:
        partial = any(_is_partly_redacted(run) for run in reply_runs) and _aligned_indices(
            runs, ["*" if REDACTED_MARK in run else run for run in reply_runs]
        )
        return Explanation(reason="redacts part of a word" if partial else "text changed outside [REDACTED]")
    # Bare punctuation that is redacted with a word goes as edge punctuation may: its canonical edit keeps it.
    keys = _without_punctuation(runs[i].key for i in redacted)
    if not keys:
        return Explanation(reason="nothing redacted")
    return _explanation_within_setting(keys, text, setting, "redacts several words")


def _without_punctuation(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the distinct words among ``keys``."""
    return tuple(dict.fromkeys(key for key in keys if not is_bare_punctuation(key)))


def _folded_run(run: str) -> str:
    """Fold a run of the reply; ``[REDACTED]`` in any case is the mark."""
    return run if REDACTED_MARK in run else fold_marks(run)


def _is_partly_redacted(run: str) -> bool:
    outside = run.replace(REDACTED_MARK, "")
    return REDACTED_MARK in run and any(char.isalnum() for char in outside)


def _aligned_indices(runs: Sequence[Word], reply_runs: Sequence[str]) -> list[int] | None:
    """Return the indices of ``runs`` that the marks of ``reply_runs`` stand for, or None if another run differs.

    A mark may stand for several neighbouring words. ``*`` is a mark that fits any one run.
    """
    dead_ends: set[tuple[int, int]] = set()

    def walk(i: int, j: int) -> list[int] | None:
        if j == len(reply_runs):
            return [] if i == len(runs) else None
        if i == len(runs) or (i, j) in dead_ends:
            return None
        if reply_runs[j] == "*" or REDACTED_MARK in reply_runs[j]:
            for last in range(i, len(runs)):
                if reply_runs[j] != "*" and not _stands_for(reply_runs[j], runs[i], runs[last]):
                    continue
                tail = walk(last + 1, j + 1)
                if tail is not None:
                    return [*range(i, last + 1), *tail]
        elif reply_runs[j] == fold_marks(runs[i].run):
            tail = walk(i + 1, j + 1)
            if tail is not None:
                return tail
        dead_ends.add((i, j))
        return None

    return walk(0, 0)


def _stands_for(reply_run: str, first: Word, last: Word) -> bool:
    """Whether a run with the mark covers the cores of ``first`` to ``last``; edge punctuation may go too."""
    before, _, behind = reply_run.partition(REDACTED_MARK)
    leads, trails = ("", fold_marks(first.lead)), ("", fold_marks(last.trail))
    return fold_marks(before) in leads and fold_marks(behind) in trails


def _read_counterfactual(text: str, reply: str, setting: Setting, labels: frozenset[str]) -> Explanation:
    # The body most like the text is the edit; the other bodies still have a preface or a note.
    explanation = (_read_one_word_edit if setting == "one-word" else _read_free_edit)(
        text, most_similar_body(text, reply)
    )
    if REDACTED_MARK.casefold().strip("[]") in explanation.inserted:
        return Explanation(reason="inserts [REDACTED]")
    if any({word.key for word in occurrences(label)} <= set(explanation.inserted) for label in labels):
        return Explanation(reason="inserts a label word")
    return explanation


def _read_one_word_edit(text: str, body: str) -> Explanation:
    old, new = occurrences(text), occurrences(body)
    if len(old) != len(new):
        return Explanation(reason="inserts or deletes words")
    changes = [
        (old_word, new_word)
        for old_word, new_word in zip(old, new, strict=True)
        if old_word.key != new_word.key and _without_punctuation((old_word.key, new_word.key))
    ]
    if not changes:
        return Explanation(reason="text unchanged")
    if any(is_bare_punctuation(word.key) for change in changes for word in change):
        return Explanation(reason="inserts or deletes words")
    if len({(old_word.key, new_word.key) for old_word, new_word in changes}) > 1:
        return Explanation(reason="changes several words")
    edited, position = "", 0
    for old_word, new_word in changes:
        edited += text[position : old_word.core_start] + new_word.core
        position = old_word.core_end
    return Explanation(words=(changes[0][0].key,), inserted=(changes[0][1].key,), edited=edited + text[position:])


def _read_free_edit(text: str, body: str) -> Explanation:
    old, new = occurrences(text), occurrences(body)
    removed: list[str] = []
    added: list[str] = []
    pieces: list[str] = []
    matcher = SequenceMatcher(a=[word.key for word in old], b=[word.key for word in new], autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(text[old[start].start : old[end - 1].start + len(old[end - 1].run)])
            continue
        removed += [word.key for word in old[start:end]]
        added += [word.key for word in new[new_start:new_end]]
        pieces += [word.run for word in new[new_start:new_end]]
    words, inserted = _without_punctuation(removed), _without_punctuation(added)
    if not words and not inserted:
        return Explanation(reason="text unchanged")
    if max(len(words), len(inserted)) > free_word_budget(text):
        return Explanation(reason="over budget")
    return Explanation(words=words, inserted=inserted, edited=" ".join(pieces))


def _first_valid(bodies: Iterable[str], judge: Callable[[str], Explanation]) -> Explanation:
    """Return the first valid explanation among those read from ``bodies``, else that of the first body."""
    readings = []
    for body in bodies:
        readings.append(judge(body))
        if readings[-1].valid:
            return readings[-1]
    return readings[0]


_STYLE_READERS: Mapping[StyleName, Callable[[str, str, Setting, frozenset[str]], Explanation]] = {
    "attribution": _read_attribution,
    "redaction": _read_redaction,
    "counterfactual": _read_counterfactual,
}
