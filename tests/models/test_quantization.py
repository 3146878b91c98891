"""Base weights in four bits: refused in one line where nothing computes them."""

import importlib.util

import pytest

from saywhy.models.quantization import refuse_quantize
from saywhy.models.spec import resolve_model
from saywhy.records import SaywhyError

VERBS = (("run", "arms=base,faithful"), ("audit", "rows=2"), ("train", "train_rows=8"), ("explain", "a text"))


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is here")
@pytest.mark.parametrize(("verb", "words"), VERBS)
def test_without_bitsandbytes_the_line_says_what_to_install(verb, words, call, tiny_folders, tmp_path):
    out = [] if verb == "explain" else [f"out={tmp_path / 'out'}"]
    said = call(verb, f"model={tiny_folders()}", "quantize=nf4", words, *out)
    assert (said.code, said.problem) == (2, "quantize=nf4 needs bitsandbytes: pip install 'saywhy[quantize]'")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def with_bitsandbytes(monkeypatch):
    monkeypatch.setattr("saywhy.models.quantization.importlib.util.find_spec", lambda name: object())


def test_without_a_card_the_line_says_why(with_bitsandbytes, tiny_folders, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SaywhyError, match="four-bit weights are computed on a card, and here is none: leave it out"):
        refuse_quantize("nf4", resolve_model(str(tiny_folders())))


def test_what_is_not_read_as_weights_is_one_line(with_bitsandbytes, tiny_folders, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    with pytest.raises(SaywhyError, match="leave quantize out"):
        refuse_quantize("nf4", resolve_model(f"vllm:{tiny_folders()}"))
    refuse_quantize("nf4", resolve_model(str(tiny_folders())))
    refuse_quantize(None, resolve_model(f"vllm:{tiny_folders()}"))


def test_all_weights_are_not_trained_in_four_bits(call):
    assert (
        "quantize: weights in four bits are not trained themselves: give lora_r"
        in call("train", "quantize=nf4", "lora_r=0").problem
    )
