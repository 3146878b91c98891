"""The words of an explanation in sentences, and the words of the text that each may mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from saywhy.protocol.lemmas import lemma
from saywhy.words import occurrences

_PIECE = re.compile(r"""[^\s/,;:.!?\u2026\u2013\u2014()\[\]{}<>"=+*|~&@#_\\]+""")


@dataclass(frozen=True, slots=True)
class ReplyWord:
    """A word of the folded explanation, and the words of the text that it may mean.

    Attributes:
        start, end: Offsets of its core in the folded explanation.
        key: The word (folded core).
        text_keys: The words of the text that it may mean; none if it is the explanation's own.
    """

    start: int
    end: int
    key: str
    text_keys: tuple[str, ...] = ()


def pieces(folded: str) -> Iterator[ReplyWord]:
    """Yield what stands between blanks and marks, edge punctuation cut off: 'u.s.' is two pieces."""
    for match in _PIECE.finditer(folded):
        word = occurrences(match.group())[0]
        yield ReplyWord(match.start() + word.core_start, match.start() + word.core_end, word.key)


def reply_words(folded: str, keys: Sequence[str]) -> list[ReplyWord]:
    """Return the words of an explanation, those that are words of the text (``keys``) as long as can be."""
    spelled = {key: tuple(piece.key for piece in pieces(key)) for key in keys}
    # Who cites "well-made" may write "well made".
    by_pieces = {tuple(part for piece in spelled[key] for part in piece.split("-")): key for key in keys}
    by_pieces.update({parts: key for key, parts in spelled.items()})
    by_lemma: dict[str, tuple[str, ...]] = {}
    for key in keys:
        by_lemma[lemma(key)] = (*by_lemma.get(lemma(key), ()), key)
    longest = max(map(len, by_pieces), default=1)
    written = list(pieces(folded))
    tokens = _symbol_tokens(folded, [key for key in keys if not spelled[key]])
    at = 0
    while at < len(written):
        sizes = range(min(longest, len(written) - at), 0, -1)
        spans = (tuple(piece.key for piece in written[at : at + size]) for size in sizes)
        span = next((span for span in spans if span in by_pieces), None)
        size = len(span) if span else 1
        first, last = written[at], written[at + size - 1]
        if span:
            tokens.append(ReplyWord(first.start, last.end, by_pieces[span], (by_pieces[span],)))
        else:
            tokens.append(ReplyWord(first.start, first.end, first.key, by_lemma.get(lemma(first.key), ())))
        at += size
    return sorted(tokens, key=lambda token: token.start)


def _symbol_tokens(folded: str, symbols: Sequence[str]) -> list[ReplyWord]:
    """Return where words without a letter or digit, such as ':(', stand by themselves."""
    if not symbols:
        return []
    longest_first = "|".join(re.escape(key) for key in sorted(symbols, key=len, reverse=True))
    alone = re.compile(rf"""(?<![^\s"'(\[])(?:{longest_first})(?=$|[\s"').,;:!?\]])""")
    return [ReplyWord(match.start(), match.end(), match.group(), (match.group(),)) for match in alone.finditer(folded)]
