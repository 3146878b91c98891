"""Words by offsets: what is one, which are equal, and what taking one out leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhy.words import (
    REDACTED_MARK,
    candidates,
    fold,
    free_word_budget,
    match_case,
    occurrences,
    replace_words,
    take_out,
)

TEXTS = st.text(st.sampled_from("aB1\u00e9\u2019'\"\u201c!?:(@#&;., \n\t$-") | st.characters(), max_size=40)


@pytest.mark.parametrize(
    ("run", "lead", "core", "trail", "key"),
    [
        ("great!", "", "great", "!", "great"),
        ("@User", "@", "User", "", "user"),
        ("#tag,", "#", "tag", ",", "tag"),
        (":(", "", ":(", "", ":("),
        ("?!", "", "?!", "", "?!"),
        ("don\u2019t", "", "don\u2019t", "", "don't"),
        ("\u201cWow\u201d", "\u201c", "Wow", "\u201d", "wow"),
        ("(24/7)...", "(", "24/7", ")...", "24/7"),
        ("&amp;", "", "&amp;", "", "&"),
        ("&quot;Wow&quot;", "&quot;", "Wow", "&quot;", "wow"),
        ("it&#39;s", "", "it&#39;s", "", "it's"),
        ("Europe#39;s", "", "Europe#39;s", "", "europe's"),
        ("#39;s", "#39;", "s", "", "s"),
        ("quot;Wow", "quot;", "Wow", "", "wow"),
        ("AT&amp;T", "", "AT&amp;T", "", "at&t"),
        ("#2;", "#", "2", ";", "2"),
        ("R&B", "", "R&B", "", "r&b"),
        ("STRASSE", "", "STRASSE", "", "strasse"),
        ("cafe\u0301!", "", "cafe\u0301", "!", "caf\u00e9"),
    ],
)
def test_a_run_has_a_core_and_edges(run, lead, core, trail, key):
    [word] = occurrences(run)
    assert (word.lead, word.core, word.trail, word.key) == (lead, core, trail, key)


@given(TEXTS)
def test_occurrences_are_the_runs_of_the_text_at_their_offsets(text):
    words = occurrences(text)
    assert [word.run for word in words] == text.split()
    for word in words:
        assert text[word.start : word.start + len(word.run)] == word.run
        assert text[word.core_start : word.core_end] == word.core != ""
        assert word.lead + word.core + word.trail == word.run
        assert word.key == fold(word.core)


def test_candidates_are_the_distinct_words_in_order():
    found = candidates("Great day, great DAY! don't Don\u2019t :( :(")
    assert [word.core for word in found] == ["Great", "day", "don't", ":("]


@pytest.mark.parametrize(
    ("text", "key", "stand_in", "edited"),
    [
        ("So great! Great, #great", "great", REDACTED_MARK, "So [REDACTED]! [REDACTED], #[REDACTED]"),
        ("thanks @user :(", "user", REDACTED_MARK, "thanks @[REDACTED] :("),
        ("thanks @user :(", ":(", REDACTED_MARK, "thanks @user [REDACTED]"),
        ("Tom &amp; Bob", "&", REDACTED_MARK, "Tom [REDACTED] Bob"),
        ("banks #39;s fall", "s", REDACTED_MARK, "banks #39;[REDACTED] fall"),
        ("a  great\tday", "great", "", "a  day"),
        ("a great! day", "great", "", "a ! day"),
        ("great day", "great", "", "day"),
        ("day great", "great", "", "day"),
        ("great, day", "great", "something", "something, day"),
    ],
)
def test_taking_a_word_out(text, key, stand_in, edited):
    assert take_out(text, {key}, stand_in) == edited


@given(TEXTS.filter(str.strip), st.sampled_from([REDACTED_MARK, "zzz"]), st.data())
def test_taking_out_leaves_all_other_words_and_all_edges(text, stand_in, data):
    keys = {word.key for word in data.draw(st.lists(st.sampled_from(candidates(text)), min_size=1))}
    if fold(stand_in) in keys:
        return
    edited = take_out(text, keys, stand_in)
    expected = [word.lead + stand_in + word.trail if word.key in keys else word.run for word in occurrences(text)]
    assert edited.split() == expected
    assert edited != text


@given(TEXTS.filter(str.strip), st.data())
def test_deleting_keeps_the_other_runs(text, data):
    word = data.draw(st.sampled_from(candidates(text)))
    left = [w.lead + w.trail if w.key == word.key else w.run for w in occurrences(text)]
    assert take_out(text, {word.key}, "").split() == [run for run in left if run]


@pytest.mark.parametrize("stand_in", ["something", "Something", "it’s"])
def test_a_word_that_is_the_stand_in_stays_as_it_is(stand_in):
    text = "Something or it's nothing"
    mine = fold(stand_in)
    assert take_out(text, {mine}, stand_in) == take_out(text, {}, stand_in) == text
    assert take_out(text, {mine, "or"}, stand_in) == text.replace("or", stand_in)


def test_an_edit_that_changes_nothing_is_an_error():
    with pytest.raises(ValueError, match="unchanged"):
        replace_words("do something", {"something": "something"})
    with pytest.raises(ValueError, match=r"not words of the text: \['joy'\]"):
        take_out("I love it", {"joy"})


def test_several_words_are_replaced_at_once():
    assert replace_words("Good day, bad day", {"good": "bad", "bad": "good"}) == "bad day, good day"


@given(TEXTS)
def test_folding_twice_is_folding_once_but_for_entities(text):
    plain = text.replace("&", "").replace("#", "").replace(";", "")
    assert fold(fold(plain)) == fold(plain)


@pytest.mark.parametrize(
    ("new", "old", "cased"), [("awful", "Great", "Awful"), ("awful", "great", "awful"), ("", "A", "")]
)
def test_a_replacement_takes_the_capital(new, old, cased):
    assert match_case(new, old) == cased


@pytest.mark.parametrize(("words", "most"), [(2, 2), (9, 2), (10, 3), (40, 12)])
def test_a_free_explanation_takes_two_words_or_thirty_percent(words, most):
    assert free_word_budget(" ".join(f"w{i}" for i in range(words))) == most
