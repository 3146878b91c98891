"""Attribution against captum on a tiny model, and against weights that are known."""

import subprocess
import sys

import pytest
import torch
from captum.attr import FeatureAblation, InputXGradient

import tiny
from saywhy.attribution import METHODS
from saywhy.attribution.gradients import gradient_x_input, margin
from saywhy.attribution.occlusion import occlusion
from saywhy.edits import Item, tables
from saywhy.models.scripted import Scripted, honest, keyword_rule
from saywhy.predict import Classifier
from saywhy.prompts import question
from saywhy.records import Example, SaywhyError
from saywhy.words import candidates, take_out

# The last labels have several tokens in the tiny vocabulary.
TASKS = [
    tiny.TASK,
    tiny.TASK.model_copy(update={"labels": {"negative": "dreadful", "positive": "splendid!"}}),
]
TEXTS = (
    "Great day, what a GREAT, great day!",
    "My awful flight is late again :(",
    "I don\u2019t love it &amp; him",
)


def setting(model, task=tiny.TASK, texts=TEXTS):
    constants = dict(zip(task.labels, (-0.3, -1.4), strict=True))
    classifier = Classifier(model, task, constants)
    examples = tiny.examples(texts)
    predictions = classifier.predict_examples(examples)
    return classifier, [Item(*pair) for pair in zip(examples, predictions, strict=True)]


@pytest.mark.parametrize("task", TASKS, ids=["one token", "several tokens"])
def test_occlusion_is_captums_feature_ablation(tiny_model, task):
    classifier, items = setting(tiny_model, task)
    for item, found in zip(items, occlusion(tables(classifier, items, "redact")), strict=True):
        text = item.example.text
        keys = [word.key for word in candidates(text)]

        def forward(present, text=text, keys=keys, label=item.prediction.label):
            gone = {key for key, there in zip(keys, present[0].tolist(), strict=True) if not there}
            [after] = classifier.predict([(take_out(text, gone) if gone else text, {})])
            return torch.tensor([after.margin_of(label)])

        expected = FeatureAblation(forward).attribute(torch.ones(1, len(keys)))[0]
        assert found.words == tuple(keys)
        assert found.scores == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize("task", TASKS, ids=["one token", "several tokens"])
def test_gradients_are_captums(tiny_model, task):
    classifier, items = setting(tiny_model, task)
    chat, network = tiny_model.chat, tiny_model.model
    for item, found in zip(items, gradient_x_input(classifier, items), strict=True):
        text = item.example.text
        rendered = chat.open(question(task, text, {})) + task.lead_in
        [(ids, offsets)] = chat.ids_and_offsets([rendered])
        labels = [task.labels[label] for label in (item.prediction.label, item.prediction.runner_up)]
        tails = [chat.ids([rendered + " " + label])[0][len(ids) :] for label in labels]
        assert all(len(tail) > 1 for tail in tails) == (task is TASKS[1])

        def forward(embedded, tails=tails):
            scores = []
            for tail in tails:
                whole = torch.cat([embedded, network.get_input_embeddings()(torch.tensor([tail]))], 1)
                likely = network(inputs_embeds=whole).logits[0, embedded.shape[1] - 1 :].log_softmax(-1)
                scores.append(sum(likely[at, token] for at, token in enumerate(tail)))
            return (scores[0] - scores[1])[None]

        embedded = network.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_(True)
        tokens = InputXGradient(forward).attribute(embedded).sum(-1)[0].tolist()
        # Which word each character of the prompt belongs to, by hand.
        owner = [None] * rendered.index(text)
        for run in text.split():
            core = run if not any(map(str.isalnum, run)) or run == "&amp;" else run.strip(",!")
            owner += [core.lower().replace("\u2019", "'").replace("&amp;", "&")] * len(core)
            owner += [None] * (len(run) - len(core) + 1)
        owner += [None] * len(rendered)
        expected = {}
        for score, (start, stop) in zip(tokens, offsets, strict=True):
            for word in {owner[at] for at in range(start, stop)} - {None}:
                expected[word] = expected.get(word, 0.0) + score
        assert dict(zip(found.words, found.scores, strict=True)) == pytest.approx(expected, abs=1e-4)
        assert found.words == tuple(word.key for word in candidates(text))


def test_the_gradients_margin_is_the_predictions(tiny_model):
    classifier, [item, *_] = setting(tiny_model, TASKS[1])
    [raw] = Classifier(tiny_model, TASKS[1], dict.fromkeys(TASKS[1].labels, 0.0)).predict_examples([item.example])
    chat = tiny_model.chat
    rendered = chat.open(question(TASKS[1], item.example.text, {})) + TASKS[1].lead_in
    head, tails = chat.continuations(rendered, [" " + TASKS[1].labels[x] for x in (raw.label, raw.runner_up)])
    embedded = tiny_model.model.get_input_embeddings()(torch.tensor([head]))
    found = margin(tiny_model, embedded, tuple(tail[len(head) :] for tail in tails))
    assert found.item() == pytest.approx(raw.margin, abs=1e-4)
    assert classifier.constants != dict.fromkeys(TASKS[1].labels, 0.0)


def test_gradients_leave_nothing_in_the_model(tiny_model):
    classifier, items = setting(tiny_model)
    gradient_x_input(classifier, items[:1])
    assert all(weight.grad is None for weight in tiny_model.model.parameters())


def test_occlusion_gives_a_bag_of_words_its_own_weights_back():
    weights = {"great": 2.0, "nice": 1.25, "awful": -3.0, ":(": -0.5}
    cues = {
        "positive": {word: weight for word, weight in weights.items() if weight > 0},
        "negative": {word: -weight for word, weight in weights.items() if weight < 0},
    }
    rule = keyword_rule(tiny.TASK, cues, default="negative")
    model = Scripted("linear", tiny.TASK, rule, honest, tiny.PINNED)
    classifier, items = setting(model, texts=("Great, nice and awful, great! :( again", "nice awful"))
    for item, found in zip(items, occlusion(tables(classifier, items, "delete")), strict=True):
        sign = 1 if item.prediction.label == "positive" else -1
        expected = [sign * weights.get(word, 0.0) for word in found.words]
        assert found.scores == pytest.approx(expected)
        assert found.method == "occlusion"
    assert [item.prediction.label for item in items] == ["positive", "negative"]


def test_a_scripted_model_has_no_gradients():
    rule = keyword_rule(tiny.TASK, {}, default="negative")
    classifier, items = setting(Scripted("toy", tiny.TASK, rule, honest, tiny.PINNED))
    with pytest.raises(SaywhyError, match="use occlusion"):
        gradient_x_input(classifier, items)


def test_every_method_is_called_alike(tiny_model):
    classifier, items = setting(tiny_model)
    made = tables(classifier, items, "redact")
    for name, method in METHODS.items():
        found = method(classifier, items, made)
        assert [scores.method for scores in found] == [name] * len(items)
        assert [scores.words for scores in found] == [table.words for table in made]
        assert all(scores.best() in scores.words for scores in found)


def test_the_methods_are_listed_without_torch():
    code = "import sys, saywhy.attribution; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_text_with_blanks_at_its_ends_keeps_its_offsets(tiny_model):
    classifier, _ = setting(tiny_model)
    scores = []
    for text in ("My awful flight", "  My awful flight "):
        example = Example("t", text)
        [prediction] = classifier.predict_examples([example])
        scores += gradient_x_input(classifier, [Item(example, prediction)])
    assert scores[0].words == scores[1].words
    assert all(scores[1].scores)
