"""Training with bfloat16 products: the losses of float32 training nearly, and what ships is as of float32."""

import dataclasses
import json

import pytest
import torch

import tiny
from practice import RECIPE
from saywhy.config import Config
from saywhy.models import copies, precision
from saywhy.models.copies import keep_copies, products_from_copies, recompute_alike
from saywhy.models.spec import resolve_model
from saywhy.training import train as training
from saywhy.training.models import ArmModels
from saywhy.training.train import train

SHORT = dataclasses.replace(RECIPE, autocast=True)


@pytest.fixture
def from_copies(monkeypatch):
    """Let bfloat16 units be there, and return the products that were made from copies."""
    monkeypatch.setattr(training, "has_bfloat16_units", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    made, linear = [], copies.linear

    def counted(states, copy):
        made.append(states.requires_grad)
        return linear(states, copy)

    monkeypatch.setattr(copies, "linear", counted)
    return made


def losses(folder):
    return [entry["loss"] for entry in json.loads((folder / "losses.json").read_text("utf-8"))]


@pytest.mark.parametrize("packing", ["tree", "none"])
def test_losses_of_a_lora_are_nearly_those_of_float32(tiny_folder, rows, tmp_path, from_copies, packing):
    start, recipe = resolve_model(str(tiny_folder)), dataclasses.replace(RECIPE, packing=packing)
    exact = train(start, rows, recipe, tmp_path / "exact")
    assert not from_copies
    shortened = train(start, rows, dataclasses.replace(recipe, autocast=True), tmp_path / "shortened")
    assert any(from_copies)
    assert losses(shortened) == pytest.approx(losses(exact), rel=0.02)
    assert losses(shortened) != losses(exact)


def test_an_adapter_of_bfloat16_products_ships_float32_and_goes_on(tiny_folder, rows, tmp_path, from_copies):
    from safetensors.torch import load_file

    first = train(resolve_model(str(tiny_folder)), rows, SHORT, tmp_path / "first")
    further = train(resolve_model(str(first)), rows, SHORT, tmp_path / "further")
    assert losses(further)[-1] < losses(first)[0]
    kept = load_file(first / "adapter_model.safetensors")
    assert {values.dtype for values in kept.values()} == {torch.float32}
    assert all("lora_" in name for name in kept)


def test_where_all_weights_are_trained_none_is_copied(tiny_folder, rows, tmp_path, from_copies):
    start = resolve_model(str(tiny_folder))
    whole = dataclasses.replace(RECIPE, lora_r=0, num_train_epochs=1)
    exact = train(start, rows, whole, tmp_path / "exact")
    shortened = train(start, rows, dataclasses.replace(whole, autocast=True), tmp_path / "shortened")
    assert not from_copies
    assert losses(shortened) == pytest.approx(losses(exact), rel=0.05)
    assert losses(shortened) != losses(exact)


def test_layers_that_are_computed_again_multiply_as_they_did(tmp_path):
    """Gradient checkpointing leaves the block of shortened products before the backward pass begins."""
    model = tiny.load_exact(tiny.save(tmp_path / "model")).model
    keep_copies(model)
    layer = next(module for module in model.modules() if isinstance(module, torch.nn.Linear))
    states = torch.randn(3, layer.in_features, requires_grad=True)
    with products_from_copies():
        first, again = recompute_alike()
        with first:
            shortened = layer(states)
    with again:
        assert torch.equal(layer(states), shortened)
    assert not torch.equal(layer(states), shortened)


@pytest.mark.parametrize(
    ("settings", "shortened"),
    [
        ({}, True),
        ({"precision": "float32"}, False),
        ({"practice_precision": "float32"}, False),
        ({"precision": "float32", "practice_precision": "autocast"}, True),
        ({"lora_r": 0}, False),
        ({"objective": "dpo"}, False),
    ],
)
@pytest.mark.parametrize("faster", [True, False])
def test_practice_goes_by_how_audits_are_computed_unless_it_is_told(
    tiny_folder, rows, tmp_path, monkeypatch, settings, shortened, faster
):
    monkeypatch.setattr(precision, "has_bfloat16_units", lambda: True)
    monkeypatch.setattr(precision, "copies_are_faster", lambda width: faster)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    recipes = []

    def stopped(spec, rows, recipe, *rest, **more):
        recipes.append(recipe)
        raise InterruptedError

    monkeypatch.setattr(training, "train", stopped)
    models = ArmModels(Config(model=str(tiny_folder), **settings), tmp_path)
    with pytest.raises(InterruptedError):
        models.train("adapted", 0, rows, None)
    is_asked = settings.get("practice_precision") == "autocast"
    assert [recipe.autocast for recipe in recipes] == [shortened and (faster or is_asked)]
