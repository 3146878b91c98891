"""Settings took the names of TRL: what was begun, frozen or published under the old ones is the same study."""

import json
from pathlib import Path

import pytest

from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.store import write_json
from saywhy.records import SaywhyError
from saywhy.study.beside import read_bank, refuse_other_study
from saywhy.study.expand import task_settings
from saywhy.study.frozen import freeze_plan, frozen_part, read_frozen, settled_hash
from saywhy.study.plan import StudyPlan
from saywhy.study.read import read_plan
from saywhy.study.run import StudyRunner
from saywhy.study.steps import StudyStep

ROOT = Path(__file__).parents[2]
SIZES = {"rows": 2, "adapt_rows": 2, "train_rows": 2, "decide_rows": 2, "calibration_rows": 4, "chunk": 2}
BLOCKS = [{"name": "main"}, {"name": "slow", "variant": "slow", "with": {"rate": 0.01, "epochs": 1}}]
OLD = {
    "name": "tiny",
    "tasks": ["sentiment140"],
    "instruction_rows": 0,
    "with": {**SIZES, "epochs": 3, "batch": 2},
    "blocks": BLOCKS,
    "confirmatory": [{"block": "main"}],
}


def digest_of(frozen):
    from saywhy.report.study.frozen import frozen_digest

    return {**frozen, "hash": frozen_digest(frozen)}


@pytest.mark.parametrize("name", ["small", "transfer", "recipe"])
def test_a_shipped_study_is_the_one_whose_bank_is_published(name):
    plan, bank = read_plan(ROOT / "studies" / f"{name}.yaml"), ROOT / "results" / name
    assert settled_hash(read_frozen(bank / "frozen.json")) == frozen_part(plan)["hash"]


def test_a_bank_fits_itself_under_either_names():
    manifest = read_bank(ROOT / "results" / "small")
    with_new = json.loads(json.dumps(manifest))
    with_new["plan"]["with"]["num_train_epochs"] = with_new["plan"]["with"].pop("epochs")
    refuse_other_study(manifest, with_new, "one", "the other")
    with_new["plan"]["with"]["num_train_epochs"] += 1
    with pytest.raises(SaywhyError, match=r"another plan.*num_train_epochs"):
        refuse_other_study(manifest, with_new, "one", "the other")


def test_a_study_begun_under_the_old_names_goes_on(tiny_folder, tmp_path):
    plan = StudyPlan(**OLD, model=str(tiny_folder))
    assert plan.with_["num_train_epochs"] == 3
    assert plan.blocks[1].with_ == {"learning_rate": 0.01, "num_train_epochs": 1}
    StudyRunner(plan, tmp_path / "out")
    freeze_plan(plan, tmp_path / "out")
    for name in ("study.json", "frozen.json"):
        content = json.loads((tmp_path / "out" / name).read_text("utf-8"))
        if name == "study.json":
            content["plan"] = {**content["plan"], "with": OLD["with"]}
            content["plan"]["blocks"][1]["with"] = BLOCKS[1]["with"]
        else:
            content = digest_of({**content, "settings": OLD["with"]})
        write_json(tmp_path / "out" / name, content)
    (tmp_path / "out" / CHECKSUMS_FILE).unlink()  # that version wrote none
    StudyRunner(plan, tmp_path / "out")
    freeze_plan(plan, tmp_path / "out")
    changed = StudyPlan(**{**OLD, "with": {**OLD["with"], "epochs": 4}}, model=str(tiny_folder))
    with pytest.raises(SaywhyError, match="num_train_epochs"):
        StudyRunner(changed, tmp_path / "out")


@pytest.mark.parametrize("readouts", [["constrained", "generated"], ["generated", "constrained"]])
def test_a_study_covers_itself_in_whatever_order_it_asks(tiny_folder, tmp_path, readouts):
    block = {"name": "start", "arms": ["base"], "test_tasks": ["sentiment140"], "readouts": readouts}
    plan = StudyPlan(**{**OLD, "blocks": [block], "confirmatory": []}, model=str(tiny_folder))
    StudyRunner(plan, tmp_path / "out").do(StudyStep("audit", "base", 0, "sentiment140"))
    assert StudyRunner(plan, tmp_path / "out").is_done(StudyStep("audit", "base", 0, "sentiment140"))


def test_a_block_adds_to_what_the_trainer_is_told():
    plan = StudyPlan(**{**OLD, "with": {**SIZES, "trainer": {"weight_decay": 0.1}}, "blocks": [{"name": "main"}]})
    settings = task_settings(plan, extra={"trainer": {"max_grad_norm": 0.5}})
    assert settings.trainer == {"weight_decay": 0.1, "max_grad_norm": 0.5}


def test_what_the_trainer_would_not_take_is_refused_before_anything_runs(tiny_folder, tmp_path):
    odd = {"name": "odd", "variant": "odd", "with": {"trainer": {"weight_decai": 0.1}}}
    plan = StudyPlan(**{**OLD, "blocks": [*BLOCKS, odd]}, model=str(tiny_folder))
    with pytest.raises(SaywhyError, match=r"trainer\.weight_decai: .*did you mean 'weight_decay'"):
        StudyRunner(plan, tmp_path / "out")
