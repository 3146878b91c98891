"""Gradient x input and integrated gradients against captum on a tiny model."""

import pytest
import torch
from captum.attr import InputXGradient, IntegratedGradients

import families
import tiny
from saywhy.attribution import METHODS, MethodOptions
from saywhy.attribution.gradients import (
    blank_embeddings,
    gradient_prompt,
    gradient_x_input,
    integrated_gradients,
    label_margins,
)
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.backends import open_model
from saywhy.protocol.prompts import question_chat
from saywhy.records import Example, SaywhyError
from saywhy.tasks.task import Task
from saywhy.words import candidates
from scored import TASKS, planted, setting

METHODS_OF_GRADIENTS = {
    "gradient_x_input": (gradient_x_input, InputXGradient, {}),
    "integrated_gradients": (integrated_gradients, IntegratedGradients, {"n_steps": 7}),
}


@pytest.mark.parametrize("name", METHODS_OF_GRADIENTS)
@pytest.mark.parametrize("task", TASKS, ids=["one token", "several tokens"])
def test_gradients_are_captums(tiny_model, task, name):
    classifier, items = setting(tiny_model, task)
    chat, network = tiny_model.chat, tiny_model.model
    method, theirs, more = METHODS_OF_GRADIENTS[name]
    for item, found in zip(items, method(classifier, items, MethodOptions(steps=7)), strict=True):
        text = item.example.text
        rendered = chat.open(question_chat(task, text, {})) + task.lead_in
        [(ids, offsets)] = chat.ids_and_offsets([rendered])
        labels = [task.labels[label] for label in (item.prediction.label, item.prediction.runner_up)]
        tails = [chat.ids([rendered + " " + label])[0][len(ids) :] for label in labels]
        assert all(len(tail) > 1 for tail in tails) == (task is TASKS[1])

        def forward(embedded, tails=tails):
            scores = []
            for tail in tails:
                said = network.get_input_embeddings()(torch.tensor([tail])).expand(len(embedded), -1, -1)
                likely = network(inputs_embeds=torch.cat([embedded, said], 1)).logits.log_softmax(-1)
                likely = likely[:, embedded.shape[1] - 1 :]
                scores.append(sum(likely[:, at, token] for at, token in enumerate(tail)))
            return scores[0] - scores[1]

        embedded = network.get_input_embeddings()(torch.tensor([ids])).detach().requires_grad_(True)
        if name == "integrated_gradients":
            blanks = [
                chat.ids([" "])[0][0] if a < rendered.index(text) + len(text) and rendered.index(text) < b else token
                for token, (a, b) in zip(ids, offsets, strict=True)
            ]
            assert blanks != list(ids)
            more = {**more, "baselines": network.get_input_embeddings()(torch.tensor([blanks])).detach()}
        tokens = theirs(forward).attribute(embedded, **more).sum(-1)[0].tolist()
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
    rendered = chat.open(question_chat(TASKS[1], item.example.text, {})) + TASKS[1].lead_in
    head, tails = chat.continuations(rendered, [" " + TASKS[1].labels[x] for x in (raw.label, raw.runner_up)])
    embedded = tiny_model.model.get_input_embeddings()(torch.tensor([head]))
    found = label_margins(tiny_model, embedded, tuple(tail[len(head) :] for tail in tails))
    assert found.item() == pytest.approx(raw.margin, abs=1e-4)
    assert classifier.constants != dict.fromkeys(TASKS[1].labels, 0.0)


@pytest.mark.parametrize("name", ["mistral", "llama 2", "smollm 2"])
def test_margins_are_the_predictions_where_an_answer_begins_with_its_label(tmp_path, name):
    model = open_model(str(families.save(tmp_path, families.FAMILIES[name])), precision="float32")
    prompt = {"question": "Negative or positive: {text}", "answer": "{label}"}
    task = Task.model_validate({**tiny.TASK.model_dump(), "prompt": prompt})
    classifier = Classifier(model, task, dict.fromkeys(task.labels, 0.0))
    [example] = tiny.examples(("a great sunny day",))
    [prediction] = classifier.predict_examples([example])
    asked = gradient_prompt(classifier, model, Item(example, prediction))
    assert label_margins(model, asked.embedded, asked.tails).item() == pytest.approx(prediction.margin, abs=1e-4)


def test_gradients_leave_nothing_in_the_model(tiny_model):
    classifier, items = setting(tiny_model)
    gradient_x_input(classifier, items[:1], MethodOptions())
    assert all(weight.grad is None for weight in tiny_model.model.parameters())


@pytest.mark.parametrize("task", TASKS, ids=["one token", "several tokens"])
def test_the_completeness_gap_goes_to_nothing_with_the_steps(tiny_model, task):
    classifier, items = setting(tiny_model, task)
    gaps = {
        n: [abs(one.gap) for one in integrated_gradients(classifier, items, MethodOptions(steps=n))] for n in (2, 50)
    }
    assert max(gaps[50]) < 1e-3 < max(gaps[2])
    for item, found in zip(items, integrated_gradients(classifier, items, MethodOptions()), strict=True):
        asked = gradient_prompt(classifier, tiny_model, item)
        ends = [
            label_margins(tiny_model, one, asked.tails).item()
            for one in (asked.embedded, blank_embeddings(tiny_model, asked))
        ]
        assert found.change == pytest.approx(ends[0] - ends[1], abs=1e-4)


def test_steps_in_small_batches_are_the_same(tiny_model, monkeypatch):
    classifier, items = setting(tiny_model)
    straight = integrated_gradients(classifier, items, MethodOptions(steps=8))
    monkeypatch.setattr(tiny_model.budget, "tokens", 700)
    for one, other in zip(straight, integrated_gradients(classifier, items, MethodOptions(steps=8)), strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


@pytest.mark.parametrize("name", ["gradient_x_input", "integrated_gradients"])
def test_a_scripted_model_has_no_gradients(name):
    classifier, item, _ = planted("nice awful")
    with pytest.raises(SaywhyError, match=f"{name} needs a model with gradients, not 'linear': use occlusion"):
        METHODS[name](classifier, [item], MethodOptions())


@pytest.mark.parametrize("name", ["gradient_x_input", "integrated_gradients"])
def test_a_repeated_word_has_one_score_for_all_its_places(tiny_model, name):
    """The tokens of both places are added up: the scores of all words stay what the tokens' are together."""
    classifier, [item] = setting(tiny_model, texts=("sad day sad",))
    asked = gradient_prompt(classifier, tiny_model, item)
    tokens = [float(number) for number in range(len(asked.offsets))]
    found = asked.words(tokens, name, None, None)
    assert found.words == ("sad", "day")
    places = [asked.token_indices(0, 3), asked.token_indices(4, 7), asked.token_indices(8, 11)]
    assert found.scores == (sum(places[0]) + sum(places[2]), sum(places[1]))


def test_numbers_that_are_none_are_refused(tiny_model):
    classifier, [item, *_] = setting(tiny_model)
    asked = gradient_prompt(classifier, tiny_model, item)
    with pytest.raises(SaywhyError, match="not finite"):
        asked.words([float("nan")] * len(asked.offsets), "gradient_x_input", None, None)


def test_a_text_with_blanks_at_its_ends_keeps_its_offsets(tiny_model):
    classifier, _ = setting(tiny_model)
    scores = []
    for text in ("My awful flight", "  My awful flight "):
        example = Example("t", text)
        [prediction] = classifier.predict_examples([example])
        scores += gradient_x_input(classifier, [Item(example, prediction)], MethodOptions())
    assert scores[0].words == scores[1].words
    assert all(scores[1].scores)
