"""Tweets, negative or positive: clauses by topic, joined so that one word decides.

A topic has main clauses (`+`, `-`), side clauses that speak for the other label (`a+`, `a-`), neutral
beginnings (`0`) and endings (`t`), and whole tweets (`f+`, `f-`; with a competing word `x+`, `x-`).
"""

import re
from functools import lru_cache
from typing import Any

from saywhy.pocket.grammar import Dice, PhraseBlock, PhraseTemplate, capitalised, draw_sentences, load_phrases, text_row

TWEET_LABELS = ("negative", "positive")

_JOINTS = (
    "{A} but {B}",
    "{A}, but {B}",
    "{A} but {B}",
    "{A} and yet {B}",
    "{A}. still, {B}",
    "{A}. even so, {B}",
    "ok {A} but {B}",
    "I know {A}, but {B}",
    "though {A}, {B}",
    "even though {A}, {B}",
    "{B} even though {A}",
    "{B} even though {A}",
    "{B} though {A}",
    "{B}, although {A}",
    "{B} even if {A}",
    "{B}, never mind that {A}",
)
_SHRUGGING_JOINTS = ("so what if {A}, {B}", "who cares if {A}, {B}")
_VERY = "{|||||so |so |really |sooo }"
_LONGEST_TWEET, _SHORTEST_TWEET = 13, 6


def draw_tweets(label: str, contested: bool, count: int, dice: Dice, seen: set[str]) -> list[dict[str, Any]]:
    """Draw rows of one label, with or without competing words."""
    groups = [_tweet_templates(block, label, contested) for block in _tweet_blocks()]
    drawn = draw_sentences(groups, count, dice, _tweet, seen)
    return [text_row(label, sentence) for sentence in drawn]


@lru_cache(maxsize=1)
def _tweet_blocks() -> list[PhraseBlock]:
    """Read the topics."""
    return load_phrases("sentiment.txt")


def _tweet_templates(block: PhraseBlock, label: str, contested: bool) -> list[PhraseTemplate]:
    """Join the clauses of a topic in every way; whole tweets get about a third of the weight."""
    sign, other_sign = ("+", "-") if label == "positive" else ("-", "+")
    mains = block.tagged(sign)
    if contested:
        joints = list(_JOINTS)
        joints += _SHRUGGING_JOINTS if label == "positive" else ()
        joined = [
            joint.replace("{A}", side).replace("{B}", main)
            for joint in joints
            for side in block.tagged("a" + other_sign)
            for main in mains
        ]
        whole_tweets = block.tagged("x" + sign)
    else:
        joined = [
            start + joint + main
            for start in block.tagged("0")
            for joint in (" and ", ", ", ". ", " and ")
            for main in mains
        ]
        joined += [f"{main} {end}" for main in mains for end in block.tagged("t") * 3]
        whole_tweets = block.tagged("f" + sign)
    if joined and whole_tweets:
        whole_tweets = whole_tweets * max(1, len(joined) // (2 * len(whole_tweets)))
    tags = block.tagged("tag")
    phrases = [phrase.replace("%very ", _VERY) for phrase in joined + whole_tweets]
    return [PhraseTemplate(phrase + "\t" + (tags[0] if tags else ""), block.names) for phrase in phrases]


def _tweet(expanded: str, dice: Dice) -> str | None:
    """Dress a sentence as a tweet: case, apostrophes, a handle, a tag, an end; None if too short or long."""
    text, tag = (part.strip() for part in expanded.split("\t"))
    text = re.sub(r"(?<=[.!?] )([*~]*)(\w)", lambda match: match[1] + match[2].upper(), capitalised(text))
    if dice.chance(0.4):
        text = text.lower()
    if dice.chance(0.3):
        text = text.replace("'", "\u2019")
    if dice.chance(0.12):
        text = re.sub(r" and (?!yet)", " &amp; ", text, count=1)
    if dice.chance(0.12):
        text = dice.pick(_HANDLES) + " " + text
    if text.rstrip("*~")[-1].isalnum():
        text += dice.pick(("", "", "", "", "", ".", ".", ".", "!", "..."))
    if tag and dice.chance(0.14):
        text += " " + tag
    return text if _SHORTEST_TWEET <= len(text.split()) <= _LONGEST_TWEET else None


_HANDLES = (
    "@mossy_kettle",
    "@tinroofjo",
    "@pixelplum",
    "@northlane_al",
    "@oatcakes4tea",
    "@late_lark",
    "@figgyrolls",
    "@bluebin_bea",
    "@quietpanda77",
)
