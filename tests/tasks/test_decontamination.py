"""Near-duplicates of texts that are tested on are not practised; what is refused where texts are too few."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhy.config import Config
from saywhy.records import Example, SaywhyError
from saywhy.tasks.corpus import assemble_corpus, refuse_fewer
from saywhy.tasks.decontamination import without_near_duplicates
from saywhy.tasks.task import load_task
from saywhy.training.label_rows import refuse_anchor

TESTED = [Example("t", "The waiter dropped our soup and never said sorry", {"city": "Eastvale"})]


@pytest.mark.parametrize(
    ("text", "city", "kept"),
    [
        ("The waiter dropped our soup and never said sorry", "Eastvale", False),
        ("THE WAITER dropped our soup and never said sorry!", "Eastvale", False),
        ("The waiter dropped our soup and never said so", "Eastvale", False),
        ("The waiter dropped our soup and never said sorry", "A town of quite another name, far away", True),
        ("The driver dropped us at sea and never came back", "Eastvale", True),
        ("", "", True),
    ],
)
def test_what_is_nearly_a_text_that_is_tested_on_is_left_out(text, city, kept):
    training = [Example("a", "another text altogether"), Example("b", text, {"city": city})]
    assert (training[1] in without_near_duplicates(training, TESTED, 0.9)) == kept
    assert training[0] in without_near_duplicates(training, TESTED, 0.9)


@given(st.lists(st.text(max_size=30), max_size=8), st.floats(0.5, 1.0))
def test_a_text_is_a_duplicate_of_itself_and_the_order_stays(texts, similarity):
    examples = [Example(str(number), f"x{text}") for number, text in enumerate(texts)]
    assert without_near_duplicates(examples, examples, similarity) == ()
    assert without_near_duplicates(examples, (), similarity) == tuple(examples)
    kept = without_near_duplicates(examples, examples[:1], similarity)
    assert list(kept) == [example for example in examples if example in kept]


def texts_of(rows):
    return [{"text": text, "label": label} for text, label in rows]


@pytest.fixture
def folder(jsonl):
    practised = [(f"a {word} day number {number} at sea", "positive") for number, word in enumerate("abcdefghij" * 20)]
    tested = [(f"a {word} day number {number} at sea", "positive") for number, word in enumerate("abcde")]
    jsonl(texts_of(tested), "test.jsonl")
    jsonl(texts_of([(f"{text} so we said", label) for text, label in practised]), "train.jsonl")
    return jsonl(texts_of([*practised, ("nothing at all like the others here", "negative")]), "train.jsonl").parent


def test_a_run_leaves_them_out_and_says_how_many(folder, capsys):
    settings = {"data": str(folder), "task": "sentiment140", "rows": 5, "train_rows": None, "decide_rows": 5}
    everything = assemble_corpus(Config(**settings))
    cleaned = assemble_corpus(Config(**settings, decontaminate=0.9))
    assert len(cleaned.arms) < len(everything.arms)
    assert "are nearly texts tested on: left out" in " ".join(capsys.readouterr().err.split())


def test_train_rows_none_takes_all_and_held_out_texts_are_apart(folder):
    settings = {"data": str(folder), "task": "sentiment140", "rows": 5, "decide_rows": 5}
    everything = assemble_corpus(Config(**settings, train_rows=None))
    apart = assemble_corpus(Config(**settings, train_rows=None, heldout_rows=10))
    assert len(apart.heldout) == 10
    ids = [{example.id for example in texts} for texts in (apart.heldout, apart.arms, everything.arms)]
    assert not ids[0] & ids[1]
    assert ids[0] | ids[1] == ids[2]
    assert "heldout" in apart.pools()
    assert "heldout" not in everything.pools()


@pytest.mark.parametrize("setting", [{"train_rows": 5000}, {"heldout_rows": 5000, "train_rows": None}])
def test_more_texts_than_there_are_is_one_line(folder, setting):
    config = Config(data=str(folder), task="sentiment140", rows=5, decide_rows=5, **setting)
    with pytest.raises(SaywhyError, match="give") as refused:
        refuse_fewer(assemble_corpus(config), config)
    assert "\n" not in str(refused.value)


def test_the_usual_number_of_texts_may_be_more_than_there_are_unless_it_was_chosen(folder):
    config = Config(data=str(folder), task="sentiment140", rows=5, decide_rows=5)
    few = dataclasses.replace(assemble_corpus(config), arms=())
    refuse_fewer(few, config)
    with pytest.raises(SaywhyError, match=r"train_rows=48: .* leaves 0 training texts"):
        refuse_fewer(few, config.model_copy(update={"train_rows": config.train_rows}))


def test_an_anchor_on_very_many_labels_is_one_line():
    task = load_task("sentiment140")
    labels = {f"intent-{number}": f"intent {chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(77)}
    refuse_anchor(Config(anchor=0.3), task)
    refuse_anchor(Config(), task.model_copy(update={"labels": labels}))
    with pytest.raises(SaywhyError, match="77 labels"):
        refuse_anchor(Config(anchor=0.3), task.model_copy(update={"labels": labels}))


def test_two_texts_that_share_an_id_only_are_no_duplicates():
    other = dataclasses.replace(TESTED[0], text="what a fine and sunny morning it was")
    assert without_near_duplicates([other], TESTED, 0.9) == (other,)


def test_a_test_text_with_a_blank_behind_it_is_not_practised(tmp_path):
    texts = [f"number {i} was a {word} day" for i in range(40) for word in ("great", "awful")]
    for split, blank in (("test", ""), ("train", " ")):
        rows = [{"text": f"{text}{blank}", "label": "positive"} for text in texts]
        more = [{"text": f"{split} text {i}", "label": "negative"} for i in range(80)]
        lines = "".join(json.dumps(row) + "\n" for row in rows + more)
        (tmp_path / f"{split}.jsonl").write_text(lines)
    corpus = assemble_corpus(Config(data=str(tmp_path), rows=None, most_words=None))
    assert len(corpus.audited) == 160
    pools = [pool for name, pool in corpus.pools().items() if name not in ("audited", "decided")]
    assert all(pools)
    assert not any(example.text.strip() in texts for pool in pools for example in pool)
