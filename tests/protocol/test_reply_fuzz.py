"""Replies that nobody wrote: put together by chance from what replies are made of, and very long ones."""

import random
from collections import Counter

import pytest

from saywhy.protocol import styles
from saywhy.records import SETTINGS, STYLES
from saywhy.words import (
    REDACTED_MARK,
    candidates,
    fold,
    free_word_budget,
    is_candidate,
    occurrences,
    replace_words,
    take_out,
)

LABELS = ("negative", "positive")
WORDS = [
    *("great!", "love", "Love", "it", "don\u2019t", ":(", "#tag", "@user", "&amp;", "so,", "bad", "1,000", "either/or"),
    *(
        "(Reuters)",
        "not",
        "word",
        "answer",
        "*",
        "[REDACTED]",
        "[redacted]",
        "and",
        "\u0915\u0940",
        "co\u00adop",
        "...",
    ),
    *("caf\u00e9", "$5", "24/7", "\U0001f600", "<think>", "AT&amp;T", "#39;s", "``", "negative"),
]
DRESS = (
    *("<think>", "</think>", "[THINK]", "[/THINK]", "```", "```text\n", "**", "*", "`", '"', "'", "\u201c", "\u201d"),
    *("- ", "1. ", ": ", ", ", "; ", " and ", "\n", "\n\n", " (", ")", ".", " because ", " but ", " not ", "  "),
    *("The word is ", "The words that decided are ", "Answer: ", "Here is the text: ", "I'm sorry, ", "negative"),
    *(REDACTED_MARK, "[redacted]", "[ redacted ]", "\u200b", "\u0301", "\ud83d", "&#39;", "\x1b[31m", "|"),
)
PIECES = (
    *(word + " " for word in ("word", "answer", "*a", '"a"', "'a", "`a`", "a,", "a:", "(a)", "not", "is", "&#39;")),
    "a\n",
    "- a\n",
    "<think>",
    "**a",
    "a and ",
    "the word is ",
    "[ redacted ",
    '"',
    "\u0301",
    "a.\n",
    ": ",
    " ",
    "[REDACTED] ",
)


def reply_by_chance(dice, text):
    """Return a few pieces in a row: dress, words of the text, others, whole copies with an edit."""
    words = candidates(text)

    def piece():
        kind = dice.random()
        if kind < 0.45:
            return dice.choice(DRESS)
        if kind < 0.65 or not words:
            return dice.choice((text, *WORDS))
        word = dice.choice(words)
        if kind < 0.8:
            return word.core
        return (
            take_out(text, {word.key})
            if kind < 0.9
            else replace_words(text, {word.key: dice.choice(("fine", "x-y", "Negative"))})
        )

    return "".join(piece() + dice.choice(("", "", " ")) for _ in range(dice.randint(1, 6)))


@pytest.mark.parametrize("count", [400, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_reply_is_read_outside_its_text(count):
    dice, outcomes = random.Random(19), Counter()
    for _ in range(count):
        text = " ".join(dice.choices(WORDS, k=dice.randint(2, 9)))
        if len(candidates(text)) < 2:
            continue
        reply, style, setting = reply_by_chance(dice, text), dice.choice(STYLES), dice.choice(SETTINGS)
        plan, cut = dice.choice(("direct", "named-first")), dice.random() < 0.1
        explanation = styles.read_reply(style, setting, text, reply, LABELS, plan, cut=cut)
        outcomes[explanation.reason] += 1
        if not explanation.valid:
            assert explanation.reason in styles.INVALID_REASONS
            continue
        keys = set(explanation.words)
        assert keys <= {word.key for word in candidates(text)}, (text, reply)
        assert max(len(keys), len(explanation.inserted)) <= (1 if setting == "one-word" else free_word_budget(text))
        if style != "counterfactual":
            assert explanation.edited == take_out(text, keys), (text, reply)
            continue
        before, after = (Counter(word.key for word in occurrences(side)) for side in (text, explanation.edited))
        assert set(before - after) <= keys | {key for key in before if not is_candidate(key)}, (text, reply)
        assert {key for key in after - before if any(map(str.isalnum, key))} <= set(explanation.inserted), (text, reply)
        assert not set(explanation.inserted) & {fold(label) for label in LABELS}
    assert outcomes[None] > count / 25, "hardly any reply was valid, so hardly anything was looked at"
    assert len(outcomes) > 10


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("text", ["I love it so much and a word", None], ids=["short", "alike"])
def test_a_reply_of_ten_thousand_characters_is_read(piece, text):
    text = text or piece * (5000 // len(piece)) + " love it"
    reply = piece * (10_000 // len(piece))
    for style in STYLES:
        for setting in SETTINGS:
            assert styles.read_reply(style, setting, text, reply, LABELS).reason in (None, *styles.INVALID_REASONS)


@pytest.mark.parametrize("words", [900, 3000])
def test_a_redaction_of_a_long_text_is_read(words):
    text = " ".join(f"w{i}" for i in range(words))
    for key in ("w0", "w450", f"w{words - 1}"):
        assert styles.read_reply("redaction", "one-word", text, take_out(text, {key})).words == (key,)
    every_third = take_out(text, {f"w{i}" for i in range(0, words, 3)})
    assert styles.read_reply("redaction", "free", text, every_third).reason == "over budget"
    assert styles.read_reply("redaction", "free", text, f"{every_third} x").reason == "text changed outside [REDACTED]"
