"""Words that any sentence is made of, and the dictionary form of the others."""

from __future__ import annotations

from functools import lru_cache

import simplemma

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
VERBS_OF_A_PERSON = frozenset({"like", "feel", "feels", "felt", "feeling"})
"""Words of explaining ("words like these") that are content where a person does so."""

UNCITED_WORDS = frozenset((_FUNCTION_WORDS + _WORDS_OF_EXPLAINING).split()) | VERBS_OF_A_PERSON
"""Words that count as mentioned only where they are cited: in quotes, as an item of a list, behind "the word".

"Like" and "feel" count also as what a person does: "words like these feel sad" has neither, "they do not like it" does.
"""


@lru_cache(maxsize=100_000)
def lemma(key: str) -> str:
    """Return the dictionary form of a word; "don't" is no form of "do", nor "she's" of "she"."""
    is_plain = key and not any("\ud800" <= char <= "\udfff" for char in key)  # halves of characters are in no list
    if not is_plain or key.endswith("n't") or (key in UNCITED_WORDS and "'" in key):
        return key
    if key in VERBS_OF_A_PERSON:
        return "like" if key == "like" else "feel"  # to the dictionary "feeling" is a noun
    form = simplemma.lemmatize(key.removesuffix("'s"), lang=LANGUAGE).casefold()
    return form if form.count("-") == key.count("-") else key  # "re-sent" is no form of "resent"
