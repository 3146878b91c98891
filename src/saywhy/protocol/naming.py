"""Which words a reply names: 'love', '- "love" (positive)', 'The word that decided is **love**'.

The principle: forgive dress, never content. A sentence that merely contains words of the text names none.
``tests/phrasebook.yaml`` is what this module is held to.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet

from saywhy.words import fold, fold_marks, occurrences

BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
_QUOTE = r"""(?:"[^"]+"|(?<!\w)'(?:[^'\s]|(?<=\w)'(?=\w)|\s(?!'))+'(?!\w))"""
QUOTED = re.compile(_QUOTE)
"""A piece in quotes, after ``fold_marks``."""

_QUOTES = rf"{_QUOTE}(?:(?:\s*,)?(?:\s*\b(?:and|or)\b)?\s*{_QUOTE})*"
_BOLD = re.compile(r"(\*\*|__|`|\*)(?=\S)(.+?)(?<=\S)\1")
_NOUN = r"\b(?:words?|terms?|phrases?|adjectives?|nouns?|verbs?|hashtag|emoticon)\b"
_FRAMES = (
    # the word "love" decided ...
    re.compile(rf"{_NOUN}\s*[:,]?\s*(?P<quoted>{_QUOTES})", re.I),
    # the word that decided my answer is love
    re.compile(
        rf"(?P<what>{_NOUN}|\banswer\b)(?:[^\".,:]|\.(?!\s))*?(?:\b(?:is|was|are|were)\b:?|:)\s*"
        r"(?:the (?:words?|adjective)\s+)?(?P<rest>[^\s:].*)$",
        re.I | re.S,
    ),
    # the word love decided ...
    re.compile(
        rf"{_NOUN}\s+(?!(?:that|which)\b)(?P<bare>\S+)\s+"
        r"(?:decided|determined|made|led|influenced|is|was|shows|suggests)\b",
        re.I,
    ),
)
_ASIDE = re.compile(
    r"\s*\(|\s+[-\u2013\u2014=>]+\s|:\s|[.!?]\s|,?\s(?:because|since|as|which|it|it's|due|for)\b|\n", re.I
)
_SEPARATOR = re.compile(r"\s*(?:[,;\n]|\s[/&]\s|(?<=\S)\s+and\s+)\s*(?:and\s+)?", re.I)


def named(reply: str, known: AbstractSet[str], labels: Collection[str]) -> list[str]:
    """Return the folded words that ``reply`` names, [] if it names none; not all need be words of the text.

    Args:
        reply: What the model said.
        known: The text's words (folded cores).
        labels: Folded label words: "the answer is negative" names no word, whatever the text.
    """
    items = next(_namings(reply, known, labels), [])
    return list(dict.fromkeys(key for item in items for key in _keys_of(item, known)))


def _namings(reply: str, known: AbstractSet[str], labels: Collection[str]) -> Iterator[list[str]]:
    """Yield the ways in which a reply names something, the plainest first: each a list of items."""
    said = fold_marks(reply).strip()
    if _are_words([said], known):
        yield [said]
    lines = [line.strip() for line in _BOLD.sub(r'"\2"', said).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        lines = lines[1:]
    bare = [BULLET.sub("", line) for line in lines]
    items = _items("\n".join(bare))
    singles = all(len(item.split()) == 1 for item in items)
    if _are_known(items, known) or (singles and known & {fold(item) for item in items}):
        yield items
    listed = bare if lines != bare else bare[:1]
    heads = [item for line in listed for item in _head(line)]
    if _are_words(heads, known):
        yield heads
    yield from _framed(" ".join(bare), known, labels)


def _framed(line: str, known: AbstractSet[str], labels: Collection[str]) -> Iterator[list[str]]:
    """Yield what a sentence names: 'the word "love" decided', 'the word is love', 'by "love"', 'So: love'."""
    matches = [match for frame in _FRAMES for match in frame.finditer(line)]
    for match in sorted(matches, key=lambda found: found.start()):
        parts = match.groupdict()
        if parts.get("quoted"):
            yield QUOTED.findall(parts["quoted"])
        elif parts.get("rest"):
            yield from _behind_is(parts["what"], parts["rest"], known, labels)
        elif _are_words([parts["bare"]], known):
            yield [parts["bare"]]
    if quoted := [piece for piece in QUOTED.findall(line) if not _echoes([piece], labels)]:
        yield quoted
    tail = _items(line.rsplit(": ", 1)[-1])
    if ": " in line and _are_words(tail, known):
        yield tail


def _behind_is(what: str, rest: str, known: AbstractSet[str], labels: Collection[str]) -> Iterator[list[str]]:
    """Yield what stands behind one of several "is": 'the one that is important is love'."""
    for part in re.split(r"\b(?:is|was)\s+", rest):
        start = re.match(_QUOTES, part)
        items = QUOTED.findall(start.group()) if start else _head(part + " ")
        echo = what.casefold() == "answer" and _echoes(items, labels)
        if not echo and (start or _are_words(items, known)):
            yield items


def _echoes(items: Sequence[str], labels: Collection[str]) -> bool:
    """Whether the items only say the answer again."""
    return all(fold(item.strip("\"'.,! ")) in labels for item in items)


def _head(line: str) -> list[str]:
    """Return the items before an aside: 'love (positive)', 'love because ...'."""
    return _items(_ASIDE.split(line, maxsplit=1)[0])


def _items(line: str) -> list[str]:
    return [item for item in _SEPARATOR.split(line.strip().removesuffix(".")) if item.strip()]


def _are_known(items: Sequence[str], known: AbstractSet[str]) -> bool:
    """Whether the items consist of words of the text."""
    keys = [key for item in items for key in _keys_of(item, known)]
    return bool(keys) and known >= set(keys)


def _are_words(items: Sequence[str], known: AbstractSet[str]) -> bool:
    """Whether each item is a single word of the text: a sentence that merely contains some is no answer."""
    return _are_known(items, known) and all(len(item.split()) == 1 for item in items)


def _keys_of(item: str, known: AbstractSet[str]) -> list[str]:
    """Return the folded words of an item; a run of pure punctuation counts only if the text has it."""
    inner = item[1:-1] if QUOTED.fullmatch(item) else item
    found = [word.key for word in occurrences(inner)]
    return [key for key in found if key in known or any(char.isalnum() for char in key)]
