"""Every sentence that a model reads, pinned: a changed prompt is a changed experiment."""

import re
from difflib import SequenceMatcher

import pytest

from saywhy import pocket
from saywhy.measure.chats import explanation_chat
from saywhy.measure.edits import Item
from saywhy.protocol import prompts
from saywhy.protocol.requests import RequestReader
from saywhy.protocol.wordings import (
    PRACTISED_WORDINGS,
    REQUESTED_LENGTHS,
    SENTENCE_WORDINGS,
    STEPS_FIRST_WORDINGS,
    UNSEEN_WORDINGS,
    length_prompts,
    length_wording,
)
from saywhy.records import SENTENCE_STYLES, SETTINGS, STYLES, Example, Prediction
from saywhy.tasks.data import load_examples
from saywhy.tasks.task import Task, catalog, load_task


def test_sentences(snapshot):
    assert prompts.prompt_sentences() == snapshot


def test_sentences_of_replies_that_name_their_words_first(snapshot):
    assert prompts.prompt_sentences("named-first") == snapshot


def test_sentences_of_explanations_in_sentences(snapshot):
    assert {order: prompts.sentence_prompts((order,)) for order in ("after", "before")} == snapshot
    assert snapshot == {**SENTENCE_WORDINGS, "steps first": STEPS_FIRST_WORDINGS}


@pytest.mark.parametrize("wordings", [*SENTENCE_WORDINGS.values(), STEPS_FIRST_WORDINGS])
def test_a_request_for_sentences_has_three_wordings_that_say_all_that_is_demanded(wordings):
    assert len(set(wordings)) == 3
    for wording in wordings:
        assert "{noun}" in wording
        assert ("{count}" in wording) == (wordings is SENTENCE_WORDINGS["keywords"])
        assert ("numbered" in wording or "step by step" in wording) == ("steps" in wording)
        assert ("three sentences" in wording) == (wordings is SENTENCE_WORDINGS["reasons"])


@pytest.mark.parametrize("order", ["after", "before"])
def test_requests_of_a_length_say_it_and_are_read_back(order, snapshot):
    assert length_prompts(order) == snapshot
    task = load_task("sentiment140").replied_by("direct", order)
    scores = {"positive": -0.1, "negative": -2.3}
    item = Item(Example("t", "so great a day"), Prediction("positive", "positive", scores, 2.2, "negative"))
    reader = RequestReader(task)
    for style, lengths in REQUESTED_LENGTHS.items():
        for length in lengths:
            wording = length_wording(style, length, order)
            assert f" {length} " in wording
            request = reader.read(explanation_chat(task, item, style, "sentences", wording))
            assert (request.style, request.setting, request.wording) == (style, "sentences", wording)


@pytest.mark.parametrize("name", catalog())
def test_conversations_in_sentences(name, snapshot):
    task = load_task(name)
    text, context = "the explained text", {field: f"the {field}" for field in task.context}
    asked = [prompts.request_turn(task, style, "sentences", None, count=2) for style in SENTENCE_STYLES]
    first = prompts.steps_first_chat(task, text, context)
    assert [*asked, *prompts.behind_steps(first, "1. ...")] == snapshot
    assert first[-1]["content"].endswith(text)
    assert prompts.explained_text(task, first) == text
    assert prompts.asks_for_label(first)
    assert prompts.asks_for_label(prompts.behind_steps(first, "1. ..."))


def test_sentences_of_checks(snapshot):
    assert prompts.check_prompt_sentences() == snapshot


def test_wordings(snapshot):
    assert {f"{style}, {setting}": list(of_request) for (style, setting), of_request in PRACTISED_WORDINGS.items()} == (
        snapshot
    )
    assert {f"{style}, {setting}": list(of_request) for (style, setting), of_request in UNSEEN_WORDINGS.items()} == (
        snapshot
    )


def test_every_request_has_a_pool_of_wordings_with_that_of_the_audit_first():
    assert set(PRACTISED_WORDINGS) == set(UNSEEN_WORDINGS) == {(a, b) for a in STYLES for b in SETTINGS}
    everything = [
        wording
        for request, practised in PRACTISED_WORDINGS.items()
        for wording in (*practised, *UNSEEN_WORDINGS[request])
    ]
    assert len(set(everything)) == len(everything)
    task = load_task("sentiment140")
    for (style, setting), practised in PRACTISED_WORDINGS.items():
        assert len(practised) >= 8
        assert len(UNSEEN_WORDINGS[style, setting]) == 2
        assert prompts.prompt_sentences()[f"{style}, {setting}"] == practised[0]
        pinned = prompts.request_turn(task, style, setting, "negative")
        assert prompts.request_turn(task, style, setting, "negative", practised[0]) == pinned


def words_of(sentence):
    return re.findall(r"\w+", sentence.casefold())


@pytest.mark.parametrize("request_of", PRACTISED_WORDINGS)
def test_a_wording_says_what_its_style_and_setting_demand(request_of):
    style, setting = request_of
    for wording in (*PRACTISED_WORDINGS[request_of], *UNSEEN_WORDINGS[request_of]):
        assert "{noun}" in wording
        assert ("{named}" in wording) == (style == "counterfactual")
        assert ("[REDACTED]" in wording) == (style == "redaction")
        assert wording.count("{") == wording.count("{noun}") + wording.count("{named}")
        if setting == "one-word":
            assert {"word", "one"} & set(words_of(wording))
            assert "comma" not in wording
        else:
            assert "words" in words_of(wording) or "each word" in wording
            assert ("comma" in wording) == (style == "attribution")


@pytest.mark.parametrize("request_of", PRACTISED_WORDINGS)
def test_the_unseen_wordings_have_forms_of_their_own(request_of):
    unseen = UNSEEN_WORDINGS[request_of]
    for wording in unseen:
        for other in (*PRACTISED_WORDINGS[request_of], *unseen):
            likeness = SequenceMatcher(a=words_of(wording), b=words_of(other), autojunk=False).ratio()
            assert wording == other or likeness < 0.55, (wording, other)


@pytest.mark.parametrize("name", catalog())
def test_conversations(name, snapshot):
    task = load_task(name)
    text, context = "the explained text", {field: f"the {field}" for field in task.context}
    label, named = list(task.labels)[:2]
    chat = [*prompts.question_chat(task, text, context), prompts.answer_turn(task, label)]
    asked = [prompts.request_turn(task, style, setting, named) for style in STYLES for setting in SETTINGS]
    assert [*chat, *asked, *(prompts.placebo_turn(task, style) for style in STYLES)] == snapshot


@pytest.mark.parametrize("name", pocket.POCKET_TASKS)
def test_the_explained_field_comes_last_and_can_be_read_back(name):
    task = load_task(name)
    for example in load_examples(task, "validation", "pocket").examples[:20]:
        chat = prompts.question_chat(task, example.text, example.context)
        assert chat[0]["content"].endswith(example.text)
        assert prompts.explained_text(task, chat) == example.text


@pytest.mark.parametrize(
    ("labels", "compared"),
    [
        ({"a": "1", "b": "12", "c": "5"}, ["1.", "12.", "5."]),
        ({"a": "not sure", "b": "Not", "c": "yes"}, ["not sure.", "Not.", "yes."]),
        ({"a": "good", "b": "goodish"}, ["good.", "goodish."]),
        ({"a": "positive", "b": "negative"}, ["positive", "negative"]),
        ({"a": "very good", "b": "very bad"}, ["very good", "very bad"]),
    ],
)
def test_answers_are_told_apart_by_the_whole_label(labels, compared):
    task = Task(name="x", question="Which?", lead_in="It is", labels=labels)
    assert list(prompts.answers(task).values()) == compared
    for label, answer in zip(labels, compared, strict=True):
        assert prompts.answer_turn(task, label)["content"].rstrip(".") == f"It is {answer}".rstrip(".")


@pytest.mark.parametrize("name", catalog())
def test_a_chat_that_asks_of_an_edited_text_asks_for_the_label_of_that(name):
    task = load_task(name)
    example = Example("t", "so great a day", {field: f"the {field}" for field in task.context})
    for explanation in (None, "It is great."):
        chat = prompts.simulation_chat(task, example, next(iter(task.labels)), explanation, "so dull a day")
        assert prompts.asks_for_label(chat)
        assert prompts.explained_text(task, chat) == "so dull a day"
    asked = prompts.question_chat(task, example.text, example.context)
    for style in (*STYLES, *SENTENCE_STYLES):
        setting = "sentences" if style in SENTENCE_STYLES else "free"
        turn = prompts.request_turn(task, style, setting, next(iter(task.labels)), count=2)
        chat = [*asked, prompts.answer_turn(task, next(iter(task.labels))), turn]
        assert not prompts.asks_for_label(chat)
        assert prompts.explained_text(task, chat) == example.text
