"""Pools of texts, words' associations, and what is made of them."""

import dataclasses
import json
import math

import pytest

from saywhy.config import Config
from saywhy.measure.edits import Item
from saywhy.records import STYLES, Example, Prediction, SaywhyError
from saywhy.tasks import lexicon
from saywhy.tasks.corpus import assemble_corpus, corpus_associations, pinned_of_corpus
from saywhy.tasks.parts import OwnPrompt
from saywhy.tasks.task import load_task
from saywhy.training import label_rows, targets
from saywhy.training import rows as training_rows
from saywhy.training.completions import completion
from saywhy.training.lessons import Lesson, Target
from saywhy.training.phrasing import pinned_phrasing
from saywhy.words import REDACTED_MARK, candidates, fold

PINNED = {"negative": ("awful", "sad"), "positive": ("great", "love")}


def item(text: str, label: str = "positive") -> Item:
    other = "negative" if label == "positive" else "positive"
    return Item(Example(text[:8], text), Prediction(label, label, {label: -0.1, other: -2.3}, 2.2, other))


def test_pools_are_disjoint_and_nested_at_every_size():
    small, large = (
        assemble_corpus(Config(rows=20 * k, adapt_rows=30 * k, train_rows=40 * k, calibration_rows=25 * k))
        for k in (1, 2)
    )
    for corpus in (small, large):
        pools = [{one.id for one in pool} for pool in (corpus.calibration, corpus.adapt, corpus.arms, corpus.audited)]
        assert sum(map(len, pools)) == len(set.union(*pools))
    for name in ("calibration", "adapt", "arms", "audited"):
        first, more = getattr(small, name), getattr(large, name)
        assert more[: len(first)] == first
        assert len(more) == 2 * len(first)


def test_associations_find_the_planted_words():
    texts = ["a grand day out", "a grand plan", "the grand hall", "a bleak day out", "the bleak plan", "a bleak hall"]
    found = lexicon.word_associations(texts, ["up"] * 3 + ["down"] * 3)
    assert max(found["up"], key=found["up"].get) == "grand"
    assert max(found["down"], key=found["down"].get) == "bleak"
    assert found["up"]["grand"] == pytest.approx(-found["down"]["grand"], abs=1e-9)
    assert lexicon.most_associated(found, "Bleak or grand?", "down") == "bleak"


def test_pinned_words_leave_label_words_rare_words_and_handles_out():
    texts = ["positive grand @pal1 day"] * 4 + ["bleak day now"] * 4 + ["superb"]
    labels = ["positive"] * 4 + ["negative"] * 4 + ["positive"]
    found = lexicon.word_associations(texts, labels)
    lists = lexicon.pinned_words_of_labels(found, texts, ["positive", "negative"], 9)
    assert lists["positive"][0] == "grand"
    assert not {"positive", "superb", "pal1"} & set(lists["positive"])


def test_pinned_words_may_be_of_a_script_with_vowel_signs():
    good, bad = "\u0905\u091a\u094d\u091b\u0940", "\u0916\u0930\u093e\u092c"
    texts = [f"{word} \u092b\u093f\u0932\u094d\u092e" for word in (good, bad) for _ in range(4)]
    associations = lexicon.word_associations(texts, ["up"] * 4 + ["down"] * 4)
    assert lexicon.pinned_words_of_labels(associations, texts, ["up", "down"], 1) == {"up": (good,), "down": (bad,)}


def test_the_lexicon_holds_no_text_that_is_audited():
    corpus = assemble_corpus(Config(split="train", rows=40, decide_rows=60))
    lexicon_ids = {example.id for example in corpus.lexicon}
    assert len(lexicon_ids) > 100
    assert not lexicon_ids & {example.id for example in (*corpus.audited, *corpus.decided)}


def test_too_few_texts_for_counterfactual_words_is_said():
    corpus = assemble_corpus(Config(lexicon_rows=2))
    with pytest.raises(SaywhyError, match="too few training texts"):
        pinned_of_corpus(corpus, corpus_associations(corpus, [one.label for one in corpus.lexicon]), 4)


def test_random_picks_hang_on_seed_and_text_alone():
    items = [item(f"word{i} and some more of it here") for i in range(30)]
    straight = targets.random_targets(items, PINNED, 3)
    assert targets.random_targets(items[::-1], PINNED, 3) == straight[::-1]
    assert targets.random_targets(items, PINNED, 4) != straight
    assert len({one["attribution"].words for one in straight}) > 4


@pytest.mark.parametrize("style", STYLES)
def test_a_completion_is_what_its_own_reader_accepts(style):
    from saywhy.protocol import styles

    text = "Great, the great match was cancelled :("
    pick = targets.Target(("great",), ("awful",) if style == "counterfactual" else ())
    said, spans = completion(text, style, pick)
    read = styles.read_reply(style, "one-word", text, said)
    assert read.valid
    assert read.words == ("great",)
    decided = [said[a:b] for a, b in spans]
    assert decided == {"attribution": ["Great"], "redaction": ["[", "["], "counterfactual": ["Awful", "awful"]}[
        style
    ] or (style == "counterfactual" and [fold(word) for word in decided] == ["awful", "awful"])


def test_free_picks_stay_within_the_budget():
    from saywhy.words import free_word_budget

    items = [item("one two three four five six seven eight nine ten eleven twelve")] * 3
    for picks in targets.random_targets(items, PINNED, 1, free=True):
        for pick in picks.values():
            assert 2 <= len(pick.words) <= free_word_budget(items[0].example.text)


def test_training_rows_hold_the_models_own_prediction_and_serialise():
    task, mine = load_task("sentiment140"), item("the view was grand today", "negative")
    picks = targets.random_targets([mine], PINNED, 0)
    rows = training_rows.text_rows(task, [mine], picks, STYLES, labels=["negative"])
    assert [row["style"] for row in rows] == ["label", *STYLES]
    assert rows[0]["completion"][0]["content"] == "The sentiment of the tweet is negative."
    assert all(row["prompt"][1]["content"].endswith("negative.") for row in rows[1:])
    assert REDACTED_MARK in rows[2]["completion"][0]["content"]
    assert json.loads(json.dumps(rows)) == rows


def test_an_anchor_holds_every_label_with_the_share_that_the_model_gives_it():
    task, mine = load_task("ag_news"), item("the view was grand today", "Business")
    shares = {"World": 0.2, "Sports": 0.004, "Business": 0.7, "Sci/Tech": 0.096}
    told = dataclasses.replace(mine.prediction, scores={label: math.log(share) for label, share in shares.items()})
    rows = label_rows.anchor_rows(task, [Item(mine.example, told)])
    assert [row["share"] for row in rows] == pytest.approx([0.2, 0.7, 0.096])
    for row, label in zip(rows, ("World", "Business", "Sci/Tech"), strict=True):
        [(start, stop)] = row["decision"]
        assert row["completion"][0]["content"][start:stop] == task.labels[label]


@pytest.mark.parametrize(
    ("labels", "answer", "decided"),
    [
        ({"a": "1", "b": "2", "c": "10"}, "{label}", ["1", "2", "10"]),
        ({"a": "1", "b": "2", "c": "10"}, "Rating: {label}!", ["1!", "2!", "10!"]),
        ({"a": "spam", "b": "ham"}, "Label: {label} (of spam and ham)", ["spam", "ham"]),
    ],
)
def test_the_decision_of_a_label_turn_is_its_label_wherever_else_that_stands(labels, answer, decided):
    own_prompt = OwnPrompt(question="Classify: {text}", answer=answer)
    task = load_task("sentiment140").model_copy(update={"labels": labels, "prompt": own_prompt})
    before = answer.partition("{label}")[0]
    for label, word in zip(labels, decided, strict=True):
        row = label_rows.decided_label_row(task, item("the view was grand today", label).example, label)
        [(start, stop)] = row["decision"]
        assert (start, row["completion"][0]["content"][start:stop]) == (len(before), word)


def test_a_row_of_words_that_stay_supervises_those_behind_the_deciding_one_only():
    task, mine = load_task("sentiment140"), item("the view was grand today, was it")
    picks = {
        "attribution": Target(("view",)),
        "redaction": Target(("view",)),
        "counterfactual": Target(("it",), ("sad",)),
    }
    [row] = training_rows.stay_rows(pinned_phrasing(task), [mine], [picks], STYLES, 0.5)
    assert row["style"] == "redaction"
    said = row["completion"][0]["content"]
    assert said == mine.example.text
    assert [said[start:].split()[0] for start, _ in row["decision"]] == ["was", "grand", "today,", "it"]


@pytest.mark.parametrize(
    ("told", "labels", "stays"),
    [
        ({}, 1, 0),
        ({"label_weight": 0}, 0, 0),
        ({"label_turn": "probabilities"}, 2, 0),
        ({"label_turn": "probabilities", "label_weight": 0}, 0, 0),
        ({"stay_weight": 0.2}, 1, 2),
        ({"stay_weight": 0.2, "train_styles": ("redaction",)}, 1, 1),
    ],
)
def test_an_arm_practises_what_its_settings_say(told, labels, stays):
    task, mine = load_task("sentiment140"), item("the view was grand today")
    picks = {
        "attribution": Target(("was",)),
        "redaction": Target(("was",)),
        "counterfactual": Target(("was",), ("sad",)),
    }
    rows = training_rows.arm_rows(Config(**told), task, [Lesson(mine, picks)], [Lesson(mine, picks)])
    assert sum(row["style"] == "label" for row in rows) == labels
    assert sum("copied" in row for row in rows) == stays
    assert {row["share"] for row in rows if "copied" in row} <= {0.2}


def test_lexical_names_the_associated_word_whatever_the_model_uses():
    found = {"positive": {"grand": 3.0, "view": 0.1}, "negative": {"was": 1.0}}
    [picks] = targets.lexical_targets([item("The view was grand")], found, PINNED, 0)
    assert {pick.words for pick in picks.values()} == {("grand",)}
    assert {word.key for word in candidates("The view was grand")} >= {"grand"}
