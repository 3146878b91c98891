"""Every sentence that a model reads, pinned: a changed prompt is a changed experiment."""

import pytest

from saywhy import pocket
from saywhy.protocol import prompts
from saywhy.records import SETTINGS, STYLES
from saywhy.tasks.data import load_examples
from saywhy.tasks.task import catalog, load_task


def test_sentences(snapshot):
    assert prompts.prompt_sentences() == snapshot


def test_sentences_of_replies_that_name_their_words_first(snapshot):
    assert prompts.prompt_sentences("named-first") == snapshot


def test_sentences_of_checks(snapshot):
    assert prompts.check_prompt_sentences() == snapshot


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
