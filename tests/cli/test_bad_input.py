"""What cannot be used ends in one clear line, from the command line, before or after anything is computed.

What else is held to that: names of methods, plants and operators (test_attribute, test_calibration, test_dry), data
(test_data_problems), tasks (test_tasks), models (test_models), budgets (test_memory), reports (test_report_holes), and
interrupted benchmarks (test_benchmarks).
"""

import hashlib
import json

import pytest
import torch

import tiny
from saywhy.folders.store import write_lines
from saywhy.models.interface import Choice
from saywhy.models.scripted import ScriptedModel, parrot
from saywhy.records import SaywhyError
from saywhy.tasks.data import example_id
from saywhy.tasks.task import load_task
from saywhy.training import models

SMALL = ("rows=4", "calibration_rows=8", "lexicon_rows=40", "decide_rows=8", "chunk=4")
WITHOUT_DRY = ("train", "targets")
ONE = "name: one\nquestion: Is it?\nlead_in: It is\nlabels: "


@pytest.fixture
def refused(call, tiny_folder, tmp_path, monkeypatch):
    """Return a function from a command to the one line that it ends in; the tiny model is used unless it says so."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        named = any(word.startswith("model=") for word in words)
        said = call(*words, *([] if named else [f"model={tiny_folder}"]))
        assert said.code == 2
        assert not said.out
        return said.problem

    return run


@pytest.mark.parametrize("verb", ["run", "audit", "attribute", "targets"])
def test_a_budget_below_one_row(refused, verb):
    told = refused(verb, *SMALL, "token_budget=10")
    assert "tokens at once, more than the budget of 10: raise token_budget, or free memory" in told


def test_a_budget_of_nothing(refused):
    assert refused("audit", "token_budget=0").startswith("token_budget=0")


def test_a_text_that_is_longer_than_the_context(refused):
    told = refused("explain", "a great day " * 200, "calibration_rows=8")
    assert told == "the text cannot be used: longer than the model's context"


@pytest.mark.parametrize("verb", ["audit", "attribute", "calibrate"])
def test_a_tokenizer_that_merges_across_the_seams(refused, tmp_path, verb):
    """Byte pairs without words: the end of the lead-in and the blank before a label are one token."""
    model = tiny.save(tmp_path / "model", words=False)
    told = refused(verb, *SMALL, "plants=keyword", "plant_rows=8", "plant_epochs=1", f"model={model}")
    assert told.startswith("the tokenizer merges across the seam before ' ")
    assert told.endswith("change the lead-in, or the model")


@pytest.mark.parametrize("verb", ["run", "audit", "attribute", "calibrate"])
def test_an_operator_that_does_not_exist(refused, verb):
    told = refused(verb, "operators=redact,delet")
    assert told == "operators=delet: did you mean 'delete'? it takes redact, delete, infill"


@pytest.mark.parametrize("verb", ["run", "audit", "attribute", "targets", "train"])
@pytest.mark.parametrize(
    ("labels", "line"),
    [("[good]", "has 1 label; a task needs at least two"), ("{a: good, b: Good}", "cannot be told apart")],
)
def test_fewer_than_two_label_words(refused, tmp_path, verb, labels, line):
    (tmp_path / "one.yaml").write_text(ONE + labels + "\n")
    assert line in refused(verb, "task=one.yaml")


def test_plants_are_built_in_tweets(refused):
    assert "rules are planted in the built-in tweets" in refused("calibrate", "task=snli")


@pytest.mark.parametrize("verb", ["run", "audit", "attribute", "targets", "train"])
def test_no_row_is_left_after_exclusions(refused, verb):
    assert refused(verb, *SMALL, "most_words=2").startswith("no text of pocket can be used: more than 2 words (")


def rows_in(tmp_path, tenths):
    """Write texts of which the training split has only those of the pools that ``tenths`` belong to."""
    task, rows = load_task("sentiment140"), []
    for n in range(900):
        word, label = [("great", "positive"), ("sad", "negative")][n % 2]
        text = f"a {word} day number {n}"
        if hashlib.sha256(example_id(task.name, text, {}).encode()).digest()[0] * 10 // 256 in tenths:
            rows.append({"text": text, "label": label})
    for split, part in (
        ("train", rows),
        ("test", [{"text": f"a {one['text']}", "label": one["label"]} for one in rows]),
    ):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    return f"data={tmp_path}"


@pytest.mark.parametrize(
    ("verb", "tenths", "line"),
    [
        ("run", range(5), "to build explanations of"),
        ("train", range(5), "to build explanations of"),
        ("targets", range(5), "to build explanations of"),
        ("run", (0, 1, 5, 6, 7, 8, 9), "for `adapted` to learn from"),
        ("audit", range(2, 10), "to measure the calibration constants on"),
        ("attribute", range(2, 10), "to measure the calibration constants on"),
    ],
)
def test_no_training_row_is_left(refused, tmp_path, verb, tenths, line):
    told = f"no training text of {tmp_path} is left {line}: give more rows in the train split"
    for dry in ([], ["--dry"])[: 1 if verb in WITHOUT_DRY else 2]:
        assert refused(verb, rows_in(tmp_path, tenths), *SMALL, *dry) == told


def test_no_target_that_flips(refused, monkeypatch, tmp_path):
    task = load_task("sentiment140")
    inserts = {"negative": ("awful", "sad"), "positive": ("great", "love")}
    unmoved = ScriptedModel("unmoved", task, lambda text: {"negative": 0.0, "positive": 3.0}, parrot, inserts)
    monkeypatch.setattr(models, "open_model", lambda *_: unmoved)
    told = refused("targets", *SMALL, "train_rows=4", "verified=true")
    assert told == "no text has a word that flips the answer: verified=false, or more train_rows"


def test_a_model_whose_numbers_are_none(tiny_model, monkeypatch):
    monkeypatch.setattr("saywhy.models.local.logits", lambda model, hidden: torch.full((len(hidden), 500), torch.nan))
    with pytest.raises(SaywhyError, match="gives numbers that are not finite: try precision=float32"):
        tiny_model.choose([Choice([{"role": "user", "content": "hi"}], ("a", "b"))])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("What a day", "calibration_rows"), "'calibration_rows' is not key=value"),
        (("What a day", "premise=x"), "no setting or field 'premise'"),
        (("What a day", "premise=x"), "The task takes these other fields: none"),
        (("What a day", "modle=x"), "no setting or field 'modle', did you mean 'model'?"),
        (("What a day", "taks=snli"), "did you mean 'task'?"),
        (("taks=snli",), "did you mean 'task'?"),
        (("No one sleeps.", "task=snli", "premis=Two sleep."), "did you mean 'premise'?"),
        (("What a day", "effort=serch"), "effort=serch: did you mean 'search'?"),
        (("What a day", "efort=self"), "did you mean 'effort'?"),
        (("What a day", "budget=many"), "budget=many: give a number"),
        (("What a day", "confidence="), "confidence= has no value: give one, or leave it out"),
        (("What a day", "budget=0"), "budget=0: at least one edited text"),
        (("What a day", "seconds=nan"), "seconds=nan: give a time above 0"),
        (("What a day", "answer=posative"), "no label 'posative', did you mean 'positive'?"),
        (("What a day", "--dry"), "not 2: ['What a day', '--dry']"),
    ],
)
def test_what_explain_does_not_take(refused, words, line):
    assert line in refused("explain", *words)


@pytest.mark.parametrize("setting", ["objective=table", "anchor=1.0", "stay_weight=0.2", "heldout_rows=4"])
def test_what_an_export_of_targets_does_not_show_is_refused(refused, setting):
    assert (
        refused("targets", setting, *SMALL)
        == f"{setting}: saywhy targets writes the best explanations out: leave it out here"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("run", "data=~nosuchuser/rows.jsonl"),
        ("run", "task=~nosuchuser/task.yaml"),
        ("run", "out=~nosuchuser/run"),
        ("run", "model=~nosuchuser/model"),
        ("report", "~nosuchuser/run"),
        ("study", "~nosuchuser/study.yaml"),
        ("join", "~nosuchuser/a", "b", "c"),
        ("release", "a", "~nosuchuser/b"),
    ],
)
def test_a_home_folder_that_does_not_exist(call, words):
    said = call(*words)
    assert said.code == 2
    assert "there is no home folder of that name" in said.problem


@pytest.mark.parametrize("words", [("explain", "caf\udce9 is good"), ("run", "data=caf\udce9"), ("report", "\udce9")])
def test_bytes_that_are_no_utf8(call, words):
    said = call(*words)
    assert said.code == 2
    assert "is not UTF-8: rename the file" in said.problem


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"WORLD_SIZE": "x"}, "WORLD_SIZE=x, which is no whole number from 1 on"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE=-2"),
        ({"WORLD_SIZE": "2", "RANK": "7"}, "RANK=7, which is no whole number from 0 to 1"),
        ({"WORLD_SIZE": "2", "RANK": "\x1b[31m"}, "RANK=\ufffd[31m"),
    ],
)
def test_a_launch_that_cannot_be(call, monkeypatch, variables, problem):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    said = call("report", "nowhere")
    assert said.code == 2
    assert problem in said.problem


def test_what_explain_prints_is_no_markup(call, tiny_folder, tmp_path):
    (tmp_path / "odd.yaml").write_text(
        "name: odd\nquestion: Is it bad[/x] or [red]good?\nlead_in: It is\n"
        "labels: {negative: 'bad[/x]', positive: '[red]good'}\n"
    )
    rows = [
        {"text": f"a {word} day \x1b[31m number {n}", "label": label}
        for n in range(40)
        for word, label in (("sad", "negative"), ("great", "positive"), ("cold", "negative"), ("warm", "positive"))
    ]
    write_lines(tmp_path / "rows.jsonl", rows)
    words = (f"task={tmp_path / 'odd.yaml'}", f"data={tmp_path / 'rows.jsonl'}", "calibration_rows=8")
    said = call("explain", "a \x1b[31mgreat day\u202e [/b] [link=x]here[/link]", *words, f"model={tiny_folder}")
    assert said.code == 0, said.err
    assert "bad[/x]" in said.out or "[red]good" in said.out
    assert "[link=x]" in said.out
    assert "task odd" in said.out
    assert not set(said.out) & set("\x1b\u202e")


@pytest.mark.parametrize(
    "setting",
    [
        "rate=inf",
        "rate=nan",
        "adapt_rate=100",
        "decision_weight=inf",
        "label_weight=1e300",
        "tau=0",
        "tau=1e-40",
        "tau=inf",
        "beta=0",
        "beta=1e-40",
        "beta=nan",
        "anchor=inf",
        "word_share=inf",
        "stay_weight=inf",
        "epochs=1000000000000",
        "plant_epochs=100001",
        "rows=100000000000000000000",
        "train_rows=100000000000000000000",
        "lora_r=1000000000",
        "chunk=100000000000",
        "token_budget=100000000000000000000",
        "seeds=99999999999999999999",
        "data_seed=99999999999999999999",
        "trainer.weight_decay=inf",
        "trainer.max_grad_norm=nan",
        "trainer.max_steps=99999999999999999999",
    ],
)
def test_a_number_beyond_all_sense(refused, setting):
    assert setting.partition("=")[2] in refused("run", setting, "--dry").replace("1e+300", "1e300").replace(",", "")


@pytest.mark.parametrize("loss", ["inf", "nan", "-0.1", "2"])
def test_a_margin_is_a_share(call, loss):
    assert "it takes a share, from 0 to 1" in call("report", "nowhere", f"--accuracy-loss={loss}").problem


def test_a_run_folder_that_was_begun_with_another_objective(refused, call, tiny_folder, tmp_path):
    settings = (*SMALL, "rows=2", "adapt_rows=8", "train_rows=8", "arms=base,adapted,faithful", "out=begun")
    assert call("run", *settings, f"model={tiny_folder}").code == 0
    kept = {path: path.read_bytes() for path in (tmp_path / "begun").rglob("*") if path.is_file()}
    told = refused("run", *settings, "objective=table")
    assert "holds another run (objective: 'word' -> 'table')" in told
    assert told.endswith("choose another folder with out=FOLDER, or delete this one")
    assert {path: path.read_bytes() for path in kept} == kept, "nothing is lost"


def test_texts_of_one_candidate_each(refused, tmp_path):
    for split in ("train", "test"):
        write_lines(tmp_path / f"{split}.jsonl", [{"text": f"Great{n} .", "label": "positive"} for n in range(90)])
    told = refused("run", "task=sentiment140", "objective=table", "arms=adapted,faithful", "data=.", "out=begun")
    assert told.endswith("can be used: fewer than two words (90)")
    assert not list((tmp_path / "begun").rglob("*.jsonl")), "before anything is computed"
