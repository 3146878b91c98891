"""What a counterfactual changes: words of the text by others, as the reply or one of the texts it may mean has them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from saywhy.protocol.bodies import likeness, most_similar_body, possible_bodies
from saywhy.records import Explanation
from saywhy.words import Word, holds_mark, is_bare_punctuation, is_candidate, occurrences

_BETWEEN_PARTS = re.compile(r"[\W_]+")


def read_one_word_edit(text: str, reply: str, labels: Collection[str]) -> Explanation:
    """Read a reply that is to replace one distinct word by another."""
    bodies = possible_bodies(reply)
    edits = [_word_swap(text, body) for body in bodies]
    valid = {(edit.words, edit.inserted): edit for edit in edits if edit.valid}
    if len(valid) > 1 and not edits[0].valid:
        return Explanation(reason="gives several texts")
    edit = next(iter(valid.values()), None) or _word_swap(text, most_similar_body(text, bodies))
    return _unless_barred(edit, labels)


def read_free_edit(text: str, reply: str, labels: Collection[str], budget: int) -> Explanation:
    """Read a reply that may replace, delete and insert up to ``budget`` words.

    A body that is the text but for one word is the edit, then one of as many words as the text, then the one most like
    it: a word before a colon or in a last parenthesis, if replaced, looks like a preface or a note.
    """
    bodies = possible_bodies(reply)
    length = len(occurrences(text))
    of_same_length = [body for body in bodies if len(occurrences(body)) == length]
    swaps = [body for body in of_same_length if _word_swap(text, body).valid]
    alike = [body for body in of_same_length if likeness(text, body) >= 0.5]
    edit = _free_edit(text, most_similar_body(text, swaps or alike or bodies))
    if max(len(edit.words), len(edit.inserted)) > budget:
        return Explanation(reason="over budget")
    return _unless_barred(edit, labels)


def _unless_barred(edit: Explanation, labels: Collection[str]) -> Explanation:
    """Return ``edit``, or why it may not stand: it puts the mark in, or a label word, by itself or within a word."""
    if any(key == "redacted" or holds_mark(key) for key in edit.inserted):
        return Explanation(reason="inserts [REDACTED]")
    inserted = {part for key in edit.inserted for part in (key, *_BETWEEN_PARTS.split(key))}
    if any({word.key for word in occurrences(label)} <= inserted for label in labels):
        return Explanation(reason="inserts a label word")
    return edit


def _word_swap(text: str, body: str) -> Explanation:
    old, new = occurrences(text), occurrences(body)
    if len(old) != len(new):
        return Explanation(reason="inserts or deletes words")
    changes = [
        (old_word, new_word)
        for old_word, new_word in zip(old, new, strict=True)
        if old_word.key != new_word.key
        and not (is_bare_punctuation(old_word.key) and is_bare_punctuation(new_word.key))
    ]
    if not changes:
        return Explanation(reason="text unchanged")
    if any(not is_candidate(old_word.key) or is_bare_punctuation(new_word.key) for old_word, new_word in changes):
        return Explanation(reason="inserts or deletes words")
    if len({(old_word.key, new_word.key) for old_word, new_word in changes}) > 1:
        return Explanation(reason="changes several words")
    edited = _with_cores(text, [(old_word, new_word.core) for old_word, new_word in changes])
    return Explanation(words=(changes[0][0].key,), inserted=(changes[0][1].key,), edited=edited)


def _with_cores(text: str, new_cores: list[tuple[Word, str]]) -> str:
    """Return ``text`` with the cores of these words, in order, replaced."""
    pieces, position = [], 0
    for word, core in new_cores:
        pieces += [text[position : word.core_start], core]
        position = word.core_end
    return "".join([*pieces, text[position:]])


def _free_edit(text: str, body: str) -> Explanation:
    """Read ``body``; what it does not change keeps the text's own blanks, line ends and edge punctuation."""
    old, new = occurrences(text), occurrences(body)
    removed: list[str] = []
    added: list[str] = []
    edited, position = "", 0
    for start, end, new_start, new_end in _changed_stretches(old, new):
        removed += [word.key for word in old[start:end]]
        added += [word.key for word in new[new_start:new_end]]
        if end - start == new_end - new_start:  # word for word, as in the one-word setting
            for old_word, new_word in zip(old[start:end], new[new_start:new_end], strict=True):
                edited += text[position : old_word.core_start] + new_word.core
                position = old_word.core_end
            continue
        inserted = body[new[new_start].start : _end(new[new_end - 1])] if new_end > new_start else ""
        if start == end:  # nothing goes: the new words stand before the next one, or at the end
            at = old[start].start if start < len(old) else len(text.rstrip())
            edited += text[position:at] + (f"{inserted} " if start < len(old) else f" {inserted}")
            position = at
        else:
            edited += text[position : old[start].start] + inserted
            position = _end(old[end - 1])
            if not inserted:  # the blanks behind the words go with them
                position = old[end].start if end < len(old) else len(text)
    words = tuple(filter(is_candidate, dict.fromkeys(removed)))
    inserted_words = tuple(key for key in dict.fromkeys(added) if not is_bare_punctuation(key))
    if not words and not inserted_words:
        return Explanation(reason="text unchanged")
    return Explanation(words=words, inserted=inserted_words, edited=(edited + text[position:]).strip())


def _changed_stretches(old: Sequence[Word], new: Sequence[Word]) -> list[tuple[int, int, int, int]]:
    """Return (start, end) in ``old`` and in ``new`` of each stretch in which they differ, by the fewest edits."""
    from rapidfuzz.distance import Levenshtein

    stretches: list[tuple[int, int, int, int]] = []
    for code in Levenshtein.opcodes([word.key for word in old], [word.key for word in new]):
        if code.tag == "equal":
            continue
        start, new_start = code.src_start, code.dest_start
        if stretches and stretches[-1][1] == start and stretches[-1][3] == new_start:  # a neighbour of the one before
            start, _, new_start, _ = stretches.pop()
        stretches.append((start, code.src_end, new_start, code.dest_end))
    return stretches


def _end(word: Word) -> int:
    """Return the offset just behind the run of ``word``."""
    return word.start + len(word.run)
