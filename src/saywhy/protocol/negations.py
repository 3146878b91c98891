"""Negations of the text that an explanation repeats: they deny nothing of the cause ("it does not work")."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise

from saywhy.protocol.lemmas import lemma
from saywhy.protocol.reply_words import ReplyWord
from saywhy.words import occurrences

_NEGATOR_SPELLINGS = """
not no never nor neither none nothing nobody nowhere without hardly barely cannot cant dont doesnt didnt isnt arent
wasnt werent wont wouldnt couldnt shouldnt havent hasnt hadnt aint mustnt neednt
"""
_NEGATORS = frozenset(_NEGATOR_SPELLINGS.split())
_NEGATION_REACH = 4
"""Words between a negator of the text and a word that it still negates: "do not really feel that happy"."""

_ENDS_NEGATION = re.compile(r"[.,;:!?]")
_NOT_OF_TEXT = re.compile(
    r"[.,;:!?\n]|\b(?:(?:because|due|owing|based|and|or|but|words?|terms?|phrases?)\b"
    r"|(?:by|about|for|from|on|at)\s+[\"']|(?:matter|count|decid|determin|influenc|caus|reason|depend|rel[iy]))"
)
"""Between a negator and a word: the negator is the explanation's, whatever the text negates."""


def negates(key: str) -> bool:
    """Return whether a folded word is a negation."""
    return key in _NEGATORS or key.endswith("n't")


def negators_of_text(text: str) -> dict[str, set[str]]:
    """Return the negators that a text has before a word, in its clause, by the lemma of the word."""
    negators: dict[str, set[str]] = {}
    words = occurrences(text)
    for at, negator in enumerate(words):
        if not negates(negator.key):
            continue
        reached = words[at + 1 : at + 2 + _NEGATION_REACH]
        for before, word in pairwise((negator, *reached)):
            if _ENDS_NEGATION.search(before.trail):
                break
            negators.setdefault(lemma(word.key), set()).add(negator.key)
    return negators


def negations_of_text(
    folded: str, tokens: Sequence[ReplyWord], negators_by_lemma: Mapping[str, AbstractSet[str]]
) -> dict[int, bool]:
    """Return which tokens are negations that the text has before the same word, and whether it has that very negator.

    "Does not like" is the text's "don't like"; "not because of like" is the explanation's own.
    """
    negations: dict[int, bool] = {}
    for at, token in enumerate(tokens):
        if not negates(token.key):
            continue
        for word in tokens[at + 1 : at + 2 + _NEGATION_REACH]:
            if _NOT_OF_TEXT.search(folded, token.end, word.start):
                break
            negators = set().union(*(negators_by_lemma.get(lemma(key), ()) for key in word.text_keys))
            if negators:
                negations[at] = negations.get(at, False) or token.key in negators
    return negations
