"""Words of a text by offsets: find them, take one out, put one in (docs/definitions.md, *Word*).

>>> [w.core for w in occurrences("Great, great! :( @pal")]
['Great', 'great', ':(', 'pal']
>>> take_out("Great, great! :( @pal", {"great"})
'[REDACTED], [REDACTED]! :( @pal'
>>> [w.core for w in candidates("so , so good . :)")]
['so', 'good', ':)']
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

REDACTED_MARK = "[REDACTED]"
"""What stands for a word that was taken out by the ``redact`` operator."""

CANDIDATES_RULE = 3
"""Which words are candidates: 1, every distinct word; 2, bare punctuation is none; 3, nor is a ``[REDACTED]`` that the
text itself holds, and vowel signs belong to their letters. ``run.json`` and ``study.json`` note it; one without an
entry was made by rule 1."""

_RUN = re.compile(r"\S+")
# AG News has lost the ampersand of many entities: "company #39;s", "AT amp;T".
_BARE = r"(?<![&\w])#\d{2,5};|(?<!&)\b(?:amp|quot|lt|gt|nbsp);"
_BARE_ENTITY = re.compile(rf"{_BARE}|(?<=\w)#39;")
_ENTITY = re.compile(rf"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);|{_BARE}|(?<=\w)#39;")
_REDACTED = re.compile(re.escape(REDACTED_MARK), re.I)
_INVISIBLE = re.compile(r"[\u00ad\u034f\u061c\u180e\u200b-\u200f\u2060-\u2064\ufeff]")
_FULL_WIDTH = re.compile(r"[\uff01-\uffee]+")
_UNDIVIDED = re.compile(  # too long for a word, in scripts that put no blanks between words
    r"(?=[\u30a0-\u30ff]*[\u3040-\u309f\u3400-\u9fff])[\u3040-\u30ff\u3400-\u9fff]{8,}"  # Chinese, Japanese
    r"|[\u0e00-\u0eff]{20,}|[\u1000-\u109f\u1780-\u17ff]{20,}"  # Thai and Lao, Burmese and Khmer
)
_ENDLESS_NUMBER = re.compile(r"&#\d{4000,};?")  # of no character, and longer than a number that Python reads
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\u0060\u00b4", "'''''")
_QUOTE_MARKS = str.maketrans("\u201c\u201d\u201e\u00ab\u00bb", '"""""')

_READ_ALOUD = frozenset("&@#%\u2030\u00a7\u00b6")  # punctuation to Unicode, but "and", "at", "number" to readers
_STROKES = frozenset("|~<>")  # symbols to Unicode, but rules, arrows and brackets in texts
_MARK_CATEGORIES = frozenset(("Sk", "Cc", "Cf", "Mn"))  # `^ and the like, and what is not seen by itself
_EXPRESSIVE_NAMES = ("QUESTION MARK", "EXCLAMATION MARK", "INTERROBANG")
_EMOTICON = re.compile(
    r"""[:;][-~^'",*]{0,2}[()\[\]{}|/\\*<>]"""  # :) ;-( :'( :/
    r"""|\A[()\[\]{}]+[-~^'",*]{0,2}[:;]+\Z"""  # (: )-: read from the right; within a run, a bracket and a colon
    r"|([-^;*\u30fb\u2022])(?!\1)([._-])\2*\1"  # -_- ^.^ ;_; eyes and a mouth
    r"|[<>][._]+[<>]|\._+\."  # >_< >.> ._.
    r"|\^\^|\*\\?\*"  # ^^, and stars, which rate or mask a word
)


@dataclass(frozen=True, slots=True)
class Word:
    """One occurrence of a word.

    Attributes:
        run: The maximal run of non-blank characters.
        start: Offset of the run in the text.
        core_start: Offset of the core in the text.
        core_end: Offset just behind the core.
        core: The run without edge punctuation (or the whole run if nothing else remains).
        key: The core with case, apostrophes, entities, widths and what is not seen folded: equal keys are equal words.
    """

    run: str
    start: int
    core_start: int
    core_end: int
    core: str
    key: str

    @property
    def lead(self) -> str:
        """Edge punctuation before the core."""
        return self.run[: self.core_start - self.start]

    @property
    def trail(self) -> str:
        """Edge punctuation behind the core."""
        return self.run[self.core_end - self.start :]


def fold(text: str) -> str:
    """Fold case and what ``fold_marks`` folds: what two words, or two texts, are compared by."""
    return fold_marks(text).casefold()


def fold_marks(text: str) -> str:
    """Fold apostrophes, quotes, HTML entities and full width, and drop soft hyphens and joiners; keep case."""
    finite = _ENDLESS_NUMBER.sub("\ufffd", _BARE_ENTITY.sub(r"&\g<0>", text))
    plain = _INVISIBLE.sub("", html.unescape(finite))
    plain = _FULL_WIDTH.sub(lambda match: unicodedata.normalize("NFKC", match.group()), plain)
    return unicodedata.normalize("NFC", plain).translate(_APOSTROPHES).translate(_QUOTE_MARKS)


def is_sign(char: str) -> bool:
    """Whether a character is an accent, a vowel sign or a tone mark, which belongs to its letter."""
    return unicodedata.category(char)[0] == "M"


@lru_cache(maxsize=100_000)
def _core_span(run: str) -> tuple[int, int]:
    """Return (start, end) of the core within ``run``; entities such as ``&amp;`` count as punctuation."""
    alphanumeric: list[bool] = []
    for char in run:
        alphanumeric.append(char.isalnum() or (alphanumeric[-1:] == [True] and is_sign(char)))
    for match in _REDACTED.finditer(run):
        alphanumeric[match.start() : match.end()] = [True] * len(REDACTED_MARK)
    for match in _ENTITY.finditer(run):
        if not any(char.isalnum() for char in fold_marks(match.group())):
            alphanumeric[match.start() : match.end()] = [False] * (match.end() - match.start())
    if not any(alphanumeric):
        return 0, len(run)
    return alphanumeric.index(True), len(run) - alphanumeric[::-1].index(True)


_folded_core = lru_cache(maxsize=100_000)(fold)


@lru_cache(maxsize=256)  # a text and its edits are asked for their words again and again
def occurrences(text: str) -> tuple[Word, ...]:
    """Return every word occurrence of ``text``, in order."""
    words = []
    for match in _RUN.finditer(text):
        run = match.group()
        start, end = _core_span(run)
        core = run[start:end]
        words.append(Word(run, match.start(), match.start() + start, match.start() + end, core, _folded_core(core)))
    return tuple(words)


def candidates(text: str, rule: int = CANDIDATES_RULE) -> list[Word]:
    """Return the first occurrence of each distinct word of ``text`` that an explanation may name, in order.

    Args:
        text: The text.
        rule: ``CANDIDATES_RULE``, or the one of a folder that is older (``candidates_rule``).
    """
    first_by_key: dict[str, Word] = {}
    for word in occurrences(text):
        first_by_key.setdefault(word.key, word)
    return [word for key, word in first_by_key.items() if is_candidate(key, rule)]


def is_candidate(key: str, rule: int = CANDIDATES_RULE) -> bool:
    """Whether an explanation may name a word (folded core) of a text."""
    return rule == 1 or not (is_bare_punctuation(key) or (rule > 2 and holds_mark(key)))


def holds_mark(key: str) -> bool:
    """Whether a word (folded core) is ``[REDACTED]``, in any case, or has it within."""
    return REDACTED_MARK.casefold() in key


def most_frequent_candidate(text: str) -> tuple[str, int]:
    """Return the candidate that stands most often in ``text``, the first of equals, and how often that is."""
    counts = Counter(word.key for word in occurrences(text))
    return max(((word.key, counts[word.key]) for word in candidates(text)), key=lambda pair: pair[1])


def candidates_rule(manifest: Mapping[str, Any]) -> int:
    """Return the rule for candidates of a folder whose ``run.json`` or ``study.json`` is ``manifest``."""
    return int(manifest.get("candidates_rule", 1))


@lru_cache(maxsize=100_000)
def is_bare_punctuation(key: str) -> bool:
    """Whether a word is nothing but punctuation, and so no candidate (docs/definitions.md, *Word*).

    >>> [key for key in (".", "``", "(", "!", ":(", "&", "$", "ok") if is_bare_punctuation(key)]
    ['.', '``', '(']
    """
    if any(char.isalnum() for char in key):
        return False
    marks = unicodedata.normalize("NFKC", key)  # full-width marks are those of half the width
    return all(_is_mark(char) for char in marks) and not _EMOTICON.search(marks)


def _is_mark(char: str) -> bool:
    """Whether a character is a mark without a meaning of its own, unlike those that are read aloud, ask or exclaim."""
    if char in _READ_ALOUD or any(name in unicodedata.name(char, "") for name in _EXPRESSIVE_NAMES):
        return False
    category = unicodedata.category(char)
    return category[0] in "PZ" or category in _MARK_CATEGORIES or char in _STROKES


def lacks_blanks(text: str) -> bool:
    """Whether most of a text is written without blanks between words (Chinese, Japanese, Thai, ...): no runs are words.

    >>> [lacks_blanks(text) for text in ("\u8fd9\u90e8\u7535\u5f71\u771f\u7684\u975e\u5e38", "\u7535\u5f71 \u771f")]
    [True, False]
    """
    undivided = sum(len(match.group()) for match in _UNDIVIDED.finditer(text))
    return 2 * undivided > sum(char.isalnum() for char in text)


def replace_words(text: str, by_key: Mapping[str, str]) -> str:
    """Replace the cores of all occurrences of the words in ``by_key``; edge punctuation stays.

    An empty replacement deletes: a run of which nothing is left goes together with the blanks behind it.

    Raises:
        ValueError: If a key is not a word of the text, or if the text would stay as it is.
    """
    missing = set(by_key) - {word.key for word in occurrences(text)}
    if missing:
        raise ValueError(f"not words of the text: {sorted(missing)}")
    pieces, position = [], 0
    for word in occurrences(text):
        if word.key not in by_key:
            continue
        new = by_key[word.key]
        pieces += [text[position : word.core_start], new]
        position = word.core_end
        if not new and word.core == word.run:
            position += len(text[position:]) - len(text[position:].lstrip())
    edited = "".join([*pieces, text[position:]])
    if not any(by_key.values()):
        edited = edited.strip()
    if edited == text:
        raise ValueError(f"replacing {sorted(by_key)} left the text unchanged")
    return edited


def take_out(text: str, keys: Collection[str], stand_in: str = REDACTED_MARK) -> str:
    """Return ``text`` with all occurrences of the words in ``keys`` replaced by ``stand_in``.

    A word that *is* the stand-in stays as it is; if ``keys`` holds no other word, the text is returned unchanged.

    Raises:
        ValueError: If a key is not a word of the text.
    """
    removed = set(keys) - {fold(stand_in)}
    return replace_words(text, dict.fromkeys(removed, stand_in)) if removed else text


def match_case(new: str, old: str) -> str:
    """Write ``new`` with a capital if ``old``, the word that it replaces, begins with one."""
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def free_word_budget(text: str) -> int:
    """Return how many candidates a *free* explanation may take: max(2, 30 %)."""
    return max(2, int(0.3 * len(candidates(text))))
