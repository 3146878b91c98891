"""What ``run.json`` says of how a run was made."""

import json
import subprocess
from types import SimpleNamespace

from saywhy.config import Config
from saywhy.models.spec import ModelSpec
from saywhy.runs import manifest

CHAT = {"messages": [{"role": "user", "content": "Sing."}, {"role": "assistant", "content": "La."}]}


def replay_of(tmp_path, monkeypatch, given):
    """Return what is said of the instruction data ``given``."""
    monkeypatch.setattr(manifest, "model_facts", lambda config, spec: {})
    task = SimpleNamespace(model_dump=lambda **_: {}, prompt=None, source="", plan="direct")
    corpus = SimpleNamespace(task=task, fingerprint=lambda: "rows")
    told = manifest.run_facts(Config(replay=given), ModelSpec("tiny", str(tmp_path), "tiny"), corpus, ("base",))
    return told["data"]["replay"]


def test_the_instruction_data_is_told_by_its_content_however_it_is_named(tmp_path, monkeypatch, jsonl):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = jsonl([CHAT], "train.jsonl", "chats")
    jsonl([CHAT, CHAT], "test.jsonl", "chats")
    first = {replay_of(tmp_path, monkeypatch, given) for given in (str(file), str(file.parent), "~/chats")}
    assert len(first) == 1
    file.write_text(json.dumps(CHAT).replace("La.", "Lo.") + "\n", "utf-8")
    assert replay_of(tmp_path, monkeypatch, "~/chats") not in {*first, None}
    assert replay_of(tmp_path, monkeypatch, None) is None


def test_a_checkout_without_git_has_no_revision(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(manifest, "__file__", str(tmp_path / "saywhy" / "manifest.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert manifest.git_revision() is None

    def found(command, **kwargs):
        return subprocess.CompletedProcess(command, 0, stdout="abc-dirty\n")

    monkeypatch.setattr(subprocess, "run", found)
    assert manifest.git_revision() == "abc-dirty"
