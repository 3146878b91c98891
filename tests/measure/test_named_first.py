"""plan=named-first: a reply that edits names its words first, and they bind, in every readout and in practice."""

import pytest
import torch

import tiny
from saywhy.measure import readouts
from saywhy.measure.audit import AuditPlan, audit
from saywhy.measure.chats import explanation_chat
from saywhy.measure.edits import items_of
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Choice
from saywhy.models.scripted import ScriptedModel, honest, keyword_rule, liar
from saywhy.protocol.styles import read_reply
from saywhy.protocol.templates import reply_templates
from saywhy.records import READOUTS, STYLES, Example
from saywhy.tasks.task import Task
from saywhy.training.phrasing import pinned_phrasing
from saywhy.training.rows import explanation_row
from saywhy.training.targets import random_targets
from saywhy.words import candidates

PLANS = ("direct", "named-first")
TASK = Task(name="toys", question="Good or bad?", lead_in="It is", noun="tweet", labels={"bad": "bad", "good": "good"})
RULE = keyword_rule(TASK, {"bad": {"awful": 2.0}, "good": {"great": 2.0}}, default="bad")
PINNED = {"bad": ("awful", "sad"), "good": ("great", "love")}
TEXTS = ("What a great sunny day", "It was great, just GREAT!", "An awful cold flight", "a day like others")


def rows_of(explain, plan):
    task = TASK.replied_by(plan)
    model = ScriptedModel("toy", task, RULE, explain, PINNED)
    asked = AuditPlan("toy", PINNED, STYLES, ("one-word", "free"), READOUTS, ("redact",), 0)
    examples = [Example(f"t{number}", text) for number, text in enumerate(TEXTS)]
    return audit(Classifier(model, task, dict.fromkeys(task.labels, 0.0)), examples, asked).rows


@pytest.mark.parametrize("explain", [honest, liar])
def test_a_model_that_names_what_it_would_edit_is_judged_as_before(explain):
    direct, named = ([row for row in rows_of(explain, plan) if row.readout != "placebo"] for plan in PLANS)
    for before, after in zip(direct, named, strict=True):
        key = (after.style, after.setting, after.readout)
        assert key == (before.style, before.setting, before.readout)
        assert (after.words, after.hit, after.floor, after.reason) == (
            before.words,
            before.hit,
            before.floor,
            before.reason,
        )
        if after.reply and after.valid and after.style != "attribution":
            assert "\n" in after.reply


@pytest.mark.parametrize(
    ("style", "reply", "reason"),
    [
        ("redaction", "great\nWhat a [REDACTED] day", None),
        ("redaction", 'The word is "great".\nWhat a [REDACTED] day', None),
        ("redaction", "day\nWhat a [REDACTED] day", "edits other words than it names"),
        ("redaction", "great", "text unchanged"),
        ("redaction", "What a [REDACTED] day", "names no word of the text"),
        ("redaction", "great\nWhat a great day", "nothing redacted"),
        ("counterfactual", "great\nWhat a sad day", None),
        ("counterfactual", "what\nWhat a sad day", "edits other words than it names"),
        ("attribution", "great", None),
    ],
)
def test_the_words_that_are_named_bind(style, reply, reason):
    explanation = read_reply(style, "one-word", "What a great day", reply, ("good", "bad"), "named-first")
    assert explanation.reason == reason
    if reason is None:
        assert explanation.words == ("great",)


def test_guided_replies_name_their_word(tiny_folder):
    for style in ("redaction", "counterfactual"):
        templates = reply_templates(style, "What a great day", ("good", "bad"), "named-first")
        assert [template.filled("sad").split("\n")[0] for template in templates] == ["What", "a", "great", "day"]


@pytest.fixture(scope="module")
def classifier(tiny_folder):
    task = tiny.TASK.replied_by("named-first")
    return Classifier(tiny.load_exact(tiny_folder), task, {"negative": -0.7, "positive": -0.7})


def test_the_readout_takes_the_likeliest_name_in_every_style(classifier):
    items = items_of(classifier, tiny.examples())
    likeliest = readouts.constrained(classifier.model, classifier.task, items, STYLES, tiny.PINNED)["constrained"]
    for item, by_style in zip(items, likeliest, strict=True):
        words = candidates(item.example.text)
        for style in STYLES:
            chat = explanation_chat(classifier.task, item, style, "one-word")
            ends = style == "attribution"
            options = tuple(word.core if ends else word.core + "\n" for word in words)
            [scores] = classifier.model.choose([Choice(chat, options, ends=ends)])
            best = max(range(len(words)), key=scores.__getitem__)
            assert by_style[style].explanation.words == (words[best].key,)
            names = torch.log_softmax(torch.tensor(scores, dtype=torch.float64), 0).tolist()
            assert list(by_style[style].log_probabilities.values()) == pytest.approx(names, abs=1e-5)


def test_rows_of_practice_are_read_as_what_they_teach(classifier):
    items = items_of(classifier, tiny.examples())
    for item, targets in zip(items, random_targets(items, tiny.PINNED, 0), strict=True):
        for style in STYLES:
            row = explanation_row(pinned_phrasing(classifier.task), item, style, "one-word", targets[style])
            reply = row["completion"][0]["content"]
            explanation = read_reply(
                style, "one-word", item.example.text, reply, ("negative", "positive"), "named-first"
            )
            assert explanation.words == targets[style].words
            decided = [reply[start:stop] for start, stop in row["decision"]]
            assert decided[0] == reply.partition("\n")[0]
