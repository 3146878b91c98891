"""What a study file may not say, and tasks that are files: told in one line, called by the file."""

from pathlib import Path

import pytest

from plans import SMALL, file_of, plan
from saywhy.arms import ArmName
from saywhy.folders.shared import SharedFolder
from saywhy.records import SaywhyError
from saywhy.report.study.bars import read_bars
from saywhy.report.study.frozen import frozen_cells_of, objections
from saywhy.report.study.load import load_study
from saywhy.settings import parse
from saywhy.study import expand, frozen, requests
from saywhy.study.journal import StudyJournal
from saywhy.study.plan import TEXT_SETTINGS, StudyPlan
from saywhy.study.read import read_plan


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("styles", ["redaction"], "each block"),
        ("train_styles", ["redaction"], "each block"),
        ("settings", ["free"], "each block"),
        ("readouts", ["generated"], "each block"),
        ("methods", ["lime"], "another verb"),
        ("plants", ["keyword"], "another verb"),
        ("robustness", ["paraphrases"], "a study checks none"),
    ],
)
def test_settings_that_a_study_would_ignore_are_refused(key, value, told):
    with pytest.raises(SaywhyError, match=f"'{key}' has no effect in with: of a study: .*{told}"):
        expand.task_settings(plan(**{"with": {key: value}}))


@pytest.mark.parametrize("rows", ["1e3", "many", None, [4], 0])
@pytest.mark.parametrize("where", ["study", "block"])
def test_rows_that_are_no_number_are_one_line(tmp_path, where, rows):
    odd = {"name": "odd", "variant": "odd", "with": {"train_rows": rows}}
    changes = {"with": {"train_rows": rows}} if where == "study" else {"blocks": [*SMALL["blocks"], odd]}
    with pytest.raises(SaywhyError, match="with: train_rows") as refused:
        expand.task_settings(read_plan(file_of(tmp_path, **changes)))
    assert "\n" not in str(refused.value)


def test_texts_of_a_task_may_differ():
    told = plan(**{"with": {"rows": 8, "most_words": 30}, "texts": {"snli": {"most_words": 12, "rows": 5}}})
    assert (expand.task_settings(told, "snli").most_words, expand.task_settings(told, "snli").rows) == (12, 5)
    assert (expand.task_settings(told).most_words, expand.task_settings(told).rows) == (30, 8)
    assert frozen.frozen_part(told)["exclusions"]["most_words"]["snli"] == 12
    hashes = {
        frozen.frozen_part(told.model_copy(update={"texts": {"snli": {key: 7}}}))["hash"] for key in TEXT_SETTINGS
    }
    assert len(hashes) == len(TEXT_SETTINGS), "each is part of what is frozen"


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"snly": {"rows": 4}}, "texts: no task 'snly' .*snli"),
        ({"snli": {"row": 4}}, "texts: snli: 'row' is no setting of a task's texts, .*rows"),
        ({"snli": {"train_rows": 4}}, "texts: snli: 'train_rows' is no setting"),
        ({"snli": {"most_words": 0}}, "texts: snli: most_words"),
    ],
)
def test_texts_that_cannot_be_are_one_line(tmp_path, texts, told):
    with pytest.raises(SaywhyError, match=told) as refused:
        expand.task_settings(read_plan(file_of(tmp_path, texts=texts)), "snli")
    assert "\n" not in str(refused.value)


def test_rows_in_quotes_are_a_number():
    assert expand.task_settings(plan(**{"with": {"train_rows": "400"}})).train_rows == 400


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a\non: 3\n", r"study.yaml:2: .*'on' is no entry"),
        ("name: a\n1: 3\n", r"study.yaml:2: .*'1' is no entry"),
        ("name: a\nwith: {no: 3}\n", r"study.yaml:2: .*'no' is no entry"),
        ("? [a, b]\n: 3\n", r"study.yaml:1: .*several words is no entry"),
        ("name: a\nwith: {rows: 3}\nwith: {rows: 4}\n", r"study.yaml:3: .*'with' stands twice"),
        ("name: a\nwith: {rows: 3, rows: 4}\n", r"study.yaml:2: .*'rows' stands twice"),
    ],
)
def test_odd_keys_of_a_study_are_one_line(tmp_path, text, told):
    (tmp_path / "study.yaml").write_text(text, "utf-8")
    with pytest.raises(SaywhyError, match=told) as refused:
        read_plan(tmp_path / "study.yaml")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_no_generator_takes_are_refused(tmp_path, seed):
    with pytest.raises(SaywhyError, match="seeds"):
        read_plan(file_of(tmp_path, seeds=[seed]))
    with pytest.raises(SaywhyError, match="data_seed"):
        expand.task_settings(plan(**{"with": {"data_seed": seed}}))
    for pair in (f"seeds={seed}", f"data_seed={seed}"):
        with pytest.raises(SaywhyError, match="than"):
            parse([pair])
    assert parse([f"seeds=0,{2**32 - 1}"]).seeds == (0, 2**32 - 1)


def filed(folder: Path) -> StudyPlan:
    """A study whose tasks are files, one of them with a dot in its name."""
    for name in ("mood", "tone.v2"):
        (folder / f"{name}.yaml").write_text("{}", "utf-8")
    tasks = [str(folder / "mood.yaml"), str(folder / "tone.v2.yaml")]
    blocks = [
        {"name": "main", "arms": ["adapted", "faithful", "random"]},
        {"name": "joint", "train_tasks": "all", "test_tasks": "unseen"},
        {"name": "two", "train_tasks": [tasks[::-1]]},
    ]
    bars = [{"bar": "gate", "arm": "faithful.all.TASK", "tasks": tasks}]
    return plan(tasks=tasks, data=str(folder), blocks=blocks, bars=bars)


def test_arms_of_tasks_in_files_are_called_by_the_file(tmp_path):
    mine = filed(tmp_path)
    mood, tone = mine.tasks
    asked = requests.audit_requests(mine)
    assert {arm for arm, _, task in asked if task == mood} == {
        *("adapted", "faithful.all.mood", "random.all.mood", "faithful.all.tone.v2+mood", "random.all.tone.v2+mood")
    }
    assert set(expand.recipes_of_arms(mine)) >= {"faithful.all.tone.v2", "faithful.all.all"}
    for name, tasks in (("faithful.all.mood", (mood,)), ("faithful.all.all", (mood, tone)),
                        ("random.all.tone.v2+mood", (tone, mood))):  # fmt: skip
        assert str(ArmName.parse(name)) == name
        assert expand.tasks_practised(mine, ArmName.parse(name)) == tasks, "what is loaded is the file"
    assert expand.task_settings(mine, tone).data == str(tmp_path / "tone.v2")
    assert [cell["task"] for cell in expand.confirmatory_cells(mine)] == [*["mood"] * 3, *["tone.v2"] * 3]


def test_the_report_knows_the_arms_of_tasks_in_files(tmp_path):
    mine = filed(tmp_path)
    journal = StudyJournal(SharedFolder(tmp_path / "out", "study.json"), mine, expand.recipes_of_arms(mine), dict)
    journal.write()
    frozen.freeze_plan(mine, tmp_path / "out")
    study = load_study(tmp_path / "out")
    assert study.tasks == ("mood", "tone.v2")
    assert study.arm("faithful.all.mood").tasks == ("mood",)
    assert study.arm("random.all.all").tasks == study.tasks
    assert study.arm("faithful.all.tone.v2").tasks == ("tone.v2",)
    assert objections(study) == []
    assert [(cell.task, cell.key.arm) for cell in frozen_cells_of(study)][::3] == [
        ("mood", "faithful.all.mood"),
        ("tone.v2", "faithful.all.tone.v2"),
    ]
    [bar] = read_bars(study.plan["bars"])
    assert [bar.name(task) for task in bar.tasks] == ["faithful.all.mood", "faithful.all.tone.v2"]


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        (["a/mood.yaml", "b/mood.yml"], "both called mood"),
        (["snli", "mine/snli.yaml"], "both called snli"),
        (["mine/all.yaml"], "would be called all"),
        (["a+b.yaml"], "rename the file"),
    ],
)
def test_tasks_whose_files_name_two_things_are_refused(tmp_path, tasks, told):
    with pytest.raises(SaywhyError, match=told):
        read_plan(file_of(tmp_path, tasks=tasks, blocks=[{"name": "main"}]))
