"""Which words a reply names: 'love', '- "love" (positive)', 'The word that decided is **love**'.

Formatting (quotes, bullets, bold, prefaces) is forgiven, content never: a sentence that merely contains words of the
text names none. ``tests/protocol/phrasebook.yaml`` holds the replies that are tested.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet

from saywhy.words import fold, fold_marks, occurrences

BULLET_MARK = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
_QUOTED_PIECE = r"""(?:"[^"]+"|(?<!\w)'(?:[^'\s]|(?<=\w)'(?=\w)|\s(?!'))+'(?!\w))"""
QUOTED_TEXT = re.compile(_QUOTED_PIECE)
"""A piece in quotes, after ``fold_marks``."""

_QUOTED_LIST = rf"{_QUOTED_PIECE}(?:(?:\s*,)?(?:\s*\b(?:and|or)\b)?\s*{_QUOTED_PIECE})*"
_BOLD = re.compile(r"(\*\*|__|`|\*)(?=\S)(.+?)(?<=\S)\1")
_NOUN = r"\b(?:words?|terms?|phrases?|adjectives?|nouns?|verbs?|hashtag|emoticon)\b"
_FRAMES = (
    # the word "love" decided ...
    re.compile(rf"{_NOUN}\s*[:,]?\s*(?P<quoted>{_QUOTED_LIST})", re.I),
    # the word that decided my answer is love
    re.compile(
        rf"(?P<subject>{_NOUN}|\banswer\b)(?:[^\".,:]|\.(?!\s))*?(?:\b(?:is|was|are|were)\b:?|:)\s*"
        r"(?:the (?:words?|adjective)\s+)?(?P<predicate>[^\s:].*)$",
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


def words_named_by_reply(reply: str, text_keys: AbstractSet[str], labels: Collection[str]) -> list[str]:
    """Return the folded words that ``reply`` names, [] if it names none; not all need be words of the text.

    Args:
        reply: The model's reply.
        text_keys: The text's candidates (folded cores).
        labels: Folded label words: "the answer is negative" names no word, whatever the text.
    """
    items = next(_reply_readings(reply, text_keys, labels), [])
    return list(dict.fromkeys(key for item in items for key in _item_keys(item, text_keys)))


def _reply_readings(reply: str, text_keys: AbstractSet[str], labels: Collection[str]) -> Iterator[list[str]]:
    """Yield the readings of a reply, the plainest first: each a list of items that it names."""
    folded_reply = fold_marks(reply).strip()
    if _are_single_text_words([folded_reply], text_keys):
        yield [folded_reply]
    lines = [line.strip() for line in _BOLD.sub(r'"\2"', folded_reply).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        lines = lines[1:]
    unbulleted = [BULLET_MARK.sub("", line) for line in lines]
    items = _split_items("\n".join(unbulleted))
    all_single = all(len(item.split()) == 1 for item in items)
    if _are_text_words(items, text_keys) or (all_single and text_keys & {fold(item) for item in items}):
        yield items
    listed = unbulleted if lines != unbulleted else unbulleted[:1]
    heads = [item for line in listed for item in _items_before_aside(line)]
    if _are_single_text_words(heads, text_keys):
        yield heads
    yield from _sentence_readings(" ".join(unbulleted), text_keys, labels)


def _sentence_readings(line: str, text_keys: AbstractSet[str], labels: Collection[str]) -> Iterator[list[str]]:
    """Yield the items that a sentence names: 'the word "love" decided', 'the word is love', 'by "love"', 'So: love'."""
    matches = [match for frame in _FRAMES for match in frame.finditer(line)]
    for match in sorted(matches, key=lambda match: match.start()):
        parts = match.groupdict()
        if parts.get("quoted"):
            yield QUOTED_TEXT.findall(parts["quoted"])
        elif parts.get("predicate"):
            yield from _predicate_items(parts["subject"], parts["predicate"], text_keys, labels)
        elif _are_single_text_words([parts["bare"]], text_keys):
            yield [parts["bare"]]
    if quoted := [piece for piece in QUOTED_TEXT.findall(line) if not _repeats_answer([piece], labels)]:
        yield quoted
    last_items = _split_items(line.rsplit(": ", 1)[-1])
    if ": " in line and _are_single_text_words(last_items, text_keys):
        yield last_items


def _predicate_items(
    subject: str, predicate: str, text_keys: AbstractSet[str], labels: Collection[str]
) -> Iterator[list[str]]:
    """Yield the items behind each "is" of a sentence: 'the one that is important is love'."""
    for part in re.split(r"\b(?:is|was)\s+", predicate):
        start = re.match(_QUOTED_LIST, part)
        items = QUOTED_TEXT.findall(start.group()) if start else _items_before_aside(part + " ")
        echo = subject.casefold() == "answer" and _repeats_answer(items, labels)
        if not echo and (start or _are_single_text_words(items, text_keys)):
            yield items


def _repeats_answer(items: Sequence[str], labels: Collection[str]) -> bool:
    """Whether the items only repeat the answer."""
    return all(fold(item.strip("\"'.,! ")) in labels for item in items)


def _items_before_aside(line: str) -> list[str]:
    """Return the items before an aside: 'love (positive)', 'love because ...'."""
    return _split_items(_ASIDE.split(line, maxsplit=1)[0])


def _split_items(line: str) -> list[str]:
    return [item for item in _SEPARATOR.split(line.strip().removesuffix(".")) if item.strip()]


def _are_text_words(items: Sequence[str], text_keys: AbstractSet[str]) -> bool:
    """Whether the items consist of words of the text."""
    keys = [key for item in items for key in _item_keys(item, text_keys)]
    return bool(keys) and text_keys >= set(keys)


def _are_single_text_words(items: Sequence[str], text_keys: AbstractSet[str]) -> bool:
    """Whether each item is a single word of the text: a sentence that merely contains some is no answer."""
    return _are_text_words(items, text_keys) and all(len(item.split()) == 1 for item in items)


def _item_keys(item: str, text_keys: AbstractSet[str]) -> list[str]:
    """Return the folded words of an item; a run of pure punctuation counts only if the text has it."""
    inner = item[1:-1] if QUOTED_TEXT.fullmatch(item) else item
    keys = [word.key for word in occurrences(inner)]
    return [key for key in keys if key in text_keys or any(char.isalnum() for char in key)]
