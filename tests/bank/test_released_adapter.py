"""A released adapter is small, whole and the same each time."""

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file

import tiny
from saywhy.bank.adapter import release_adapter
from saywhy.cli.banks import release
from saywhy.folders.store import write_json
from saywhy.measure.predict import Classifier
from saywhy.models.backends import open_model
from saywhy.models.spec import resolve_model
from saywhy.models.weights import ADAPTER_WEIGHTS, load_base
from saywhy.records import Example, SaywhyError
from saywhy.training.encoding import Recipe
from saywhy.training.train import lora


@pytest.fixture
def adapter(tmp_path):
    base, tokenizer = load_base(resolve_model(str(tiny.save(tmp_path / "base"))))
    model = get_peft_model(base, lora(Recipe(lora_r=2)))
    for name, weight in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(weight, std=0.2)
    model.save_pretrained(tmp_path / "adapter")
    tokenizer.save_pretrained(tmp_path / "adapter")
    write_json(tmp_path / "adapter" / "saywhy.json", {"recipe": {"plan": "direct"}})
    (tmp_path / "adapter" / "README.md").write_text("# A card\n", "utf-8")
    return tmp_path / "adapter"


def test_a_release_has_half_the_bytes_and_says_the_same(adapter, tmp_path):
    release(adapter, tmp_path / "out")
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"README.md", "adapter_config.json", ADAPTER_WEIGHTS, "saywhy.json"}
    before, after = (load_file(folder / ADAPTER_WEIGHTS) for folder in (adapter, tmp_path / "out"))
    assert {values.dtype for values in after.values()} == {torch.bfloat16}
    for name, values in before.items():
        torch.testing.assert_close(after[name].float(), values, rtol=2**-8, atol=0)
    example, uncalibrated = Example("1", tiny.TEXTS[0]), dict.fromkeys(tiny.TASK.labels, 0.0)
    answers = [
        Classifier(open_model(str(folder)), tiny.TASK, uncalibrated).predict_examples([example])[0]
        for folder in (adapter, tmp_path / "out", tmp_path / "base")
    ]
    whole, released, base = (answer.margin_of("positive") for answer in answers)
    assert abs(released - whole) < 0.05 * abs(whole - base)


def test_the_same_adapter_gives_the_same_bytes(adapter, tmp_path):
    first, second = (release_adapter(adapter, tmp_path / name) for name in ("one", "two"))
    assert (first / ADAPTER_WEIGHTS).read_bytes() == (second / ADAPTER_WEIGHTS).read_bytes()
    release_adapter(adapter, second)  # in its own place


def test_it_is_not_put_in_the_place_of_what_it_is_made_of(adapter):
    before = (adapter / ADAPTER_WEIGHTS).read_bytes()
    with pytest.raises(SaywhyError, match="give another folder"):
        release_adapter(adapter, adapter)
    assert (adapter / ADAPTER_WEIGHTS).read_bytes() == before


def test_a_base_that_is_a_folder_of_this_machine_is_said(adapter, tmp_path, capsys):
    release_adapter(adapter, tmp_path / "out")
    said = " ".join(capsys.readouterr().err.split())
    assert f"its base is the folder {tmp_path / 'base'} of this machine" in said
    assert "before you publish it, write its public name" in said


@pytest.mark.parametrize("lost", ["README.md", "saywhy.json"])
def test_what_was_not_audited_is_not_released(adapter, tmp_path, lost):
    (adapter / lost).unlink()
    with pytest.raises(SaywhyError, match=lost):
        release_adapter(adapter, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_else_is_overwritten(adapter, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("mine", "utf-8")
    with pytest.raises(SaywhyError, match="no adapter and not empty"):
        release_adapter(adapter, tmp_path / "out")
    assert (tmp_path / "out" / "diary.txt").read_text("utf-8") == "mine"


def test_broken_weights_are_one_line(adapter, tmp_path):
    (adapter / ADAPTER_WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(SaywhyError, match="cannot be copied") as refused:
        release_adapter(adapter, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
