"""What people type: words in any order, blanks behind commas, *all* for none, texts that begin like something else."""

import pytest

from saywhy.cli import explain
from saywhy.cli.explain import ExplainWords, read_words
from saywhy.settings import parse, with_joined_lists

TEXT = "the queue was awful but the show was superb"


@pytest.mark.parametrize(
    ("words", "text", "settings", "fields"),
    [
        ([TEXT, "model=x"], TEXT, ["model=x"], {}),
        (["model=x", TEXT], TEXT, ["model=x"], {}),
        (["task=snli", "premise=Two nap.", "No one naps."], "No one naps.", ["task=snli"], {"premise": "Two nap."}),
        (["-5 stars, never again"], "-5 stars, never again", [], {}),
        (["--worst day ever"], "--worst day ever", [], {}),
        (["x=5 is what I love"], "x=5 is what I love", [], {}),
        (["a = b holds", "rows=3", "trainer.optim=x"], "a = b holds", ["rows=3", "trainer.optim=x"], {}),
    ],
)  # fmt: skip
def test_text_settings_and_fields_stand_in_any_order(words, text, settings, fields):
    assert read_words(words) == ExplainWords(text, settings, fields)


def test_a_field_may_be_called_like_a_setting(tmp_path):
    task = tmp_path / "odd.yaml"
    task.write_text("name: odd\nquestion: Good or bad?\nlead_in: It is\nlabels: [good, bad]\ncontext: [model, rows]\n")
    words = ["a fine day", f"task={task}", "model=folder", "context.model=of a car", "context.rows=two"]
    given = read_words(words)
    assert (given.text, given.fields) == ("a fine day", {"model": "of a car", "rows": "two"})
    assert given.settings == [f"task={task}", "model=folder"]


@pytest.mark.parametrize(
    "words",
    [(TEXT, "model=x"), ("model=x", TEXT), ("-5 stars, so bad", "model=x"), ("--", "-5 stars, so bad", "model=x")],
)
def test_the_command_line_passes_them_on(call, monkeypatch, words):
    asked = []
    monkeypatch.setattr(explain, "explain", lambda given, **_: asked.append(given))
    assert call("explain", *words).code == 0
    [given] = map(read_words, asked)
    assert given.text in words
    assert (given.settings, given.fields) == (["model=x"], {})


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["arms=base,", "faithful", "rows=8"], ["arms=base,faithful", "rows=8"]),
        (["arms=base", ",faithful"], ["arms=base,faithful"]),
        (["arms=base", ",", "faithful"], ["arms=base,faithful"]),
        (["label_map=0:a,", "1:b"], ["label_map=0:a,1:b"]),
        (["seeds=0,", "1"], ["seeds=0,1"]),
        (["blocks=one,", "two"], ["blocks=one,two"]),
        (["premise=Well,", "a text"], ["premise=Well,", "a text"]),
        (["rows=8", "faithful"], ["rows=8", "faithful"]),
    ],
)
def test_a_list_with_blanks_is_one_list(words, joined):
    assert with_joined_lists(words) == joined


def test_lists_with_blanks_reach_the_settings(call):
    said = call("audit", "styles=attribution,", "redactoin")
    assert "did you mean 'redaction'?" in said.problem
    assert parse(["styles=attribution, redaction"]).styles == ("attribution", "redaction")


@pytest.mark.parametrize("name", ["rows", "train_rows", "decide_rows"])
def test_all_texts_are_none_left_out(name):
    assert getattr(parse([f"{name}=all"]), name) is None
    assert getattr(parse([f"{name}=ALL"]), name) is None
