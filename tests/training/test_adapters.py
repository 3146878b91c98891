"""An adapter that cannot be used is one line: damaged, incomplete, of another base."""

import dataclasses
import json
import shutil

import pytest
from peft import get_peft_model
from safetensors.torch import load_file, save_file

import tiny
from saywhy.cli.explain import explain_text
from saywhy.config import Config
from saywhy.models import backends, spec, weights
from saywhy.records import SaywhyError
from saywhy.training.encoding import Recipe
from saywhy.training.models import ArmModels, in_practised_plan
from saywhy.training.train import lora

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """Return the folder of an untrained adapter of a tiny Llama."""
    folder = tmp_path_factory.mktemp("adapted")
    model, _ = weights.load_base(spec.resolve_model(str(tiny.save(folder / "base"))))
    get_peft_model(model, lora(Recipe(lora_r=2))).save_pretrained(folder / "adapter")
    return folder / "adapter"


def fails(folder) -> str:
    with pytest.raises(SaywhyError) as refused:
        backends.open_model(str(folder))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_whole_one_is_loaded(adapter):
    assert backends.open_model(str(adapter)).name == str(adapter)


def truncated(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def lost(folder):
    (folder / WEIGHTS).unlink()


def of_another_base(folder):
    told = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    other = tiny.save(folder.parent / "other", "gpt2")
    (folder / "adapter_config.json").write_text(json.dumps(told | {"base_model_name_or_path": str(other)}), "utf-8")


def half_of_it(folder):
    kept = load_file(folder / WEIGHTS)
    save_file(dict(list(kept.items())[::2]), folder / WEIGHTS)


@pytest.mark.parametrize("damage", [truncated, lost, of_another_base, half_of_it], ids=lambda one: one.__name__)
def test_what_does_not_fit_its_base(adapter, tmp_path, damage):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    damage(folder)
    told = fails(folder)
    assert told.startswith(f"adapter {folder} cannot be put on")
    assert told.endswith("check that it was trained on this base, and that its files are whole")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ('{"base_model_name_or_path": null}', "names no base model; write base_model_name_or_path"),
        ("[]", "is damaged (no JSON object)"),
        ("{", "is damaged ("),
    ],
)
def test_a_configuration_that_names_no_base(tmp_path, config, told):
    (tmp_path / "adapter_config.json").write_text(config, "utf-8")
    assert told in fails(tmp_path)


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ("{", "saywhy.json is damaged ("),
        ('{"tasks": {"sentiment140": {"constants": {"negative": 0.1}}}}', "of task sentiment140): delete it"),
        ('{"tasks": {"sentiment140": {"constants": {}, "pinned": 3}}}', "of task sentiment140): delete it"),
    ],
)
def test_damaged_constants(adapter, tmp_path, beside, told):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    (folder / spec.ADAPTER_MANIFEST).write_text(beside, "utf-8")
    with pytest.raises(SaywhyError) as refused:
        spec.resolve_model(str(folder)).saved_calibration("sentiment140")
    assert told in str(refused.value)


def test_replies_are_asked_for_in_the_plan_that_was_practised(adapter, tmp_path):
    folder = shutil.copytree(adapter, tmp_path / "adapter")
    recipe = dataclasses.asdict(Recipe(plan="named-first"))
    (folder / "saywhy.json").write_text(json.dumps({"recipe": recipe}), "utf-8")
    given, silent = Config(model=str(folder), plan="direct"), Config(model=str(folder))
    for ask in (lambda: ArmModels(given, tmp_path), lambda: explain_text("What a great day", given)):
        with pytest.raises(SaywhyError, match="give plan=named-first"):
            ask()
    assert in_practised_plan(silent) == Config(model=str(folder), plan="named-first")
    assert in_practised_plan(given) is given
    unknown = Config(model=str(adapter))
    assert in_practised_plan(unknown) is unknown
    with pytest.raises(SaywhyError, match="wordings: replies that name their words first"):
        in_practised_plan(Config(model=str(folder), wordings="pool"))
