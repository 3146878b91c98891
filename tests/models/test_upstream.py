"""What a new version of transformers may call otherwise is no reason to stop: the next way is taken, and said."""

import json
import subprocess
import sys

import pytest

import tiny

SCORES = """
import importlib, json, sys
for module, name in (path.rsplit(".", 1) for path in sys.argv[2:]):
    delattr(importlib.import_module(module), name)  # as if it were called otherwise
from saywhy.models.backends import open_model
from saywhy.models.interface import Choice
model = open_model(sys.argv[1], precision="float32")
chat = [{"role": "user", "content": "What a great day at sea"}]
scores = model.choose([Choice(chat, ("positive", "negative"), "The tweet is")])
print(json.dumps({"way": model.forward.way, "scores": scores[0], "reply": model.generate([chat], [8])}))
"""


def scored(folder, *missing):
    done = subprocess.run(
        [sys.executable, "-c", SCORES, str(folder), *missing], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout), done.stderr


def test_a_renamed_attention_interface_leaves_the_explicit_mask(tmp_path):
    folder = tiny.save(tmp_path / "model")
    usual, usual_lines = scored(folder)
    fallen_back, lines = scored(folder, "transformers.masking_utils.sdpa_mask")
    assert (usual["way"], fallen_back["way"]) == ("branches", "mask")
    assert fallen_back["scores"] == pytest.approx(usual["scores"], abs=1e-4)
    assert fallen_back["reply"] == usual["reply"]
    [line] = [line for line in lines.splitlines() if line not in usual_lines.splitlines()]
    assert "is computed as a prefix tree with an explicit mask (branches: " in line
    assert "sdpa_mask" in line
