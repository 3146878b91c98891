"""What was found out about a model's files is found out once, and again when they change."""

import os
import time

import pytest

import tiny
from saywhy.models import backends, kept, spec
from saywhy.models.chat import template_fingerprint
from saywhy.models.fingerprints import base_weights_fingerprint
from saywhy.models.forward import Forward
from saywhy.protocol.prompts import question_chat


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "kept"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "SETTLED", -1.0)  # as if the file had been lying there for a while
    path = tmp_path / "weights"
    path.write_text("first")
    return path


def counted(answers):
    """Return a function that gives one answer after the other, and the list of those given."""
    given = []

    def compute():
        given.append(answers[len(given)])
        return given[-1]

    return compute, given


def test_what_is_kept_is_not_computed_again(file):
    compute, given = counted(["a", "b", "c"])
    assert [kept.kept("kind", [file], 1, compute) for _ in range(3)] == ["a", "a", "a"]
    assert kept.kept("kind", [file], 2, compute) == "b"
    assert kept.kept("other", [file], 1, compute) == "c"
    assert given == ["a", "b", "c"]


def test_a_file_of_the_same_size_and_time_is_another(file):
    compute, _ = counted(["a", "b"])
    before = file.stat()
    assert kept.kept("kind", [file], 1, compute) == "a"
    time.sleep(0.02)
    file.write_text("other")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert kept.kept("kind", [file], 1, compute) == "b"


@pytest.mark.parametrize("content", [b"", b"z", b"z\n", b"\xff\xfe", b"z\n0123456789abcdef"])
def test_what_is_damaged_is_computed(file, cache, content):
    compute, _ = counted(["a", "b"])
    kept.kept("kind", [file], 1, compute)
    [entry] = cache.iterdir()
    entry.write_bytes(content)
    assert kept.kept("kind", [file], 1, compute) == "b"
    assert kept.kept("kind", [file], 1, compute) == "b"


def test_a_cache_that_cannot_be_written_costs_only_time(file, cache):
    compute, _ = counted(["a", "b"])
    cache.parent.mkdir()
    cache.write_text("a file where a folder should be")
    assert [kept.kept("kind", [file], 1, compute) for _ in range(2)] == ["a", "b"]


def test_of_files_just_written_and_of_nothing_nothing_is_kept(tmp_path, cache, monkeypatch):
    path = tmp_path / "weights"
    path.write_text("first")
    compute, _ = counted(["a", "b"])
    assert [kept.kept("kind", [path], 1, compute) for _ in range(2)] == ["a", "b"]
    monkeypatch.setattr(kept, "SETTLED", -1.0)
    assert kept.kept("kind", [path], 1, lambda: "") == ""
    assert not cache.exists()


def test_fingerprints_follow_the_files(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "SETTLED", -1.0)
    resolved = spec.resolve_model(str(tiny.save(tmp_path / "model")))
    before = [base_weights_fingerprint(resolved), template_fingerprint(resolved)]
    assert before == [base_weights_fingerprint(resolved), template_fingerprint(resolved)]
    tiny.save(tmp_path / "model", seed=1, template=tiny.CHATML.replace("<|im_start|>", "<|im_start|> "))
    after = [base_weights_fingerprint(resolved), template_fingerprint(resolved)]
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_the_way_is_tried_once_for_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "SETTLED", -1.0)
    tried = []
    choose = Forward._choose
    monkeypatch.setattr(Forward, "_choose", lambda self, *args: (tried.append(1), choose(self, *args))[1])
    folder = tiny.save(tmp_path / "model")
    chat = question_chat(tiny.TASK, "a great day", {})
    models = [backends.open_model(str(folder)) for _ in range(2)]
    assert [model.forward.way for model in models] == ["branches", "branches"]
    assert models[0].generate([chat], [4]) == models[1].generate([chat], [4])
    assert len(tried) == 1
    tiny.save(folder, seed=1)
    backends.open_model(str(folder))
    assert len(tried) == 2
