"""A report says when there is no classifier to explain: one label for all, or no better than the majority."""

import dataclasses
import json

from made_rows import decision, row
from saywhy.report.answers import answers_sheets, answers_warning
from saywhy.report.html import run_report_page
from saywhy.report.load import load_run
from saywhy.report.summary import summarise
from saywhy.report.tables import run_report_markdown


def summary_of(out, labels, raw, gold):
    """Return the summary of a run whose arm gives these labels."""
    place = out / "seed-0" / "base"
    place.mkdir(parents=True)
    rows = [row(f"t{i}", True, 0.25, arm="base") for i in range(len(labels))]
    decisions = [decision(f"t{i}", *of_text) for i, of_text in enumerate(zip(labels, gold, raw, strict=True))]
    for name, records in (("rows", rows), ("decisions", decisions)):
        (place / f"{name}.jsonl").write_text("".join(json.dumps(record.to_dict()) + "\n" for record in records))
    task = {"name": "toys", "labels": {"x": "good", "y": "bad"}}
    (out / "run.json").write_text(json.dumps({"schema": 1, "config": {}, "task": task, "arms": ["base"]}))
    return summarise(load_run(out))


def test_a_sound_classifier_gets_its_tables_and_no_warning(tmp_path):
    gold = ["x"] * 12 + ["y"] * 8
    labels = ["x"] * 11 + ["y"] * 9
    summary = summary_of(tmp_path, labels, gold, gold)
    assert answers_warning(summary) == ""
    shares, confusion = answers_sheets(summary)
    assert [str(cell) for cell in shares.rows[0]] == ["base", "20", "0.55 (0.60)", "0.45 (0.40)", "0.60"]
    assert [[cell.main for cell in line] for line in confusion.rows] == [["good", "11", "1"], ["bad", "0", "8"]]


def test_one_label_for_all_is_said_at_the_top(tmp_path):
    summary = summary_of(tmp_path, ["x"] * 20, ["x"] * 20, ["x", "y"] * 10)
    warning = answers_warning(summary)
    assert "base answers good to 20 of 20 texts, answers good to 20 of 20 texts before calibration" in warning
    assert "no more than always answering good (0.50)" in warning
    assert warning in run_report_markdown(summary)[:900]
    assert f"<strong>{warning}</strong>" in run_report_page(summary, [])


def test_a_calibration_that_costs_accuracy_is_said(tmp_path):
    gold = ["x", "y"] * 20
    calibrated = ["y" if i < 16 and label == "x" else label for i, label in enumerate(gold)]
    warning = answers_warning(summary_of(tmp_path, calibrated, gold, gold))
    assert warning.startswith("Beware: base loses accuracy by calibration (-0.20 [")


def test_few_texts_warn_of_nothing(tmp_path):
    assert answers_warning(summary_of(tmp_path, ["x"] * 4, ["x"] * 4, ["x", "y"] * 2)) == ""


def test_without_gold_labels_there_is_no_majority(tmp_path):
    summary = summary_of(tmp_path, ["x", "y"] * 10, ["x", "y"] * 10, [None] * 20)
    assert answers_warning(summary) == ""
    [shares] = answers_sheets(summary)
    assert "majority" not in shares.header
    assert dataclasses.asdict(shares)["title"] == "Answers"


def test_answers_of_several_seeds_are_no_further_texts(tmp_path):
    few = summary_of(tmp_path / "few", ["x"] * 6, ["x"] * 6, ["x", "y"] * 3)
    more = summary_of(tmp_path / "more", ["x"] * 20, ["x"] * 20, ["x", "y"] * 10)
    for summary in (few, more):
        again = tuple(dataclasses.replace(decision, seed=1) for decision in summary.run.decisions)
        run = dataclasses.replace(summary.run, decisions=(*summary.run.decisions, *again))
        warning = answers_warning(dataclasses.replace(summary, run=run))
        assert bool(warning) == (summary is more)
    assert "answers good to 40 of 40 answers (20 texts)" in warning
