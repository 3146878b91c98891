"""Training with weights in shards is training in one process; configurations that ship are accelerate's."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from safetensors.torch import load_file

import saywhy
from launched import ended, launch
from practice import RECIPE, made_rows
from saywhy.models.spec import resolve_model
from saywhy.models.weights import has_weights
from saywhy.records import SaywhyError
from saywhy.training.train import train

SHARDED = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_CPU_RAM_EFFICIENT_LOADING": "false"}
SHARDED |= {"FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP", "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT"}


def in_shards(folder, out, recipe, monkeypatch, **more):
    """Train in two processes that share the weights; return what each left."""
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(Path(saywhy.__file__).parents[1])])
    for name, value in {**SHARDED, "PYTHONPATH": path, **more}.items():
        monkeypatch.setenv(name, value)
    words = (str(tests / "sharded.py"), str(folder), str(out), json.dumps(dataclasses.asdict(recipe)))
    return ended(launch(2, *words))


def losses(folder):
    return [entry["loss"] for entry in json.loads((folder / "losses.json").read_text("utf-8"))]


def weights(folder):
    return load_file(next(folder.glob("*model*.safetensors")))


def alike(first, second, atol):
    assert first.keys() == second.keys()
    return max((first[name] - second[name]).abs().max().item() for name in first) < atol


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lora_r", "trainer"),
    [(4, {}), (0, {}), (4, {"gradient_checkpointing": True})],
    ids=["lora", "full", "checkpointed"],
)
def test_shards_train_as_one_process_does(tiny_folder, tmp_path, monkeypatch, lora_r, trainer):
    # Seven texts, three a step: in every step one process has fewer than the other.
    recipe = dataclasses.replace(RECIPE, per_device_train_batch_size=3, lora_r=lora_r, trainer={"logging_steps": 1})
    alone = train(resolve_model(str(tiny_folder)), made_rows(), recipe, tmp_path / "alone")
    recipe = dataclasses.replace(recipe, trainer={**recipe.trainer, **trainer})
    for code, _, errors in in_shards(tiny_folder, tmp_path / "shards", recipe, monkeypatch):
        assert code == 0, errors
    shards = tmp_path / "shards"
    assert has_weights(shards)
    assert losses(shards) == pytest.approx(losses(alone), abs=1e-4)
    assert alike(weights(shards), weights(alone), 1e-4)
    for name in ("adapter_config.json", "config.json"):
        assert (shards / name).exists() == (alone / name).exists()
        if (alone / name).exists():
            assert json.loads((shards / name).read_text("utf-8")) == json.loads((alone / name).read_text("utf-8"))


@pytest.mark.slow
def test_shards_that_were_killed_train_on_to_the_same_weights(tiny_folder, tmp_path, monkeypatch):
    recipe = dataclasses.replace(RECIPE, trainer={"logging_steps": 1, "save_steps": 2})
    for code, _, errors in in_shards(tiny_folder, tmp_path / "killed", recipe, monkeypatch, ENDS_AT="3"):
        assert code == 9, errors
    assert not has_weights(tmp_path / "killed")
    for out in ("killed", "straight"):
        for code, _, errors in in_shards(tiny_folder, tmp_path / out, recipe, monkeypatch, ENDS_AT="0"):
            assert code == 0, errors
    assert losses(tmp_path / "killed") == pytest.approx(losses(tmp_path / "straight"), abs=1e-6)
    assert alike(weights(tmp_path / "killed"), weights(tmp_path / "straight"), 1e-6)


@pytest.mark.parametrize("name", ["fsdp2", "ddp", "cpu"])
def test_what_ships_is_a_configuration_of_accelerate(name, call):
    said = call("accelerate-config", name)
    config = load_config_from_file(said.out.strip())
    assert (config.distributed_type.value, config.use_cpu) == {
        "fsdp2": ("FSDP", False),
        "ddp": ("MULTI_GPU", False),
        "cpu": ("MULTI_CPU", True),
    }[name]
    if name == "fsdp2":
        given = {f"FSDP_{key.removeprefix('fsdp_').upper()}": str(value) for key, value in config.fsdp_config.items()}
        assert {key: value.lower() for key, value in given.items()}.items() >= {
            key: value.lower() for key, value in SHARDED.items() if key.startswith("FSDP_")
        }.items()


def test_an_unknown_configuration_is_one_line(call):
    assert call("accelerate-config", "fsdp").problem == (
        "no configuration 'fsdp': did you mean 'fsdp2'? there are cpu, ddp, fsdp2"
    )


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("FSDP_VERSION", "1", "FSDP_VERSION=1 is not 2"),
        ("FSDP_CPU_RAM_EFFICIENT_LOADING", "true", "FSDP_CPU_RAM_EFFICIENT_LOADING=true is not false"),
        ("FSDP_VERSION", "2", "weights are shared among cards, and here are none"),
    ],
)
def test_other_shards_are_one_line(name, value, reason, tiny_folder, tmp_path, monkeypatch):
    for key, set_to in {**SHARDED, name: value}.items():
        monkeypatch.setenv(key, set_to)
    with pytest.raises(SaywhyError, match=reason):
        train(resolve_model(str(tiny_folder)), made_rows(), RECIPE, tmp_path)


def test_a_checkpointed_training_is_the_same(tiny_folder, tmp_path):
    spec, rows = resolve_model(str(tiny_folder)), made_rows()
    plain = train(spec, rows, RECIPE, tmp_path / "plain")
    recipe = dataclasses.replace(RECIPE, trainer={"gradient_checkpointing": True})
    again = train(spec, rows, recipe, tmp_path / "again")
    assert losses(again) == pytest.approx(losses(plain), abs=1e-6)
    assert alike(weights(again), weights(plain), 1e-6)
