"""Examples: where they come from, which are set aside, and what is said about data that cannot be read."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhy.data import load_examples, read_messages, sample
from saywhy.records import Example, SaywhyError
from saywhy.tasks import Task, catalog, load_task

ROOT = Path(__file__).parent.parent
REAL = ROOT.parent / "shared" / "data"

TASK = Task(name="reviews", question="Good or bad?", lead_in="It is", labels=["good", "bad"])
PAIRS = TASK.model_copy(update={"name": "pairs", "text": "claim", "context": ("source",)})
ROWS = [{"text": f"text number {i}", "label": ("good", "bad")[i % 2]} for i in range(200)]


@pytest.fixture
def jsonl(tmp_path):
    def write(rows, name="train.jsonl", folder="data"):
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    return write


def fails(call, *args, **kwargs):
    """Return the one line that a call ends in."""
    with pytest.raises(SaywhyError) as caught:
        call(*args, **kwargs)
    line = str(caught.value)
    assert "\n" not in line
    return line


def load_fails(rows, jsonl, task=TASK, **kwargs):
    path = jsonl(rows)
    line = fails(load_examples, task, "train", str(path.parent), **kwargs)
    assert line.startswith(str(path))
    return line.removeprefix(str(path))


# what comes out


def test_a_folder_gives_its_split_in_order(jsonl):
    folder = str(jsonl(ROWS).parent)
    jsonl(ROWS[:3], "test.jsonl")
    loaded = load_examples(TASK, "train", folder)
    assert [(ex.text, ex.label) for ex in loaded.examples] == [(row["text"], row["label"]) for row in ROWS]
    assert loaded.set_aside == ()
    assert len(load_examples(TASK, "test", folder).examples) == 3


def test_context_and_columns_are_those_of_the_task(jsonl):
    rows = [{"id": 7, "claim": "a short claim", "label": "bad", "source": "where it stands"}]
    (example,) = load_examples(PAIRS, "train", str(jsonl(rows).parent)).examples
    assert (example.text, example.context, example.label) == (
        "a short claim",
        {"source": "where it stands"},
        "bad",
    )


@pytest.mark.parametrize("kind", ["csv", "parquet", "json-lines"])
def test_all_formats_give_the_same_examples(jsonl, tmp_path, kind):
    rows = [{"text": 'one, "two"\nthree é 🙂', "label": "good"}, {"text": "four five", "label": "bad"}]
    path = tmp_path / f"all.{kind}"
    if kind == "csv":
        with path.open("w", encoding="utf-8-sig", newline="") as handle:  # as spreadsheets write it
            writer = csv.DictWriter(handle, ["label", "text"])
            writer.writeheader()
            writer.writerows(rows)
    elif kind == "parquet":
        pa = pytest.importorskip("pyarrow")
        import pyarrow.parquet

        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\r\n\r\n" for row in rows), "utf-8")
    expected = load_examples(TASK, "train", str(jsonl(rows).parent)).examples
    got = []
    for split in ("train", "validation", "test"):
        try:
            got += load_examples(TASK, split, str(path)).examples
        except SaywhyError as error:
            assert "none of the 2 rows falls into" in str(error)  # noqa: PT017
    assert sorted(got, key=lambda ex: ex.id) == sorted(expected, key=lambda ex: ex.id)


def test_one_file_is_parted_by_text_70_10_20(jsonl):
    path = jsonl([{"text": f"text number {i}"} for i in range(2000)], "all.jsonl")
    parts = {split: load_examples(TASK, split, str(path)).examples for split in ("train", "validation", "test")}
    ids = [ex.id for part in parts.values() for ex in part]
    assert len(ids) == len(set(ids)) == 2000
    for split, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        assert abs(len(parts[split]) / 2000 - share) < 0.03
    longer = jsonl([{"text": "a new row"}, *({"text": f"text number {i}"} for i in range(1999, -1, -1))], "b.jsonl")
    again = {ex.id for ex in load_examples(TASK, "test", str(longer)).examples}
    assert again >= {ex.id for ex in parts["test"]}, "rows must stay in their split when the file grows"


def test_the_id_is_of_the_fields_and_the_task_not_of_the_label(jsonl):
    def id_of(row, task=TASK):
        (example,) = load_examples(task, "train", str(jsonl([row]).parent)).examples
        return example.id

    one = id_of({"text": "some text", "label": "good"})
    assert len(one) == 12
    assert int(one, 16) >= 0
    assert one == id_of({"text": "some text", "label": "bad"}) == id_of({"text": "some text", "n": 1})
    assert one != id_of({"text": "some text."})
    assert one != id_of({"text": "some text"}, TASK.model_copy(update={"name": "other"}))
    pair = {"claim": "some text", "source": "x"}
    assert id_of(pair, PAIRS) != id_of(pair | {"source": "y"}, PAIRS)


def test_the_id_never_changes(jsonl):
    """Ids stand in published rows: a changed id orphans them."""
    (example,) = load_examples(TASK, "train", str(jsonl([{"text": "Ein schöner Text"}]).parent)).examples
    assert example.id == "332046eac497"  # sha256 of ["reviews",{},"Ein sch\\u00f6ner Text"]


def test_unusable_rows_are_set_aside_with_their_reason(jsonl):
    rows = [
        {"text": "good enough", "label": "good"},
        {"text": "", "label": "good"},
        {"text": " \n", "label": "good"},
        {"text": None, "label": "good"},
        {"text": "alone", "label": "good"},
        {"text": "Well, well! WELL... well", "label": "good"},
        {"text": "good enough", "label": "bad"},
        {"text": "well, well, well, well, unless", "label": "bad"},
        b'{"text": "half an emoji \\ud83d", "label": "bad"}',
    ]
    loaded = load_examples(TASK, "train", str(jsonl(rows).parent))
    assert [ex.text for ex in loaded.examples] == [rows[0]["text"], rows[7]["text"]]
    reasons = [aside.reason for aside in loaded.set_aside]
    assert reasons == ["empty"] * 3 + ["fewer than two words"] * 2 + ["duplicate", "broken Unicode"]
    assert {aside.task for aside in loaded.set_aside} == {"reviews"}


def test_the_same_text_in_another_context_is_no_duplicate(jsonl):
    rows = [{"claim": "same claim", "source": source} for source in ("one", "two", "one")]
    loaded = load_examples(PAIRS, "train", str(jsonl(rows).parent))
    assert [ex.context["source"] for ex in loaded.examples] == ["one", "two"]
    assert [aside.reason for aside in loaded.set_aside] == ["duplicate"]


@pytest.mark.parametrize("missing", [{}, {"label": None}, {"label": ""}, {"label": "  "}])
def test_labels_may_be_missing_unless_they_are_required(jsonl, missing):
    rows = [{"text": "no label"} | missing]
    (example,) = load_examples(TASK, "train", str(jsonl(rows).parent)).examples
    assert example.label is None
    line = load_fails(rows, jsonl, require_labels=True)
    assert line == ":1: no label. Column 'label' holds good, bad"


@pytest.mark.parametrize(("value", "label"), [(1, "1"), (True, "true"), (" 1 ", "1")])
def test_labels_that_are_no_text_are_read_as_yaml_writes_them(jsonl, value, label):
    task = TASK.model_copy(update={"labels": {"1": "good", "true": "bad"}})
    (example,) = load_examples(task, "train", str(jsonl([{"text": "a b", "label": value}]).parent)).examples
    assert example.label == label


def test_causes_come_along_where_they_are_known(jsonl):
    rows = [{"text": "a b", "causes": ["a"]}, {"text": "a c"}, {"text": "a d", "causes": "rain"}]
    examples = load_examples(TASK, "train", str(jsonl(rows).parent)).examples
    assert [ex.causes for ex in examples] == [("a",), (), ()]


@pytest.mark.parametrize("name", ["ag_news", "sentiment140", "snli"])
def test_the_pocket_has_texts_for_every_shipped_task(name):
    task = load_task(name)
    loaded = load_examples(task, "test", "pocket", require_labels=True)
    assert loaded.set_aside == ()
    assert {ex.label for ex in loaded.examples} == set(task.labels)
    assert all(ex.causes and set(ex.context) == set(task.context) for ex in loaded.examples)


def test_a_task_without_pocket_texts_says_so():
    line = fails(load_examples, TASK, "train", "pocket")
    assert line.startswith("no pocket texts of 'reviews'")
    assert "pass data=FOLDER_OR_FILE" in line


@pytest.mark.parametrize("name", catalog())
def test_real_data_loads_whole(name):
    if not REAL.is_dir():
        pytest.skip(f"no real data at {REAL}")
    task = load_task(name)
    ids = {}
    for split in ("validation", "test"):
        lines = (REAL / name / f"{split}.jsonl").read_bytes().count(b"\n")
        loaded = load_examples(task, split, str(REAL / name), require_labels=True)
        assert len(loaded.examples) + len(loaded.set_aside) == lines
        assert len(loaded.examples) > 0.95 * lines
        assert {ex.label for ex in loaded.examples} == set(task.labels)
        ids[split] = {ex.id for ex in loaded.examples}
    assert not ids["validation"] & ids["test"]


FROM_HUB = {
    "trec": (
        "text",
        "coarse_label",
        ["abbreviation", "entity", "description", "human", "location", "number"],
        {"train": 90, "test": 12},
        {"train": 81, "validation": 9, "test": 12},
    ),
    "sms_spam": ("sms", "label", ["ham", "spam"], {"train": 100}, {"train": 70, "validation": 10, "test": 20}),
    "sst2": (
        "sentence",
        "label",
        ["negative", "positive"],
        {"train": 100, "validation": 8, "test": 4},
        {"train": 95, "validation": 5, "test": 8},
    ),
}
"""Task: the hub's columns, the labels in the order of its numbers, rows a split there, rows a split here."""


@pytest.mark.parametrize("name", FROM_HUB)
def test_a_shipped_task_reads_the_columns_and_splits_of_the_hub(name, jsonl, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    text, label, labels, there, here = FROM_HUB[name]
    for split, count in there.items():
        hidden = (name, split) == ("sst2", "test")
        rows = [{text: f"{split} text {i}", label: -1 if hidden else i % len(labels), "fine": i} for i in range(count)]
        jsonl(rows, f"{split}.jsonl", "hub")
    task = load_task(name)
    local = task.model_copy(update={"hub": task.hub.model_copy(update={"id": str(tmp_path / "hub")})})
    found = {split: load_examples(local, split, require_labels=True).examples for split in here}
    assert {split: len(examples) for split, examples in found.items()} == here
    said = [example.text for examples in found.values() for example in examples]
    assert len(set(said)) == len(said)
    for example in (example for examples in found.values() for example in examples):
        assert example.label == labels[int(example.text.split()[-1]) % len(labels)]
    assert set(labels) == set(task.labels)


# samples

TEXTS = st.lists(st.text(alphabet="0123456789abcdef", min_size=12, max_size=12), unique=True, max_size=40)


@given(ids=TEXTS, small=st.integers(0, 45), more=st.integers(0, 45), seed=st.integers(0, 9), data=st.data())
def test_samples_are_nested_and_blind_to_order(ids, small, more, seed, data):
    examples = [Example(i, "a b") for i in ids]
    large = sample(examples, small + more, seed)
    assert len(large) == min(small + more, len(ids))
    assert large[:small] == sample(examples, small, seed)
    assert large == sample(data.draw(st.permutations(examples)), small + more, seed)
    assert sorted(ex.id for ex in sample(examples, None, seed)) == sorted(ids)


def test_another_seed_is_another_sample(jsonl):
    examples = load_examples(TASK, "train", str(jsonl(ROWS).parent)).examples
    one, two = ({ex.id for ex in sample(examples, 50, seed)} for seed in (0, 1))
    assert len(one & two) < 25
    labels = [ex.label for ex in sample(examples, 100, 0)]
    assert 30 < labels.count("good") < 70, "a sample must not follow the file's order"


def test_a_negative_sample_is_refused():
    with pytest.raises(ValueError, match="-1"):
        sample([], -1, 0)


# data that cannot be used: where, what, what to do


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (b'{"text": "a b", "label": "good"', ":3: broken JSON (Expecting ',' delimiter: column "),
        (b"[" * 100_000, ":3: broken JSON ("),
        (b'["a b", "good"]', ':3: ["a b", "good"] is no JSON object; write {...}'),
        (b'"a b"', ':3: "a b" is no JSON object'),
        (b'{"text": "caf\xe9 b"}', ":3: not UTF-8 at byte 98 of the file; save it as UTF-8"),
        (
            {"txt": "a b", "label": "good"},
            ":3: no column 'text'; there: txt, label. Rename it, or adapt the task",
        ),
        ({}, ":3: no column 'text'; there: none"),
        ({"text": 5}, ":3: column 'text' holds 5, which is not text; put it in quotes"),
        ({"text": ["a", "b"]}, ":3: column 'text' holds ['a', 'b'], which is not text"),
        ({"text": "a b", "label": "godo"}, ":3: label 'godo' is not one of the task's: did you mean 'good'?"),
        (
            {"text": "a b", "label": 0},
            ":3: label '0' is not one of the task's. Column 'label' holds good, bad",
        ),
        ({"text": "a b", "label": "x\ny" * 99}, ":3: label 'x\\nyx\\ny"),
        ({"text": "", "label": "godo"}, ":3: label 'godo'"),
    ],
)
def test_a_bad_line_is_named(jsonl, bad, expected):
    line = load_fails([*ROWS[:2], bad, *ROWS[3:]], jsonl)
    assert line.startswith(expected)
    assert len(line) < 400


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "is empty"),
        ("text,label\n", "is empty"),
        ("txt,label\na b,good\n", ":2: no column 'text'; there: txt, label"),
        ("text;label\na b;good\n", ":2: no column 'text'; there: text;label"),
        ('text,label\n"a\nb",good\na, b,good\n', ":4: 3 cells, the header has 2; put texts with commas"),
        ("text,label\na b\n", ":2: 1 cells, the header has 2"),
        ('text,label\na b,good\n"a open,good\nc d,bad\n', ":3: broken CSV (unexpected end of data)"),
        ("text,label\na b,good\n\nc d,fine\n", ":4: label 'fine' is not one of the task's"),
        ("text,label\n" + "a" * 200_000 + ",good\n", ":2: broken CSV (field larger than field limit"),
    ],
)
def test_a_bad_csv_row_is_named(tmp_path, source, expected):
    path = tmp_path / "train.csv"
    path.write_text(source, "utf-8")
    line = fails(load_examples, TASK, "train", str(tmp_path))
    assert expected in line
    assert str(tmp_path) in line


def test_a_bad_parquet_file_or_row_is_named(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    path = tmp_path / "train.parquet"
    path.write_bytes(b"no parquet")
    assert fails(load_examples, TASK, "train", str(tmp_path)).startswith(f"{path}: broken Parquet file (")
    pyarrow.parquet.write_table(pa.Table.from_pylist([{"text": "a b"}, {"text": "c d"}]), path)
    assert len(load_examples(TASK, "train", str(tmp_path)).examples) == 2
    pyarrow.parquet.write_table(pa.Table.from_pylist([{"text": 1}]), path)
    assert f"{path} row 1: column 'text' holds 1, which is not text" in fails(
        load_examples, TASK, "train", str(tmp_path)
    )


def test_what_is_not_there_is_named_with_what_is(jsonl, tmp_path):
    folder = jsonl(ROWS[:3]).parent
    jsonl(ROWS[:3], "dev.jsonl")
    line = fails(load_examples, TASK, "test", str(folder))
    assert line.startswith(f"{folder}: no test.jsonl, test.csv or test.parquet; there: dev.jsonl, train.jsonl.")
    assert fails(load_examples, TASK, "tset", str(folder)) == (
        "no split 'tset': did you mean 'test'? Splits: train, validation, test"
    )
    (folder / "train.csv").write_text("text\na b\n", "utf-8")
    assert "holds both train.jsonl and train.csv; keep one" in fails(load_examples, TASK, "train", str(folder))
    none = tmp_path / "none"
    assert fails(load_examples, TASK, "test", str(none)).startswith(f"{none}: no such file or folder; pass a file")
    other = tmp_path / "rows.xlsx"
    other.write_bytes(b"x")
    assert "cannot read '.xlsx' files; use .jsonl, .json-lines, .csv, .parquet" in fails(
        load_examples, TASK, "test", str(other)
    )
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"\n\n")
    assert fails(load_examples, TASK, "train", str(empty)) == (
        f"{empty} (reviews, train): is empty; give more rows, or a folder of splits"
    )


# replay data

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
    train = load_examples(task, "train", require_labels=True).examples
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
from saywhy.tasks import load_task
from saywhy.data import load_examples
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
