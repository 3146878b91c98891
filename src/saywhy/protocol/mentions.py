"""Which words of a text an explanation in sentences mentions, and which it denies (docs/definitions.md, *Mention*).

>>> mentions("nice plot but slow", "The pacing is slow. It is not because of *but*.")
Mentions(words=('slow',), denied=('but',), coverage=0.6666666666666666)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from saywhy.protocol.citations import cited_places
from saywhy.protocol.denials import is_denied
from saywhy.protocol.lemmas import UNCITED_WORDS
from saywhy.protocol.naming import BOLD
from saywhy.protocol.negations import negates, negations_of_text, negators_of_text
from saywhy.protocol.reply_words import ReplyWord, pieces, reply_words
from saywhy.words import candidates, fold, occurrences

_NUMBER_MARK = re.compile(r"^[ \t]*(?:[-*\u2022]|(?:step[ \t]+)?\d+[.):])[ \t]+", re.M)


@dataclass(frozen=True, slots=True)
class Mentions:
    """What an explanation in sentences says of the words of a text.

    Attributes:
        words: The words that it mentions (folded cores), in order of the text.
        denied: Those that it mentions only to say that they did not count, in order of the text.
        coverage: Share of the explanation's content words (distinct) that are words of the text; 0 if it has none.
    """

    words: tuple[str, ...]
    denied: tuple[str, ...]
    coverage: float


def mentions(text: str, explanation: str, excluded: Collection[str] = ()) -> Mentions:
    """Return which words of ``text`` an explanation mentions: whole words and their inflections, the longest first.

    What stands in the text letter by letter means that word alone, anything else every word of the text with its
    lemma. Words that any sentence is made of (``UNCITED_WORDS``) are mentioned only where they are cited; a negation
    also where the text has it before the same word ("not good"). A negation before a word that the text negates itself,
    however it is spelled there, denies nothing.

    Args:
        text: The explained text.
        explanation: What the model says; thoughts and JSON are not told apart from it here.
        excluded: Words and phrases that never count, in the text or in the explanation: label words, words of the
            question.
    """
    never = {key for phrase in excluded for key in (fold(phrase), *(piece.key for piece in pieces(fold(phrase))))}
    keys = [word.key for word in candidates(text) if word.key not in never]
    folded = _NUMBER_MARK.sub(_blank, BOLD.sub(r'"\2"', fold(explanation)))
    tokens = [token for token in reply_words(folded, keys) if token.key not in never]
    text_pairs = set(pairwise(word.key for word in occurrences(text) if word.key not in never))
    negations = negations_of_text(folded, tokens, negators_of_text(text))
    cited = cited_places(folded, tokens, text_pairs) | {at for at, is_spelled_so in negations.items() if is_spelled_so}
    of_text = [tokens[at] for at in (*cited, *negations) if negates(tokens[at].key)]
    without_negations = _blanked(folded, of_text)
    content = [token for at, token in enumerate(tokens) if at in cited or token.key not in UNCITED_WORDS]
    affirmed: set[str] = set()
    denied: set[str] = set()
    for token in content:
        if token.text_keys:
            side = denied if is_denied(without_negations, token.start, token.end) else affirmed
            side.update(token.text_keys)
    distinct = {token.key: bool(token.text_keys) for token in content}
    return Mentions(
        words=tuple(key for key in keys if key in affirmed),
        denied=tuple(key for key in keys if key in denied - affirmed),
        coverage=sum(distinct.values()) / len(distinct) if distinct else 0.0,
    )


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _blanked(folded: str, tokens: Sequence[ReplyWord]) -> str:
    """Return an explanation with tokens overwritten: no offset moves."""
    chars = list(folded)
    for token in tokens:
        chars[token.start : token.end] = "_" * (token.end - token.start)
    return "".join(chars)
