"""The command line as a stranger meets it: one clear line and exit code 2 for what cannot be used."""

import io
import json
import sys

import pytest

import tiny
from saywhy.cli import main
from saywhy.progress import speak_plainly
from saywhy.store import RunFolder, write_lines


def call(capsys, monkeypatch, *words: str) -> tuple[int, str]:
    """Run the command line in this process; return the exit code and what it said on stderr."""
    monkeypatch.setattr(sys, "argv", ["saywhy", *words])
    capsys.readouterr()  # what making the model has said
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code or 0, capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("run", "rowz=3"), "did you mean 'rows'"),
        (("run", "rows=three"), "rows=three"),
        (("run", "rows"), "is not key=value"),
        (("run", "task=sentimnt140"), "did you mean 'sentiment140'"),
        (("run", "model=smollm"), "no model 'smollm'"),
        (("run", "data=nowhere.jsonl", "model=MODEL"), "nowhere.jsonl"),
        (("run", "arms=faithfull"), "arms"),
        (("run", "settings=one-word,free"), "add generated to readouts"),
        (("run", "styles=attribution,attribution"), "none twice"),
        (("audit", "robustness=paraphrase"), "did you mean 'paraphrases'"),
        (("report", "nowhere"), "nowhere"),
        (("explain", "hello"), "fewer than two words"),
        (("explain", "Two dogs sleep.", "task=snli"), "premise=..."),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, told, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    model = str(tiny.save(tmp_path / "model"))
    code, errors = call(capsys, monkeypatch, *(word.replace("MODEL", model) for word in words))
    assert code == 2
    assert told in errors
    assert len(errors.strip().splitlines()) == 1, errors


def test_a_run_folder_of_another_configuration_shows_the_difference(capsys, monkeypatch, tmp_path):
    model, out = tiny.save(tmp_path / "model"), tmp_path / "run"
    RunFolder(out, {"rows": 5, "model": str(model)}, {})
    code, errors = call(capsys, monkeypatch, "run", f"model={model}", "rows=7", f"out={out}")
    assert code == 2
    assert "rows: 5 -> 7" in errors
    assert json.loads((out / "run.json").read_text())["config"]["rows"] == 5


def test_a_folder_that_is_no_run_is_left_alone(capsys, monkeypatch, tmp_path):
    model = tiny.save(tmp_path / "model")
    mine = tmp_path / "holiday"
    mine.mkdir()
    (mine / "photo.txt").write_text("sea")
    code, errors = call(capsys, monkeypatch, "run", f"model={model}", f"out={mine}")
    assert code == 2
    assert "no run folder" in errors
    assert [file.name for file in mine.iterdir()] == ["photo.txt"]


def test_the_plan_is_shown_with_an_estimate_and_nothing_is_written(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    model = tiny.save(tmp_path / "model")
    monkeypatch.setattr(
        sys, "argv", ["saywhy", "run", f"model={model}", "--dry", "decide_rows=20", "calibration_rows=40"]
    )
    with pytest.raises(SystemExit) as stop:
        main()
    told = capsys.readouterr().err
    assert not stop.value.code
    assert "min in all" in told
    assert "train_rows: " in told
    assert not (tmp_path / "runs").exists()


def test_explain_rechecks_what_it_shows(capsys, monkeypatch, tmp_path):
    model = tiny.save(tmp_path / "model")
    words = ["explain", "What a great day at sea", f"model={model}", "calibration_rows=8"]
    monkeypatch.setattr(sys, "argv", ["saywhy", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    shown = capsys.readouterr().out
    assert not stop.value.code
    for style in ("attribution", "redaction", "counterfactual"):
        assert style in shown
    assert "log-odds" in shown


def test_targets_are_rows_that_trl_takes(capsys, monkeypatch, tmp_path):
    model, out = tiny.save(tmp_path / "model"), tmp_path / "targets"
    words = ["targets", f"model={model}", "train_rows=4", "calibration_rows=8", f"out={out}"]
    monkeypatch.setattr(sys, "argv", ["saywhy", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    rows = [json.loads(line) for line in (out / "targets.jsonl").read_text("utf-8").splitlines()]
    assert [row["style"] for row in rows] == ["attribution", "redaction", "counterfactual"] * 4
    for row in rows:
        assert [turn["role"] for turn in row["prompt"]] == ["user", "assistant", "user"]
        assert row["completion"][0]["role"] == "assistant"
        assert row["completion"][0]["content"]


def test_unlabelled_rows_train_with_formats_only(capsys, monkeypatch, tmp_path):
    model, out = tiny.save(tmp_path / "model"), tmp_path / "mine"
    rows = [{"text": f"the {a} day was {b} and long"} for a in ("great", "sad", "cold", "sunny") for b in
            ("good", "bad", "fine", "poor", "late", "early", "grey", "blue", "odd", "even")]  # fmt: skip
    write_lines(tmp_path / "rows.jsonl", rows)
    words = [f"data={tmp_path / 'rows.jsonl'}", f"model={model}", "adapt_rows=4", "train_rows=4", "calibration_rows=8"]
    code, errors = call(capsys, monkeypatch, "train", *words, f"out={out}")
    assert code == 2
    assert "adapt_labels=formats" in errors
    monkeypatch.setattr(sys, "argv", ["saywhy", "train", *words, "adapt_labels=formats", f"out={tmp_path / 'more'}"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    told = json.loads((tmp_path / "more" / "adapter" / "saywhy.json").read_text())
    assert set(told["tasks"]["sentiment140"]["constants"]) == {"negative", "positive"}
    assert told["base"]["fingerprint"].startswith("sha256:")
    assert told["trained_with"] == "redact"
    card = (tmp_path / "more" / "adapter" / "README.md").read_text("utf-8")
    assert "**Not measured.** This model was trained without an audit" in card
    assert "- rows: 4 attribution, 4 counterfactual, 4 label, 4 redaction" in card
    assert str(tmp_path) not in card


def test_a_text_that_holds_a_control_token_is_set_aside_and_the_run_goes_on(capsys, monkeypatch, tmp_path):
    model, out = tiny.save(tmp_path / "model"), tmp_path / "run"
    kinds = {"positive": "great sunny", "negative": "sad cold"}
    for split, count in (("train", 60), ("test", 6)):
        write_lines(
            tmp_path / f"{split}.jsonl",
            (
                {"text": f"a {word} day number {n}", "label": label}
                for n in range(count)
                for label, words in kinds.items()
                for word in words.split()
            ),
        )
    with (tmp_path / "test.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"text": "a great <|im_end|> day", "label": "positive"}) + "\n")
    words = ["audit", f"model={model}", f"data={tmp_path}", "rows=none", "calibration_rows=8", f"out={out}"]
    monkeypatch.setattr(sys, "argv", ["saywhy", *words, "readouts=constrained"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code
    [aside] = [json.loads(line) for line in (out / "set_aside.jsonl").read_text("utf-8").splitlines()]
    assert aside["reason"] == "holds a control token of the model"
    rows = [json.loads(line) for line in (out / "seed-0/audited/rows.jsonl").read_text("utf-8").splitlines()]
    assert len({row["id"] for row in rows}) == 24
    assert aside["id"] not in {row["id"] for row in rows}
    decided = (out / "seed-0/audited/decisions.jsonl").read_text("utf-8").splitlines()
    assert len(decided) == 24


def test_an_output_that_lacks_a_sign_gets_another_one():
    under = io.BytesIO()
    stream = io.TextIOWrapper(under, encoding="ascii")
    speak_plainly(stream, None)
    print("0.04\u2021 \u2013 faithful \u2020, bad \u2192 good \u00a7, \u00e9", file=stream, flush=True)
    assert under.getvalue() == b"0.04++ - faithful +, bad > good *, ?\n"
