"""The number format: chosen once, its reason said once by every command and kept in ``run.json``."""

import json
import subprocess
import sys

import pytest
import torch

import tiny
from saywhy.folders.run import RunFolder
from saywhy.models import backends, precision
from saywhy.models.interface import Choice
from saywhy.models.local import LocalModel
from saywhy.protocol.prompts import question_chat

SMALL = ("rows=4", "calibration_rows=8", "lexicon_rows=40", "decide_rows=8", "chunk=4")
TRAINING = ("adapt_rows=4", "train_rows=4", "adapt_epochs=1", "epochs=1")


@pytest.mark.parametrize("able", [False, True])
def test_the_precision_is_chosen_with_a_reason(monkeypatch, able):
    monkeypatch.setattr(precision, "shortens_products", lambda: able)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = {wanted: precision.choose_precision(wanted) for wanted in ("auto", "float32", "mixed", "bfloat16")}
    tiny.exact_products()
    assert found["float32"].products == "float32"
    assert found["bfloat16"].dtype == torch.bfloat16
    assert all(one.dtype == torch.float32 for name, one in found.items() if name != "bfloat16")
    assert found["auto"].products == found["mixed"].products == ("bfloat16" if able else "float32")
    assert ("no shorter products" in found["mixed"].reason) != able


def test_what_is_printed_is_what_torch_multiplies_in(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    chosen = precision.choose_precision("auto")
    generator = torch.Generator().manual_seed(0)
    values, weights = (torch.randn(size, 576, generator=generator) for size in (300, 500))
    exact = values.double() @ weights.double().T
    off = (torch.nn.functional.linear(values, weights) - exact).abs().max().item()
    tiny.exact_products()
    assert ("float32" if off < 1e-2 else "bfloat16") == chosen.products  # rounded operands are off by 0.3


MANY_SHAPES = """
import psutil, torch
from saywhy.models import precision
torch.set_num_threads(1)
torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # by oneDNN, whatever it then multiplies in
weights = [torch.randn(64, 32), torch.randn(32, 64), torch.randn(32, 32)]
def compute(rows):
    values = torch.randn(rows, 32)
    for weight in weights:
        values = torch.nn.functional.linear(values, weight)
with torch.inference_mode():
    for rows in range(50, 150):
        compute(rows)
    before = psutil.Process().memory_info().rss
    for rows in range(150, 500):
        compute(rows)
print((psutil.Process().memory_info().rss - before) >> 20)
"""


def test_memory_does_not_grow_with_the_shapes_of_trees():
    ended = subprocess.run([sys.executable, "-c", MANY_SHAPES], capture_output=True, text=True, check=True)
    assert int(ended.stdout) < 100  # MB; without a bound 400


@pytest.fixture
def told(call, tiny_folder, tmp_path):
    """Return a function from a command to its one line about the number format, and its run folder."""

    def run(verb, *words, out=tmp_path / "run"):
        backends._say_once.cache_clear()
        where = () if verb == "explain" else (f"out={out}",)
        said = call(verb, *words, f"model={tiny_folder}", *where)
        tiny.exact_products()
        assert said.code == (2 if verb == "calibrate" and "--dry" not in words else 0), said.err
        [line] = [line for line in said.err.splitlines() if " products: " in line]
        return line, out

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("run", *SMALL, *TRAINING, "arms=base,faithful", "styles=attribution", "train_styles=attribution"),
        ("run", *SMALL, "--dry"),
        ("audit", *SMALL, "styles=attribution"),
        ("explain", "What a great day at sea", "calibration_rows=8"),
        ("attribute", *SMALL, "methods=random,gradient_x_input"),
        ("attribute", *SMALL, "methods=random", "--dry"),
        ("calibrate", *SMALL, "plants=keyword,trigger", "plant_rows=8", "plant_epochs=1"),  # which it does not learn
        ("calibrate", *SMALL, "--dry"),
        ("targets", *SMALL, *TRAINING),
        ("train", *SMALL, *TRAINING),
    ],
    ids=" ".join,
)
def test_every_command_says_the_reason_once_and_the_run_keeps_it(told, words):
    line, out = told(*words, "precision=float32")
    assert line.endswith("float32 weights, float32 products: asked for")
    if words[0] == "explain" or "--dry" in words:
        assert not out.exists()
        return
    kept = json.loads((out / "run.json").read_text("utf-8"))["model"]
    assert (kept["dtype"], kept["products"], kept["reason"]) == ("float32", "float32", "asked for")
    assert line.startswith(kept["device"])


def test_what_is_chosen_by_itself_is_kept_as_it_is_said(told, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(precision, "shortens_products", lambda: False)
    line, out = told("attribute", *SMALL, "methods=random")
    assert line == "cpu, float32 weights, float32 products: torch has no shorter products on this CPU"
    assert (
        json.loads((out / "run.json").read_text("utf-8"))["model"]["reason"]
        == "torch has no shorter products on this CPU"
    )


def test_a_run_that_goes_on_with_another_format_says_so_and_keeps_both(tmp_path, capsys):
    def facts(products):
        return {"model": {"fingerprint": "x", "device": "cpu", "dtype": "float32", "products": products}}

    RunFolder(tmp_path, {"rows": 5}, facts("float32"))
    RunFolder(tmp_path, {"rows": 5}, facts("float32"))
    assert not capsys.readouterr().err
    for _ in range(2):
        RunFolder(tmp_path, {"rows": 5}, facts("bfloat16"))
        assert "was begun on cpu, float32 weights, float32 products" in " ".join(capsys.readouterr().err.split())
    kept = json.loads((tmp_path / "run.json").read_text("utf-8"))["model"]
    assert (kept["products"], kept["also"]) == ("float32", ["cpu, float32 weights, bfloat16 products"])


@pytest.mark.parametrize("able", [False, True])
def test_autocast_is_float32_without_the_units_for_it(monkeypatch, able):
    monkeypatch.setattr(precision, "has_bfloat16_units", lambda: able)
    chosen = precision.choose_precision("autocast")
    tiny.exact_products()
    assert (chosen.autocast, chosen.dtype) == (able, torch.float32)


def test_autocast_says_nearly_what_float32_says(tiny_folder):
    """The layers are rounded, the head is not: scores differ, but by little."""
    exact = tiny.load_exact(tiny_folder)
    rounded = LocalModel("rounded", exact.model, exact.chat.tokenizer, autocast=True)
    choices = [Choice(question_chat(tiny.TASK, text, {}), ("positive", "negative"), "It is") for text in tiny.TEXTS]
    pairs = [
        (before, after)
        for of_exact, of_rounded in zip(exact.choose(choices), rounded.choose(choices), strict=True)
        for before, after in zip(of_exact, of_rounded, strict=True)
    ]
    assert all(after == pytest.approx(before, abs=0.2) for before, after in pairs)
    assert any(after != before for before, after in pairs)
