"""Replies are read as the phrasebook says, and no reply whatever breaks the reader."""

from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from saywhy.protocol import styles
from saywhy.protocol.sentences import read_sentences
from saywhy.records import ALL_SETTINGS, ALL_STYLES, SENTENCE_STYLES, SETTINGS, STYLES, is_asked_in
from saywhy.words import REDACTED_MARK, candidates, fold, free_word_budget, occurrences, replace_words, take_out

PHRASEBOOK = yaml.safe_load((Path(__file__).parent / "phrasebook.yaml").read_text("utf-8"))
ENTRIES = [
    pytest.param({**entry, "setting": setting}, id=f"{number}-{entry['style'][:4]}-{setting}")
    for number, entry in enumerate(PHRASEBOOK)
    for setting in (SETTINGS if entry["setting"] == "any" else (entry["setting"],))
]
WORDS = st.sampled_from(["great!", "love", "Love", "it", "don\u2019t", ":(", "#tag", "@user", "&amp;", "so,", "bad"])
TEXTS = st.lists(WORDS, min_size=2, max_size=9).map(" ".join)


QUESTION = "Is the sentiment of the tweet positive or negative?"


def read(style, setting, text, reply, labels=("negative", "positive"), plan="direct", cut=False):
    if setting == "sentences":
        return read_sentences(style, text, reply, (*labels, QUESTION), cut=cut)
    return styles.read_reply(style, setting, text, reply, labels, plan, cut=cut)


@pytest.mark.parametrize("entry", ENTRIES)
def test_phrasebook(entry):
    labels = entry.get("labels", ("negative", "positive"))
    found = read(
        entry["style"],
        entry["setting"],
        entry["text"],
        entry["reply"],
        labels,
        entry.get("plan", "direct"),
        entry.get("cut", False),
    )
    expected = (entry.get("reason"), tuple(entry.get("words", ())), tuple(entry.get("inserted", ())))
    assert (found.reason, found.words, found.inserted) == expected
    assert found.denied == tuple(entry.get("denied", ()))
    if "edited" in entry:
        assert found.edited == entry["edited"]


def test_the_phrasebook_knows_every_reason_and_every_cell():
    assert {entry["reason"] for entry in PHRASEBOOK if "reason" in entry} == set(styles.INVALID_REASONS)
    cells = {(entry.values[0]["style"], entry.values[0]["setting"]) for entry in ENTRIES}
    assert cells == {
        (style, setting) for style in ALL_STYLES for setting in ALL_SETTINGS if is_asked_in(style, setting)
    }
    assert sum("source" in entry for entry in PHRASEBOOK) >= 30


@given(
    st.sampled_from(STYLES),
    st.sampled_from(SETTINGS),
    TEXTS,
    st.text() | TEXTS | st.text("\"*`'[]:.-\nlove it"),
)
def test_any_reply_is_valid_with_an_edited_text_or_invalid_with_a_reason(style, setting, text, reply):
    found = read(style, setting, text, reply)
    if found.valid:
        assert found.edited is not None
        assert found.edited != text
        assert max(len(found.words), len(found.inserted)) <= (1 if setting == "one-word" else free_word_budget(text))
        assert set(found.words) <= {word.key for word in candidates(text)}
    else:
        assert found.reason in styles.INVALID_REASONS
        assert (found.words, found.inserted, found.edited) == ((), (), None)


@given(
    st.sampled_from(SENTENCE_STYLES),
    TEXTS,
    st.text() | TEXTS | st.text("\"*`'[]{}:.-,\nlove it not") | TEXTS.map(lambda text: f"not because of {text}"),
    st.booleans(),
)
def test_any_reply_in_sentences_mentions_words_or_has_a_reason(style, text, reply, cut):
    result = read(style, "sentences", text, reply, cut=cut)
    assert (result.reason is None) == bool(result.words)
    assert result.reason in (None, *styles.INVALID_REASONS)
    assert not set(result.words) & set(result.denied)
    if result.valid:
        assert result.edited == take_out(text, result.words)
        assert style != "keywords" or len(result.words) <= free_word_budget(text)


@given(st.sampled_from(SENTENCE_STYLES), TEXTS, st.data())
def test_a_word_quoted_in_a_sentence_is_mentioned(style, text, data):
    word = data.draw(st.sampled_from(candidates(text)))
    for reply in (f'Because of "{word.core}".', f'1. It says "{word.core}".\n2. So the answer follows.'):
        result = read(style, "sentences", text, reply)
        if len(candidates(text)) > 2:
            assert result.words == (word.key,)


@given(TEXTS, st.data())
def test_a_word_named_or_redacted_is_read_back(text, data):
    word = data.draw(st.sampled_from(candidates(text)))
    assume(len(candidates(text)) > 1)
    for reply in (word.core, word.run, f'"{word.core}"', f'The word "{word.core}" decided my answer.'):
        assert read("attribution", "one-word", text, reply).words == (word.key,)
    edited = take_out(text, {word.key})
    for reply in (edited, f'"{edited}"', f"Here it is:\n{edited}", edited.replace(REDACTED_MARK, "[redacted]")):
        found = read("redaction", "one-word", text, reply)
        assert (found.words, found.edited) == ((word.key,), edited)


@given(TEXTS, st.data())
def test_a_swapped_word_is_read_back_in_both_settings(text, data):
    word = data.draw(st.sampled_from(candidates(text)))
    edited = replace_words(text, {word.key: "fine"})
    for setting in SETTINGS:
        found = read("counterfactual", setting, text, edited)
        assert (found.words, found.inserted, found.edited) == ((word.key,), ("fine",), edited)


def test_apply_takes_the_words_out_under_any_operator():
    read_one = read("redaction", "one-word", "I love it!", "I [REDACTED] it!")
    edits = [
        styles.apply_operator(read_one, "redaction", "I love it!", stand_in).edited
        for stand_in in (REDACTED_MARK, "", "something")
    ]
    assert edits == ["I [REDACTED] it!", "I it!", "I something it!"]


def test_apply_leaves_a_text_alone_whose_word_is_the_stand_in():
    named = read("attribution", "one-word", "do something now", "something")
    assert styles.apply_operator(named, "attribution", "do something now", "something").edited == "do something now"


def test_apply_leaves_counterfactuals_and_invalid_replies_alone():
    swap = read("counterfactual", "one-word", "I love it!", "I hate it!")
    assert styles.apply_operator(swap, "counterfactual", "I love it!", "") == swap
    invalid = read("attribution", "one-word", "I love it!", "joy")
    assert styles.apply_operator(invalid, "attribution", "I love it!", "") == invalid


def test_keys_of_a_reading_are_folded():
    found = read("attribution", "one-word", "I DON\u2019T", "don't")
    assert found.words == (fold("DON\u2019T"),) == (occurrences("I DON\u2019T")[1].key,)


@pytest.mark.parametrize(
    ("text", "rewrite"),
    [
        ("I cannot wait for the weekend", "I can't wait for the weekend"),
        ("i cant wait to go", "I can not wait to leave"),
        ("Cannot wait to go!", "I can't wait to leave!"),
        ("so tired, just can't sleep", "I cannot sleep, so tired"),
        ("I\u2019m not sure that it works", "I don't know whether it works"),
        ("I'm sorry that I missed it", "I am sorry to have missed it"),
        ("Unable to come tonight", "I can't come tonight"),
    ],
)
def test_a_text_that_speaks_like_a_refusal_is_rewritten(text, rewrite):
    assert styles.read_rewrite(text, rewrite).edited == rewrite


@pytest.mark.parametrize("text", ["I love the weekend", "They can't win on Sunday", "We are sorry to go"])
@pytest.mark.parametrize("reply", ["I'm sorry, but I can't help with that.", "I am unable to rewrite this."])
def test_other_texts_are_refused(text, reply):
    assert styles.read_rewrite(text, reply).reason == "refusal"
