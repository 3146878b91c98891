"""Which words of a text an explanation in sentences mentions, and which it denies (docs/definitions.md, *Mention*).

>>> mentions("nice plot but slow", "The pacing is slow. It is not because of *but*.")
Mentions(words=('slow',), denied=('but',), coverage=0.6666666666666666)
"""

from __future__ import annotations

import re
from bisect import bisect_left as bisect
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import simplemma

from saywhy.protocol.denials import is_denied
from saywhy.protocol.naming import BOLD, QUOTED_TEXT
from saywhy.words import candidates, fold, occurrences

LANGUAGE = "en"
"""The language whose inflections are known; words of others are mentioned as they stand in the text."""

_FUNCTION_WORDS = """
a an the this that these those here there i you he she it we they me him her us them my your his its our their mine
yours hers ours theirs myself yourself himself herself itself ourselves themselves who whom whose which what when
where why how if then than because since as so and or but nor not no yes only also too very just both either neither
each every any some such other another own same more most much many few of to in on at by for with from into onto
about over under up down out off through between during before after above below again further once while until
against without within via per be am is are was were been being do does did doing done have has had having will
would shall should can could may might must ought isn't aren't wasn't weren't don't doesn't didn't haven't hasn't
hadn't won't wouldn't shan't shouldn't can't cannot couldn't mustn't i'm you're he's she's it's we're they're i've
you've we've they've i'd you'd he'd she'd we'd they'd i'll you'll he'll she'll we'll they'll that's there's here's
what's who's where's how's let's however
therefore thus
"""
_WORDS_OF_EXPLAINING = """
word words term terms phrase phrases keyword keywords sentence sentences text label answer answers answered reason
reasons explanation explain explains step steps shows show means mean suggests suggest indicates indicate implies
imply expresses express expressed expressing conveys convey conveyed conveying decided decides decide decision conclude
conclusion author writer speaker person use used uses using make makes made making give gives gave given giving contain
contains contained containing describe describes described describing feelings overall rather instead
clearly really simply certainly truly actually definitely
"""
_VERBS_OF_A_PERSON = frozenset({"like", "feel", "feels", "felt", "feeling"})
UNCITED_WORDS = frozenset((_FUNCTION_WORDS + _WORDS_OF_EXPLAINING).split()) | _VERBS_OF_A_PERSON
"""Words that count as mentioned only where they are cited: in quotes, as an item of a list, behind "the word".

"Like" and "feel" count also as what a person does: "words like these feel sad" has neither, "they do not like it" does.
"""

_A_PERSON = re.compile(
    r"(?:\b(?:i|you|he|she|we|they|who|author|writer|user|speaker|person|people|do|does|did|would|to|not)|n't|'m|'re)\s+"
    r"(?:(?:also|really|still|just|so|always|never)\s+)?(?:(?:is|are|was|were|am|be|been|have|has|had)\s+)?\Z"
)

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
    r"|(?:matter|count|decid|determin|influenc|caus|reason))"
)
"""Between a negator and a word: the negator is the explanation's, whatever the text negates."""
_PIECE = re.compile(r"""[^\s/,;:.!?\u2026\u2013\u2014()\[\]{}<>"=+*|~&@#_\\]+""")
_NAMES_NEXT = re.compile(r"\b(?:(?:words?|terms?|phrases?|keywords?)\s*[:,]?|because of|due to)\s+\Z")
_NAMED = re.compile(
    r"\s*(?:[.,;!?]|\Z)|\s+(?:but|and|or|decided|determined|made|led|influenced|is|was|did|does|shows|suggests)\b"
)
_NUMBER_MARK = re.compile(r"^[ \t]*(?:[-*\u2022]|(?:step[ \t]+)?\d+[.):])[ \t]+", re.M)
_LIST_HEAD = re.compile(r"\s*(?:[\w ]{1,40}:\s)?")
_LIST_ITEM = re.compile(r"(?:(?!\s{0,3}[,;]|\s{1,3}(?:and|or)\s).)+")
_LONGEST_ITEM = 3
"""Words of an item of a list: a line with longer ones is a sentence with commas."""


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


@dataclass(frozen=True, slots=True)
class _Token:
    """A word of the folded explanation, and the words of the text that it may mean: none if it is of its own."""

    start: int
    end: int
    key: str
    text_keys: tuple[str, ...] = ()


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
    never = {key for phrase in excluded for key in (fold(phrase), *(piece.key for piece in _pieces(fold(phrase))))}
    keys = [word.key for word in candidates(text) if word.key not in never]
    folded = _NUMBER_MARK.sub(_blank, BOLD.sub(r'"\2"', fold(explanation)))
    tokens = [token for token in _mention_tokens(folded, keys) if token.key not in never]
    text_pairs = set(pairwise(word.key for word in occurrences(text) if word.key not in never))
    negations = _negations_of_text(folded, tokens, _negators_by_lemma(text))
    cited = _cited(folded, tokens, text_pairs) | {at for at, is_spelled_so in negations.items() if is_spelled_so}
    of_text = [tokens[at] for at in (*cited, *negations) if _negates(tokens[at].key)]
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


def _pieces(folded: str) -> Iterator[_Token]:
    """Yield what stands between blanks and marks, edge punctuation cut off: 'u.s.' is two pieces."""
    for match in _PIECE.finditer(folded):
        word = occurrences(match.group())[0]
        yield _Token(match.start() + word.core_start, match.start() + word.core_end, word.key)


def _mention_tokens(folded: str, keys: Sequence[str]) -> list[_Token]:
    """Return the words of an explanation, those that are words of the text (``keys``) as long as can be."""
    spelled = {key: tuple(piece.key for piece in _pieces(key)) for key in keys}
    # Who cites "well-made" may write "well made".
    by_pieces = {tuple(part for piece in spelled[key] for part in piece.split("-")): key for key in keys}
    by_pieces.update({pieces: key for key, pieces in spelled.items()})
    by_lemma: dict[str, tuple[str, ...]] = {}
    for key in keys:
        by_lemma[_lemma(key)] = (*by_lemma.get(_lemma(key), ()), key)
    longest = max(map(len, by_pieces), default=1)
    pieces = list(_pieces(folded))
    tokens = _symbol_tokens(folded, [key for key in keys if not spelled[key]])
    at = 0
    while at < len(pieces):
        sizes = range(min(longest, len(pieces) - at), 0, -1)
        spans = (tuple(piece.key for piece in pieces[at : at + size]) for size in sizes)
        span = next((span for span in spans if span in by_pieces), None)
        size = len(span) if span else 1
        first, last = pieces[at], pieces[at + size - 1]
        if span:
            tokens.append(_Token(first.start, last.end, by_pieces[span], (by_pieces[span],)))
        else:
            tokens.append(_Token(first.start, first.end, first.key, by_lemma.get(_lemma(first.key), ())))
        at += size
    return sorted(tokens, key=lambda token: token.start)


def _symbol_tokens(folded: str, symbols: Sequence[str]) -> list[_Token]:
    """Return where words without a letter or digit, such as ':(', stand by themselves."""
    if not symbols:
        return []
    longest_first = "|".join(re.escape(key) for key in sorted(symbols, key=len, reverse=True))
    alone = re.compile(rf"""(?<![^\s"'(\[])(?:{longest_first})(?=$|[\s"').,;:!?\]])""")
    return [_Token(match.start(), match.end(), match.group(), (match.group(),)) for match in alone.finditer(folded)]


@lru_cache(maxsize=100_000)
def _lemma(key: str) -> str:
    """Return the dictionary form of a word; "don't" is no form of "do", nor "she's" of "she"."""
    is_plain = key and not any(
        "\ud800" <= char <= "\udfff" for char in key
    )  # halves of characters are in no dictionary
    if not is_plain or key.endswith("n't") or (key in UNCITED_WORDS and "'" in key):
        return key
    if key in _VERBS_OF_A_PERSON:
        return "like" if key == "like" else "feel"  # to the dictionary "feeling" is a noun
    lemma = simplemma.lemmatize(key.removesuffix("'s"), lang=LANGUAGE).casefold()
    return lemma if lemma.count("-") == key.count("-") else key  # "re-sent" is no form of "resent"


def _negates(key: str) -> bool:
    return key in _NEGATORS or key.endswith("n't")


def _negators_by_lemma(text: str) -> dict[str, set[str]]:
    """Return the negators that a text has before a word, in its clause, by the lemma of the word."""
    negators: dict[str, set[str]] = {}
    words = occurrences(text)
    for at, negator in enumerate(words):
        if not _negates(negator.key):
            continue
        reached = words[at + 1 : at + 2 + _NEGATION_REACH]
        for before, word in pairwise((negator, *reached)):
            if _ENDS_NEGATION.search(before.trail):
                break
            negators.setdefault(_lemma(word.key), set()).add(negator.key)
    return negators


def _negations_of_text(
    folded: str, tokens: Sequence[_Token], negators_by_lemma: Mapping[str, AbstractSet[str]]
) -> dict[int, bool]:
    """Return which tokens are negations that the text has before the same word, and whether it has that very negator.

    "Does not like" is the text's "don't like"; "not because of like" is the explanation's own.
    """
    negations: dict[int, bool] = {}
    for at, token in enumerate(tokens):
        if not _negates(token.key):
            continue
        for word in tokens[at + 1 : at + 2 + _NEGATION_REACH]:
            if _NOT_OF_TEXT.search(folded, token.end, word.start):
                break
            negators = set().union(*(negators_by_lemma.get(_lemma(key), ()) for key in word.text_keys))
            if negators:
                negations[at] = negations.get(at, False) or token.key in negators
    return negations


def _cited(folded: str, tokens: Sequence[_Token], text_pairs: AbstractSet[tuple[str, str]]) -> set[int]:
    """Return which tokens are cited: quoted from the text, an item of a list, named ("the word but decided"), done."""
    starts = [token.start for token in tokens]
    quotes = (
        range(bisect(starts, match.start()), bisect(starts, match.end())) for match in QUOTED_TEXT.finditer(folded)
    )
    cited = {
        at
        for quote in quotes
        if all((tokens[at].key, tokens[at + 1].key) in text_pairs for at in quote[:-1])
        for at in quote
    }
    items = set(_item_starts(folded))
    return cited | {
        at
        for at, token in enumerate(tokens)
        if token.start in items
        or (_NAMES_NEXT.search(folded[max(token.start - 20, 0) : token.start]) and _NAMED.match(folded, token.end))
        or (token.key in _VERBS_OF_A_PERSON and _A_PERSON.search(folded[max(token.start - 40, 0) : token.start]))
    }


def _item_starts(folded: str) -> Iterator[int]:
    """Yield where the items of one word begin, on lines that are lists and no sentences."""
    for line in re.finditer(r"[^\n]+", folded):
        listed = _LIST_HEAD.sub("", line.group(), count=1)
        offset = line.end() - len(listed)
        items = [
            [offset + item.start() + piece.start for piece in _pieces(item.group())]
            for item in _LIST_ITEM.finditer(listed)
        ]
        if all(len(item) <= _LONGEST_ITEM for item in items):
            yield from (item[0] for item in items if len(item) == 1)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _blanked(folded: str, tokens: Sequence[_Token]) -> str:
    """Return an explanation with tokens overwritten: no offset moves."""
    chars = list(folded)
    for token in tokens:
        chars[token.start : token.end] = "_" * (token.end - token.start)
    return "".join(chars)
