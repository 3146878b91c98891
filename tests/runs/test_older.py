"""A run that was begun by an older version, with the names that settings had then, is read, finished and reported."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from saywhy.folders.store import read_json, read_lines, write_json
from saywhy.records import SaywhyError
from saywhy.report import write_report
from saywhy.runs.run import Run
from saywhy.settings import parse
from saywhy.words import CANDIDATES_RULE

OLDER = Path(__file__).parent / "older"
"""A tiny model, its run as that version left it half-way through the last audit, and what it came to."""
WHOLE_ROWS = "whole/rows.jsonl"
SETTINGS = [
    *("model=model", "rows=4", "adapt_rows=6", "train_rows=6", "decide_rows=8", "calibration_rows=8", "chunk=2"),
    *("pinned_words=2", "lexicon_rows=200", "arms=base,adapted,faithful", "readouts=generated,constrained"),
    *("precision=float32", "most_words=7"),
]
OLD_NAMES = ["batch=2", "rank=2", "epochs=1", "rate=0.002"]
NEW_NAMES = ["per_device_train_batch_size=2", "lora_r=2", "num_train_epochs=1", "learning_rate=0.002"]


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """Return a copy of the run, in a folder from which its model is found."""
    shutil.copytree(OLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "run"


@pytest.fixture
def noted(begun):
    """Return the run as if it had noted how candidates are found: in its texts both rules find the same."""
    write_json(begun / "run.json", read_json(begun / "run.json") | {"candidates_rule": CANDIDATES_RULE})
    return begun


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def verdicts(rows):
    return [(row["id"], row["style"], row["readout"], row["edited"], row["hit"]) for row in rows]


@pytest.mark.parametrize("names", [OLD_NAMES, NEW_NAMES], ids=["old names", "new names"])
def test_it_goes_on_to_what_it_would_have_come_to(noted, names):
    begun, before = noted, content(noted)
    config = parse([*SETTINGS, *names])
    assert Run(config, begun).run() == begun
    after = content(begun)
    changed = {str(path) for path in before if after.get(path) != before[path]}
    assert changed == {"run.json", "seed-0/faithful/.rows-parts/00000.json"}, (
        "what was there is neither made again nor lost"
    )
    assert json.loads(after[Path("run.json")])["config"] == json.loads(before[Path("run.json")])["config"]
    rows, whole_rows = (read_lines(path) for path in (begun / "seed-0/faithful/rows.jsonl", begun.parent / WHOLE_ROWS))
    assert verdicts(rows) == verdicts(whole_rows)
    assert rows[0] == whole_rows[0], "of the chunk that was there"
    for row, whole_row in zip(rows, whole_rows, strict=True):
        older_reply = str(whole_row["reply"]).rstrip("\ufffd")  # was cut off earlier, perhaps within a sign
        assert str(row["reply"]).startswith(older_reply)
    write_report(begun)
    with (begun / "table.csv").open() as table, (begun.parent / "whole/table.csv").open() as whole:
        for line, expected in zip(csv.DictReader(table), csv.DictReader(whole), strict=True):
            assert [line[name] for name in ("arm", "style", "readout", "rows", "hit")] == [
                expected[name] for name in ("arm", "style", "readout", "rows", "hit")
            ]


def test_other_settings_are_refused_under_their_new_names(noted):
    with pytest.raises(SaywhyError, match=r"learning_rate: 0\.002 -> 0\.01"):
        Run(parse([*SETTINGS, *OLD_NAMES[:-1], "rate=0.01"]), noted)


def test_one_with_the_candidates_of_then_is_refused_as_it_is_and_reported(begun, call):
    before = content(begun)
    said = call("run", *SETTINGS, *NEW_NAMES, f"out={begun}")
    assert said.code == 2
    assert f"{begun} was begun with candidates of rule 1, this saywhy goes on by rule {CANDIDATES_RULE}" in said.problem
    assert content(begun) == before
    assert call("report", str(begun)).code == 0
    assert (begun / "report.html").is_file()


def test_a_setting_under_both_its_names_is_refused():
    with pytest.raises(SaywhyError, match="rate is the old name of learning_rate"):
        parse(["rate=0.1", "learning_rate=0.1"])
