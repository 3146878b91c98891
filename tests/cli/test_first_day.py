"""What somebody meets who tries saywhy on data of their own: said early, named by what it is, repeatable as shown."""

import json
import re

import pytest

from saywhy.clashes import idle_settings
from saywhy.cli import dry_run
from saywhy.config import Config
from saywhy.report.card import write_card
from saywhy.report.format import report_command
from saywhy.report.load import load_run
from saywhy.report.sheets import retention_sheet
from saywhy.report.summary import summarise
from saywhy.settings import default_out
from written_runs import write_run

SMALL = ("rows=4", "calibration_rows=8", "lexicon_rows=40", "decide_rows=8", "chunk=4")


@pytest.fixture
def tweets(tmp_path):
    """Write a file of rows; return its path."""
    rows = [
        {"text": f"a {word} day number {n}", "label": label}
        for n in range(60)
        for word, label in (("sad", "negative"), ("great", "positive"), ("cold", "negative"), ("sunny", "positive"))
    ]
    path = tmp_path / "tweets.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("words", [("run",), ("audit",), ("attribute",), ("train",), ("targets",), ("explain", "a b")])
def test_data_are_read_before_the_model(call, monkeypatch, tmp_path, tiny_folder, words):
    def load(*_):
        raise AssertionError("the model was loaded")

    for place in ("explainer.explainer", "runs.forecast", "training.models"):
        monkeypatch.setattr(f"saywhy.{place}.open_model", load)
    (tmp_path / "bad.jsonl").write_text('{"txt": "a b"}\n')
    said = call(
        *words,
        f"model={tiny_folder}",
        f"data={tmp_path / 'bad.jsonl'}",
        *([] if words[0] == "explain" else [f"out={tmp_path / 'out'}"]),
    )
    assert said.code == 2
    assert "no column 'text'" in said.problem


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        ({}, "runs/audit"),
        ({"data": "my/tweets.jsonl"}, "runs/audit-tweets"),
        ({"task": "snli"}, "runs/audit-snli"),
        ({"task": "my/stars.yaml", "data": "my/reviews/"}, "runs/audit-stars-reviews"),
        ({"data": "hub"}, "runs/audit-hub"),
        ({"data": None}, "runs/audit-hub"),
        ({"data": "~/odd name\x1b.csv"}, "runs/audit-odd_name_"),
    ],
)
def test_another_data_set_goes_into_another_folder(settings, folder):
    assert str(default_out("audit", Config(**settings))) == folder


def test_two_data_sets_are_audited_one_after_the_other(call, tiny_folder, monkeypatch, tmp_path, tweets):
    monkeypatch.chdir(tmp_path)
    for words in ((), (f"data={tweets}",)):
        said = call("audit", f"model={tiny_folder}", *SMALL, "styles=attribution", *words)
        assert said.code == 0, said.err
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"audit", "audit-tweets"}


def test_explain_says_the_task_and_what_calibration_changed(call, tiny_folder):
    said = call("explain", "a great day at sea", f"model={tiny_folder}", "calibration_rows=8")
    line = said.out.splitlines()[0]
    assert re.match(
        r"(negative|positive)  \(log-odds \+\d\.\d\d(; before calibration: \w+)?; task sentiment140\)", line
    )


def test_a_slow_text_stands_for_all_in_a_plan(call, tiny_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dry_run, "SLOW_TEXT", 0.0)
    said = call("audit", f"model={tiny_folder}", *SMALL, "--dry")
    assert said.code == 0, said.err
    assert "min in all, measured on 1 text here" in said.err


def test_the_command_that_is_shown_works_from_here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path.parent / "else where"
    assert report_command(tmp_path / "runs" / "a", published=False) == "saywhy report runs/a"
    assert report_command(elsewhere, published=False) == f"saywhy report '{elsewhere}'"
    assert report_command(elsewhere, published=True) == "saywhy report 'else where'"


def test_nothing_is_shown_of_what_was_kept_where_nothing_is_known(tmp_path):
    folder = write_run(tmp_path / "run", arms=("base",), seeds=(0,))
    for file in folder.rglob("decisions.jsonl"):
        lines = [json.loads(line) | {"gold": None} for line in file.read_text("utf-8").splitlines()]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert retention_sheet(summarise(load_run(folder))) is None


def test_the_commands_of_a_card_name_the_task(tmp_path):
    folder = write_run(tmp_path / "run")
    manifest = json.loads((folder / "run.json").read_text("utf-8"))
    manifest["task"] |= {"name": "snli", "context": ["premise"]}
    (folder / "run.json").write_text(json.dumps(manifest))
    adapter = folder / "seed-0" / "faithful" / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "saywhy.json").write_text('{"base": {"id": "x/`y`\\n<img src=z>"}, "recipe": {"note": "[a](http://b)"}}')
    card = write_card(adapter, [summarise(load_run(folder))], "faithful").read_text("utf-8")
    assert '`saywhy explain "some text" model=path/to/this/folder task=snli premise="..."`' in card
    assert "`saywhy audit model=path/to/this/folder data=yours.jsonl task=snli`" in card
    body = card.split("---", 2)[2]
    assert "<img" not in re.sub(r"```python.*?```", "", body, flags=re.S)
    assert r"[a\](http:\//b)" in body


def test_an_audit_says_which_settings_it_makes_no_use_of(call, tiny_folder, tmp_path):
    words = ("audit", f"model={tiny_folder}", *SMALL, "styles=attribution", f"out={tmp_path / 'run'}")
    said = call(*words, "arms=faithful", "objective=table", "seeds=0,1")
    assert said.code == 0, said.err
    assert "arms=, objective=, seeds= given, but not looked at: nothing is trained" in said.err


@pytest.mark.parametrize(
    ("given", "idle"),
    [
        ({}, {}),
        ({"arms": ("base", "transplant"), "donor": "x", "replay": "x.jsonl", "replay_share": 0.2}, {}),
        ({"donor": "x"}, {"donor": "arms= has no transplant"}),
        ({"replay_share": 0.2}, {"replay_share": "no replay= is given"}),
        ({"format_share": 0.2}, {"format_share": "every style is practised"}),
        ({"format_share": 0.2, "train_styles": ("attribution",)}, {}),
    ],
)
def test_a_run_that_trains_makes_use_of_all_settings_but_for_a_few(given, idle):
    said = idle_settings(dict(Config(**given)), trains=True)
    assert {name: reason for name, reason in said.items() if name in given} == idle
