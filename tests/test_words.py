"""Words by offsets: what is one, which are equal, and what taking one out leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhy.words import (
    CANDIDATES_RULE,
    REDACTED_MARK,
    candidates,
    candidates_rule,
    fold,
    free_word_budget,
    is_bare_punctuation,
    lacks_blanks,
    match_case,
    most_frequent_candidate,
    occurrences,
    replace_words,
    take_out,
)

TEXTS = st.text(st.sampled_from("aB1\u00e9\u2019'\"\u201c!?:(@#&;., \n\t$-") | st.characters(), max_size=40)
BARE_RUNS = """
. , ; : - -- --- ... .. ' '' " `` ` ( ) [ ] () / \\ | || _ ____ ~ ^ * > << --> //
". ", "), ). ...\\ //-- (...) :- :: \\/ \u2026 \u2013 \u2014 \u2022 [\u2026]
\u3002 \u3001 \uff0c \uff0e \u300c \u300d \u00ab \u00bb \u060c \u061b \u06d4 \u0964 \u201e \u201d
\uff08 \u30fb \u00b4 \u00a8 &quot; &#39; &#8230; &nbsp; &mdash; &lt; \u200b \ufeff \ufe0f
"""
MEANT_RUNS = """
! ? !! ?! !!! ?. !). (?!) ?!" \u203d \u00bf \u00a1 \uff01 \uff1f \u061f \u203c \u2047
:) :( :-) :-( ;) ;-) :/ :-/ :| :] :[ :* :\\ :'( :') :,( =) =( =] =/ >:( (: ): (; )': (-: :)) ;)) :*(... :-):-)
<3 :D =D XD :P T_T ^^ ^_^ -_- -.- *_* *-* ;_; >_< >.< >_> ._. @.@
\uff3e\uff3e (\u30fb_\u30fb) (\u00b4\u30fb\u03c9\u30fb)
\u2665 \u266b \u2605\u2605\u2605 \u263a \u2639\ufe0f \U0001f600 \U0001f44d\U0001f3fd \u2764\ufe0f \u00a9 ** ****
& &amp; && @ # % $ $$ + = \u20ac \u00b0 \uff06 <#>
"""
EXPLAINABLE = TEXTS.filter(candidates)
BARE = st.text("., ;:-\u2014\u2026()[]\"'`\u3002\u00ab\u060c\u200b", max_size=12).filter(
    lambda text: all(is_bare_punctuation(word.key) for word in occurrences(text))
)


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
        ("\u0915\u0940,", "", "\u0915\u0940", ",", "\u0915\u0940"),  # a letter with a vowel sign
        ("\u0e14\u0e35", "", "\u0e14\u0e35", "", "\u0e14\u0e35"),
        ("co\u00adop", "", "co\u00adop", "", "coop"),
        ("\uff47\uff52\uff45\uff41\uff54\uff01", "", "\uff47\uff52\uff45\uff41\uff54", "\uff01", "great"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "",
            "\u0645\u06cc\u062e\u0648\u0627\u0647\u0645",
        ),
        ("([redacted]!", "(", "[redacted]", "!", "[redacted]"),
        ("[REDACTED]'s", "", "[REDACTED]'s", "", "[redacted]'s"),
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


@pytest.mark.parametrize("run", BARE_RUNS.split())
def test_bare_punctuation_is_no_candidate(run):
    assert [word.core for word in candidates(f"so {run} good")] == ["so", "good"]
    assert [word.core for word in occurrences(f"so {run} good")] == ["so", run, "good"]
    assert candidates(f"so {run} good", rule=1) == list(occurrences(f"so {run} good"))


@pytest.mark.parametrize("run", MEANT_RUNS.split())
def test_emoticons_and_signs_with_a_meaning_of_their_own_are_candidates(run):
    words = candidates(f"so {run} good")
    assert [word.run for word in words] == ["so", run, "good"]
    assert words == candidates(f"so {run} good", rule=1)


@given(TEXTS)
def test_candidates_are_words_of_the_text_and_all_of_them_but_for_bare_punctuation(text):
    words, all_words = candidates(text), occurrences(text)
    assert set(words) <= set(all_words)
    assert len({word.key for word in words}) == len(words)
    left = {word.key for word in all_words} - {word.key for word in words}
    assert not any(char.isalnum() for key in left for char in key)
    assert [word for word in candidates(text, rule=1) if word.key not in left] == words


@given(st.lists(st.from_regex(r"[a-z\u00e9\u03c9]{1,8}[.,!?]?", fullmatch=True), max_size=12))
def test_a_text_of_words_only_has_the_candidates_that_it_always_had(words):
    text = " ".join(words)
    assert candidates(text) == candidates(text, rule=1)


@given(st.lists(st.sampled_from(["so", "good", ":(", "!", "&"]), min_size=1, max_size=6), BARE, BARE)
def test_bare_punctuation_between_words_changes_neither_candidates_nor_budget(words, mark, other):
    plain, punctuated = " ".join(words), f" {mark} ".join(words) + f" {other}"
    assert [word.key for word in candidates(punctuated)] == [word.key for word in candidates(plain)]
    assert free_word_budget(punctuated) == free_word_budget(plain)


@given(BARE)
def test_a_text_of_nothing_but_punctuation_has_no_candidates(text):
    assert candidates(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "\u0930\u093e\u092e \u0915\u0940 \u0915\u093f\u0924\u093e\u092c \u0915\u093e \u0930\u0902\u0917",
        "\u09ad\u09be\u09b2\u09cb \u09ad\u09be\u09b2 \u09ad\u09be\u09b2\u09be",  # Bengali
        "\u0ba8\u0bb2\u0bcd\u0bb2 \u0baa\u0b9f\u0bae\u0bbe \u0baa\u0b9f\u0bae\u0bcd",  # Tamil
        "\u1019\u103c\u1014\u103a\u1019\u102c \u1019\u103c\u1014\u103a\u1019",  # Burmese
        "\u0e14\u0e35 \u0e21\u0e35 \u0e19\u0e49\u0e33 \u0e14\u0e39",  # Thai, with blanks
        "\u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd \u05e9\u05c2\u05b8\u05dc\u05d5\u05b9\u05dd",  # pointed Hebrew
    ],
)
def test_vowel_signs_belong_to_their_words(text):
    assert [word.key for word in candidates(text)] == [fold(run) for run in text.split()]
    for word in candidates(text):
        assert take_out(text, {word.key}).split() == [
            REDACTED_MARK if run == word.core else run for run in text.split()
        ]


@pytest.mark.parametrize(
    ("text", "is_undivided"),
    [
        ("\u8fd9\u90e8\u7535\u5f71\u771f\u7684\u975e\u5e38\u597d\u770b\u3002", True),
        ("\u3053\u306e\u30b3\u30f3\u30d4\u30e5\u30fc\u30bf\u30fc\u306f\u6700\u9ad8", True),
        (
            "\u0e2b\u0e19\u0e31\u0e07\u0e40\u0e23\u0e37\u0e48\u0e2d\u0e07\u0e19\u0e35\u0e49\u0e2a\u0e19\u0e38\u0e01\u0e21\u0e32\u0e01\u0e08\u0e23\u0e34\u0e07",
            True,
        ),
        ("\u8fd9 \u90e8 \u7535\u5f71 \u771f\u7684 \u597d\u770b", False),
        ("\u30b3\u30f3\u30d4\u30e5\u30fc\u30bf\u30fc\u30d7\u30ed\u30b0\u30e9\u30e0", False),
        ("the sign said \u8fd9\u90e8\u7535\u5f71\u771f\u7684\u975e\u5e38\u597d\u770b and nothing else at all", False),
        ("so late again", False),
        ("", False),
    ],
)
def test_a_text_without_blanks_between_its_words_is_known(text, is_undivided):
    assert lacks_blanks(text) == is_undivided


def test_a_mark_in_the_text_is_no_candidate_and_stays():
    text = "It was redacted: [REDACTED] and [redacted]'s"
    assert [word.key for word in candidates(text)] == ["it", "was", "redacted", "and"]
    assert [word.key for word in candidates(text, rule=2)] == [
        "it",
        "was",
        "redacted",
        "[redacted]",
        "and",
        "[redacted]'s",
    ]
    assert take_out(text, {"redacted"}) == "It was [REDACTED]: [REDACTED] and [redacted]'s"


def test_the_most_frequent_candidate_is_told_with_its_count():
    assert most_frequent_candidate("so . . . good, so GOOD good") == ("good", 3)
    assert most_frequent_candidate("so good") == ("so", 1)


def test_a_folder_without_an_entry_was_made_by_the_first_rule():
    assert candidates_rule({}) == 1
    assert candidates_rule({"candidates_rule": CANDIDATES_RULE}) == CANDIDATES_RULE


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


@given(EXPLAINABLE, st.sampled_from([REDACTED_MARK, "zzz"]), st.data())
def test_taking_out_leaves_all_other_words_and_all_edges(text, stand_in, data):
    keys = {word.key for word in data.draw(st.lists(st.sampled_from(candidates(text)), min_size=1))}
    if fold(stand_in) in keys:
        return
    edited = take_out(text, keys, stand_in)
    expected = [word.lead + stand_in + word.trail if word.key in keys else word.run for word in occurrences(text)]
    assert edited.split() == expected
    assert edited != text


@given(EXPLAINABLE, st.data())
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
