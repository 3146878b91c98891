"""A task that is asked as an application asks: its chat, its answer, and the same measurements as any other."""

import pytest

from saywhy.explainer.explainer import Explainer
from saywhy.measure.audit import AuditPlan, audit
from saywhy.measure.calibration import calibration_key
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest, keyword_rule
from saywhy.models.spec import resolve_model
from saywhy.protocol import prompts
from saywhy.records import STYLES, Example
from saywhy.robustness.variants import variants
from saywhy.tasks.parts import OwnPrompt
from saywhy.tasks.task import Task

PROMPT = OwnPrompt(
    system="You sort posts. Is it {good} or bad?",
    question='{"channel": "{channel}", "post": "{body}"}\ngood or bad?',
    answer="Mood: {label}!",
)
TASK = Task(
    name="posts",
    question="Is this post good or bad?",
    lead_in="The post is",
    noun="post",
    text="body",
    context=("channel",),
    labels={"bad": "bad", "good": "good"},
    paraphrases=({"question": "Good or bad?", "lead_in": "It is"},),
    prompt=PROMPT,
)
CUES = {"bad": {"awful": 2.0}, "good": {"great": 2.0, "love": 2.0}}
PINNED = {"bad": ("awful", "sad"), "good": ("great", "love")}
TEXT, FIELDS = "What a great {channel} day", {"channel": "mail {body}"}


def asked_by(prompt, **more):
    return TASK.model_copy(update={"prompt": prompt, **more})


def even(task):
    return dict.fromkeys(task.labels, 0.0)


def test_the_chat_is_that_of_the_application():
    system, user = prompts.question_chat(TASK, TEXT, FIELDS)
    assert system == {"role": "system", "content": "You sort posts. Is it {good} or bad?"}
    assert user["content"] == '{"channel": "mail {body}", "post": "What a great {channel} day"}\ngood or bad?'
    assert prompts.explained_text(TASK, [system, user]) == TEXT
    assert user["content"][prompts.text_offset(TASK, TEXT, FIELDS) :].startswith(TEXT)
    assert prompts.answer_turn(TASK, "good")["content"] == "Mood: good!"


@pytest.mark.parametrize(
    ("answer", "turn", "parts"),
    [("{label}", "good", ("", "")), ("So {label}", "So good", ("So", "")), ("{label}.", "good.", ("", "."))],
)
def test_an_answer_may_begin_with_its_label(answer, turn, parts):
    task = asked_by(OwnPrompt(question="{body} {channel}", answer=answer))
    assert prompts.answer_turn(task, "good")["content"] == turn
    assert prompts.answer_parts(task) == parts
    assert prompts.question_chat(task, TEXT, {"channel": "x"}) == [{"role": "user", "content": f"{TEXT} x"}]


@pytest.mark.parametrize("prompt", [PROMPT, OwnPrompt(question="{channel}: {body}"), None])
def test_the_planted_cause_is_found_however_it_is_asked(prompt):
    task = asked_by(prompt)
    model = ScriptedModel("toy", task, keyword_rule(task, CUES, default="bad"), honest, PINNED)
    classifier = Classifier(model, task, even(task))
    decision = Explainer(classifier, PINNED).decide("What a great day", context={"channel": "mail"}, styles=STYLES)
    assert (decision.reason.words, decision.check.status) == (("great",), "holds")
    plan = AuditPlan("toy", PINNED, STYLES, ("one-word",), ("generated", "constrained"))
    assert all(row.hit for row in audit(classifier, [Example("t", "What a great day", {"channel": "mail"})], plan).rows)


def test_a_real_model_is_asked_so(tiny_model):
    own, plain = asked_by(OwnPrompt(question="{channel}: {body}", answer="Mood: {label}")), asked_by(None)
    text = ("What a great day at sea", {"channel": "mail"})
    scores = [Classifier(tiny_model, task, even(task)).predict([text])[0].scores for task in (own, plain)]
    assert scores[0] != scores[1]
    explainer = Explainer(Classifier(tiny_model, own, even(own)), PINNED)
    decision = explainer.decide(text[0], context=text[1], styles=STYLES, effort="search")
    assert decision.check.status != "invalid"
    assert {effect.word for effect in decision.effects} == set(text[0].split())


def test_constants_belong_to_the_prompt(tiny_folder):
    spec = resolve_model(str(tiny_folder))
    tasks = [TASK, asked_by(None), asked_by(OwnPrompt(question="{channel} {body}"))]
    assert len({calibration_key(spec, task)["task"] for task in tasks}) == len(tasks)


def test_other_ways_to_ask_change_the_prompt():
    ways = variants(asked_by(PROMPT, verbaliser={"good": "fine", "bad": "poor"}), ["all"])
    assert ways["paraphrase-1"].prompt is None
    assert ways["labels-reversed"].prompt.question.endswith("bad or good?")
    assert ways["verbaliser"].prompt.question.endswith("fine or poor?")
    assert ways["verbaliser"].prompt.system == "You sort posts. Is it {good} or poor?"


def test_a_column_may_be_called_like_a_label():
    prompt = OwnPrompt(question="text or bee? {text}")
    task = Task(name="x", question="a?", lead_in="It is", labels={"text": "text", "b": "bee"}, prompt=prompt)
    assert variants(task, ["labels-reversed"])["labels-reversed"].prompt.question == "bee or text? {text}"
