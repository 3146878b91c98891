"""Files as people have them: delimiters, encodings, no header, labels as numbers or categories, no label."""

import json
import random
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from made_data import PAIRS, TASK
from problems import fails
from saywhy.file_format import FileFormat
from saywhy.records import SaywhyError
from saywhy.tasks.data import SPLITS, load_examples
from saywhy.tasks.task import Task, load_task

CASES = Path(__file__).parents[3] / "shared" / "cases" / "data"
ROWS = [("one fine day", "good"), ("a café closed, sadly", "bad"), ("so so good", "good")]
NUMBERS = {"good": 1, "bad": 0}


def loaded(folder, task=TASK, **given):
    return [(ex.text, ex.label) for ex in load_examples(task, "train", str(folder), FileFormat(**given)).examples]


def table(rows=ROWS, sign=",", end="\n", header=("text", "label")):
    lines = [header, *rows] if header else rows
    return "".join(sign.join(f'"{cell}"' for cell in line) + end for line in lines)


@pytest.mark.parametrize(
    ("name", "content", "given"),
    [
        ("train.csv", table().encode("utf-8-sig"), {}),
        ("train.csv", ("\ufeff" + table()).encode("utf-16-le"), {"encoding": "utf-16-le"}),
        ("train.csv", table(sign=";").encode(), {}),
        ("train.csv", ("\n" + table(sign=";")).encode(), {}),
        ("train.csv", table(sign="\t").encode(), {}),
        ("train.csv", table(sign="|").encode(), {}),
        ("train.csv", table(sign="~").encode(), {"delimiter": "~"}),
        ("train.csv", table(sign=";").encode(), {"delimiter": "semicolon"}),
        ("train.tsv", table(sign="\t").encode(), {}),
        ("train.tsv", table(sign="\t").encode(), {"delimiter": "\\t"}),
        ("train.csv", table(end="\r").encode(), {}),
        ("train.csv", table(end="\r\n").encode(), {}),
        ("train.csv", table().encode("latin-1"), {"encoding": "latin-1"}),
        ("train.csv", table().encode("cp1252"), {"encoding": "cp1252"}),
        ("train.tsv", table(sign="\t").encode("utf-16"), {"encoding": "utf-16"}),
        ("train.csv", table(header=None).encode(), {"columns": ("text", "label")}),
        ("train.csv", table(header=None, sign=";").encode(), {"columns": ("text", "label")}),
        (
            "train.csv",
            table([("1", *row[:1], "x", row[1]) for row in ROWS], header=None).encode("latin-1"),
            {"columns": ("_", "text", "_", "label"), "encoding": "latin-1"},
        ),
        (
            "train.jsonl",
            "\r".join(json.dumps(dict(zip(("text", "label"), row, strict=True))) for row in ROWS).encode(),
            {},
        ),
    ],
)
def test_every_form_gives_the_same_rows(tmp_path, name, content, given):
    (tmp_path / name).write_bytes(content)
    assert loaded(tmp_path, **given) == ROWS


def test_a_line_end_within_quotes_stays(tmp_path):
    (tmp_path / "train.csv").write_bytes(b'text,label\r\n"two\rlines\nhere",good\r\n')
    assert loaded(tmp_path) == [("two\rlines\nhere", "good")]


@pytest.mark.parametrize(
    ("name", "content", "given", "line"),
    [
        (
            "train.csv",
            table().encode("latin-1"),
            {},
            "train.csv:3: not UTF-8 at byte 43 of the file; save it as UTF-8, or say what it is, such as "
            "encoding=latin-1",
        ),
        ("train.tsv", table(sign="\t").encode("utf-16"), {}, "such as encoding=utf-16"),
        ("train.csv", table().encode("latin-1"), {"encoding": "utf-16"}, "not UTF-16"),
        (
            "train.csv",
            table(header=None).encode("latin-1"),
            {},
            "encoding=latin-1; if its first line is no header, name all 2 columns in their order, such as "
            "columns=label,text (_: not needed)",
        ),
        (
            "train.csv",
            table([("4", "1", "Mon", *row) for row in ROWS], header=None).encode(),
            {},
            "name all 5 columns in their order, such as columns=label,_,_,_,text (_: not needed)",
        ),
        ("train.csv", table(header=None).encode(), {"columns": ("text",)}, "2 cells, columns= names 1"),
        ("train.csv", table(header=None).encode(), {"columns": ("txt", "label")}, "no column 'text'"),
        ("train.csv", table(header=("text", "text")).encode(), {}, "two columns are called 'text'; rename one"),
        ("train.jsonl", b"{}", {"columns": ("text",)}, "columns= says nothing of a .jsonl file: leave it out"),
        ("train.parquet", b"", {"encoding": "latin-1"}, "encoding= says nothing of a .parquet file: leave it out"),
        ("train.csv", b'text,label\n"open,good\nc d,bad\n', {}, ":2: broken CSV"),
    ],
)
def test_what_does_not_fit_names_the_setting(tmp_path, name, content, given, line):
    (tmp_path / name).write_bytes(content)
    assert line in fails(load_examples, TASK, "train", str(tmp_path), FileFormat(**given))


def test_how_a_file_is_read_says_nothing_of_other_data():
    line = fails(load_examples, load_task("snli"), "train", "pocket", FileFormat(encoding="latin-1"))
    assert line == "encoding= says how a file is read, and data=pocket is none: leave it out"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("delimiter=ab", "delimiter=ab: it takes one sign, or comma, semicolon, tab, pipe"),
        ("encoding=latin-99", "encoding=latin-99: no such encoding: latin-1,"),
        ("encoding=rot13", "no such encoding"),
        ("encoding=base64", "no such encoding"),
        ("columns=text,text", "each column has a name of its own"),
        ("label_map=0", "'0' is not VALUE:LABEL: write for example 0:negative,4:positive"),
        ("label_map=0:a,0:b", "'0' stands twice"),
        ("label_map=0:negativ", "'negativ' is no label of task 'sentiment140': did you mean 'negative'?"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(call, words, line, tmp_path):
    (tmp_path / "all.csv").write_text(table())
    assert line in call("audit", f"data={tmp_path / 'all.csv'}", words).problem


# labels


def numbered(kind):
    return [{"text": text, "label": kind(NUMBERS[label])} for text, label in ROWS]


@pytest.mark.parametrize("kind", [int, float, str, lambda number: f"{number}.0"])
@pytest.mark.parametrize("pairs", ["0:bad,1:good", {0: "bad", 1: "good"}, {"0.0": "bad", "1.0": "good"}])
def test_numbers_mean_what_the_map_says(jsonl, kind, pairs):
    folder = jsonl(numbered(kind)).parent
    assert loaded(folder, label_map=pairs) == ROWS


def test_a_task_may_say_what_its_numbers_mean(jsonl):
    folder = jsonl(numbered(int)).parent
    task = Task.model_validate(TASK.model_dump() | {"label_map": {"0": "bad", "1": "good"}})
    assert loaded(folder, task) == ROWS
    assert [label for _, label in loaded(folder, task, label_map="0:good")] == ["good"] * 3, "the user's word counts"
    with pytest.raises(ValueError, match="label_map maps '0' to 'fine', which is no label"):
        Task.model_validate(TASK.model_dump() | {"label_map": {"0": "fine"}})


def test_numbers_without_a_meaning_show_the_map_to_write(jsonl):
    path = jsonl(numbered(int))
    line = fails(load_examples, TASK, "train", str(path.parent))
    assert line == (
        f"{path}:1: label '1' is not one of the task's. Column 'label' holds good, bad; or say which LABEL each "
        "value means, label_map=0:LABEL,1:LABEL, here or in the task's YAML"
    )


def test_the_numbers_of_the_hub_are_known_in_files_too(jsonl):
    rows = [{"premise": f"a man {n} plays", "hypothesis": "a man makes music", "label": n} for n in (0, 1, 2, -1)]
    split = load_examples(load_task("snli"), "train", str(jsonl(rows).parent))
    assert [ex.label for ex in split.examples] == ["entailment", "neutral", "contradiction", None]
    assert split.unlabelled == 1


@pytest.mark.parametrize("value", [-1, "-1", -1.0, "-1.0", None, "", float("nan")])
def test_what_has_no_label_is_counted(jsonl, value):
    folder = jsonl([{"text": "a b", "label": value}, {"text": "c d", "label": "good"}, {"text": "e f"}]).parent
    split = load_examples(TASK, "train", str(folder))
    assert [ex.label for ex in split.examples] == [None, "good", None]
    assert split.unlabelled == 2


def test_a_label_of_that_name_is_one(jsonl):
    task = TASK.model_copy(update={"labels": {"-1": "bad", "1": "good"}})
    folder = jsonl([{"text": "a b", "label": -1}, {"text": "c d", "label": 1.0}]).parent
    assert [label for _, label in loaded(folder, task)] == ["-1", "1"]


def parquet(folder, table, metadata=None):
    schema = table.schema.with_metadata(metadata) if metadata else table.schema
    pyarrow.parquet.write_table(table.cast(schema), folder / "train.parquet")


def test_categories_and_small_numbers_of_parquet(tmp_path):
    texts = pyarrow.array([text for text, _ in ROWS])
    labels = pyarrow.array([label for _, label in ROWS])
    parquet(tmp_path, pyarrow.table({"text": texts.dictionary_encode(), "label": labels.dictionary_encode()}))
    assert loaded(tmp_path) == ROWS
    numbers = pyarrow.array([NUMBERS[label] for _, label in ROWS], pyarrow.int8())
    parquet(tmp_path, pyarrow.table({"text": texts, "label": numbers}))
    assert loaded(tmp_path, label_map="0:bad,1:good") == ROWS
    assert "label_map=0:LABEL,1:LABEL" in fails(load_examples, TASK, "train", str(tmp_path))
    features = {"info": {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}}
    parquet(tmp_path, pyarrow.table({"text": texts, "label": numbers}), {"huggingface": json.dumps(features)})
    assert loaded(tmp_path) == ROWS


def test_columns_that_are_not_needed_are_not_read(tmp_path):
    times = pyarrow.array([2**62, 0, None], pyarrow.timestamp("us", tz="Nowhere/Atlantis"))
    parquet(tmp_path, pyarrow.table({"text": [t for t, _ in ROWS], "label": [x for _, x in ROWS], "when": times}))
    assert loaded(tmp_path) == ROWS


@pytest.mark.parametrize("encode", [lambda array: array, lambda array: array.dictionary_encode()])
def test_parquet_text_that_is_no_utf8_is_set_aside(tmp_path, encode):
    raw = pyarrow.array([b"caf\xe9 closed early", b"a fine day", None], pyarrow.binary())
    texts = pyarrow.StringArray.from_buffers(3, *raw.buffers()[1:], raw.buffers()[0])
    pyarrow.parquet.write_table(pyarrow.table({"text": encode(texts)}), tmp_path / "train.parquet")
    split = load_examples(TASK, "train", str(tmp_path))
    assert [ex.text for ex in split.examples] == ["a fine day"]
    assert [aside.reason for aside in split.set_aside] == ["broken Unicode", "empty"]


def test_what_python_does_not_read_hurts_no_one_who_does_not_need_it(jsonl):
    digits = "9" * 5000
    rows = [
        f'{{"text": "a b &#{digits}; c", "n": {digits}}}'.encode(),
        b'{"text": "c d", "causes": ["half \\ud83d", "d"]}',
    ]
    examples = load_examples(TASK, "train", str(jsonl(rows).parent)).examples
    assert [ex.causes for ex in examples] == [(), ("d",)]
    line = fails(load_examples, TASK, "train", str(jsonl([f'{{"text": {digits}}}'.encode()]).parent))
    assert "column 'text' holds inf" in line


# through the command line


def test_the_original_sentiment140_is_read_as_it_is(call, tiny_folder, tmp_path):
    lines = [
        f'"{number}","{n}","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","user_{n}","a {word} day, caf\xe9 {n}"'
        for n in range(120)
        for number, word in ((0, "sad"), (4, "great"), (0, "cold"), (4, "sunny"))
    ]
    file = tmp_path / "training.csv"
    file.write_bytes("\n".join(lines).encode("latin-1"))
    words = (f"data={file}", f"model={tiny_folder}", "rows=4", "decide_rows=8", "calibration_rows=8")
    problem = call("audit", *words, f"out={tmp_path / 'a'}").problem
    assert "encoding=latin-1" in problem
    assert "columns=label,_,_,_,_,text" in problem
    said = call("audit", *words, "encoding=latin-1", "columns=label,_,_,_,_,text", f"out={tmp_path / 'b'}")
    assert said.code == 0, said.err
    config = json.loads((tmp_path / "b" / "run.json").read_text("utf-8"))["config"]
    assert (config["encoding"], config["columns"][0]) == ("latin-1", "label")
    assert "café" in (tmp_path / "b" / "texts.jsonl").read_text("utf-8") or "caf\\u00e9" in (
        tmp_path / "b" / "texts.jsonl"
    ).read_text("utf-8")


def test_rows_without_a_label_do_not_end_a_run(call, tiny_folder, tmp_path):
    for split, count in (("train", 60), ("test", 6)):
        rows = [
            {"text": f"a {word} day number {n}", "label": label if n % 3 else -1}
            for n in range(count)
            for word, label in (("sad", 0), ("great", 4), ("cold", 0), ("sunny", 4))
        ]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    small = ("rows=none", "adapt_rows=4", "train_rows=4", "calibration_rows=8", "arms=base,adapted")
    said = call("run", f"data={tmp_path}", f"model={tiny_folder}", *small, f"out={tmp_path / 'run'}")
    assert said.code == 0, said.err
    assert "8 of 24 test texts of sentiment140 have no label (-1 or empty)" in said.err
    assert json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))["counts"]["unlabelled"] == 8


# every file that users of neighbouring tools stumbled over

EXPECTED = {
    "01_bom.csv": ("sentiment140", {}, 4, 0),
    "02_semicolon.csv": ("sentiment140", {}, 4, 0),
    "03_sentiment140_raw.csv": ("sentiment140", {}, "encoding=latin-1; if its first line is no header", 0),
    "03_sentiment140_utf8.csv": ("sentiment140", {}, "columns=label,_,_,_,_,text", 0),
    "04_float_labels.csv": ("sentiment140", {}, "label_map=", 0),
    "04_int_labels.jsonl": ("sentiment140", {}, "label_map=", 0),
    "05_snli_minus_one.jsonl": ("snli", {}, 3, 0),
    "06_null_words.csv": ("sentiment140", {}, 4, 0),
    "07_late_columns.jsonl": ("sentiment140", {}, 3, 1),
    "08_lone_quote.csv": ("sentiment140", {}, "broken CSV", 0),
    "10_categorical.parquet": ("sentiment140", {}, 4, 0),
    "10_int8.parquet": ("sentiment140", {}, "label_map=", 0),
    "11_array.json": ("sentiment140", {}, "cannot read '.json' files", 0),
    "11_array.jsonl": ("sentiment140", {}, "is no JSON object", 0),
    "11_rows.jsonl.gz": ("sentiment140", {}, "cannot read '.gz' files", 0),
    "13_control_tokens.jsonl": ("sentiment140", {}, 3, 0),  # the model's, by which they are set aside
    "14_short.jsonl": ("sentiment140", {}, 1, 6),
}
MAPPED = {
    "03_sentiment140_raw.csv": {"encoding": "latin-1", "columns": ("label", *"____", "text")},
    "03_sentiment140_utf8.csv": {"columns": ("label", *"____", "text")},
    "04_float_labels.csv": {"label_map": "0:negative,1:positive"},
    "04_int_labels.jsonl": {"label_map": "0:negative,1:positive"},
    "10_int8.parquet": {"label_map": "0:negative,1:positive"},
}


def all_of(file, task, **given):
    """Return the examples of all splits of a file, and how many rows were set aside."""
    examples, aside = [], 0
    for split in SPLITS:
        try:
            part = load_examples(load_task(task), split, str(file), FileFormat(**given))
        except SaywhyError as error:
            if "rows falls into" not in str(error):
                raise
            continue
        examples += part.examples
        aside += len(part.set_aside)
    return examples, aside


@pytest.mark.parametrize("name", EXPECTED)
def test_the_files_that_others_stumbled_over(name):
    file = CASES / name
    if not file.is_file():
        pytest.skip(f"no odd inputs at {CASES}")
    task, given, expected, set_aside = EXPECTED[name]
    if isinstance(expected, str):
        assert expected in fails(all_of, file, task, **given)
        if name in MAPPED:
            examples, _ = all_of(file, task, **MAPPED[name])
            assert {ex.label for ex in examples} - {None} == {"negative", "positive"}
    else:
        examples, aside = all_of(file, task, **given)
        assert (len(examples), aside) == (expected, set_aside)


def test_every_odd_input_has_an_expectation():
    if not CASES.is_dir():
        pytest.skip(f"no odd inputs at {CASES}")
    assert {file.name for file in CASES.iterdir() if file.suffix != ".yaml"} == set(EXPECTED)


# rows of any kind


def any_value(dice, depth=0):
    """Return a value that a row may hold."""
    signs = [
        "a",
        "Ж",
        "\x00",
        "\x1b[31m",
        "\ud83d",
        "‮",
        "&#39;",
        "&#" + "9" * 50 + ";",
        "👩‍👧",
        " ",
        "\r",
        '"',
        ",",
        "﷽",
    ]
    kinds = [
        lambda: dice.choice(["", "good", "bad", "-1", "null", "a b", "text number one"]),
        lambda: "".join(dice.choices(signs, k=dice.randrange(12))),
        lambda: " ".join("".join(dice.choices(signs, k=dice.randrange(1, 4))) for _ in range(dice.randrange(6))),
        lambda: dice.choice([None, True, False, 0, -1, 1.5, float("nan"), float("inf"), 10**400]),
    ]
    if depth < 3:
        kinds.append(lambda: [any_value(dice, depth + 1) for _ in range(dice.randrange(3))])
        kinds.append(lambda: {str(any_value(dice, 3)): any_value(dice, depth + 1) for _ in range(dice.randrange(3))})
    return dice.choice(kinds)()


def load_any_rows(folder, count):
    """Load rows of any kind, by themselves; return how many were usable, set aside and refused in one line."""
    dice, outcomes = random.Random(20), {"usable": 0, "set aside": 0, "refused": 0}
    for _ in range(count):
        row = {"text": "a fine day", "claim": "it rains", "source": "a page", "label": "good", "causes": ["fine"]}
        for name in dice.sample([*row, "x"], dice.randrange(1, 4)):
            row[name] = any_value(dice)
        line = json.dumps(row).encode() if dice.random() < 0.9 else dice.randbytes(dice.randrange(1, 40))
        (folder / "train.jsonl").write_bytes(line + b"\n")
        problem = ""
        try:
            split = load_examples(dice.choice((TASK, PAIRS)), "train", str(folder))
        except SaywhyError as error:
            problem = str(error)
            outcomes["refused"] += 1
        else:
            for example in split.examples:
                example.text.encode("utf-8")
            outcomes["usable" if split.examples else "set aside"] += 1
        assert "\n" not in problem
        assert len(problem) < 800
    return outcomes


def test_no_row_crashes(tmp_path):
    assert min(load_any_rows(tmp_path, 200).values()) > 3


@pytest.mark.slow
def test_no_row_of_ten_thousand_crashes(tmp_path):
    assert sum(load_any_rows(tmp_path, 10_000).values()) == 10_000


UNQUOTED = """text\tlabel
"Great movie ever\tgood
bad film this\tbad
so so film\tbad
never say never again"\tgood
last one here\tbad
"""
"""A table as GLUE has them: quotes are signs of the texts, and need no partner."""


@pytest.mark.parametrize("rows", [UNQUOTED, UNQUOTED.replace('again"', "again")])
def test_quotes_in_a_table_of_tabs_swallow_no_rows(tmp_path, capsys, rows):
    (tmp_path / "train.tsv").write_text(rows)
    texts = ['"Great movie ever', "bad film this", "so so film", rows.split("\n")[4].split("\t")[0], "last one here"]
    assert loaded(tmp_path) == list(zip(texts, ["good", "bad", "bad", "good", "bad"], strict=True))
    assert "quotes are part of its texts" in " ".join(capsys.readouterr().err.split())


def test_a_quoted_cell_of_a_table_of_tabs_may_hold_anything(tmp_path, capsys):
    (tmp_path / "train.tsv").write_text('text\tlabel\n"two lines\nwith a\ttab"\tgood\n"a ""word"" quoted"\tbad\n')
    assert loaded(tmp_path) == [("two lines\nwith a\ttab", "good"), ('a "word" quoted', "bad")]
    assert "quotes are" not in capsys.readouterr().err


def test_quotes_within_one_line_of_a_table_of_tabs_swallow_no_cell(tmp_path, capsys):
    (tmp_path / "train.tsv").write_text('note\ttext\tlabel\n"We won\tthe said so"\tgood\nas ever\tc d\tbad\n')
    assert loaded(tmp_path) == [('the said so"', "good"), ("c d", "bad")]
    assert "quotes are" in capsys.readouterr().err
    (tmp_path / "train.tsv").write_text('"a\tb"\tgood\n"c\td"\tbad\n')
    assert loaded(tmp_path, columns=("text", "label")) == [("a\tb", "good"), ("c\td", "bad")]
    (tmp_path / "train.tsv").write_text("a\tb\tgood\nc\td\tbad\n")
    assert "3 cells, columns= names 2" in fails(
        load_examples, TASK, "train", str(tmp_path), FileFormat(columns=("text", "label"))
    )
    assert "quotes are" not in capsys.readouterr().err


def test_a_label_called_none_is_not_lost(jsonl):
    task = Task.model_validate(TASK.model_dump() | {"labels": {"none": "none", "good": "good"}})
    path = jsonl([{"text": "a b", "label": 0}, {"text": "c d", "label": 1}, {"text": "e f", "label": "none"}])
    map_in_words = FileFormat(label_map="0:none,1:good")
    line = fails(load_examples, task, "train", str(path.parent), map_in_words)
    assert "none means unlabelled, and is a label of task" in line
    task = Task.model_validate(task.model_dump() | {"label_map": {"0": "none", "1": "good"}})
    assert [label for _, label in loaded(path.parent, task)] == ["none", "good", "none"]


def test_decimal_labels_are_numbers(tmp_path):
    labels = pyarrow.array([Decimal("1"), Decimal("0"), Decimal("1")], pyarrow.decimal128(3, 1))
    texts = [text for text, _ in ROWS]
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": labels}), tmp_path / "train.parquet")
    assert loaded(tmp_path, label_map={"1": "good", "0": "bad"}) == ROWS
