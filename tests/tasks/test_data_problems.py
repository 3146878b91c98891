"""Data that cannot be used: where, what, what to do."""

import pytest

from made_data import ROWS, TASK, load_fails
from problems import fails
from saywhy.tasks.data import load_examples


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
        ("txt;label\na b;good\n", ":2: no column 'text'; there: txt;label"),
        ('text,label\n"a\nb",good\na, b,good\n', ":4: 3 cells, the header has 2; put texts with commas"),
        ("text,label\na b\n", ":2: 1 cells, the header has 2"),
        ('text,label\na b,good\n"a open,good\nc d,bad\n', ":3: broken CSV (unexpected end of data)"),
        ("text,label\na b,good\n\nc d,fine\n", ":4: label 'fine' is not one of the task's"),
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
    assert line.startswith(
        f"{folder}: no test.jsonl, test.csv, test.tsv or test.parquet; there: dev.jsonl, train.jsonl."
    )
    assert fails(load_examples, TASK, "tset", str(folder)) == (
        "no split 'tset': did you mean 'test'? Splits: train, validation, test"
    )
    (folder / "train.csv").write_text("text\na b\n", "utf-8")
    assert "holds both train.jsonl and train.csv; keep one" in fails(load_examples, TASK, "train", str(folder))
    none = tmp_path / "none"
    assert fails(load_examples, TASK, "test", str(none)).startswith(f"{none}: no such file or folder; pass a file")
    other = tmp_path / "rows.xlsx"
    other.write_bytes(b"x")
    assert "cannot read '.xlsx' files; use .jsonl, .json-lines, .csv, .tsv, .parquet" in fails(
        load_examples, TASK, "test", str(other)
    )
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"\n\n")
    assert fails(load_examples, TASK, "train", str(empty)) == (
        f"{empty} (reviews, train): is empty; give more rows, or a folder of splits"
    )
