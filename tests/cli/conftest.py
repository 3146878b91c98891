"""A model behind an API, and audits of it: what the tests of such models share."""

import json

import pytest

from api_server import KEY_CANARY, RuleServer
from moods import RULE, TASK, TEXTS
from saywhy.folders.store import write_lines


@pytest.fixture
def api_environment(monkeypatch, tmp_path):
    """Keep answers in a folder of the test's own, and wait for nothing."""
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY_CANARY)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("saywhy.cli.app.say_report", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server():
    """Return a server that decides by the keyword rule and explains itself honestly."""
    started = RuleServer()
    yield started
    started.close()


@pytest.fixture
def audited(call, tmp_path):
    """Return a function that audits the model of a server on texts with planted causes."""
    for split, count in (("train", 60), ("test", 12)):
        rows = [(f"{TEXTS[n % len(TEXTS)]} {n}", RULE(TEXTS[n % len(TEXTS)])) for n in range(count)]
        write_lines(
            tmp_path / "data" / f"{split}.jsonl",
            ({"text": text, "label": "good" if odds["good"] else "bad"} for text, odds in rows),
        )

    def run(server, *words, verb="audit", out="run"):
        model = getattr(server, "model", server)
        task = getattr(server, "task", TASK)
        (tmp_path / "toys.yaml").write_text(json.dumps(task.model_dump(mode="json", exclude={"hub"})))
        data = (f"data={tmp_path / 'data'}", f"task={tmp_path / 'toys.yaml'}")
        more = () if any(word.startswith("rows=") for word in words) else ("rows=6",)
        return call(verb, f"model={model}", *data, "calibration_rows=8", *more, *words, f"out={tmp_path / out}")

    return run
