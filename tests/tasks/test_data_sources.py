"""Replay data, and rows on the hub."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from made_data import TASK
from problems import fails
from saywhy.tasks.data import load_examples, read_messages
from saywhy.tasks.task import Task

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data"

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def test_messages_are_read_from_a_file_or_a_folder(jsonl):
    system = [{"role": "system", "content": "Be kind"}, *CHAT, *CHAT]
    path = jsonl([{"messages": CHAT, "source": "x"}, {"messages": [turn | {"n": 1} for turn in system]}])
    assert read_messages(path) == read_messages(str(path.parent)) == [CHAT, system]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({}, ":2: no list 'messages'"),
        ({"messages": []}, ":2: no list 'messages'"),
        ({"messages": "Hi"}, ":2: no list 'messages'"),
        ({"messages": ["Hi"]}, ":2: message 1 has no texts 'role' and 'content'"),
        ({"messages": [CHAT[0], {"role": "assistant", "content": None}]}, ":2: message 2 has no texts"),
        ({"messages": [CHAT[1]]}, ":2: message 1 has the role 'assistant' where 'user' is due"),
        ({"messages": [*CHAT, CHAT[1]]}, ":2: message 3 has the role 'assistant' where 'user' is due"),
        (
            {"messages": [*CHAT, {"role": "system", "content": "x"}, *CHAT]},
            ":2: message 3 has the role 'system'",
        ),
        ({"messages": CHAT[:1]}, ":2: the last message is the user's, not the assistant's"),
        ({"messages": [{"role": "system", "content": "x"}]}, ":2: the last message is the system's"),
        (b"{", ":2: broken JSON"),
        ({"messages": [{"role": "user", "content": "\ud83d"}, CHAT[1]]}, ":2: message 1 holds half of a character"),
    ],
)
def test_a_bad_conversation_is_named(jsonl, row, expected):
    path = jsonl([{"messages": CHAT}, row])
    assert fails(read_messages, path).removeprefix(str(path)).startswith(expected)


def test_missing_or_empty_replay_data(tmp_path):
    assert "no train.jsonl" in fails(read_messages, tmp_path)
    assert "no such file" in fails(read_messages, tmp_path / "x.jsonl")
    (tmp_path / "train.jsonl").write_text("")
    assert "is empty" in fails(read_messages, tmp_path)


def test_real_replay_data_reads():
    if not (REAL / "replay").is_dir():
        pytest.skip(f"no replay data at {REAL}")
    chats = read_messages(REAL / "replay" / "validation.jsonl")
    assert len(chats) == 200
    assert all(chat[-1]["role"] == "assistant" for chat in chats)


# the hub: ``datasets.load_dataset`` takes a local folder as the id


@pytest.fixture
def hub(jsonl, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def task(**update):
        fields = {"id": str(tmp_path / "hub")} | update
        return Task.model_validate(TASK.model_dump(exclude={"hub"}) | {"hub": fields})

    rows = [{"sentence": f"text number {i}", "sentiment": (0, 4, 2)[i * 3 // 60]} for i in range(60)]
    jsonl(rows, "train.jsonl", "hub")
    jsonl(rows[:6], "test.jsonl", "hub")
    return task


def test_hub_columns_labels_and_split_expressions(hub):
    task = hub(
        columns={"text": "sentence", "label": "sentiment"},
        labels={"0": "bad", "4": "good", "2": None},
        splits={"train": "train[:50%]", "validation": "train[30%:35%]+train[50%:]"},
    )
    train = load_examples(task, "train").examples
    assert [ex.text for ex in train] == [f"text number {i}" for i in range(30)]
    assert [ex.label for ex in train] == ["bad"] * 20 + ["good"] * 10
    validation = load_examples(task, "validation").examples
    assert [ex.text for ex in validation] == [f"text number {i}" for i in [18, 19, 20, *range(30, 40)]]
    line = fails(load_examples, task, "test")
    assert line.startswith("task 'reviews': no 'test' in hub.splits; there: train, validation. Add it, or pass")


def test_hub_data_that_does_not_fit_the_task(hub):
    line = fails(load_examples, hub(columns={"text": "sentenc"}), "train")
    assert "no column 'sentenc'; there: sentence, sentiment. Mend hub.columns" in line
    line = fails(load_examples, hub(), "train")
    assert "row 1: no column 'text'; there: sentence, sentiment" in line
    line = fails(load_examples, hub(columns={"text": "sentence", "label": "sentiment"}), "train")
    assert "'train' row 1: label '0' is not one of the task's" in line
    unlabelled = load_examples(hub(columns={"text": "sentence"}), "test").examples
    assert {ex.label for ex in unlabelled} == {None}


def test_hub_problems_point_to_local_data(hub, tmp_path):
    line = fails(load_examples, hub(splits={"train": "nosuchsplit"}), "train")
    assert "nosuchsplit" in line
    assert line.endswith("pass data=FOLDER_OR_FILE instead")
    line = fails(load_examples, hub(id=str(tmp_path / "nowhere")), "train")
    assert line.startswith(f"hub data '{tmp_path}/nowhere' 'train': ")
    assert line.endswith("pass data=FOLDER_OR_FILE instead")
    assert fails(load_examples, TASK, "train").startswith("task 'reviews' has no 'hub' in its YAML; add it, or pass")


def test_a_data_set_that_is_a_script_is_read_from_its_parquet_copy(hub, monkeypatch):
    """The hub keeps the copy on a branch, which no local folder has: so ``load_dataset`` is wrapped."""
    import datasets

    real, asked = datasets.load_dataset, []

    def scripted(*args, revision=None, **kwargs):
        asked.append(revision)
        if revision is None:
            raise RuntimeError("Dataset scripts are no longer supported, but found x.py")
        return real(*args, **kwargs)

    monkeypatch.setattr(datasets, "load_dataset", scripted)
    assert len(load_examples(hub(columns={"text": "sentence"}), "test").examples) == 6
    assert asked == [None, "refs/convert/parquet"]


def test_offline_the_way_out_is_named_and_nothing_heavy_is_imported_before(tmp_path):
    code = """
import sys
from saywhy.tasks.task import load_task
from saywhy.tasks.data import load_examples
from saywhy.records import SaywhyError
heavy = {"torch", "datasets", "pandas", "pyarrow", "transformers", "numpy"} & set(sys.modules)
assert not heavy, heavy
try:
    load_examples(load_task("snli"), "train")
except SaywhyError as error:
    print(error)
"""
    env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert line.startswith("hub data 'stanfordnlp/snli' 'train': ConnectionError: ")
    assert line.endswith("pass data=FOLDER_OR_FILE instead")
