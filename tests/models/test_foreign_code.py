"""Code that lies in a model's folder is never run, whatever is typed when it is asked for."""

import json
import os
import subprocess
import sys

import pytest

import tiny

CODE = """
from pathlib import Path
Path({mark!r}).write_text("ran")
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class OwnConfig(LlamaConfig):
    model_type = "own"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""


def with_code(folder, mark, parts):
    """Let a model's folder bring code that leaves ``mark`` when it runs, for its model, tokenizer or both."""
    (folder / "own.py").write_text(CODE.format(mark=str(mark)), "utf-8")
    if "model" in parts:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        auto_map = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": auto_map}), "utf-8")
    if "tokenizer" in parts:
        path = folder / "tokenizer_config.json"
        auto_map = {"AutoTokenizer": ["own.OwnTokenizer", "own.OwnTokenizer"]}
        named = {"tokenizer_class": "OwnTokenizer", "auto_map": auto_map}
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **named}), "utf-8")
    return folder


@pytest.mark.parametrize("where", ["model", "tokenizer", "adapter"])
def test_yes_on_standard_input_runs_no_code(tmp_path, where):
    mark, folder = tmp_path / "ran", tiny.save(tmp_path / "base")
    if where == "adapter":
        config = {"base_model_name_or_path": str(folder), "peft_type": "LORA", "task_type": "CAUSAL_LM"}
        folder = tmp_path / "adapter"
        tiny.tokenizer().save_pretrained(folder)
        (folder / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    with_code(folder, mark, ["model"] if where == "model" else ["tokenizer"])
    ended = subprocess.run(
        [sys.executable, "-m", "saywhy", "explain", "What a great day at sea", f"model={folder}"],
        input="y\n" * 9,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HOME": str(tmp_path / "hub")},
        check=False,
    )
    assert not mark.exists()
    assert "run the custom code" not in ended.stdout + ended.stderr  # nor is anything asked
    if ended.returncode:  # where transformers knows a tokenizer by itself, it goes without the code
        assert ended.returncode == 2
        [problem] = [line for line in ended.stderr.splitlines() if line.startswith("saywhy: ")]
        assert "Traceback" not in ended.stderr
        assert where == "adapter" or f"brings code of its own ({folder}), which saywhy never runs" in problem
