"""How training rows ask: with the audit's sentences, or with sentences that are drawn for each text."""

import dataclasses
import hashlib
import json
import math
from collections import Counter

import pytest

import tiny
from moods import TASK
from practice import TEXTS
from saywhy.config import Config
from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.store import read_lines
from saywhy.measure.edits import Item
from saywhy.protocol.prompts import request_turn
from saywhy.protocol.wordings import PRACTISED_WORDINGS, UNSEEN_WORDINGS
from saywhy.records import STYLES, Example, Prediction, SaywhyError
from saywhy.runs.run import Run
from saywhy.settings import parse
from saywhy.tasks.task import catalog, load_task
from saywhy.training.lessons import EditedText, Lesson
from saywhy.training.phrasing import phrasing_of, phrasing_sentences, question_pool
from saywhy.training.rows import arm_rows
from saywhy.training.targets import random_targets

POOL = Config(wordings="pool")
MANY = [Example(f"text-{number}", "what a great sunny day") for number in range(2000)]
TEST_PINNED = {"bad": ("awful", "sad"), "good": ("great", "love")}


def lessons_of_moods(count=40):
    texts = [f"{TEXTS[number % len(TEXTS)]} {number}" for number in range(count)]
    prediction = Prediction("good", "good", {"bad": -2.0, "good": -0.1}, 1.9, "bad")
    items = [Item(example, prediction) for example in tiny.examples(texts)]
    edited = (EditedText("sad day", {"bad": -0.5, "good": -1.0}),)
    return [
        Lesson(*pair, edited=edited) for pair in zip(items, random_targets(items, TEST_PINNED, seed=0), strict=True)
    ]


def rows_of(seed=0, **settings):
    lessons = lessons_of_moods()
    return arm_rows(Config(**settings), TASK, lessons, lessons, seed)


def requests_of(rows):
    return [row["prompt"][-1]["content"] for row in rows if row["style"] in STYLES]


def test_a_draw_is_stable_and_roughly_uniform():
    phrasing, again = phrasing_of(POOL, TASK, 3), phrasing_of(POOL, TASK, 3)
    for style in STYLES:
        drawn = [phrasing.wording_of(example, style, "one-word") for example in MANY]
        assert drawn == [again.wording_of(example, style, "one-word") for example in reversed(MANY)][::-1]
        counts = Counter(drawn)
        assert set(counts) == set(PRACTISED_WORDINGS[style, "one-word"])
        share = len(MANY) / len(counts)
        assert max(abs(count - share) for count in counts.values()) < 5 * math.sqrt(share)
    questions = Counter(phrasing.task_of(example).question for example in MANY)
    assert len(questions) == 6
    assert min(questions.values()) > 0.8 * len(MANY) / 6


def test_seeds_and_styles_draw_apart():
    drawn = {
        (seed, style): tuple(
            list(PRACTISED_WORDINGS[style, "one-word"]).index(
                phrasing_of(POOL, TASK, seed).wording_of(example, style, "one-word")
            )
            for example in MANY[:50]
        )
        for seed in (0, 1)
        for style in STYLES
    }
    assert len(set(drawn.values())) == 6


# As they were before there were wordings: what a study was trained on can be trained again.
@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        ({}, "7ef57039417cafc9"),
        ({"label_turn": "probabilities", "stay_weight": 0.2}, "0a8df3f802710202"),
        ({"anchor": 0.5, "stay_weight": 0.5}, "96b4774c63945e78"),
    ],
)
def test_rows_are_the_same_bytes_as_ever_unless_asked_otherwise(settings, digest):
    prediction = Prediction("positive", "positive", {"negative": -2.0, "positive": -0.1}, 1.9, "negative")
    items = [Item(example, prediction) for example in tiny.examples((*tiny.TEXTS, "cold day, great food"))]
    edited = (EditedText("sad day", {"negative": -0.5, "positive": -1.0}),)
    targets = random_targets(items, tiny.PINNED, seed=0)
    lessons = [Lesson(*pair, edited=edited) for pair in zip(items, targets, strict=True)]
    rows = arm_rows(Config(**settings), tiny.TASK, lessons, lessons)
    assert hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] == digest


def test_a_pool_changes_the_sentences_and_nothing_else():
    pinned, pooled = rows_of(stay_weight=0.2), rows_of(stay_weight=0.2, wordings="pool")
    assert rows_of(stay_weight=0.2, wordings="pool") == pooled
    assert rows_of(1, stay_weight=0.2, wordings="pool") != pooled
    assert rows_of(1, stay_weight=0.2) == pinned
    for before, row in zip(pinned, pooled, strict=True):
        kept = [
            key for key in before if key not in ("prompt", *(["completion", "decision"] * (row["style"] == "label")))
        ]
        assert [row[key] for key in kept] == [before[key] for key in kept]
    assert len(set(requests_of(pinned))) == 3
    assert len(set(requests_of(pooled))) > 20
    assert len({row["prompt"][0]["content"].splitlines()[0] for row in pooled}) == 6


def test_the_answer_fits_the_question_of_its_text():
    ways = {asked.question: asked for asked in question_pool(TASK).values()}
    by_text = {}
    for row in rows_of(stay_weight=0.2, wordings="pool"):
        question = row["prompt"][0]["content"].splitlines()[0]
        by_text.setdefault(row["id"], set()).add(question)
        answer = row["completion"][0] if row["style"] == "label" else row["prompt"][1]
        assert answer["content"] == f"{ways[question].lead_in} positive."
    assert all(len(questions) == 1 for questions in by_text.values())  # the rows of a text share their chat


def test_what_is_never_practised_is_never_practised():
    asked = {request for seed in range(4) for request in requests_of(rows_of(seed, stay_weight=0.2, wordings="pool"))}
    for style in STYLES:
        named = "bad" if style == "counterfactual" else None
        unseen = {
            request_turn(TASK, style, "one-word", named, wording)["content"]
            for wording in UNSEEN_WORDINGS[style, "one-word"]
        }
        practised = {
            request_turn(TASK, style, "one-word", named, wording)["content"]
            for wording in PRACTISED_WORDINGS[style, "one-word"]
        }
        assert practised <= asked
        assert not unseen & asked


@pytest.mark.parametrize("settings", [{"label_turn": "probabilities"}, {"anchor": 0.5}])
def test_probabilities_are_held_under_the_question_that_is_audited(settings):
    rows = rows_of(wordings="pool", **settings)
    anchors = [row for row in rows if row["style"] == "label"]
    assert anchors
    assert anchors == [row for row in rows_of(**settings) if row["style"] == "label"]


@pytest.mark.parametrize("name", catalog())
def test_tasks_that_ship_are_asked_in_eight_ways(name):
    task = load_task(name)
    pool = question_pool(task)
    assert len({asked.question for asked in pool.values()}) == len(pool) == 8
    assert pool["pinned"] == task
    assert all(asked.labels == task.labels for asked in pool.values())


def test_a_task_without_other_questions_is_asked_in_its_own():
    bare = TASK.model_copy(update={"paraphrases": (), "verbaliser": {}, "question": "What is the mood?"})
    assert question_pool(bare) == {"pinned": bare}


def test_the_sentences_that_are_drawn_are_listed_where_they_are():
    assert phrasing_sentences(Config(), TASK) == {}
    listed = phrasing_sentences(Config(wordings="pool", train_styles=("redaction",)), TASK)
    assert list(listed["requests"].values()) == list(PRACTISED_WORDINGS["redaction", "one-word"])
    assert {sentences["question"] for name, sentences in listed.items() if name != "requests"} == {
        asked.question for asked in question_pool(TASK).values()
    }


def test_a_run_practises_the_pool_and_lists_it(tiny_folder, tmp_path):
    small = ("rows=4", "adapt_rows=8", "train_rows=8", "decide_rows=8", "calibration_rows=12", "num_train_epochs=1")
    config = parse([f"model={tiny_folder}", "wordings=pool", *small])
    run = Run(config, tmp_path / "run", arms=("faithful",))
    run.ensure_trained("faithful", 0)
    asked = {
        arm: requests_of(read_lines(run.folder.path / "seed-0" / arm / "training.jsonl"))
        for arm in ("adapted", "faithful")
    }
    noun = run.corpus.task.noun
    pinned = {pool[0].format(noun=noun, named="") for pool in PRACTISED_WORDINGS.values()}
    assert len(set(asked["faithful"]) - pinned) > 8
    assert {request.split(" answer is ")[0] for request in asked["adapted"]} <= {
        request.split(" answer is ")[0] for request in pinned
    }
    manifest = json.loads((run.folder.path / "run.json").read_text("utf-8"))
    assert manifest["practised"] == phrasing_sentences(config, run.corpus.task)
    manifest["practised"]["question, paraphrase-1"]["question"] = "Another one?"
    (run.folder.path / CHECKSUMS_FILE).unlink()
    (run.folder.path / "run.json").write_text(json.dumps(manifest), "utf-8")
    again = Run(config, tmp_path / "run", arms=("faithful",))
    with pytest.raises(SaywhyError, match="practises other sentences \\('Another one\\?'\\)"):
        again.practice.note_sentences(config)


def test_a_verified_text_hits_in_every_style_that_is_practised():
    lesson = lessons_of_moods(1)[0]
    targets = {
        style: dataclasses.replace(target, hit=style != "counterfactual") for style, target in lesson.targets.items()
    }
    lesson = dataclasses.replace(lesson, targets=targets)
    assert lesson.hits(("attribution", "redaction"))
    assert not lesson.hits(("counterfactual",))
    assert not lesson.hits(STYLES)
