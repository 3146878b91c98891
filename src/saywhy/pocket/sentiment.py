"""Tweets, negative or positive: clauses by topic, joined so that one word decides.

A topic has main clauses (`+`, `-`), side clauses that speak for the other label (`a+`, `a-`), neutral
beginnings (`0`) and endings (`t`), and whole tweets (`f+`, `f-`; with a competing word `x+`, `x-`).
"""

import re
from functools import lru_cache
from typing import Any

from saywhy.pocket.grammar import Block, Dice, Template, capitalised, fill, finish, load

LABELS = ("negative", "positive")

_JOINED = (
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
_SHRUGGED = ("so what if {A}, {B}", "who cares if {A}, {B}")
_VERY = "{|||||so |so |really |sooo }"
_LONGEST, _SHORTEST = 13, 6


def draw(label: str, contested: bool, count: int, dice: Dice, seen: set[str]) -> list[dict[str, Any]]:
    """Draw rows of one label, with or without competing words."""
    groups = [_templates(block, label, contested) for block in _blocks()]
    drawn = fill(groups, count, dice, _tweet, seen)
    return [_row(label, sentence) for sentence in drawn]


@lru_cache(maxsize=1)
def _blocks() -> list[Block]:
    """Read the topics."""
    return load("sentiment.txt")


def _templates(block: Block, label: str, contested: bool) -> list[Template]:
    """Join the clauses of a topic in every way; whole tweets get about a third of the weight."""
    own, other = ("+", "-") if label == "positive" else ("-", "+")
    mains = block.tagged(own)
    if contested:
        joints = list(_JOINED)
        joints += _SHRUGGED if label == "positive" else ()
        joined = [
            joint.replace("{A}", side).replace("{B}", main)
            for joint in joints
            for side in block.tagged("a" + other)
            for main in mains
        ]
        whole = block.tagged("x" + own)
    else:
        joined = [
            start + joint + main
            for start in block.tagged("0")
            for joint in (" and ", ", ", ". ", " and ")
            for main in mains
        ]
        joined += [f"{main} {end}" for main in mains for end in block.tagged("t") * 3]
        whole = block.tagged("f" + own)
    whole = whole * (max(1, len(joined) // (2 * len(whole))) if joined else 1) if whole else []
    tags = block.tagged("tag")
    phrases = [phrase.replace("%very ", _VERY) for phrase in joined + whole]
    return [Template(phrase + "\t" + (tags[0] if tags else ""), block.names) for phrase in phrases]


def _tweet(expanded: str, dice: Dice) -> str | None:
    """Dress a sentence as a tweet: case, apostrophes, a handle, a tag, an end; None if too short or long."""
    text, tag = (part.strip() for part in expanded.split("\t"))
    text = re.sub(r"(?<=[.!?] )([*~]*)(\w)", lambda found: found[1] + found[2].upper(), capitalised(text))
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
    return text if _SHORTEST <= len(text.split()) <= _LONGEST else None


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


def _row(label: str, sentence: str) -> dict[str, Any]:
    """Turn a marked tweet into a row."""
    done = finish(sentence)
    return {"text": done.text, "label": label, "causes": done.causes, "competing": done.competing}
