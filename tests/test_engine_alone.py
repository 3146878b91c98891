"""The engine needs torch and transformers, with what these bring, and none of saywhy's other dependencies."""

import ast
import subprocess
import sys

import pytest

import tiny
from lacking import WITHOUT
from saywhy.models.interface import Choice

ENGINE = (
    "saywhy.explainer.steps",
    "saywhy.measure.edits",
    "saywhy.measure.readouts",
    "saywhy.models.backends",
    "saywhy.models.local",
    "saywhy.models.weights",
    "saywhy.pocket",
    "saywhy.training.completions",
    "saywhy.training.label_rows",
    "saywhy.training.objectives",
)


TEXT = "What a great sunny day, I love it!"

ANSWERS = f"""
import torch, {", ".join(ENGINE)}
from saywhy.models.interface import Choice
torch.set_num_threads(1)
model = saywhy.models.backends.open_model(sys.argv[1], precision="float32")
chat = [{{"role": "user", "content": {TEXT!r}}}]
print([model.choose([Choice(chat, ("great", "sad"))]), list(map(str, model.generate([chat], [8])))])
"""


def test_the_engine_answers_without_other_dependencies(tiny_folder):
    done = subprocess.run([sys.executable, "-c", WITHOUT + ANSWERS, str(tiny_folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    model, chat = tiny.load_exact(tiny_folder), [{"role": "user", "content": TEXT}]
    scores, replies = ast.literal_eval(done.stdout)
    assert scores[0] == pytest.approx(model.choose([Choice(chat, ("great", "sad"))])[0], abs=1e-4)
    assert replies == model.generate([chat], [8])
