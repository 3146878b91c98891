"""The number format: chosen once, its reason said once by every command and kept in ``run.json``."""

import json
import subprocess
import sys

import pytest
import torch

import tiny
from saywhy.folders.run import RunFolder
from saywhy.models import backends, precision

SMALL = ("rows=4", "calibration_rows=8", "lexicon_rows=40", "decide_rows=8", "chunk=4")
TRAINING = ("adapt_rows=4", "train_rows=4", "adapt_epochs=1", "epochs=1")


@pytest.fixture
def on_cpu(monkeypatch):
    """Return a function that sets what this CPU can do: multiply in bfloat16 by torch, by units, faster from copies."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def can(*, by_torch, units, faster=True):
        monkeypatch.setattr(precision, "shortens_products", lambda: by_torch)
        monkeypatch.setattr(precision, "has_bfloat16_units", lambda: units)
        monkeypatch.setattr(precision, "copies_are_faster", lambda width: faster and width >= precision.LEAST_WIDTH)

    yield can
    tiny.exact_products()


@pytest.mark.parametrize(
    ("by_torch", "units", "faster", "auto", "mixed"),
    [
        (False, False, True, ("float32", None), ("float32", None)),
        (False, True, True, ("bfloat16", "copies"), ("bfloat16", "copies")),
        (False, True, False, ("float32", None), ("bfloat16", "copies")),
        (True, True, True, ("bfloat16", "copies"), ("bfloat16", "copies")),
        (True, True, False, ("bfloat16", None), ("bfloat16", "copies")),
    ],
)
def test_the_precision_is_chosen_with_a_reason(on_cpu, by_torch, units, faster, auto, mixed):
    on_cpu(by_torch=by_torch, units=units, faster=faster)
    settings = ("auto", "float32", "mixed", "bfloat16", "autocast")
    chosen = {setting: precision.choose_precision(setting, 576) for setting in settings}
    assert chosen["float32"].products == "float32"
    assert chosen["bfloat16"].dtype == torch.bfloat16
    assert all(choice.dtype == torch.float32 for setting, choice in chosen.items() if setting != "bfloat16")
    assert (chosen["auto"].products, chosen["auto"].shortened_by) == auto
    assert (chosen["mixed"].products, chosen["mixed"].shortened_by) == mixed
    assert chosen["autocast"].shortened_by == ("copies" if units else None)
    assert ("no units for shorter products" in chosen["mixed"].reason) == (mixed[0] == "float32")
    assert all(choice.reason for choice in chosen.values())


def test_narrow_layers_are_multiplied_in_float32_and_it_is_said(on_cpu):
    on_cpu(by_torch=False, units=True)
    chosen = precision.choose_precision("auto", 32)
    assert (chosen.products, chosen.shortened_by) == ("float32", None)
    assert "no faster with layers this narrow" in chosen.reason
    assert not precision.copies_are_faster(32)


def test_what_is_printed_is_what_torch_multiplies_in(monkeypatch):
    """Without copies: what they do is tested with them."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    chosen = precision.choose_precision("auto", 32)
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


@pytest.mark.parametrize(
    ("faster", "said"),
    [
        (False, "float32 products: shorter products are no faster with layers this narrow on this CPU"),
        (True, "bfloat16 products: faster on this CPU: a bfloat16 copy of the layers' weights is kept"),
    ],
)
def test_what_is_chosen_by_itself_is_kept_as_it_is_said(told, on_cpu, monkeypatch, faster, said):
    on_cpu(by_torch=False, units=True)
    monkeypatch.setattr(precision, "copies_are_faster", lambda width: faster)
    line, out = told("audit", *SMALL, "styles=attribution")
    assert line.startswith(f"cpu, float32 weights, {said}")
    kept = json.loads((out / "run.json").read_text("utf-8"))["model"]
    assert line == f"{kept['device']}, {kept['dtype']} weights, {kept['products']} products: {kept['reason']}"


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
