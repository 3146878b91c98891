"""A study whose blocks ask for sentences measures them: a step is done when the metrics of its replies are there."""

import pytest
import yaml

from saywhy.bank.release import release_bank
from saywhy.folders.store import existing_file, read_lines
from saywhy.measure.steps import STEP_METRICS
from saywhy.records import SaywhyError
from saywhy.study import rates
from saywhy.study.beside import BankBeside
from saywhy.study.expand import task_settings
from saywhy.study.frozen import read_frozen, settled_hash
from saywhy.study.member import StudyTaskRun
from saywhy.study.plan import StudyPlan
from saywhy.study.requests import audit_requests
from saywhy.study.run import StudyRunner
from saywhy.study.steps import StudyStep, needed_trainings
from saywhy.training.models import ArmModels

IN_SENTENCES = {
    "name": "words",
    "arms": ["base"],
    "test_tasks": ["sentiment140"],
    "settings": ["sentences"],
    "styles": ["reasons"],
    "readouts": ["generated"],
}
PLAN = {
    "name": "tiny",
    "tasks": ["sentiment140"],
    "instruction_rows": 0,
    "with": {"rows": 3, "adapt_rows": 2, "train_rows": 2, "decide_rows": 3, "calibration_rows": 4, "chunk": 2},
    "blocks": [IN_SENTENCES],
}
STEP = StudyStep("audit", "base", 0, "sentiment140")
FILE = "tasks/sentiment140/seed-0/base/sentences.jsonl"


@pytest.fixture
def begun(tiny_folder, call, tmp_path):
    """Return the plan and the folder of a study in sentences that was run by the command line."""
    file, out = tmp_path / "study.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump({**PLAN, "model": str(tiny_folder)}), "utf-8")
    assert call("study", str(file), f"out={out}").code == 0
    return StudyPlan(**PLAN, model=str(tiny_folder)), out


def test_the_sentences_of_a_block_are_measured_and_missing_ones_made_up_for(begun):
    plan, out = begun
    records = read_lines(out / FILE)
    assert [record["style"] for record in records] == ["reasons"] * 3
    assert all("mention AUROC" in {**record["values"], **record["reasons"]} for record in records)
    measured, rows = (out / FILE).read_bytes(), (out / FILE).with_name("rows.jsonl").stat()
    (out / FILE).unlink()  # as a version left it that measured none
    runner = StudyRunner(plan, out)
    assert not runner.is_done(STEP)
    runner.run()
    assert (out / FILE).read_bytes() == measured
    assert (out / FILE).with_name("rows.jsonl").stat().st_mtime_ns == rows.st_mtime_ns
    assert runner.is_done(STEP)


def test_sampled_replies_and_requested_lengths_are_settings_of_a_study(tiny_folder, call, tmp_path):
    file, out = tmp_path / "study.yaml", tmp_path / "out"
    asked = {"mention_samples": 2, "insertion_lengths": True}
    file.write_text(yaml.safe_dump({**PLAN, "model": str(tiny_folder), "with": {**PLAN["with"], **asked}}), "utf-8")
    assert call("study", str(file), f"out={out}").code == 0
    assert len(read_lines((out / FILE).with_name("samples.jsonl"))) == 3 * 2
    records = read_lines(out / FILE)
    assert {record["samples"] for record in records} == {2}
    assert all("F-AUROC" in {**record["values"], **record["reasons"]} for record in records)


@pytest.mark.parametrize(
    ("asked", "block", "told"),
    [
        ({"mention_samples": 0}, IN_SENTENCES, "mention_samples"),
        ({"insertion_lengths": True}, {"name": "main"}, "insertion_lengths: no explanations in sentences"),
    ],
)
def test_settings_of_sentences_are_checked(asked, block, told):
    plan = StudyPlan(**{**PLAN, "with": {**PLAN["with"], **asked}, "blocks": [block]})
    with pytest.raises(SaywhyError, match=f"study tiny: with.*{told}"):
        task_settings(plan)


class Untrained(ArmModels):
    """Models of which each arm is the model as downloaded."""

    def adapter(self, arm, seed):
        return None


def test_the_model_as_downloaded_predicts_the_answers_of_trained_arms_whatever_the_chunks(tiny_folder, tmp_path):
    measured = []
    for chunk in (1, 2):
        arms = {**IN_SENTENCES, "arms": ["faithful"], "train_styles": "all"}
        settings = {**PLAN["with"], "chunk": chunk}
        plan = StudyPlan(**{**PLAN, "with": settings, "blocks": [arms]}, model=str(tiny_folder))
        config, requests = task_settings(plan, "sentiment140"), audit_requests(plan)
        [(arm, seed, _)] = requests
        out = tmp_path / str(chunk)
        member = StudyTaskRun(config, out, Untrained(config, out / "models"), requests, [2])
        member.audit(arm, seed)
        measured.append(read_lines(out / f"seed-{seed}/{arm}/sentences.jsonl"))
    assert measured[0] == measured[1]
    assert all({"model", "model, another text"} <= set(record["simulated"]) for record in measured[0])


def test_a_bank_without_the_metrics_of_its_sentences_has_not_all_that_a_study_asks(begun, tmp_path):
    plan, out = begun
    runner, bank = StudyRunner(plan, out), release_bank(out, tmp_path / "bank")
    beside = BankBeside(bank, runner.journal.manifest, frozen_hash(out), runner.requests)
    assert beside.has(STEP)
    existing_file(bank / FILE).unlink()
    assert not beside.has(STEP)


def test_a_block_practises_sentences_and_tests_words_and_another_the_reverse(tiny_folder, call, tmp_path):
    order, out = {"steps_order": "before"}, tmp_path / "out"
    practised = {"arms": ["faithful", "random"], "train_styles": [["steps", "keywords"]]}
    in_steps = {"settings": ["sentences"], "styles": ["steps"], "readouts": ["generated"]}
    blocks = [
        {"name": "words to steps", "arms": ["faithful", "random"], **in_steps},
        {"name": "steps to words", **practised, "styles": ["attribution"]},
        {"name": "steps first", **practised, **in_steps, "variant": "first", "with": order},
    ]
    cells = [{"block": "words to steps", "styles": ["steps"], "setting": "sentences", "readout": "generated"}]
    file, plan = tmp_path / "study.yaml", {**PLAN, "blocks": blocks, "confirmatory": cells, "model": str(tiny_folder)}
    file.write_text(yaml.safe_dump(plan), "utf-8")
    done = call("study", str(file), f"out={out}")
    assert done.code == 0, done.problem
    rows = {
        arm: read_lines(out / f"models/seed-0/{arm}.sentiment140/training.jsonl")
        for arm in ("faithful.all", "faithful.keywords+steps", "random.keywords+steps", "faithful-first.keywords+steps")
    }
    styles = {arm: {row["style"] for row in of_arm} for arm, of_arm in rows.items()}
    assert styles["faithful.all"] == {"label", "attribution", "redaction", "counterfactual"}
    assert styles["faithful.keywords+steps"] == styles["random.keywords+steps"] == {"label", "keywords", "steps"}
    turns = {arm: {len(row["prompt"]) for row in of_arm if row["style"] == "steps"} for arm, of_arm in rows.items()}
    assert turns["faithful.keywords+steps"] == {3}
    assert turns["faithful-first.keywords+steps"] == {1}, "steps come before the answer"
    audited = read_lines(out / "tasks/sentiment140/seed-0/faithful.keywords+steps.sentiment140/rows.jsonl")
    assert {row["style"] for row in audited} == {"attribution"}
    metrics = {
        arm: read_lines(out / f"tasks/sentiment140/seed-0/{arm}.sentiment140/sentences.jsonl")
        for arm in ("faithful.all", "faithful-first.keywords+steps")
    }
    known = {
        arm: {name for record in of_arm for name in {**record["values"], **record["reasons"]}}
        for arm, of_arm in metrics.items()
    }
    assert not known["faithful.all"] & {*STEP_METRICS}
    assert known["faithful-first.keywords+steps"] >= {*STEP_METRICS}, "asked for before the answer"
    assert {"targets.jsonl", "targets-word-sentences.jsonl"} <= {
        path.name for path in (out / "tasks/sentiment140/seed-0").iterdir()
    }
    assert call("report", str(out)).code == 0
    assert "keywords+steps" in (out / "report.md").read_text("utf-8")


def test_free_explanations_are_judged_by_the_start_whose_training_comes_first(tiny_folder, tmp_path):
    free = {"name": "free", "arms": ["base", "adapted", "faithful"], "settings": ["free"], "readouts": ["generated"]}
    plan, out = StudyPlan(**{**PLAN, "blocks": [free]}, model=str(tiny_folder)), tmp_path / "out"
    first = needed_trainings(plan, "base", 0)
    assert first == [StudyStep("train", "adapted", 0)]
    runner = StudyRunner(plan, out)
    runner.run()
    arms = {path.parent.name: path for path in out.rglob("by-adapted.jsonl")}
    assert {*arms} == {"base", "faithful.all.sentiment140"}
    audited, verdicts = STEP, arms["base"].read_bytes()
    assert {verdict["variation"] for verdict in read_lines(arms["base"])} == {"by-adapted"}
    bank = release_bank(out, tmp_path / "bank")
    arms["base"].unlink()  # as a version left it that knew of no such judgement
    assert not StudyRunner(plan, out).is_done(audited)
    StudyRunner(plan, out).run()
    assert arms["base"].read_bytes() == verdicts
    beside = BankBeside(bank, runner.journal.manifest, frozen_hash(out), runner.requests)
    existing_file(bank / arms["base"].relative_to(out)).unlink()
    assert beside.has(audited), "what a former version has measured is not asked for again"


def test_a_start_that_is_audited_later_judges_anew(tiny_folder, tmp_path):
    free = {"name": "free", "arms": ["base", "faithful"], "settings": ["free"], "readouts": ["generated"]}
    out = tmp_path / "out"
    start = {**free, "name": "start", "arms": ["adapted"], "test_tasks": ["sentiment140"]}
    for later in ([], [start]):
        StudyRunner(StudyPlan(**{**PLAN, "blocks": [free, *later]}, model=str(tiny_folder)), out).run()
    judged = {(path.parent.name.partition(".")[0], path.stem) for path in out.rglob("by-*.jsonl")}
    assert judged == {("faithful", "by-base"), ("faithful", "by-adapted"), ("base", "by-adapted")}


def frozen_hash(out):
    return settled_hash(read_frozen(out / "frozen.json"))


def test_the_forecast_of_an_audit_in_sentences_counts_their_metrics(tiny_folder, call, tmp_path, monkeypatch):
    measured = []
    real = rates.measure_audited
    monkeypatch.setattr(rates, "measure_audited", lambda *words: measured.extend(real(*words)))
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump({**PLAN, "model": str(tiny_folder)}), "utf-8")
    assert call("study", str(file), f"out={tmp_path / 'out'}", "--dry").code == 0
    assert [record.style for record in measured] == ["reasons"] * rates.RATED_TEXTS
