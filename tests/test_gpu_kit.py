"""The benchmark for cards, on the processor: every part whole, none repeated, nothing lost by one that fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from benchmarks import script
from benchmarks.asking import asks
from benchmarks.common import Ledger
from benchmarks.gpu import __main__ as kit
from benchmarks.gpu import exhaustion, lora, small, ways
from benchmarks.gpu.card import LeftOutError, need, run_steps
from benchmarks.gpu.compare import encoded_rows, most_apart, plain_loss, plain_table, table, train, tree_loss
from benchmarks.gpu.large import LargeModel
from benchmarks.gpu.section import section
from benchmarks.gpu.small import TINY_SHAPE
from benchmarks.gpu.subject import random_model, subject, tokenizer
from benchmarks.naive import PlainModel
from lacking import MISSING, WITHOUT
from saywhy.explainer.steps import guided_alone
from saywhy.models.forward import FORWARD_WAYS
from saywhy.models.interface import Choice
from saywhy.records import STYLES

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


@pytest.fixture
def measured():
    model = random_model(LlamaConfig(**TINY_SHAPE, pad_token_id=0), CPU, torch.float32)
    return subject(model, tokenizer(2000), 3, 2048)


@pytest.fixture
def run_kit(monkeypatch, capsys, tmp_path):
    """Return a function from options to (exit code, the printed JSON, the printed section)."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["gpu/__main__.py", "--tiny", "--texts", "2", "--out", str(tmp_path), *words])
        capsys.readouterr()
        try:
            kit.main()
            code = 0
        except SystemExit as ended:
            code = ended.code
        printed, body = capsys.readouterr().out.split("\n\n", 1)
        return code, json.loads(printed), body

    return run


def test_both_sides_of_the_table_and_of_training_are_one(measured):
    chosen = measured.examples
    assert most_apart(table(measured, chosen).answer, plain_table(measured, chosen, 512).answer) < 1e-4
    texts = encoded_rows(measured)
    assert tree_loss(measured, texts).item() == pytest.approx(plain_loss(measured, texts).item(), abs=1e-4)


def test_six_explanations_are_asked_of_each_text(measured):
    assert len(asks(measured.task, measured.items(), STYLES)) == 6 * len(measured.examples)


@pytest.mark.parametrize("installed", [True, False], ids=["peft", "own"])
def test_a_lora_trains_and_leaves_the_model_as_it_was(measured, monkeypatch, installed):
    monkeypatch.setattr(lora, "is_there", lambda package: installed)
    texts, model = encoded_rows(measured), measured.local.model
    weights = {name: (weight.clone(), weight.requires_grad) for name, weight in model.named_parameters()}
    before = tree_loss(measured, texts).item()
    with lora.lora(model) as trained:
        assert tree_loss(measured, texts).item() == pytest.approx(before, abs=1e-5)  # it begins as nothing
        assert sum(weight.numel() for weight in trained) == 16 * sum(map(sum, (m.shape for m in matrices(weights))))
    losses = train(measured, model, tree_loss, texts * 8, 1).answer
    assert losses[-1] < losses[0]
    assert {name: weight.requires_grad for name, weight in model.named_parameters()} == {
        name: requires for name, (_, requires) in weights.items()
    }
    assert all(torch.equal(weight, weights[name][0]) for name, weight in model.named_parameters())


def matrices(weights):
    """Return the weights of linear layers but the head, which is the embedding here."""
    return [weight for name, (weight, _) in weights.items() if weight.dim() == 2 and "embed" not in name]


def test_plain_batches_say_what_single_prompts_say(measured):
    single, batched = PlainModel(measured.bare), PlainModel(measured.bare, 3)
    chats = [[{"role": "user", "content": text.text}] for text in measured.examples]
    choices = [Choice(chat, ("negative", "positive", "a good day"), "It is", ends=True) for chat in chats]
    for first, second in zip(single.choose(choices), batched.choose(choices), strict=True):
        assert first == pytest.approx(second, abs=1e-4)
    styles = [("attribution",)] * len(chats)
    replies = [guided_alone(model, measured.task, measured.items(), styles) for model in (single, batched)]
    assert replies[0] == replies[1] == guided_alone(measured.local, measured.task, measured.items(), styles)


@pytest.mark.parametrize("family", ["llama", "gemma 2"])
def test_ways_give_what_plain_prompts_give(family):
    by_way = {result["way"]: result for result in ways.family_in_format(family, "float32", CPU, tiny=True)}
    taken = [way for way in FORWARD_WAYS if "refused" not in by_way[way]]
    assert ("branches" in taken) == (family == "llama")  # the other caps its attention's scores
    assert {"mask", "rows"} <= set(taken)
    for way in taken:
        assert by_way[way]["from plain, nats"] < 1e-4
        assert by_way[way]["from the processor's float32, nats"] < 1e-4
        assert by_way[way]["replies unlike rows"] == 0
        assert by_way[way]["loss, nats"] == pytest.approx(by_way["rows"]["loss, nats"], abs=1e-4)
        assert by_way[way]["gradient"] == pytest.approx(by_way["rows"]["gradient"], rel=1e-3)


def test_a_part_is_kept_and_not_repeated(run_kit, monkeypatch, tmp_path):
    code, printed, body = run_kit("--parts", "d")
    assert (code, list(printed["parts"]), printed["parts"]["d"]["failed"]) == (0, ["d"], {})
    of_steps = printed["parts"]["d"]["results"]
    assert of_steps["table"]["most apart, nats"] < 1e-4
    assert of_steps["explanations"]["different replies"] == 0
    assert all(of_step["in the end"] < of_step["tokens at once, begun with"] for of_step in of_steps.values())
    assert "### When memory runs out" in body
    assert (tmp_path / "gpu.md").read_text("utf-8").strip() == body.strip()
    kept = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert kept["parts"] == printed["parts"]
    again = {name: lambda: pytest.fail("measured again") for name in kept["parts"]["d"]["results"]}
    monkeypatch.setattr(exhaustion, "steps", lambda *_, **__: again)
    assert run_kit("--parts", "d")[1]["parts"] == printed["parts"]
    monkeypatch.setattr(ways, "steps", lambda *_, **__: {"llama": lambda: [{"way": "rows", "from plain, nats": 0.5}]})
    code, both, body = run_kit("--parts", "a")
    assert (code, sorted(both["parts"])) == (0, ["a", "d"])
    assert "| llama, rows | from plain, nats 0.5 |" in body


def test_a_step_that_fails_costs_the_others_nothing(run_kit, monkeypatch):
    def broken():
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")

    def lacking():
        need("no_such_package")

    wrong = {"broken": broken, "lacking": lacking, "whole": lambda: {"seconds": 1.5}}
    monkeypatch.setattr(ways, "steps", lambda *_, **__: wrong)
    code, printed, body = run_kit("--parts", "a")
    assert code == 1
    assert printed["parts"]["a"] == {
        "results": {"whole": {"seconds": 1.5}},
        "left out": {"lacking": "missing: no_such_package"},
        "failed": {"broken": "RuntimeError: CUDA error: an illegal memory access was encountered"},
    }
    assert "- FAILED: broken: RuntimeError" in body
    assert "- left out: lacking: missing: no_such_package" in body
    wrong["broken"] = lambda: 7
    code, printed, _ = run_kit("--parts", "a")  # what failed is tried again, what was measured is kept
    assert (code, printed["parts"]["a"]["results"]["broken"]) == (0, 7)


def test_no_step_begins_when_the_time_is_over(tmp_path):
    ledger, made = Ledger(tmp_path / "a.json", {}), []
    steps = {name: lambda name=name: made.append(name) or 1 for name in ("first", "second")}
    whole = run_steps(steps, ledger, -1)
    assert (whole["results"], made, sorted(whole["left out"])) == ({}, [], ["first", "second"])
    assert run_steps(steps, ledger, 60)["results"] == {"first": 1, "second": 1}
    assert run_steps(steps, ledger, -1)["left out"] == {}


def test_what_is_missing_is_named():
    with pytest.raises(LeftOutError, match="missing: no_such_package, nor_this"):
        need("torch", "no_such_package", "nor_this")


def test_a_section_says_what_was_not_measured():
    about = {"device": "card", "torch": "2.11", "missing": ["trl"]}
    of_part = {"results": {"table": {"seconds": 1234.5, "peak": None}}, "left out": {"x": "why"}, "failed": {}}
    body = section(about, {"c": of_part})
    assert "| table | seconds 1234; peak - |" in body or "| table | seconds 1235; peak - |" in body
    assert "Missing packages: trl" in body
    assert "- left out: x: why" in body


def test_seven_billion_weights_are_not_made_without_a_card(tmp_path):
    steps = LargeModel(CPU, Ledger(tmp_path / "c.json", {}), 2, tiny=False).steps()
    measured = run_steps(steps, Ledger(tmp_path / "c.json", {}), 60)
    assert (measured["results"], measured["failed"]) == ({}, {})
    assert set(measured["left out"].values()) == {
        "a card with 24 GiB free is needed, or --tiny",
        "kernels are a card's",
    }


def test_a_folder_that_cannot_be_made_is_one_line(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr(sys, "argv", ["gpu/__main__.py", "--out", str(tmp_path / "file" / "out")])
    with pytest.raises(SystemExit) as ended:
        script.run("gpu", kit.main)
    assert ended.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"gpu: --out {tmp_path / 'file' / 'out'}: Not a directory: name a folder that can be written"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--parts", "a,x"], "argument --parts: 'a,x': the parts are a, b, c, d"),
        (["--seconds", "0"], "argument --seconds: '0' is not a whole number of 1 or more"),
    ],
)
def test_what_is_no_part_is_one_line(words, line, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu/__main__.py", *words])
    with pytest.raises(SystemExit) as ended:
        kit.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: {line}")


@pytest.mark.slow
@pytest.mark.parametrize("lacks", [False, True], ids=["whole", "lacking"])
def test_every_part_runs_with_and_without_other_packages(tmp_path, lacks):
    begun = (
        (WITHOUT if lacks else "import sys")
        + f"""
import runpy
sys.argv = ["gpu/__main__.py", "--tiny", "--texts", "2", "--seconds", "600", "--out", {str(tmp_path)!r}]
runpy.run_module("benchmarks.gpu", run_name="__main__", alter_sys=False)
"""
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run([sys.executable, "-c", begun], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    kept = json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    left_out = {name: reason for part in kept["parts"].values() for name, reason in part["left out"].items()}
    assert set(left_out) - {"table beside captum"} == {"attention", "training beside TRL"}
    assert ("table beside captum" in left_out) == lacks
    assert set(kept["about"]["missing"]) == (set(kept["about"]["missing"]) & set(MISSING) if lacks else set())
    assert "first loss apart, nats" in kept["parts"]["b"]["results"]["training"]
    assert ("peft is missing" in kept["parts"]["b"]["results"]["training"]["LoRA"]) == lacks


@pytest.mark.slow
def test_a_model_that_is_at_hand_is_measured_beside_all_peers(monkeypatch, tmp_path):
    folder = tmp_path / "model"
    random_model(LlamaConfig(**TINY_SHAPE, pad_token_id=0), CPU, torch.float32).save_pretrained(folder)
    tokenizer(2000).save_pretrained(folder)
    ledger = Ledger(tmp_path / "b.json", {})
    monkeypatch.setattr(small, "BUDGETS", (512,))
    monkeypatch.setattr(small, "SIZES", (4,))
    steps = small.DefaultModel(str(folder), CPU, ledger, 2, tiny=False).steps()
    measured = run_steps({name: step for name, step in steps.items() if "explanations" not in name}, ledger, 600)
    assert (measured["failed"], measured["left out"]) == ({}, {})
    assert measured["results"]["weights"] == str(folder)
    assert measured["results"]["table"]["most apart, nats"] < 1e-4
    assert measured["results"]["training"]["first loss apart, nats"] < 1e-4
    assert measured["results"]["serving, search, 8 together"]["different verdicts"] == 0
