"""Examples: where they come from, which are set aside, and which are drawn."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_data import PAIRS, ROWS, TASK
from problems import fails
from saywhy.file_format import FileFormat
from saywhy.records import Example, SaywhyError
from saywhy.tasks.data import SPLITS, load_examples, nested_sample
from saywhy.tasks.task import catalog, load_task

REAL = Path(__file__).parents[3] / "shared" / "data"


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


def test_a_label_means_itself_whatever_other_label_is_the_same_number(jsonl):
    numbered = TASK.model_copy(update={"labels": {"1": "billing", "01": "defect"}, "label_map": {}})
    rows = [{"text": f"text number {value}", "label": value} for value in ("1", "01", "1.0")]
    loaded = load_examples(numbered, "train", str(jsonl(rows).parent)).examples
    assert {example.text: example.label for example in loaded if "1.0" not in example.text} == {
        "text number 1": "1",
        "text number 01": "01",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "utf-8-sig", None])
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_mark_at_the_beginning_of_a_file_belongs_to_no_column(tmp_path, encoding, ending):
    content = {"csv": "text,label\na fine day,good\n", "jsonl": '{"text": "a fine day", "label": "good"}\n'}[ending]
    (tmp_path / f"test.{ending}").write_bytes(b"\xef\xbb\xbf" + content.encode())
    (example,) = load_examples(TASK, "test", str(tmp_path), FileFormat(encoding=encoding)).examples
    assert (example.text, example.label) == ("a fine day", "good")


def test_a_long_cell_is_a_text_like_any_other(tmp_path):
    content = f'text,label\n"{"a fine day " * 20_000}",good\na fine day,good\n'
    (tmp_path / "test.csv").write_text(content, "utf-8")
    assert len(load_examples(TASK, "test", str(tmp_path)).examples) == 2


def test_the_id_is_of_the_fields_and_the_task_not_of_the_label(jsonl):
    def id_of(row, task=TASK):
        (example,) = load_examples(task, "train", str(jsonl([row]).parent)).examples
        return example.id

    one = id_of({"text": "some text", "label": "good"})
    assert len(one) == 12
    assert set(one) <= set("0123456789abcdef")
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
        {"text": ". , -- ... ( )", "label": "good"},
        {"text": "alone , alone : alone .", "label": "good"},
        {"text": "good enough", "label": "bad"},
        {"text": "well, well, well, well, unless", "label": "bad"},
        b'{"text": "half an emoji \\ud83d", "label": "bad"}',
    ]
    loaded = load_examples(TASK, "train", str(jsonl(rows).parent))
    assert [ex.text for ex in loaded.examples] == [rows[0]["text"], rows[9]["text"]]
    reasons = [aside.reason for aside in loaded.set_aside]
    assert reasons == ["empty"] * 3 + ["fewer than two words"] * 4 + ["duplicate", "broken Unicode"]
    assert {aside.task for aside in loaded.set_aside} == {"reviews"}


def test_the_same_text_in_another_context_is_no_duplicate(jsonl):
    rows = [{"claim": "same claim", "source": source} for source in ("one", "two", "one")]
    loaded = load_examples(PAIRS, "train", str(jsonl(rows).parent))
    assert [ex.context["source"] for ex in loaded.examples] == ["one", "two"]
    assert [aside.reason for aside in loaded.set_aside] == ["duplicate"]


@pytest.mark.parametrize("missing", [{}, {"label": None}, {"label": ""}, {"label": "  "}])
def test_labels_may_be_missing(jsonl, missing):
    rows = [{"text": "no label"} | missing]
    (example,) = load_examples(TASK, "train", str(jsonl(rows).parent)).examples
    assert example.label is None


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
    loaded = load_examples(task, "test", "pocket")
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
        loaded = load_examples(task, split, str(REAL / name))
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
    found = {split: load_examples(local, split).examples for split in here}
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
    large = nested_sample(examples, small + more, seed)
    assert len(large) == min(small + more, len(ids))
    assert large[:small] == nested_sample(examples, small, seed)
    assert large == nested_sample(data.draw(st.permutations(examples)), small + more, seed)
    assert sorted(ex.id for ex in nested_sample(examples, None, seed)) == sorted(ids)


def test_another_seed_is_another_sample(jsonl):
    examples = load_examples(TASK, "train", str(jsonl(ROWS).parent)).examples
    one, two = ({ex.id for ex in nested_sample(examples, 50, seed)} for seed in (0, 1))
    assert len(one & two) < 25
    labels = [ex.label for ex in nested_sample(examples, 100, 0)]
    assert 30 < labels.count("good") < 70, "a sample must not follow the file's order"


def test_a_negative_sample_is_refused():
    with pytest.raises(ValueError, match="-1"):
        nested_sample([], -1, 0)


def test_blanks_at_the_ends_make_no_other_text(jsonl):
    rows = [
        {"claim": "same claim ", "source": "one", "label": "good"},
        {"claim": "same claim", "source": " one\n", "label": "bad"},
        {"claim": "same claim", "source": "two"},
    ]
    read = load_examples(PAIRS, "train", str(jsonl(rows).parent))
    assert [ex.context["source"] for ex in read.examples] == ["one", "two"]
    assert [aside.reason for aside in read.set_aside] == ["duplicate"]


def test_texts_that_differ_in_blanks_fall_into_no_two_splits(tmp_path):
    file = tmp_path / "all.jsonl"
    texts = [f"text number {i}{blank}" for i in range(60) for blank in ("", " ", "  ")]
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    splits = [{ex.text.strip() for ex in load_examples(TASK, split, str(file)).examples} for split in SPLITS]
    assert sum(map(len, splits)) == len(set.union(*splits)) == 60
