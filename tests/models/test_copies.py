"""Products from bfloat16 copies of the weights: nearly float32's answers, of every layer but the head, in LoRA, too."""

import pytest
import torch
from transformers.pytorch_utils import Conv1D

import tiny
from saywhy.attribution import METHODS, MethodOptions
from saywhy.measure.edits import items_of
from saywhy.measure.predict import Classifier
from saywhy.models import copies
from saywhy.models.backends import open_model
from saywhy.models.interface import Choice
from saywhy.protocol.prompts import question_chat
from saywhy.records import SaywhyError

CHATS = [question_chat(tiny.TASK, text, {}) for text in tiny.TEXTS]
CHOICES = [Choice(chat, ("positive", "negative"), "It is") for chat in CHATS]


@pytest.fixture(params=["llama", "qwen2", "gpt2"])
def pair(request, tiny_folders):
    """Return a tiny model in float32 and the same with copies; gpt2's layers are transposed, qwen2's have a bias."""
    folder = tiny_folders(request.param)
    made = open_model(str(folder), precision="float32"), open_model(str(folder), precision="mixed")
    tiny.exact_products()
    return made


@pytest.fixture(autouse=True)
def units(monkeypatch):
    """Let bfloat16 units be there: torch computes the same without them, but slowly."""
    monkeypatch.setattr("saywhy.models.precision.has_bfloat16_units", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def scores(model):
    return [score for of_choice in model.choose(CHOICES) for score in of_choice]


def test_answers_are_nearly_those_of_float32(pair):
    exact, shortened = pair
    assert scores(shortened) == pytest.approx(scores(exact), abs=0.2)
    assert scores(shortened) != scores(exact)
    assert exact.generate(CHATS, [4] * 3) == shortened.generate(CHATS, [4] * 3)


def test_every_product_with_a_weight_but_the_heads_is_of_the_copies(pair, monkeypatch):
    _, shortened = pair
    formats = []

    def linear(states, weight, bias=None):
        formats.append((states.dtype, weight.dtype))
        return torch.addmm(torch.zeros(1, dtype=weight.dtype), states[0], weight.T)[None]

    monkeypatch.setattr(copies, "linear", linear)
    shortened.choose(CHOICES)
    layers = [layer for layer in shortened.model.modules() if isinstance(layer, (torch.nn.Linear, Conv1D))]
    assert set(formats) == {(torch.bfloat16, torch.bfloat16)}
    assert len(formats) % (len(layers) - 1) == 0  # whole passes: all but the head, each time


def test_outside_the_forward_pass_of_trees_the_same_weights_compute_in_float32(pair):
    exact, shortened = pair
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        assert torch.equal(shortened.model(ids).logits, exact.model(ids).logits)


def test_attributions_by_gradients_are_those_of_float32(tiny_folder):
    constants = dict.fromkeys(tiny.TASK.labels, 0.0)
    found = []
    for setting in ("float32", "mixed"):
        classifier = Classifier(open_model(str(tiny_folder), precision=setting), tiny.TASK, constants)
        items = items_of(classifier, tiny.examples())
        found.append([list(words.scores) for words in METHODS["gradient_x_input"](classifier, items, MethodOptions())])
    tiny.exact_products()
    assert found[0] == found[1]


def test_gradients_reach_the_states_and_not_the_weights():
    model = tiny.ARCHITECTURES["llama"](420)
    layer, states = model.model.layers[0].mlp.down_proj, torch.randn(6, 64, requires_grad=True)
    layer(states).square().sum().backward()
    exact, states.grad = states.grad, None
    model.requires_grad_(False)
    copies.keep_copies(model)
    with copies.products_from_copies():
        layer(states).square().sum().backward()
    assert states.grad.dtype == torch.float32
    assert torch.linalg.norm(states.grad - exact) < 0.02 * torch.linalg.norm(exact)
    assert not torch.equal(states.grad, exact)


def test_copies_that_the_memory_does_not_hold_are_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(copies, "free_memory", lambda device: 1000)
    with pytest.raises(SaywhyError, match=r"does not hold bfloat16 copies .*precision=float32"):
        copies.keep_copies(tiny.ARCHITECTURES["llama"](420))
