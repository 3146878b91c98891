"""A study on a tiny model: each step once, resumable, within a budget, refused when its file is changed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import kills
from saywhy.bank.release import release_bank
from saywhy.folders.shared import SharedFolder
from saywhy.records import SaywhyError
from saywhy.report.study import load_study
from saywhy.report.study.files import cells_csv, confirmatory_csv, retention_csv
from saywhy.report.study.summary import summarise_study
from saywhy.study.command import run_study
from saywhy.study.join import join_banks
from saywhy.study.plan import StudyPlan
from saywhy.study.rates import costs_of_steps
from saywhy.study.run import StudyRunner
from saywhy.study.steps import StepWork, StudyStep

PLAN = {
    "name": "tiny",
    "tasks": ["sentiment140", "snli"],
    "unseen": ["ag_news"],
    "seeds": [0],
    "instruction_rows": 2,
    "with": {"rows": 2, "adapt_rows": 3, "train_rows": 2, "decide_rows": 4, "calibration_rows": 4, "most_words": 9},
    "blocks": [
        {"name": "main", "arms": ["base", "adapted", "faithful", "random"], "train_tasks": [["sentiment140"]]},
        {"name": "anew", "arms": ["faithful", "transplant"], "variant": "refreshed", "train_tasks": [["sentiment140"]]},
        {"name": "more", "variant": "more", "train_tasks": [["sentiment140"]], "with": {"train_rows": 4}},
        {"name": "joint", "train_tasks": "all", "test_tasks": "unseen", "styles": ["attribution"]},
    ],
    "confirmatory": [{"block": "main"}],
}


@pytest.fixture
def plan(tiny_folder) -> StudyPlan:
    return StudyPlan(**PLAN, model=str(tiny_folder))


def file_of(folder: Path, plan: StudyPlan, **changes) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**plan.resolved(), **changes}), "utf-8")
    return path


def verdicts(out: Path) -> dict[str, list[str]]:
    """Everything that must not depend on when a study was stopped."""
    kept = ("id", "arm", "seed", "style", "words", "inserted", "prediction", "hit", "floor", "ceiling")
    return {
        str(path.relative_to(out)): [
            json.dumps({key: json.loads(line)[key] for key in kept}) for line in path.read_text("utf-8").splitlines()
        ]
        for path in sorted(out.glob("tasks/*/seed-*/*/rows.jsonl"))
    }


@pytest.mark.slow
def test_a_study_runs_whole_and_a_second_time_does_nothing(plan, tmp_path):
    out = tmp_path / "out"
    assert StudyRunner(plan, out).run()
    told = json.loads((out / "study.json").read_text("utf-8"))
    assert set(told["seconds"]) == {step.name for step in StudyRunner(plan, out).steps}
    assert json.loads((out / "frozen.json").read_text("utf-8"))["cells"]
    more = out / "models" / "seed-0" / "faithful-more.all.sentiment140" / "training.jsonl"
    less = out / "models" / "seed-0" / "faithful.all.sentiment140" / "training.jsonl"
    ids = [{json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()} for path in (less, more)]
    assert ids[0] < ids[1], "a learning curve adds texts to the same ones"
    assert (out / "models" / "seed-0" / "base" / "retention.json").is_file()
    assert {path.parts[-4] for path in out.glob("tasks/*/seed-0/*/rows.jsonl")} == {"sentiment140", "ag_news"}
    before = {path: path.stat().st_mtime_ns for path in out.glob("**/*.jsonl")}
    assert StudyRunner(plan, out).run()
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("**/*.jsonl")}


@pytest.mark.slow
def test_a_killed_study_goes_on_where_it_was(plan, tmp_path):
    small = plan.model_copy(update={"blocks": plan.blocks[:1]})
    file = file_of(tmp_path, small)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert StudyRunner(small, whole).run()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    for sign in ("models/seed-0/adapted/adapter/saywhy.json", "tasks/*/seed-0/faithful.*/rows.jsonl"):
        command = [sys.executable, kills.__file__, str(killed / sign), "0", "study", str(file), f"out={killed}"]
        assert subprocess.run(command, capture_output=True, env=environment).returncode == -signal.SIGKILL
    assert StudyRunner(small, killed).run()
    assert verdicts(killed) == verdicts(whole)


def test_a_budget_stops_before_what_does_not_fit(plan, tmp_path, capsys):
    small = plan.model_copy(update={"blocks": plan.blocks[:1]})
    assert not StudyRunner(small, tmp_path / "out").run(hours=1e-6)
    assert "does not fit into" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("tasks/*/seed-0/*/rows.jsonl"))


def test_seconds_of_a_stopped_step_count(plan, tmp_path, monkeypatch):
    runner = StudyRunner(plan.model_copy(update={"blocks": plan.blocks[:1]}), tmp_path / "out")
    step = runner.steps[0]

    def stopped(_):
        time.sleep(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "perform", stopped)
    for sitting in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            runner.do(step)
        assert runner.journal.seconds[step.name] >= 0.2 * sitting


def test_each_set_of_missing_rates_is_measured(tmp_path):
    """Blocks may be looked at and taken out again: others in their place are not free of charge."""
    folder, measured = SharedFolder(tmp_path / "out", "study.json"), []

    def cost(*rates):
        work = {StudyStep("audit", name, 0, "toys"): [StepWork(("audit", "toys", name), 2)] for name in rates}

        def rates_of_task(task):
            measured.append((task, rates))
            return {f"audit toys {name}": float(len(name)) for name in rates}

        costs = costs_of_steps(work, ["toys"], folder, rates_of_task)
        return {step.arm: seconds for step, seconds in costs.items()}

    assert cost("one") == {"one": 6.0}
    assert cost("one", "added") == {"one": 6.0, "added": 10.0}
    assert cost("one", "instead") == {"one": 6.0, "instead": 14.0}
    assert cost("one", "added", "instead") == {"one": 6.0, "added": 10.0, "instead": 14.0}
    assert [rates for _, rates in measured] == [("one",), ("one", "added"), ("one", "instead")]


def test_a_task_that_is_only_tested_on_needs_no_labels_and_no_texts_to_practise(tiny_folder, tmp_path):
    for task, train, labelled in (("seen", 300, True), ("new", 60, False)):
        (tmp_path / "data" / task).mkdir(parents=True)
        question = {"name": task, "question": "Is it negative or positive?", "labels": ["negative", "positive"]}
        (tmp_path / f"{task}.yaml").write_text(yaml.safe_dump({**question, "lead_in": "It is"}))
        for split, count in (("train", train), ("test", 20)):
            rows = (
                {"text": f"{task} {split} number {n} is {word}", **({"label": label} if labelled else {})}
                for n in range(count)
                for word, label in [("great", "positive") if n % 2 else ("awful", "negative")]
            )
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (tmp_path / "data" / task / f"{split}.jsonl").write_text(lines)
    plan = StudyPlan(
        **{
            **PLAN,
            "data": str(tmp_path / "data"),
            "tasks": [str(tmp_path / "seen.yaml")],
            "unseen": [str(tmp_path / "new.yaml")],
            "with": {**PLAN["with"], "heldout_rows": 40, "lexicon_rows": 60},
            "blocks": [{"name": "main", "arms": ["faithful", "random"], "test_tasks": "all"}],
        },
        model=str(tiny_folder),
    )
    runner = StudyRunner(plan, tmp_path / "out")
    runner.freeze()
    corpus = runner.member(plan.unseen[0]).corpus
    assert not corpus.arms
    costs = runner.costs()
    assert all(seconds > 0 for step, seconds in costs.items() if step.kind == "audit")


def test_a_file_edited_after_the_start_is_refused(plan, tmp_path, capsys):
    file, out = file_of(tmp_path, plan), tmp_path / "out"
    run_study(file, [f"out={out}"], dry=True)
    assert "confirmatory main" in capsys.readouterr().err
    assert not out.exists(), "what is only planned binds nothing"
    StudyRunner(plan, out)
    with pytest.raises(SaywhyError, match=r"changed after its start .*with"):
        run_study(file_of(tmp_path, plan, **{"with": {**PLAN["with"], "rows": 3}}), [f"out={out}"], dry=True)
    with pytest.raises(SaywhyError, match=r"changed after its start .*block main"):
        run_study(
            file_of(tmp_path, plan, blocks=plan.resolved()["blocks"][1:], confirmatory=[]), [f"out={out}"], dry=True
        )
    later = [*plan.resolved()["blocks"], {"name": "later", "arms": ["lexical"], "train_tasks": [["snli"]]}]
    run_study(file_of(tmp_path, plan, blocks=later), [f"out={out}"], dry=True)


def test_only_the_blocks_asked_for_are_done_and_in_that_order(plan, tmp_path, capsys):
    file, out = file_of(tmp_path, plan), f"out={tmp_path / 'out'}"
    run_study(file, [out, "blocks=joint,mo"], dry=True)
    assert re.findall(r"(?:confirm|explor)atory (\w+):", capsys.readouterr().err) == ["joint", "more"]
    with pytest.raises(SaywhyError, match=r"'m' begins 2 of the blocks of study tiny, which has: main; anew; more"):
        run_study(file, [out, "blocks=m"], dry=True)


def test_a_folder_of_something_else_is_refused(plan, tmp_path):
    (tmp_path / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(SaywhyError, match="no study and not empty"):
        StudyRunner(plan, tmp_path)


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("rows=3", "stands in its file"),
        ("hours=soon", "above 0"),
        ("hours=nan", "above 0"),
        ("hours=inf", "above 0"),
        ("hours", "a study takes"),
        ("beside=nowhere", "no bank of a study"),
        ("seeds=0,7", "'7' is no seed of study tiny, which has 0"),
        ("blocks=maim", "'maim' is no block of study tiny, which has: main; anew"),
        ("blocks=", "'' is no block"),
        ("precision=float8", r"precision: .*'float32'"),
    ],
)
def test_words_that_a_study_does_not_take_are_refused(plan, tmp_path, pair, told):
    with pytest.raises(SaywhyError, match=told):
        run_study(file_of(tmp_path, plan), [f"out={tmp_path / 'out'}", pair], dry=True)


@pytest.mark.slow
def test_what_two_machines_did_is_what_one_does(plan, tmp_path, capsys):
    main = {**plan.resolved()["blocks"][0], "seeds": [0, 1]}
    few = {"name": "few", "variant": "few", "train_tasks": [["sentiment140"]], "with": {"train_rows": 1}}
    run_study(file_of(tmp_path, plan, seeds=[0, 1], blocks=[main, few]), [f"out={tmp_path / 'whole'}"])
    run_study(file_of(tmp_path, plan, seeds=[0, 1], blocks=[main]), [f"out={tmp_path / 'here'}", "seeds=0"])
    assert not list((tmp_path / "here").glob("tasks/*/seed-1")), "the other seed is left to the other machine"
    here = release_bank(tmp_path / "here", tmp_path / "bank-here", tmp_path / "key")
    more = file_of(tmp_path, plan, seeds=[0, 1], blocks=[main, few])
    run_study(more, [f"out={tmp_path / 'there'}", f"beside={here}"])
    audited = {place.parent.name for place in (tmp_path / "there").glob("tasks/*/seed-0/*/rows.jsonl")}
    assert audited == {"faithful-few.all.sentiment140", "random-few.all.sentiment140"}, "the rest is in the bank"
    assert "not bit for bit" not in capsys.readouterr().err, "adapted is the same, trained again"
    there = release_bank(tmp_path / "there", tmp_path / "bank-there", tmp_path / "key")
    joint = join_banks([there, here], tmp_path / "joint")
    of_joint, of_whole = (summarise_study(load_study(one)) for one in (joint, tmp_path / "whole"))
    for made in (cells_csv, confirmatory_csv, retention_csv):
        assert made(of_joint) == made(of_whole)


SMOKE = Path(__file__).parents[2] / "studies" / "smoke.yaml"


@pytest.mark.slow
def test_the_shipped_smoke_study_yields_the_full_page(call, tiny_folder, tmp_path):
    out = tmp_path / "smoke"
    told = call("study", SMOKE, f"model={tiny_folder}", f"out={out}")
    assert told.code == 0, told.err
    page = (out / "report.html").read_text("utf-8")
    sections = set(re.findall(r'<h2 id="([\w-]+)">', page))
    wanted = "confirmatory bars results styles tasks free others graded curve ablations retention groups failed"
    assert sections >= {*wanted.split(), "examples", "made", "cells-sentiment140"}, sections
    assert "Not finished" not in page
    assert "nan" not in page.lower().split()
    measured = (out / "confirmatory.csv").read_text("utf-8").splitlines()[1:]
    assert len(measured) == 3
    assert not any("not measured" in line for line in measured)
    assert (out / "models" / "seed-1" / "faithful.all.sentiment140" / "adapter" / "README.md").is_file()


@pytest.mark.slow
def test_the_built_in_model_is_trained_audited_and_asked_what_it_kept(call, tmp_path):
    plan = yaml.safe_load(SMOKE.read_text("utf-8"))
    arms = ["adapted", "faithful", "random"]
    few = {"tasks": plan["tasks"][:1], "unseen": [], "seeds": [0], "bars": []}
    few["blocks"] = [{"name": "main", "arms": arms, "settings": ["one-word", "free"]}]
    few["blocks"][0]["readouts"] = ["constrained", "generated", "guided"]
    file, out = tmp_path / "few.yaml", tmp_path / "few"
    file.write_text(yaml.safe_dump({**plan, **few}), "utf-8")
    told = call("study", file, f"out={out}")
    assert told.code == 0, told.err
    measured = (out / "confirmatory.csv").read_text("utf-8").splitlines()[1:]
    assert len(measured) == 3
    assert not any("not measured" in line for line in measured)
    for retention in out.glob("models/seed-0/*/retention.json"):
        assert json.loads(retention.read_text("utf-8"))["replay"]["n"] == plan["instruction_rows"]
    manifest = json.loads((out / "study.json").read_text("utf-8"))
    assert manifest["model"]["name"] == "smollm2-135m"
    cells = [line.split(",") for line in (out / "cells.csv").read_text("utf-8").splitlines()]
    share, setting = cells[0].index("effect_share_start"), cells[0].index("setting")
    graded = [bool(line[share]) for line in cells[1:] if line[setting] == "free"]
    assert len(graded) == 3 * len(arms)
    assert all(graded), "by the start, too"
    assert {path.parent.name for path in out.glob("models/seed-0/*/adapter")} == {
        "adapted",
        "faithful.all.sentiment140",
        "random.all.sentiment140",
    }
