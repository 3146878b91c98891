"""Which words a reply names: 'love', '- "love" (positive)', 'The word that decided is **love**'.

Formatting (quotes, bullets, bold, prefaces) is forgiven, content never: a sentence that merely contains words of the
text names none. ``tests/protocol/phrasebook.yaml`` holds the replies that are tested.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import takewhile

from saywhy.protocol.denials import is_denied
from saywhy.words import fold, fold_marks, occurrences

BULLET_MARK = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+")
_QUOTED_PIECE = r"""(?:"[^"]+"|(?<!\w)'(?:[^'\s]|(?<=\w)'(?=\w)|\s(?!'))+'(?!\w))"""
QUOTED_TEXT = re.compile(_QUOTED_PIECE)
"""A piece in quotes, after ``fold_marks``."""

_QUOTED_LIST = rf"{_QUOTED_PIECE}(?:(?:\s*,)?(?:\s*\b(?:and|or)\b)?\s*{_QUOTED_PIECE})*"
BOLD = re.compile(r"(\*\*|__|`|\*)(?=\S)(.{1,200}?)(?<=\S)\1")
"""A piece between marks of emphasis, after ``fold_marks``: its second group."""

_NOUN = r"\b(?:words?|terms?|phrases?|adjectives?|nouns?|verbs?|hashtag|emoticon)\b"
_FRAMES = (
    # the word "love" decided ...
    re.compile(rf"{_NOUN}\s*[:,]?\s*(?P<quoted>{_QUOTED_LIST})", re.I),
    # the word that decided my answer is love
    re.compile(
        rf"(?P<subject>{_NOUN}|\banswer\b)(?:[^\".,:]|\.(?!\s)){{0,200}}?(?:\b(?:is|was|are|were)\b:?|:)\s*"
        r"(?:the (?:words?|adjective)\s+)?(?P<predicate>(?:[^\s:]|:(?=[^\s\w])).*)$",
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
    r"(?<![:;=-])\s*\(|\s+[-\u2013\u2014=>]+\s|:\s|[.!?]\s|,?\s(?:because|since|as|which|it|it's|due|for)\b|\n",
    re.I,
)
_PARENTHESIS = re.compile(r"(?<![:;=-])\s*\([^()]*\)")
_FORM_ENTRY = re.compile(r"(?P<label>[^:]{1,40}):\s+(?P<value>.+)")
_FORM_LABEL = re.compile(rf"{_NOUN}|\b(?:keywords?|answer)\b", re.I)
_SEPARATOR = re.compile(r"\s*(?:[,;](?!\S)|\n|\s[/&]\s|(?<=\S)\s+and\s+)\s*(?:and\s+)?", re.I)
_INNER_SEPARATOR = re.compile(r"([,;])")
_NEGATION = re.compile(r"(?:\bnot|n't|\bnever|\brather than|\binstead of)\s+(?:\w+\s+){0,3}$", re.I)
_LINK = re.compile(r"\s*,?\s*\b(?:and|or)\b\s+(?:(?:also|by)\s+)?(?:the\s+)?", re.I)
_CONTRAST = re.compile(r"\b(?:but|however|yet)\b", re.I)


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
    lines = [line.strip() for line in _with_quotes_for_bold(folded_reply, text_keys).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].endswith(":"):
        lines = lines[1:]
    unbulleted = [BULLET_MARK.sub("", line) for line in lines]
    items = _split_items("\n".join(unbulleted), text_keys)
    all_single = all(len(item.split()) == 1 for item in items)
    if _are_text_words(items, text_keys) or (all_single and text_keys & {fold(item) for item in items}):
        yield items
    heads = _heads(lines, unbulleted, text_keys)
    if _are_single_text_words(heads, text_keys):
        yield heads
    yield from _labelled_readings(unbulleted, text_keys, labels)
    yield from _sentence_readings(" ".join(unbulleted), text_keys, labels)


def _with_quotes_for_bold(reply: str, text_keys: AbstractSet[str]) -> str:
    """Return a reply with its emphasised pieces in quotes, but for labels: '**Answer:** love', '**Word**: love'."""

    def quoted(match: re.Match[str]) -> str:
        piece = match[2]
        if not piece.strip("*_`"):
            return match[0]  # a word of asterisks
        is_label = reply[match.end() :].startswith(":") and not _are_text_words([piece], text_keys)
        return piece if is_label or piece.endswith(":") else f'"{piece}"'

    return BOLD.sub(quoted, reply)


def _heads(lines: Sequence[str], unbulleted: Sequence[str], text_keys: AbstractSet[str]) -> list[str]:
    """Return the items with which the lines of a list begin: those with bullets, else the first that name words."""
    bulleted = [plain for line, plain in zip(lines, unbulleted, strict=True) if line != plain]
    heads = [_items_before_asides(line, text_keys) for line in bulleted or unbulleted]
    if not bulleted:
        heads = [*takewhile(lambda items: _are_single_text_words(items, text_keys), heads)] or heads[:1]
    return [item for items in heads for item in items]


def _labelled_readings(
    lines: Sequence[str], text_keys: AbstractSet[str], labels: Collection[str]
) -> Iterator[list[str]]:
    """Yield the items of a form that is filled in: 'Word: love', and on the next line 'Reason: it is positive'."""
    entries = [_FORM_ENTRY.fullmatch(line) for line in lines]
    if len(lines) > 1 and all(entries):
        for entry in filter(None, entries):
            items = _items_before_asides(entry["value"], text_keys)
            is_answer = _FORM_LABEL.search(entry["label"]) and not _repeats_answer(items, labels)
            if is_answer and _are_single_text_words(items, text_keys):
                yield items


def _sentence_readings(line: str, text_keys: AbstractSet[str], labels: Collection[str]) -> Iterator[list[str]]:
    """Yield the items that a sentence names: 'the word "love" decided', 'the word is love', 'by "love"', 'So: love'."""
    matches = [match for frame in _FRAMES for match in frame.finditer(line)]
    for match in sorted(matches, key=lambda match: match.start()):
        parts = match.groupdict()
        if _is_negated(line, match):
            continue
        if parts.get("quoted"):
            # 'I thought of the word "love", but "hate" decided': which of them it is, is not for the reader to say.
            contrast = _CONTRAST.search(line, match.end())
            behind = _quoted_items(line[contrast.end() :]) if contrast else []
            yield [*QUOTED_TEXT.findall(parts["quoted"]), *_frames_linked(line, match.end()), *behind]
        elif parts.get("predicate"):
            yield from _predicate_items(parts["subject"], parts["predicate"], text_keys, labels)
        elif _are_single_text_words([parts["bare"]], text_keys):
            yield [parts["bare"]]
    if quoted := [piece for piece in _quoted_items(line) if not _repeats_answer([piece], labels)]:
        yield quoted
    last_items = _split_items(line.rsplit(": ", 1)[-1], text_keys)
    if ": " in line and _are_single_text_words(last_items, text_keys):
        yield last_items


def _frames_linked(line: str, end: int) -> list[str]:
    """Return the pieces in quotes that frames behind ``end`` name too: 'the word "love" and the word "joy" decided'."""
    pieces = []
    while (link := _LINK.match(line, end)) and (frame := _FRAMES[0].match(line, link.end())):
        pieces += QUOTED_TEXT.findall(frame["quoted"])
        end = frame.end()
    return pieces


def _quoted_items(line: str) -> list[str]:
    """Return the pieces in quotes that are not negated: 'not "love" but "hate"' names the second."""
    return [match.group() for match in QUOTED_TEXT.finditer(line) if not _is_negated(line, match)]


def _is_negated(line: str, match: re.Match[str]) -> bool:
    """Whether the words that are matched are said not to have counted: 'not "love"', '"love" did not decide'."""
    if _NEGATION.search(line[max(match.start() - 60, 0) : match.start()]):
        return True
    parts = match.groupdict()
    if parts.get("predicate"):
        return False
    named = next((name for name in ("quoted", "bare") if parts.get(name)), 0)
    return is_denied(line.lower(), match.start(named), match.end(named))


def _predicate_items(
    subject: str, predicate: str, text_keys: AbstractSet[str], labels: Collection[str]
) -> Iterator[list[str]]:
    """Yield the items behind each "is" of a sentence: 'the one that is important is love'."""
    for part in re.split(r"\b(?:is|was)\s+", predicate):
        start = re.match(_QUOTED_LIST, part)
        items = QUOTED_TEXT.findall(start.group()) if start else _items_before_aside(part + " ", text_keys)
        echo = subject.casefold() == "answer" and _repeats_answer(items, labels)
        if not echo and (start or _are_single_text_words(items, text_keys)):
            yield items


def _repeats_answer(items: Sequence[str], labels: Collection[str]) -> bool:
    """Whether the items only repeat the answer."""
    return all(fold(item.strip("\"'.,! ")) in labels for item in items)


def _items_before_asides(line: str, text_keys: AbstractSet[str]) -> list[str]:
    """Return the items of a line each of which may have an aside: 'love (verb), great (adjective)', 'love - joy'."""
    parts = [part for part in re.split(r",\s+", _PARENTHESIS.sub("", line)) if part.strip()]
    if all(_ASIDE.search(part) for part in parts):
        heads = [item for part in parts for item in _items_before_aside(part, text_keys)]
        if _are_single_text_words(heads, text_keys):
            return heads
    return _items_before_aside(_PARENTHESIS.sub("", line), text_keys)


def _items_before_aside(line: str, text_keys: AbstractSet[str]) -> list[str]:
    """Return the items before an aside: 'love (positive)', 'love because ...'."""
    return _split_items(_ASIDE.split(line, maxsplit=1)[0], text_keys)


def _split_items(line: str, text_keys: AbstractSet[str]) -> list[str]:
    """Return the items of a list; a comma within a word of the text ("1,000") parts none."""
    items = _SEPARATOR.split(line.strip().removesuffix("."))
    return [part for item in items for part in _parted_at_commas(item, text_keys) if part.strip()]


def _parted_at_commas(item: str, text_keys: AbstractSet[str]) -> Iterator[str]:
    """Yield the parts of 'love,1,000': the longest that are words of the text, else what stands between commas."""
    pieces = _INNER_SEPARATOR.split(item)  # part, comma, part, ...
    while pieces:
        ends = (end for end in range(len(pieces), 1, -2) if _is_text_word("".join(pieces[:end]), text_keys))
        end = next(ends, 1)
        yield "".join(pieces[:end])
        pieces = pieces[end + 1 :]


def _is_text_word(piece: str, text_keys: AbstractSet[str]) -> bool:
    """Whether a piece, with the marks at its edges or without, is one word of the text."""
    words = occurrences(piece)
    return fold(piece) in text_keys or (len(words) == 1 and words[0].key in text_keys)


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
    if not any(char.isalnum() for char in inner) and fold(inner.rstrip(".!")) in text_keys:
        inner = inner.rstrip(".!")  # an emoticon at the end of a sentence
    keys = [word.key for word in occurrences(inner)]
    return [key for key in keys if key in text_keys or any(char.isalnum() for char in key)]
