"""A study spread over machines: joined, its banks give what one machine would have; others are refused."""

import json
import shutil

import pytest

from saywhy.bank.release import release_bank
from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.store import read_lines, write_lines
from saywhy.records import SaywhyError
from saywhy.report.study import load_study
from saywhy.report.study.files import cells_csv, confirmatory_csv, retention_csv
from saywhy.report.study.frozen import frozen_digest
from saywhy.report.study.made import study_provenance_sheets
from saywhy.report.study.summary import summarise_study
from saywhy.study.beside import BankBeside
from saywhy.study.join import join_banks
from saywhy.study.requests import AuditRequest
from saywhy.study.steps import StudyStep


@pytest.fixture(scope="module")
def whole(planted, tmp_path_factory):
    return release_bank(planted, tmp_path_factory.mktemp("whole") / "bank")


def part_of(whole, out, *, without):
    """Return a bank of what a machine has that was given all seeds but one."""
    shutil.copytree(whole, out, ignore=shutil.ignore_patterns(f"seed-{without}", CHECKSUMS_FILE))
    edit(out / "study.json", lambda told: told.update(git=f"no-{without}"))
    return out


def edit(path, change):
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))


@pytest.fixture
def parts(whole, tmp_path):
    return [part_of(whole, tmp_path / f"without-{seed}", without=seed) for seed in (1, 0)]


def test_joined_banks_give_the_numbers_of_one(whole, parts, tmp_path):
    out = join_banks(parts, tmp_path / "joint")
    found, of_one = (summarise_study(load_study(folder)) for folder in (out, whole))
    for made in (cells_csv, confirmatory_csv, retention_csv):
        assert made(found) == made(of_one)
    told = "\n".join(map(str, study_provenance_sheets(found)))
    assert "revision no-1; seed 0: " in told
    assert "revision no-0; seed 1: " in told
    before = (out / "study.json").read_text()
    assert (join_banks([out, parts[0]], out) / "study.json").read_text() == before, "what is there already adds nothing"


def test_what_was_audited_counts_before_what_was_only_prepared(parts, tmp_path):
    arm = "tasks/films/seed-1/adapted"
    (parts[0] / arm).mkdir(parents=True)
    (parts[0] / arm / "constants.json").write_text("{}")
    assert (join_banks(parts, tmp_path / "joint") / arm / "rows.jsonl.gz").is_file()


def test_an_arm_that_was_asked_more_counts_before_one_that_was_asked_less(whole, parts, tmp_path):
    arm = "tasks/films/seed-1/adapted"
    shutil.copytree(whole / arm, parts[0] / arm)
    rows = read_lines(whole / arm / "rows.jsonl")
    write_lines(parts[0] / arm / "rows.jsonl.gz", [row for row in rows if row["setting"] == "one-word"])
    assert read_lines(join_banks(parts, tmp_path / "joint") / arm / "rows.jsonl") == rows


def test_only_the_files_of_a_bank_are_copied_and_links_are_refused(parts, tmp_path):
    for place in ("models/seed-0/adapted/notes.json", "tasks/films/seed-0/adapted/notes.txt", "tasks/films/seed-0/x"):
        (parts[0] / place).parent.mkdir(parents=True, exist_ok=True)
        (parts[0] / place).write_text("a text of somebody")
    out = join_banks(parts, tmp_path / "joint")
    assert not [file for file in out.rglob("*") if file.name in ("notes.json", "notes.txt", "x")]
    (tmp_path / "secret").write_text("a secret")
    (parts[0] / "tasks/films/seed-0/adapted/rows.jsonl").symlink_to(tmp_path / "secret")
    with pytest.raises(SaywhyError, match=r"rows\.jsonl is a link"):
        join_banks(parts, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_bank_that_a_killed_join_moved_aside_is_found_again(parts, tmp_path):
    joint = join_banks(parts, tmp_path / "joint")
    joint.rename(tmp_path / ".joint.old")
    join_banks([joint, parts[0]], joint)
    assert (joint / "study.json").is_file()
    assert not (tmp_path / ".joint.old").exists()


def test_examples_of_all_banks_are_kept(parts, tmp_path):
    for part, task in zip(parts, ("films", "meals"), strict=True):
        shutil.copytree(part / "tasks" / task, part / "examples" / task)
    out = join_banks(parts, tmp_path / "joint")
    assert {one.parent.name for one in out.glob("examples/*/run.json")} == {"films", "meals"}


def test_what_the_transplant_says_of_its_donor_is_kept(parts, tmp_path):
    run = "tasks/films/run.json"
    edit(parts[1] / run, lambda told: told.update(donor={"model": "toy", "same word, seed 1": 3}))
    assert json.loads((join_banks(parts, tmp_path / "joint") / run).read_text())["donor"]["same word, seed 1"] == 3


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("frozen.json", lambda told: told.update(hash="0"), "was edited after it was frozen"),
        (
            "frozen.json",
            lambda told: told.update(cells=[], hash=frozen_digest({**told, "cells": []})),
            "was frozen otherwise",
        ),
        ("study.json", lambda told: told.update(model=None), "'model' is no object"),
        ("study.json", lambda told: told["model"].update(fingerprint="1"), "is of another model"),
        ("study.json", lambda told: told["prompts"].update(more="?"), "asked with other sentences"),
        ("study.json", lambda told: told.update(candidates_rule=2), "has candidates of another rule"),
        ("study.json", lambda told: told["plan"].update(seeds=[7]), r"another plan .*seeds"),
        ("study.json", lambda told: told["arms"]["random.all.films"].update(styles=[]), "another random.all.films"),
        ("tasks/films/run.json", lambda told: told["config"].update(rows=7), r"other settings .*rows"),
        ("tasks/films/run.json", lambda told: told.update(data={"rows": "0"}), r"of other data .*rows"),
        ("tasks/films/run.json", lambda told: told["task"].update(question="Well?"), r"of other task .*question"),
    ],
)
def test_a_bank_of_something_else_is_refused(parts, tmp_path, file, change, told):
    edit(parts[1] / file, change)
    with pytest.raises(SaywhyError, match=told):
        join_banks(parts, tmp_path / "joint")
    assert not (tmp_path / "joint").exists()


def test_other_texts_are_refused(parts, tmp_path):
    for name in ("texts", "set_aside"):
        shutil.copyfile(parts[1] / f"tasks/meals/{name}.jsonl.gz", parts[1] / f"tasks/films/{name}.jsonl.gz")
    with pytest.raises(SaywhyError, match=r"other texts .*texts.jsonl differs"):
        join_banks(parts, tmp_path / "joint")


def test_only_banks_are_joined(parts, planted, tmp_path):
    for few in (parts[:1], [parts[0], parts[0]]):
        with pytest.raises(SaywhyError, match="two banks or more, each once"):
            join_banks(few, tmp_path / "joint")
    with pytest.raises(SaywhyError, match="lie within each other"):
        join_banks(parts, parts[0] / "joint")
    with pytest.raises(SaywhyError, match="lie within each other"):
        join_banks(parts, tmp_path)
    with pytest.raises(SaywhyError, match="is no bank of a study"):
        join_banks([parts[0], planted], tmp_path / "joint")
    (parts[1] / "frozen.json").unlink()
    with pytest.raises(SaywhyError, match="nothing was audited"):
        join_banks(parts, tmp_path / "joint")


def test_a_place_that_is_taken_is_left_alone(parts, tmp_path):
    (tmp_path / "joint").mkdir()
    (tmp_path / "joint" / "thesis.txt").write_text("mine")
    with pytest.raises(SaywhyError, match="no bank and not empty"):
        join_banks(parts, tmp_path / "joint")
    assert (tmp_path / "joint" / "thesis.txt").read_text() == "mine"


def test_a_bank_beside_has_an_audit_if_it_has_all_that_is_asked(parts):
    study, frozen = (json.loads((parts[0] / name).read_text()) for name in ("study.json", "frozen.json"))
    known = ("adapted", 0, "films")
    for asked, has in (("one-word", True), ("free", False)):
        wanted = AuditRequest(("attribution",), (asked,), ("generated",))
        rows = [
            row
            for row in read_lines(parts[0] / "tasks/films/seed-0/adapted/rows.jsonl")
            if row["setting"] == "one-word"
        ]
        write_lines(parts[0] / "tasks/films/seed-0/adapted/rows.jsonl.gz", rows)
        beside = BankBeside(parts[0], study, frozen["hash"], {known: wanted})
        assert beside.has(StudyStep("audit", *known)) is has
    assert not beside.has(StudyStep("audit", "adapted", 1, "films")), "another machine has that seed"
    assert beside.has(StudyStep("keep", "adapted", 0))
    assert not beside.has(StudyStep("train", "adapted", 0)), "adapters stay at home"


def test_a_bank_with_other_candidates_is_not_put_beside(parts):
    study = json.loads((parts[0] / "study.json").read_text()) | {"candidates_rule": 2}
    frozen = json.loads((parts[0] / "frozen.json").read_text())["hash"]
    with pytest.raises(SaywhyError, match="has candidates of another rule than this study"):
        BankBeside(parts[0], study, frozen, {})


def test_another_study_is_not_put_beside(parts):
    study = json.loads((parts[0] / "study.json").read_text())
    study["arms"]["faithful.all.films"]["with"] = {"rate": 1}
    frozen = json.loads((parts[0] / "frozen.json").read_text())["hash"]
    with pytest.raises(SaywhyError, match=r"has another faithful.all.films than this study \(with"):
        BankBeside(parts[0], study, frozen, {})
