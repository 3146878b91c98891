"""Blocks that are added to a study which has begun: what is there stays in use, what cannot be is refused at once."""

import json
from dataclasses import replace

import pytest

from saywhy.arms import ArmName
from saywhy.folders.store import read_lines, read_records, write_lines
from saywhy.records import STYLES, Row, SaywhyError
from saywhy.study import expand, requests
from saywhy.study import run as grid_run
from saywhy.study.command import run_study
from saywhy.study.expand import plan_units
from saywhy.study.member import StudyTaskRun
from saywhy.study.plan import StudyPlan
from saywhy.study.run import StudyRunner
from saywhy.study.shown import built_in_task_run
from saywhy.study.steps import StudyStep, shown_rows, steps_of_units
from saywhy.training import targets
from saywhy.training.models import ArmModels

PLAN = {
    "name": "tiny",
    "tasks": ["sentiment140"],
    "instruction_rows": 0,
    "with": {
        **{"rows": 2, "adapt_rows": 2, "train_rows": 6, "decide_rows": 2},
        **{"calibration_rows": 4, "most_words": 9, "chunk": 4},
    },
    "blocks": [{"name": "main"}],
}
FEW = {"name": "few", "variant": "few", "with": {"train_rows": 2}}
ARM = ArmName("faithful", "", STYLES, ("sentiment140",))


@pytest.fixture
def plan_of(tiny_folder):
    """Return a function from the blocks behind the first one to a plan."""
    return lambda *added: StudyPlan(**{**PLAN, "blocks": [*PLAN["blocks"], *added]}, model=str(tiny_folder))


class Untrained(ArmModels):
    """Models of which each arm is the model as downloaded."""

    def adapter(self, arm, seed):
        return None


def member_of(plan, out):
    """Return the run of the task as the study makes it, adapted being the model as downloaded."""
    config = expand.task_settings(plan)
    pieces = {
        expand.texts_practised(expand.task_settings(plan, extra=recipe))
        for recipe in expand.recipes_of_arms(plan).values()
    }
    return StudyTaskRun(
        config, out / "tasks", Untrained(config, out / "models"), requests.audit_requests(plan), sorted(pieces)
    )


def lesson(member, plan, variant=""):
    """Return the rows that an arm is trained on."""
    config = expand.task_settings(plan, extra=expand.recipes_of_arms(plan)[f"faithful{variant}.all.sentiment140"])
    return member.arm_rows(ARM, 0, config)


def practised(member, plan, variant=""):
    """Return the texts that an arm is trained on, in their order."""
    return list(dict.fromkeys(row["id"] for row in lesson(member, plan, variant)))


def test_an_arm_of_fewer_rows_may_be_added(plan_of, tmp_path, monkeypatch):
    begun = practised(member_of(plan_of(), tmp_path), plan_of())
    assert len(begun) == 6
    for name in ("targets-end.json", "none"):  # without it: as a version left it that kept no ends
        (tmp_path / "tasks" / "seed-0" / name).unlink(missing_ok=True)
        with monkeypatch.context() as patched:
            patched.setattr(targets, "lessons_of", None)  # nothing is explained twice
            later = member_of(plan_of(FEW), tmp_path)
            assert practised(later, plan_of(FEW), "-few") == begun[:2]
            assert practised(later, plan_of(FEW)) == begun


def test_a_stretch_that_was_begun_ends_where_it_was_to(plan_of, tmp_path, monkeypatch):
    whole = practised(member_of(plan_of(), tmp_path / "whole"), plan_of())
    real, calls = targets.lessons_of, []

    def killed(*words):
        calls.append(words)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*words)

    monkeypatch.setattr(targets, "lessons_of", killed)
    with pytest.raises(KeyboardInterrupt):
        practised(member_of(plan_of(), tmp_path / "killed"), plan_of())
    later = member_of(plan_of(FEW), tmp_path / "killed")
    assert practised(later, plan_of(FEW), "-few") == whole[:2]
    assert practised(later, plan_of(FEW)) == whole


def test_an_arm_of_more_rows_than_the_first_goes_on_from_it(plan_of, tmp_path):
    plan = plan_of(FEW)
    member = member_of(plan, tmp_path)
    few, all_rows = practised(member, plan, "-few"), practised(member, plan)
    assert all_rows[:2] == few
    assert len(all_rows) == 6


def test_an_arm_whose_words_are_found_otherwise_has_targets_of_its_own(plan_of, tmp_path):
    slope = {"name": "slope", "variant": "slope", "with": {"target_method": "gradient_x_input"}}
    plan = plan_of(slope)
    member = member_of(plan, tmp_path)
    usual, other = lesson(member, plan), lesson(member, plan, "-slope")
    assert [row["id"] for row in usual] == [row["id"] for row in other]
    assert [row["completion"] for row in usual] != [row["completion"] for row in other]
    found = {path.name for path in (tmp_path / "tasks/seed-0").glob("targets*.jsonl")}
    assert found == {"targets.jsonl", "targets-gradient_x_input.jsonl"}
    assert lesson(member_of(plan, tmp_path), plan, "-slope") == other


def test_examples_are_built_in_texts_judged_with_the_calibration_of_the_task(plan_of, tmp_path):
    plan = plan_of({"name": "start", "arms": ["base"], "test_tasks": ["sentiment140"]})
    of = member_of(plan, tmp_path)
    shown = built_in_task_run(of, tmp_path / "examples" / "sentiment140", 3)
    shown.write_texts()
    shown.audit("base", 0)
    rows = read_records(tmp_path / "examples/sentiment140/seed-0/base/rows.jsonl", Row)
    assert {(row.style, row.setting, row.readout) for row in rows} == {
        (style, "one-word", readout) for style in STYLES for readout in ("constrained", "guided")
    }
    texts = {line["id"]: line["text"] for line in read_lines(tmp_path / "examples/sentiment140/texts.jsonl")}
    assert {row.id for row in rows} == set(texts)
    assert len(texts) == 3
    assert all(texts.values())
    assert [path.parent for path in tmp_path.rglob("constants.json")] == [tmp_path / "tasks/seed-0/base"]
    assert shown.classifiers.pinned is of.classifiers.pinned


def test_a_bank_shows_the_first_seed_of_the_confirmatory_arms():
    told = {**PLAN, "data": "tweets", "seeds": [0, 1], "tasks": ["sentiment140", "snli"],
            "blocks": [{"name": "main", "seeds": [0, 1], "arms": ["adapted", "faithful", "random"]}, FEW],
            "confirmatory": [{"block": "main"}]}  # fmt: skip

    def shown(plan):
        return [step.name for step in steps_of_units(plan, plan_units(plan)) if step.kind == "show"]

    plan = StudyPlan(**told)
    assert shown(plan) == [
        f"show {kind}.all.{task} on {task}, seed 0" for task in plan.tasks for kind in ("faithful", "random")
    ]
    assert shown_rows(plan) == 10
    assert not shown(StudyPlan(**{**told, "data": "pocket"}))


class OneMood:
    """A model that answers everything with the label sentence of a task."""

    def objections(self, chats, room):
        return [None] * len(chats)

    def losses(self, chats, tick):
        return [1.0] * len(chats)

    def generate(self, chats, room, tick):
        return ["The mood of this is fine."] * len(chats)


MOOD = """
name: mood
question: Is the mood of this sad or fine?
lead_in: The mood of this is
noun: text
labels: {sad: sad, fine: fine}
"""


def test_the_label_sentences_of_a_task_in_a_file_are_no_plain_answers(tiny_folder, tmp_path, monkeypatch):
    (tmp_path / "mood.yaml").write_text(MOOD, "utf-8")
    for split in ("train", "test"):
        rows = [{"text": f"{split} day {number}", "label": ("sad", "fine")[number % 2]} for number in range(60)]
        write_lines(tmp_path / "data" / "mood" / f"{split}.jsonl", rows)
    settings = {"data": str(tmp_path / "data"), "instruction_rows": 2}
    of_file = {**PLAN, **settings, "tasks": [str(tmp_path / "mood.yaml")]}
    grid = StudyRunner(StudyPlan(**of_file, model=str(tiny_folder)), tmp_path / "out")
    monkeypatch.setattr(ArmModels, "load", lambda self, arm, seed: OneMood())
    grid.do(StudyStep("keep", "base", 0))
    kept = json.loads((tmp_path / "out/models/seed-0/base/retention.json").read_text("utf-8"))
    assert set(kept["plain"]["reasons"]) == {"label sentence"}


@pytest.fixture
def begun(plan_of, tmp_path):
    """Return the folder of a study whose task is begun, and what it says of itself."""
    out = tmp_path / "out"
    StudyRunner(plan_of(), out).member("sentiment140")
    return out, (out / "study.json").read_bytes()


def test_a_block_with_another_readout_may_be_added(plan_of, begun, monkeypatch):
    out, _ = begun
    spoken = {"name": "spoken", "arms": ["lexical"], "readouts": ["generated"]}
    grid = StudyRunner(plan_of(spoken), out)
    wanted = grid.member("sentiment140").plan("lexical.all.sentiment140", 0)
    assert wanted.readouts == ("generated",)
    assert json.loads((out / "tasks/sentiment140/run.json").read_text("utf-8"))["config"]["readouts"] == [
        "constrained",
        "generated",
    ]
    monkeypatch.setattr(StudyRunner, "do", lambda self, step: None)
    monkeypatch.setattr(grid_run, "measure_rates", lambda *words: {})
    assert grid.run()
    names = [one["name"] for one in json.loads((out / "study.json").read_text("utf-8"))["plan"]["blocks"]]
    assert names == ["main", "spoken"]


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({"variant": "large", "with": {"train_rows": 8}}, "train_rows: 6 -> 8"),
        ({"arms": ["lexical"], "settings": ["free"], "readouts": ["generated"]}, "settings: .*free"),
        (
            {"styles": ["keywords"], "settings": ["sentences"], "readouts": ["generated"]},
            "asks for sentences on sentiment140",
        ),
    ],
)
def test_a_block_that_cannot_be_added_leaves_the_study_as_it_was(plan_of, begun, block, told):
    out, before = begun
    with pytest.raises(SaywhyError, match=told) as refused:
        StudyRunner(plan_of({"name": "later", **block}), out)
    assert "\n" not in str(refused.value)
    assert (out / "study.json").read_bytes() == before
    StudyRunner(plan_of(), out).member("sentiment140")


def test_a_dry_look_at_a_block_binds_nothing(plan_of, begun, tmp_path, monkeypatch):
    out, before = begun
    monkeypatch.setattr(grid_run, "measure_rates", lambda *words: {})
    file = tmp_path / "study.yaml"
    for plan in (plan_of(FEW), plan_of()):
        file.write_text(json.dumps(plan.resolved()), "utf-8")
        run_study(file, [f"out={out}"], dry=True)
        assert (out / "study.json").read_bytes() == before


def test_the_donor_names_words_of_held_out_texts_too(plan_of, tmp_path):
    plan = plan_of()
    plan = plan.model_copy(update={"with_": {**plan.with_, "heldout_rows": 3}})
    member, config, transplant = member_of(plan, tmp_path), expand.task_settings(plan), replace(ARM, kind="transplant")
    practised_rows, heldout = (make(transplant, 0, config) for make in (member.arm_rows, member.heldout_rows))
    ids = [{row["id"] for row in rows} for rows in (practised_rows, heldout)]
    assert [len(texts) for texts in ids] == [6, 3]
    assert not ids[0] & ids[1]
    assert member.folder.manifest["donor"]["same word, seed 0"] == 6  # of the practised texts: adapted is the donor
