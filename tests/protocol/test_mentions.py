"""Which words of a text a sentence mentions, which it denies, and how much of it is the text's."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saywhy.measure.insertions import MODIFIERS
from saywhy.protocol.lemmas import UNCITED_WORDS
from saywhy.protocol.mentions import mentions
from saywhy.words import candidates

TEXT = "nice plot but slow and boring"


@pytest.mark.parametrize(
    ("text", "explanation", "words"),
    [
        (TEXT, "It is the slow and boring plot.", ("plot", "slow", "boring")),
        (TEXT, "SLOW!", ("slow",)),
        (TEXT, "slowly", ()),  # another word, not another form of it
        ("I loved these films", "They love the film.", ("loved", "films")),
        ("he hates and hated it", "Because he hated it.", ("hated",)),  # as it stands: that word alone
        ("he hates and hated it", "Because of hating.", ("hates", "hated")),
        ("mice ran", "The mouse was running.", ("mice", "ran")),
        ("Europe\u2019s banks fall", "Banks in Europe fell", ("europe's", "banks", "fall")),
        ("I don\u2019t like it", 'The word "do" decided.', ()),
        ("I don\u2019t like it", 'The word "don\'t" decided.', ("don't",)),
        ("a well-made film", "It is well made.", ("well-made",)),
        ("so well done", "It is well-made.", ()),
        ("they resent it", "It was re-sent.", ()),
        (TEXT, "slow/boring", ("slow", "boring")),
        ("stocks of AT&amp;T up 1,000", "AT&T went up by 1,000.", ("at&t", "1,000")),
        ("the U.S. won 24/7", "the U.S., 24/7", ("u.s", "24/7")),
        ("so late again :(", 'The ":(" decided.', (":(",)),
        ("so late \U0001f621", "Because of \U0001f621.", ("\U0001f621",)),
        (
            "\u092f\u0939 \u0905\u091a\u094d\u091b\u0940 \u0939\u0948",
            "\u0905\u091a\u094d\u091b\u0940",
            ("\u0905\u091a\u094d\u091b\u0940",),
        ),
        (TEXT, '"plot but slow" says it', ("plot", "but", "slow")),  # a citation is mentioned whole
        (TEXT, "the plot, but also so slow and", ("plot", "slow")),  # what every sentence is made of is no mention
        (TEXT, "The word but decided.", ("but",)),
        (TEXT, "1. but\n2. and", ("but", "and")),
        (TEXT, "Keywords: but, slow", ("but", "slow")),
        ("it is not good", "They say that it is not good.", ("not", "good")),
        ("1 of 2 days", "1. days\n2. sunny", ("days",)),  # the numbers of a list are nobody's words
        ("we use words", "The words that are used mean joy.", ()),
        ("i feel like a sad cat, make it stop", 'Words like "sad" make it so.', ("sad",)),
        ("i feel like a sad cat, make it stop", "It clearly gives a sad feeling.", ("sad",)),
        ("i feel like a sad cat, make it stop", "It makes the line feel sad.", ("sad",)),
        ("i feel like a sad cat, make it stop", "make, like, feel", ("feel", "like", "make")),  # cited
        ("i feel like a sad cat, make it stop", 'It has "feel like" and the word "make".', ("feel", "like", "make")),
        ("i feel like a sad cat", "The author is feeling sad.", ("feel", "sad")),  # what a person does is said
        ("you would not like it", "They'd not like it, like others.", ("not", "like")),
        ("the crowd liked it", "The crowd likes it", ("crowd", "liked")),
        ("it really contains rather good plots", "It really is good rather than bad, and contains joy.", ("good",)),
        ("in Old Tamsin today", "It is Tamsin's day.", ("tamsin",)),
        ("we are here", "Here's why", ()),
    ],
)
def test_words(text, explanation, words):
    assert mentions(text, explanation).words == words


@pytest.mark.parametrize(
    ("explanation", "words", "denied"),
    [
        ("not because of *but*", (), ("but",)),
        ("Not because of but, because of slow.", ("slow",), ("but",)),
        ('It is "slow", not "but".', ("slow",), ("but",)),
        ("It isn't because of 'but', 'and' or 'nice' but because of 'slow'.", ("slow",), ("nice", "but", "and")),
        ("It was boring rather than slow.", ("boring",), ("slow",)),
        ("The plot did not matter. The word boring did.", ("boring",), ("plot",)),
        ('"nice" and "plot" played no role.', (), ("nice", "plot")),
        ("The nice plot is irrelevant, but boring counts", ("nice", "boring"), ("plot",)),
        ("It has nothing to do with the plot", (), ("plot",)),
        ("It isn't nice", (), ("nice",)),
        ('not only because of "slow" but also "boring"', ("slow", "boring"), ()),
        ("Without boring I would not have said so.", ("boring",), ()),
        ("They do not care about the plot.", ("plot",), ()),
        ("I ignored 'nice' and looked at 'slow'.", ("slow",), ("nice",)),
        ("It does not matter that the plot is nice.", (), ("nice", "plot")),
        ("It is not that the plot is nice.", (), ("nice", "plot")),
        ("Neither 'nice' nor 'plot' matters; 'slow' does.", ("slow",), ("nice", "plot")),
        ("slow (not nice)", ("slow",), ("nice",)),
        ("If slow were not there, it would be another.", ("slow",), ()),
        ("not because of slow. No, it is because of slow", ("slow",), ()),  # once affirmed is affirmed
        # what is not so because of a word has that word as its cause
        ('The tweet is not positive because of "slow" and "boring".', ("slow", "boring"), ()),
        ("It isn't a good film because it is slow.", ("slow",), ()),
        ("The viewer will not come due to the boring plot.", ("plot", "boring"), ()),
        ('They do not recommend it, based on "boring".', ("boring",), ()),
        ('It is not praised for the words "slow" and "boring".', ("slow", "boring"), ()),
        ("It is not really because of slow", (), ("slow",)),
        ('It is not mainly due to "slow" and "boring".', (), ("slow", "boring")),
        ("not purely because of slow", ("slow",), ()),
        ("It was not decided by nice.", (), ("nice",)),
        ("It is not the word nice but slow.", ("slow",), ("nice",)),
        # what is put aside ends where a clause begins
        ("Rather than nice it has slow scenes", ("slow",), ("nice",)),
        ("Rather than nice, slow scenes are shown.", ("slow",), ("nice",)),
        ("Rather than nice the slow tone decides", ("slow",), ("nice",)),
        ("Instead of a nice plot they got boring scenes", ("boring",), ("nice", "plot")),
        ("Rather than nice, plot or slow, it is boring.", ("boring",), ("nice", "plot", "slow")),
        ("Not because of nice the word slow decided", ("slow",), ("nice",)),
        ("Regardless of how nice the plot is", (), ("nice", "plot")),
        ("It is boring rather than because of the slow plot", ("boring",), ("plot", "slow")),
    ],
)
def test_what_is_denied_is_kept_apart(explanation, words, denied):
    result = mentions(TEXT, explanation)
    assert (result.words, result.denied) == (words, denied)


@pytest.mark.parametrize(
    ("text", "explanation", "words", "denied"),
    [
        ("I do not like the plot", "They do not like the plot", ("not", "like", "plot"), ()),
        ("I don't like the plot", "They don't like it", ("don't", "like"), ()),
        ("i don\u2019t like the weather", "The author does not like the weather.", ("like", "weather"), ()),
        ("my phone isn't working", "The phone is not working", ("phone", "working"), ()),
        (
            "the phone works? never",
            "The phone does not work",
            ("phone",),
            ("works",),
        ),  # negated in no clause of the text
        ("dont like this", "They do not like it", ("like",), ()),
        ("i cannot sleep", "The user is not sleeping.", ("sleep",), ()),
        ("never been so happy", "They are not 'happy'", ("happy",), ()),
        ("it was not a very good film", "The film isn't 'good'.", ("good", "film"), ()),
        ("the train is never on time", "The train is not on time.", ("train", "time"), ()),
        ("the price didn't change", "The price did not change.", ("price", "change"), ()),
        ("nothing works", "It does not work.", ("works",), ()),
        ("no, a good film", "It is not good", (), ("good",)),
        ("this is not good", "It is not because of 'good'.", (), ("good",)),  # of which the text says nothing
        ("this is not good", "It is not the word 'good'", (), ("good",)),
        ("not good weather", "The weather did not count and good did.", ("good",), ("weather",)),
    ],
)
def test_a_negation_of_the_text_denies_nothing(text, explanation, words, denied):
    result = mentions(text, explanation)
    assert (result.words, result.denied) == (words, denied)


def test_a_quotation_cites_its_words_around_those_of_the_question():
    question = ("Is the sentiment of the tweet positive?",)
    result = mentions("my sofa is so old", 'The tweet says "my sofa is so old".', question)
    assert result.words == ("my", "sofa", "so", "old")


def test_label_words_and_words_of_the_question_never_count():
    question = ("Is the sentiment of the tweet positive or negative?", "Positive")
    result = mentions("a positive tweet with tweets", 'The "tweet" is "positive", it has "tweets".', question)
    assert result.words == ("tweets",)
    assert mentions("positive tweet", "positive tweet", question) == mentions("", "", ())


@pytest.mark.parametrize(
    ("explanation", "coverage"),
    [("slow and boring", 1.0), ("slow, slow and dull", 0.5), ("It drags on", 0.0), ("", 0.0), ("It is so.", 0.0)],
)
def test_coverage_is_the_share_of_content_words_that_are_the_texts(explanation, coverage):
    assert mentions(TEXT, explanation).coverage == coverage


@pytest.mark.parametrize(
    "text",
    [
        "qwzx vbnm",
        "\U0001f600 \U0001f621",
        "\u7535\u5f71 \u771f",
        "\u0e14\u0e35 \u0e21\u0e32\u0e01",
        "a \ud83d b",
        "\u200b",
        "a",
        "",
    ],
)
def test_a_text_of_words_that_no_lemmatiser_knows_is_mentioned_as_it_stands(text):
    keys = tuple(word.key for word in candidates(text))
    assert mentions(text, "\n".join(keys)).words == keys
    assert mentions(text, "nothing of it").words == ()


WORDS = st.sampled_from(["love", "loved", "not", "don't", ":(", "well-made", "AT&T", "but", "the", "\U0001f621", "'"])


@given(st.lists(WORDS, max_size=8).map(" ".join), st.text() | st.lists(WORDS, max_size=9).map(" ".join))
def test_any_explanation_mentions_words_of_the_text_in_its_order(text, explanation):
    keys = [word.key for word in candidates(text)]
    result = mentions(text, explanation)
    assert not set(result.words) & set(result.denied)
    for part in (result.words, result.denied):
        assert list(part) == [key for key in keys if key in part]
    assert 0 <= result.coverage <= 1


CONTENT = st.sampled_from(
    [
        "plot",
        "boring",
        "rainy",
        "Tamsin",
        "well-made",
        "AT&T",
        "1,000",
        "caf\u00e9",
        "loved",
        "\u0434\u0435\u043d\u044c",
        ":(",
    ]
)
FEW = settings(max_examples=60, deadline=None)


@FEW
@given(st.lists(CONTENT, min_size=1, max_size=6, unique=True), st.sets(st.integers(0, 5)), st.data())
def test_case_quotes_and_punctuation_change_no_mention(words, places, data):
    text = " ".join(words)
    mentioned = [word for at, word in enumerate(words) if at in places]
    keys = [word.key for word in candidates(text)]
    expected = tuple(key for key, word in zip(keys, words, strict=True) if word in mentioned)

    def dressed(word):
        opens, closes = data.draw(
            st.sampled_from(
                ['""', "''", "\u201c\u201d", "\u2018\u2019", "()", "**", "\u00ab\u00bb", ("", ","), ("", ".")]
            )
        )
        return opens + data.draw(st.sampled_from([str, str.upper, str.lower, str.title]))(word) + closes

    explanation = "Because: " + " ".join(dressed(word) for word in mentioned)
    assert mentions(text, explanation).words == expected


INFLECTED = [
    ("boat", "boats"),
    ("city", "cities"),
    ("mouse", "mice"),
    ("child", "children"),
    ("knife", "knives"),
    ("box", "boxes"),
    ("tomato", "tomatoes"),
    ("woman", "women"),
    ("day", "days"),
    ("film", "films"),
    ("bus", "buses"),
    ("party", "parties"),
]


@pytest.mark.parametrize(("singular", "plural"), INFLECTED)
def test_plurals_and_singulars_mention_each_other(singular, plural):
    for text, other in ((singular, plural), (plural, singular)):
        for shown in (other, other.upper(), f"\u201c{other}\u201d", f"{other},", f"{other}'s"):
            assert mentions(f"old {text} near", f"It is the {shown} that counts").words == (text,), shown
    both = f"the {singular} and the {plural}"
    assert mentions(both, f"Because of {plural}.").words == (plural,)  # letter by letter: that one alone
    assert mentions(both, f"Because of {singular}.").words == (singular,)


@FEW
@given(
    st.lists(st.sampled_from(["well", "made", "time", "worn", "rain"]), min_size=2, max_size=3, unique=True),
    st.sampled_from(["-", "/", ".", "&"]),
)
def test_the_longest_word_is_mentioned_not_its_parts(parts, mark):
    compound = mark.join(parts)
    text = " ".join([*parts, "near", compound])
    keys = [word.key for word in candidates(text)]
    assert keys[-1] == compound
    assert mentions(text, f"Because of {compound}.").words == (compound,)
    assert mentions(text, f"Because of {parts[0]}.").words == (parts[0],)
    assert mentions(text, f"Because of {parts[0]}, and {compound}.").words == (parts[0], compound)


@FEW
@given(
    st.lists(st.sampled_from(["positive", "Negative", "sports", "plot", "tweet", "rain"]), max_size=6),
    st.lists(
        st.sampled_from(["positive", "NEGATIVE", "\u201cSports\u201d", "plot", "tweet.", "not", "rain,"]), max_size=8
    ),
)
def test_label_words_never_count_however_they_are_written(words, reply_words):
    excluded = ("positive", "negative", "Sports", "Is the tweet positive?")
    result = mentions(" ".join(words), " ".join(reply_words), excluded)
    assert {*result.words, *result.denied} <= {"plot", "rain"}
    assert result.coverage <= 1


def test_ten_thousand_words_are_read():
    text = " ".join(f"w{number % 700}" for number in range(10_000))
    assert len(mentions(text, text).words) == 700


def test_no_inserted_modifier_is_a_word_of_explaining():
    assert not set(MODIFIERS) & UNCITED_WORDS
