"""Tasks: what a YAML may say, and what is said about one that is wrong."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from problems import fails
from saywhy.protocol import prompts
from saywhy.records import SaywhyError
from saywhy.study.read import read_plan
from saywhy.tasks.parts import Hub, OwnPrompt, Paraphrase
from saywhy.tasks.task import Task, catalog, load_task

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "tasks.md"

REVIEW = """\
name: reviews
question: Is this review good or bad?
lead_in: The review is
labels: [good, bad]
"""


@pytest.fixture
def write(tmp_path):
    def write(source, name="mine.yaml"):
        path = tmp_path / name
        path.write_bytes(source if isinstance(source, bytes) else source.encode())
        return str(path)

    return write


def refused(name_or_path):
    """Return the one line that loading ends in; a file is always named first."""
    line = fails(load_task, name_or_path)
    if name_or_path.endswith((".yaml", ".yml")):
        assert line.startswith(name_or_path)
    return line


def test_the_catalog_loads_and_reads_like_a_conversation():
    assert catalog() == ("ag_news", "sentiment140", "sms_spam", "snli", "sst2", "trec")
    said = {}
    for name in catalog():
        task = load_task(name)
        chat = prompts.question_chat(task, "TEXT", dict.fromkeys(task.context, "OTHER"))[0]["content"]
        said[name] = (chat, [prompts.answer_turn(task, label)["content"] for label in task.labels])
    assert said["snli"] == (
        "Given the premise, is the hypothesis true, false or possible?\nPremise: OTHER\nHypothesis: TEXT",
        ["The hypothesis is true.", "The hypothesis is possible.", "The hypothesis is false."],
    )
    assert said["sentiment140"][0].endswith("\nTweet: TEXT")
    assert said["ag_news"][1][-1] == "The topic of the article is technology."


def test_a_file_on_disk_is_the_same_task_as_the_shipped_one(write):
    for name in catalog():
        source = (ROOT / "src/saywhy/catalog" / f"{name}.yaml").read_text("utf-8")
        assert load_task(write(source, f"{name}.yaml")) == load_task(name)
        assert load_task(write(source, f"{name}.YML")) == load_task(name)


def test_four_lines_are_a_task(write):
    task = load_task(write(REVIEW))
    assert task.labels == {"good": "good", "bad": "bad"}
    assert (task.text, task.label, task.noun, task.context, task.hub) == ("text", "label", "text", (), None)
    assert task.fields == ("text",)


def test_yaml_words_stay_words(write):
    """Plain YAML reads ``no`` as false, ``1`` as a number: labels must be what is in the data."""
    task = load_task(write(REVIEW.replace("[good, bad]", "{1: yes, 0: no, 1.0: off, 2024-01-01: null word}")))
    assert task.labels == {"1": "yes", "0": "no", "1.0": "off", "2024-01-01": "null word"}


def test_blanks_around_values_do_not_count(write):
    task = load_task(write(REVIEW.replace("The review is", '"  The review is "')))
    assert prompts.answer_turn(task, "bad")["content"] == "The review is bad."


def test_hub_values_map_to_labels_or_to_nothing(write):
    source = "hub: {id: me/reviews, labels: {0: bad, 1: good, -1: null}, splits: {train: 'train[:90%]'}}\n"
    hub = load_task(write(REVIEW + source)).hub
    assert hub.labels == {"0": "bad", "1": "good", "-1": None}
    assert hub.splits == {"train": "train[:90%]"}


def test_a_task_cannot_be_changed():
    with pytest.raises(ValidationError):
        load_task("snli").question = "Another?"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sentimnt140", "no task 'sentimnt140': did you mean 'sentiment140'?"),
        ("SNLI", "no task 'SNLI': did you mean 'snli'?"),
        ("qqqqq", "no task 'qqqqq'."),
        ("", "no task ''."),
        ("../catalog/snli", "no task '../catalog/snli'"),
    ],
)
def test_unknown_names(name, expected):
    line = refused(name)
    assert line.startswith(expected)
    assert line.endswith("Tasks: ag_news, sentiment140, sms_spam, snli, sst2, trec; or a path to a .yaml")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("[good, bad]", "[good]", "'labels' has 1 label; a task needs at least two"),
        ("[good, bad]", "[]", "'labels' has 0 label"),
        ("[good, bad]", "[good, good]", "'labels' names 'good' twice"),
        ("[good, bad]", "[good, null]", "'labels' must be a list of words"),
        ("[good, bad]", "[good, [bad]]", "'labels' must be a list of words"),
        ("[good, bad]", "good or bad", "'labels' must be a list of words, or a mapping"),
        ("[good, bad]", "{a: good, b: ' GOOD '}", "cannot be told apart"),
        ("[good, bad]", "{a: so  good, b: So good}", "cannot be told apart"),
        ("[good, bad]", "{a: good, b: fine, c: Good.}", "'Good.' (of 'c') is 'good' (of 'a'); choose others"),
        ("[good, bad]", "{a: good, b: ''}", "'labels.b' is empty"),
        ("[good, bad]", "{a: good, b: bad, a: fine}", ":4: not valid YAML: key 'a' stands twice"),
        ("Is this review good or bad?", "''", "'question' is empty: What the model is asked"),
        ("Is this review good or bad?", "'  '", "'question' is empty"),
        ("Is this review good or bad?", "", "'question' should be a valid string, got None"),
        ("Is this review good or bad?", "Choose: good, or bad?\nx: : y", "not valid YAML"),
        ("question: Is this review good or bad?\n", "", "'question' is missing: What the model is asked"),
        ("lead_in: The review is", "leadin: The review is", "unknown key 'leadin': did you mean 'lead_in'?"),
        (
            "lead_in:",
            "zzz: 1\nlead_in:",
            "unknown key 'zzz': allowed are name, question, lead_in, labels, noun",
        ),
        ("name: reviews", "name: my reviews", "'name' is 'my reviews': use letters, digits"),
        ("name: reviews", "name: ../reviews", "use letters, digits"),
        ("name:", "stand_in: some thing\nname:", "'stand_in' is 'some thing': use one word"),
        (
            "name:",
            "context: premise\nname:",
            "'context' should be a valid tuple, got 'premise': List of other",
        ),
        ("name:", "context: [text]\nname:", "column 'text' is used twice"),
        ("name:", "label: text\nname:", "column 'text' is used twice"),
        ("name:", "{context: [Review], noun: review}\nname:", "not valid YAML"),
        ("name:", "context: [Review]\nnoun: review\nname:", "noun 'review' is also a context column"),
        ("name:", "hub: me/reviews\nname:", "'hub' should be a valid dictionary"),
        ("name:", "hub: {id: ''}\nname:", "'hub.id' is empty: Data set id"),
        ("name:", "hub: {}\nname:", "'hub.id' is missing: Data set id"),
        ("name:", "hub: {id: a/b, colums: {}}\nname:", "unknown key 'hub.colums': did you mean 'columns'?"),
        (
            "name:",
            "hub: {id: a/b, splits: {dev: dev}}\nname:",
            "'hub.splits.dev' should be 'train', 'validation'",
        ),
        (
            "name:",
            "hub: {id: a/b, labels: {0: goood}}\nname:",
            "maps '0' to 'goood', which is no label: good, bad",
        ),
        (
            "name:",
            "hub: {id: a/b, columns: {txt: t}}\nname:",
            "renames 'txt', but the task's columns are text, label",
        ),
    ],
)
def test_what_is_wrong_with_a_task_is_said_in_one_line(write, old, new, expected):
    source = REVIEW.replace(old, new, 1)
    assert source != REVIEW
    line = refused(write(source))
    assert expected in line
    assert "docs/tasks.md" in line or "mend the line" in line


def test_several_mistakes_stand_in_the_same_line(write):
    line = refused(write("name: reviews\n"))
    assert [key in line for key in ("'question' is missing", "'lead_in' is missing", "'labels' is missing")] == [
        True
    ] * 3


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"", "is empty, not a task"),
        (b"- name: x\n", "is a list, not a task"),
        (b"just words\n", "is a str, not a task"),
        (b"name: [\n", "not valid YAML"),
        (b"name: caf\xe9\n", "not UTF-8 at byte 9; save it as UTF-8"),
        (b"name: a\x00b\n", "not valid YAML"),
    ],
)
def test_files_that_are_no_task(write, source, expected):
    assert expected in refused(write(source))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("verbaliser: {a: one}", "verbaliser must have one word for each label: a, b"),
        ("verbaliser: {a: one, b: One}", "cannot be told apart"),
        ("prompt: {question: 'What'}", "prompt.question must hold the explained field once, as {text}"),
        ("prompt: {question: '{text} {text}'}", "prompt.question must hold the explained field once"),
        ("context: [source]\nprompt: {question: 'a {text}'}", "prompt.question lacks {source}"),
        ("prompt: {question: '{text}', answer: It is}", "the label word stands in it once, as {label}"),
        ("prompt: {question: '{text}', answer: 'x={label}'}", "put a blank before {label}"),
        ("prompt: {question: '{text}', sytem: x}", "did you mean 'system'"),
        ("prompt: {system: x}", "'prompt.question' is missing: The user's turn"),
        ("note: !!timestamp soon", "holds a value that cannot be"),
        ("note: !!bool maybe", "holds a value that cannot be ('maybe'); put it in quotes"),
        ("note: !!map [a]", "holds a value that cannot be"),
        ("paraphrases: [{question: What}]", "'paraphrases.0.lead_in' is missing: How its answer begins"),
        ("paraphrases: [{question: What, lead_in: It is, leadin: x}]", "did you mean 'lead_in'"),
    ],
)
def test_other_ways_to_ask_that_cannot_be(write, more, expected):
    assert expected in refused(write(f"name: x\nquestion: a or b?\nlead_in: It is\nlabels: [a, b]\n{more}\n"))


def test_a_path_that_is_not_there_names_the_catalog(tmp_path):
    assert "no such task file; give its path, or one of: ag_news" in refused(str(tmp_path / "none.yaml"))
    (tmp_path / "folder.yaml").mkdir()
    assert "cannot be read" in refused(str(tmp_path / "folder.yaml"))


def test_the_docs_explain_every_key_in_the_words_of_the_code():
    docs = DOCS.read_text("utf-8")
    for prefix, model in (("", Task), ("paraphrases.", Paraphrase), ("hub.", Hub), ("prompt.", OwnPrompt)):
        for key, field in model.model_fields.items():
            row = re.search(rf"^\| `{re.escape(prefix + key)}` \| (.+?) \|", docs, re.M)
            assert row, f"docs/tasks.md lacks {prefix + key}"
            assert row[1] == field.description


def test_the_examples_of_the_docs_load(write):
    blocks = re.findall(r"```yaml\n(.+?)```", DOCS.read_text("utf-8"), re.S)
    assert blocks
    tasks = [load_task(write(block)) for block in blocks]
    assert len(blocks[0].strip().splitlines()) == 10
    assert tasks[0].labels.keys() == {str(key) for key in yaml.safe_load(blocks[0])["labels"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", catalog())
def test_label_words_of_shipped_tasks_part_at_their_first_token(name):
    from saywhy.models.spec import resolve_model
    from saywhy.models.weights import load_base

    _, tokenizer = load_base(resolve_model("smollm2-135m"))
    task = load_task(name)
    for words in (task.labels, task.verbaliser):
        assert len({tokenizer(" " + word)["input_ids"][0] for word in words.values()}) == len(words)


NINE = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{below}: &{below} [{', '.join([f'*{above}'] * 9)}]\n" for above, below in pairwise("abcdefghijk")
)


@pytest.mark.parametrize("read", [load_task, lambda path: read_plan(Path(path))])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (NINE, "aliases repeat too much"),
        ("a: &a [*a, *a]\n", "aliases repeat too much"),
        ("name: " + "[" * 60 + "]" * 60 + "\n", "nested too deeply"),
        ("name: " + "[" * 20_000, "nested too deeply"),
        ("name: " + "{a: " * 5_000, "nested too deeply"),
        ('name: "half \\ud83d"\n', "half of a character"),
        ("name: " + "x" * 100_000 + ": y: z\n", "not valid YAML"),
    ],
    ids=["repeated", "endless", "deep", "deeper", "mappings", "surrogate", "long"],
)
def test_yaml_without_end_is_one_short_line(tmp_path, read, content, problem):
    path = tmp_path / "odd.yaml"
    path.write_text(content)
    line = fails(read, str(path))
    assert problem in line
    assert len(line) < 600


def test_values_that_python_cannot_make_are_one_line(tmp_path):
    for value in ("2024-99-99", "9" * 5000):
        path = tmp_path / "study.yaml"
        path.write_text(f"name: {value}\n")
        assert "holds a value that cannot be" in fails(read_plan, path)


@pytest.mark.parametrize("key", ["name", "question", "noun", "stand_in", "context", "labels", "hub"])
def test_a_value_of_any_size_is_told_in_a_short_line(tmp_path, key):
    mapping = ", ".join(f"k{n}: v" for n in range(9999))
    for value in ("x " * 10_000, f"[{', '.join(['y'] * 5_000)}]", f"{{{mapping}}}"):
        path = tmp_path / "long.yaml"
        lines = {"name": "long", "question": "Is it?", "lead_in": "It is", "labels": "[good, bad]"} | {key: value}
        path.write_text("".join(f"{name}: {text}\n" for name, text in lines.items()))
        problem = ""
        try:
            load_task(str(path))
        except SaywhyError as error:
            problem = str(error)
        assert len(problem) < 2000, problem[:300]
