"""A folder of fewer texts goes on with more: the rows are those of a run that began with as many."""

import csv
import json
from pathlib import Path

import pytest

from launched import ended, launch
from saywhy.folders.run import RunFolder
from saywhy.runs import run as running

SETTINGS = (
    *("chunk=3", "decide_rows=90", "calibration_rows=6", "lexicon_rows=60", "pinned_words=2", "most_words=7"),
    *("precision=float32", "readouts=generated,constrained"),
)
CHECKED = ("settings=one-word,free", "robustness=noise,minimality")


@pytest.fixture
def saywhy(call, tiny_folder):
    """Return a function that runs a verb with few texts."""

    def run(verb, out, *words):
        return call(verb, f"model={tiny_folder}", f"out={out}", *SETTINGS, *words)

    return run


def made(out: Path) -> dict[str, bytes]:
    """Everything that is computed, and what it was computed from."""
    files = [path for path in out.rglob("*") if path.suffix in (".jsonl", ".json") and "adapter" not in path.parts]
    made = {path.relative_to(out).as_posix(): path.read_bytes() for path in files}
    manifest = json.loads(made.pop("run.json"))
    made.pop("checksums.json")
    return made | {key: json.dumps(manifest[key], sort_keys=True).encode() for key in ("config", "data", "counts")}


def test_an_audit_grows_to_the_rows_of_a_larger_one_and_repeats_one_chunk(saywhy, tmp_path, monkeypatch):
    grown, whole, audited = tmp_path / "grown", tmp_path / "whole", []

    def recorded(classifier, examples, *rest, audit=running.audit):
        audited.append([example.id for example in examples])
        return audit(classifier, examples, *rest)

    monkeypatch.setattr(running, "audit", recorded)
    assert saywhy("audit", grown, "rows=4", *CHECKED).code == 0
    assert [len(chunk) for chunk in audited] == [3, 1]
    former = audited.copy()
    audited.clear()
    said = saywhy("audit", grown, "rows=7", *CHECKED)
    assert said.code == 0
    assert f"{grown} goes on with rows=7: it had rows=4" in said.err
    assert [len(chunk) for chunk in audited] == [3, 1]
    assert audited[0][:1] == former[1], "the last chunk was a short one"
    assert saywhy("audit", whole, "rows=7", *CHECKED).code == 0
    assert made(grown) == made(whole)
    before = made(grown)
    assert saywhy("audit", grown, "rows=7", *CHECKED).code == 0
    assert made(grown) == before


@pytest.mark.slow
def test_trained_arms_grow_and_are_not_trained_again(saywhy, tmp_path):
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    few = ("arms=base,adapted,faithful", "adapt_rows=4", "train_rows=4", "num_train_epochs=1", CHECKED[0])
    assert saywhy("run", grown, "rows=3", *few).code == 0
    adapters = {path: path.stat().st_mtime_ns for path in grown.rglob("adapter_model.safetensors")}
    assert len(adapters) == 2
    assert saywhy("run", grown, "rows=5", *few).code == 0
    assert adapters == {path: path.stat().st_mtime_ns for path in grown.rglob("adapter_model.safetensors")}
    assert saywhy("run", whole, "rows=5", *few).code == 0
    assert made(grown) == made(whole)
    judged = {path.parent.name for path in grown.rglob("by-adapted.jsonl")}
    assert judged == {"base", "faithful"}, "free explanations are judged by adapted, too"


def test_scores_of_attribution_methods_grow(saywhy, tmp_path):
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    few = ("methods=occlusion,lexical",)
    assert saywhy("attribute", grown, "rows=4", *few).code == 0
    assert saywhy("attribute", grown, "rows=7", *few).code == 0
    assert saywhy("attribute", whole, "rows=7", *few).code == 0
    assert made(grown) == made(whole)


class Killed(BaseException):
    """Stands for the end of a process."""


def killed(*arguments, **settings):
    raise Killed


@pytest.mark.slow
def test_two_processes_grow_a_folder_as_one_does(saywhy, tiny_folder, tmp_path):
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    assert saywhy("audit", grown, "rows=4").code == 0
    assert saywhy("audit", whole, "rows=7").code == 0
    words = ("-m", "saywhy", "audit", f"model={tiny_folder}", f"out={grown}", *SETTINGS, "rows=7")
    for code, _, errors in ended(launch(2, *words)):
        assert code == 0, errors
    assert made(grown) == made(whole)


MOMENTS = {"audit": (running, "decide", "rows=4"), "growth": (RunFolder, "note", "rows=7")}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_what_was_killed_half_way_grows_all_the_same(saywhy, tmp_path, monkeypatch, moment):
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    place, name, last_rows = moment
    if last_rows == "rows=7":
        assert saywhy("audit", grown, "rows=4").code == 0
    monkeypatch.setattr(place, name, killed)
    with pytest.raises(Killed):
        saywhy("audit", grown, last_rows)
    monkeypatch.undo()
    assert saywhy("audit", grown, "rows=7").code == 0
    assert saywhy("audit", whole, "rows=7").code == 0
    assert made(grown) == made(whole)


def test_a_killed_growth_goes_back_to_the_former_rows(saywhy, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert saywhy("audit", out, "rows=4").code == 0
    before = made(out)
    monkeypatch.setattr(RunFolder, "note", killed)
    with pytest.raises(Killed):
        saywhy("audit", out, "rows=7")
    monkeypatch.undo()
    assert saywhy("audit", out, "rows=4").code == 0
    assert made(out) == before


def test_what_grows_is_reported_as_any_run_that_is_not_finished(saywhy, call, tmp_path, monkeypatch):
    out = tmp_path / "out"
    few = ("arms=base,adapted", "adapt_rows=4")
    assert saywhy("run", out, "rows=4", *few).code == 0

    def killed_at_adapted(classifier, examples, plan, *rest, audit=running.audit):
        return killed() if plan.arm == "adapted" else audit(classifier, examples, plan, *rest)

    monkeypatch.setattr(running, "audit", killed_at_adapted)
    with pytest.raises(Killed):
        saywhy("run", out, "rows=7", *few)
    monkeypatch.undo()
    said = call("report", out)
    assert said.code == 0, said.err
    assert {row["rows"] for row in csv.DictReader((out / "table.csv").open()) if row["arm"] == "base"} == {"7"}


@pytest.mark.parametrize(
    ("begun", "changed", "problem"),
    [
        (["rows=4"], ["rows=3"], "rows: 4 -> 3"),
        (["rows=all"], ["rows=9"], "rows: None -> 9"),
        (["rows=4"], ["rows=7", "chunk=4"], "chunk: 3 -> 4"),
        (
            ["rows=4", "split=train", "decide_rows=2"],
            ["rows=200", "split=train", "decide_rows=2"],
            "of calibration, lexicon would be",
        ),
    ],
    ids=["fewer", "from all", "another setting too", "texts of training"],
)
def test_other_changes_are_refused_and_nothing_is_lost(saywhy, tmp_path, begun, changed, problem, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(running.Run, "audit", lambda *_: None)  # what was computed does not matter
    monkeypatch.setattr("saywhy.cli.app.say_report", lambda *_, **__: None)
    assert saywhy("audit", out, *begun).code == 0
    before = made(out)
    said = saywhy("audit", out, *changed)
    assert said.code == 2
    assert problem in said.problem
    assert made(out) == before
