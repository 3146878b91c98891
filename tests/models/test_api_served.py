"""The default model behind a real server, llama-cpp-python, against the same weights on this machine."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from saywhy.measure.predict import label_scores
from saywhy.models import spec
from saywhy.models.backends import open_model
from saywhy.tasks.data import load_examples
from saywhy.tasks.task import load_task

PYTHON = os.environ.get("SAYWHY_LLAMA_PYTHON", "")
"""A Python that has llama-cpp-python[server]; it is compiled when it is installed, which no test does."""
HAS_SERVER = bool(PYTHON) or importlib.util.find_spec("llama_cpp") is not None
TEXTS = 24

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not HAS_SERVER,
        reason="no llama-cpp-python[server]: install it, or set SAYWHY_LLAMA_PYTHON to a Python that has it",
    ),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return ``model=`` of the default model's own GGUF file behind llama-cpp-python's server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("server") / "log").open("wb")
    words = ["-m", "llama_cpp.server", "--model", str(spec._packaged()), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([PYTHON or sys.executable, *words, "--n_ctx", "2048"], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{url}/models", timeout=1).close()
                break
            except (urllib.error.URLError, TimeoutError):
                assert process.poll() is None, "the server ended"
                time.sleep(0.5)
        yield f"openai:smollm2-135m@{url}"
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture(scope="module", autouse=True)
def fresh_cache(tmp_path_factory):
    """Keep the answers apart, so that the server is asked; the weights stay where they are."""
    weights = spec.cache_folder() / spec._dequantised_folder().name
    folder = tmp_path_factory.mktemp("cache")
    (folder / weights.name).symlink_to(weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAYWHY_CACHE", str(folder))
        yield


def test_a_server_answers_as_the_same_weights_do_here(served):
    task = load_task("sentiment140")
    texts = [(example.text, example.context) for example in load_examples(task, "test", "pocket").examples[:TEXTS]]
    model = open_model(served)
    assert model.label_way == "forced"
    there, here = label_scores(model, task, texts), label_scores(open_model("smollm2-135m"), task, texts)
    differences = [abs(served["positive"] - local["positive"]) for served, local in zip(there, here, strict=True)]
    assert sum(differences) / TEXTS < 0.15  # nats: llama.cpp computes with eight-bit activations
    same = sum(max(a, key=a.get) == max(b, key=b.get) for a, b in zip(there, here, strict=True))
    assert same >= TEXTS - 2
    assert model.counts["label_bounds"] == 0


def test_an_audit_of_a_served_model(served, call, tmp_path):
    words = ("rows=2", "calibration_rows=4", "decide_rows=2", "styles=attribution,redaction", f"out={tmp_path / 'run'}")
    said = call("audit", f"model={served}", *words)
    assert said.code == 0, said.err
    assert "label words forced" in (tmp_path / "run" / "run.json").read_text("utf-8")
