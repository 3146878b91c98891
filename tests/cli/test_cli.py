"""The command line as a stranger meets it: one clear line and exit code 2 for what cannot be used."""

import io
import json

import pytest

from saywhy.folders.run import RunFolder
from saywhy.folders.store import write_lines
from saywhy.progress import speak_plainly
from saywhy.words import CANDIDATES_RULE


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
        (("explain", " "), "the text is empty"),
        (("explain", "Two dogs sleep.", "task=snli"), "premise=..."),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, told, call, tiny_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = call(*(word.replace("MODEL", str(tiny_folder)) for word in words))
    assert said.code == 2
    assert told in said.problem
    assert len(said.err.strip().splitlines()) == 1, said.err


def test_a_run_folder_of_another_configuration_shows_the_difference(call, tiny_folder, tmp_path):
    out = tmp_path / "run"
    RunFolder(out, {"rows": 5, "model": str(tiny_folder)}, {"candidates_rule": CANDIDATES_RULE})
    said = call("run", f"model={tiny_folder}", "rows=3", f"out={out}")
    assert said.code == 2
    assert "rows: 5 -> 3" in said.problem
    assert json.loads((out / "run.json").read_text())["config"]["rows"] == 5


def test_a_folder_that_is_no_run_is_left_alone(call, tiny_folder, tmp_path):
    mine = tmp_path / "holiday"
    mine.mkdir()
    (mine / "photo.txt").write_text("sea")
    said = call("run", f"model={tiny_folder}", f"out={mine}")
    assert said.code == 2
    assert "no run folder" in said.problem
    assert [file.name for file in mine.iterdir()] == ["photo.txt"]


def test_the_plan_is_shown_with_an_estimate_and_nothing_is_written(call, tiny_folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    said = call("run", f"model={tiny_folder}", "--dry", "decide_rows=20", "calibration_rows=40")
    assert said.code == 0, said.err
    assert "min in all" in said.err
    assert "train_rows: " in said.err
    assert list(tmp_path.iterdir()) == []


def test_explain_rechecks_what_it_shows(call, tiny_folder):
    said = call("explain", "What a great day at sea", f"model={tiny_folder}", "calibration_rows=8")
    assert said.code == 0, said.err
    shown = said.out
    for style in ("attribution", "redaction", "counterfactual"):
        assert style in shown
    assert "log-odds" in shown
    assert "invalid" not in shown


def test_targets_are_rows_that_trl_takes(call, tiny_folder, tmp_path):
    out = tmp_path / "targets"
    said = call("targets", f"model={tiny_folder}", "train_rows=4", "calibration_rows=8", f"out={out}")
    assert said.code == 0, said.err
    rows = [json.loads(line) for line in (out / "targets.jsonl").read_text("utf-8").splitlines()]
    assert [row["style"] for row in rows] == ["attribution", "redaction", "counterfactual"] * 4
    for row in rows:
        assert [turn["role"] for turn in row["prompt"]] == ["user", "assistant", "user"]
        assert row["completion"][0]["role"] == "assistant"
        assert row["completion"][0]["content"]


def test_unlabelled_rows_train_with_formats_only(call, tiny_folder, tmp_path):
    out = tmp_path / "mine"
    rows = [{"text": f"the {a} day was {b} and long"} for a in ("great", "sad", "cold", "sunny") for b in
            ("good", "bad", "fine", "poor", "late", "early", "grey", "blue", "odd", "even")]  # fmt: skip
    write_lines(tmp_path / "rows.jsonl", rows)
    words = [
        f"data={tmp_path / 'rows.jsonl'}",
        f"model={tiny_folder}",
        "adapt_rows=4",
        "train_rows=4",
        "calibration_rows=8",
    ]
    said = call("train", *words, f"out={out}")
    assert said.code == 2
    assert "adapt_labels=formats" in said.problem
    said = call("train", *words, "adapt_labels=formats", f"out={tmp_path / 'more'}")
    assert said.code == 0, said.err
    told = json.loads((tmp_path / "more" / "adapter" / "saywhy.json").read_text())
    assert set(told["tasks"]["sentiment140"]["constants"]) == {"negative", "positive"}
    assert told["base"]["fingerprint"].startswith("sha256:")
    assert told["trained_with"] == "redact"
    words += ["adapt_labels=formats", "calibration=none"]
    said = call("train", *words, "seeds=0,1", f"out={tmp_path / 'uncalibrated'}")
    assert said.code == 0, said.err
    assert "seeds= given, but not looked at: one adapter is trained" in " ".join(said.err.split())
    uncalibrated = json.loads((tmp_path / "uncalibrated" / "adapter" / "saywhy.json").read_text())
    assert (uncalibrated["trained_with"], "tasks" in uncalibrated) == ("redact", False)
    said = call("train", *words, "arms=base", f"out={tmp_path / 'none'}")
    assert (said.code, said.problem) == (
        2,
        "arms=base: saywhy train trains adapted and faithful: leave arms= out",
    )
    card = (tmp_path / "more" / "adapter" / "README.md").read_text("utf-8")
    assert "**Not measured.** This model was trained without an audit" in card
    assert "- rows: 4 attribution, 4 counterfactual, 4 label, 4 redaction" in card
    assert str(tmp_path) not in card


def test_a_text_that_cannot_be_put_to_the_model_is_set_aside_and_the_run_goes_on(call, tiny_folder, tmp_path):
    out, long = tmp_path / "run", "a great day " * 80
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
        for text in ("a great <|im_end|> day", "a <|im_start|> great day", long):
            stream.write(json.dumps({"text": text, "label": "positive"}) + "\n")
    words = [f"model={tiny_folder}", f"data={tmp_path}", "rows=none", "calibration_rows=8", f"out={out}"]
    said = call("audit", *words, "readouts=constrained")
    assert said.code == 0, said.err
    aside = {
        line["id"]: line["reason"]
        for line in map(json.loads, (out / "set_aside.jsonl").read_text("utf-8").splitlines())
    }
    control = "holds a control token of the model"
    assert sorted(aside.values()) == [control, control, "longer than the model's context"]
    # Nothing was cut: the others are there as they were.
    texts = {line["text"] for line in map(json.loads, (out / "texts.jsonl").read_text("utf-8").splitlines())}
    assert len(texts) == 24
    assert not any(text in long for text in texts)
    assert "longer than the model's context" in (out / "report.html").read_text("utf-8").replace("&#39;", "'")
    rows = [json.loads(line) for line in (out / "seed-0/audited/rows.jsonl").read_text("utf-8").splitlines()]
    assert len({row["id"] for row in rows}) == 24
    assert not aside.keys() & {row["id"] for row in rows}
    decided = (out / "seed-0/audited/decisions.jsonl").read_text("utf-8").splitlines()
    assert len(decided) == 24


def test_an_output_that_lacks_a_sign_gets_another_one():
    under = io.BytesIO()
    stream = io.TextIOWrapper(under, encoding="ascii")
    speak_plainly(stream, None)
    print("0.04\u2021 \u2013 faithful \u2020, bad \u2192 good \u00a7, \u00e9", file=stream, flush=True)
    assert under.getvalue() == b"0.04++ - faithful +, bad > good *, ?\n"
