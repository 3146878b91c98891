"""What few texts say, which operator is primary, and counterfactuals that another question has answered already."""

import dataclasses
import json
from pathlib import Path

import pytest

from made_rows import row
from saywhy.checks import Judged
from saywhy.records import CounterfactualGrid, Row, Table
from saywhy.report.arms import grids_of, tables_of
from saywhy.report.checked import robustness_sheets
from saywhy.report.headline import headline
from saywhy.report.load import load_run
from saywhy.report.sheets import results_legend
from saywhy.report.summary import summarise
from saywhy.stats import LEAST_TEXTS, mean_interval, paired_difference


def folder_of(out: Path, rows: list[Row], operators: tuple[str, ...] = ("redact",)) -> Path:
    """Write a run folder of nothing but rows."""
    arms = list(dict.fromkeys(one.arm for one in rows))
    for seed, arm in dict.fromkeys((one.seed, one.arm) for one in rows):
        place = out / f"seed-{seed}" / arm
        place.mkdir(parents=True)
        of_arm = [one for one in rows if (one.seed, one.arm) == (seed, arm)]
        (place / "rows.jsonl").write_text("".join(json.dumps(one.to_dict()) + "\n" for one in of_arm))
    task = {"name": "toys", "labels": {"x": "x", "y": "y"}}
    manifest = {"schema": 1, "config": {"operators": list(operators)}, "task": task, "arms": arms}
    (out / "run.json").write_text(json.dumps(manifest))
    return out


def test_nothing_is_said_of_few_texts(tmp_path):
    def of_texts(n):
        rows = [row(f"t{i}", arm == "faithful", 0.5, arm=arm) for arm in ("faithful", "random") for i in range(n)]
        return summarise(load_run(folder_of(tmp_path / str(n), rows)))

    assert headline(of_texts(2)) == (
        f"Nothing can be said of faithful from 2 texts: at least {LEAST_TEXTS} are needed (rows=100)."
    )
    assert headline(of_texts(LEAST_TEXTS)).startswith("The words that faithful names change its own answer more often")


def test_a_mean_of_few_texts_is_in_doubt_however_alike_they_are():
    assert mean_interval([0.5, 0.5]).doubt == f"2 texts, {LEAST_TEXTS} are needed"
    assert mean_interval([0.5] * LEAST_TEXTS).doubt is None
    few = {(f"t{i}", 0): 1.0 for i in range(3)}
    assert paired_difference(few, dict.fromkeys(few, 0.0)).doubt == f"3 texts, {LEAST_TEXTS} are needed"


def test_a_headline_claims_only_the_styles_that_are_shown(tmp_path):
    rows = [row(f"t{i}", True, 0.25) for i in range(20)]
    rows += [row(f"t{i}", i % 4 == 0, 0.26, style="redaction") for i in range(20)]
    text = headline(summarise(load_run(folder_of(tmp_path / "run", rows))))
    assert "more often than a random word of the same text by 0.75 [0.75, 0.75] in attribution (" in text
    assert "nothing is shown by -0.01 [-0.16, 0.19] in redaction)" in text


def test_a_headline_calls_a_loss_a_loss(tmp_path):
    rows = [row(f"t{i}", False, 0.5, arm="faithful") for i in range(20)]
    rows += [row(f"t{i}", True, 0.25, style="redaction", arm="faithful") for i in range(20)]
    for style, hits in (("attribution", 10), ("redaction", 5)):
        rows += [row(f"t{i}", i < hits, 0.25, style=style, arm="adapted") for i in range(20)]
    text = headline(summarise(load_run(folder_of(tmp_path / "run", rows))))
    assert "by 0.75 [0.75, 0.75] in redaction (" in text
    assert "less often by -0.50 [-0.50, -0.50] in attribution)" in text
    assert "nothing is shown" not in text
    assert "; for adapted it is 0.00 and 0.25." in text


def test_explanations_of_several_words_stand_against_as_many(tmp_path):
    rows = [row(f"t{i}", True, 0.25, setting="free", readout="generated") for i in range(20)]
    summary = summarise(load_run(folder_of(tmp_path / "run", rows)))
    assert "more often than as many random words of the same text by 0.75" in headline(summary)
    assert "Of several words, the floor is that of random sets" in results_legend(summary)


@pytest.mark.parametrize("operators", [("redact", "delete"), ("delete", "redact")])
def test_the_first_operator_is_primary(tmp_path, operators):
    rows = [
        row(f"t{i}", hit, 0.25, operator=operator)
        for operator, hit in (("redact", False), ("delete", True))
        for i in range(12)
    ]
    text = headline(summarise(load_run(folder_of(tmp_path / "run", rows, operators))))
    assert ("no more often" in text) == (operators[0] == "redact")


def test_a_counterfactual_that_is_answered_before_any_edit_is_left_out_and_counted(tmp_path):
    rows = [row(f"t{i}", i < 6, 0.5, style="counterfactual", named="y", inserted=("bad",)) for i in range(20)]
    out = folder_of(tmp_path / "run", rows)
    fields = {field.name for field in dataclasses.fields(Judged)}
    lines = []
    for number, one in enumerate(rows):
        before = "y" if number < 5 else "x"  # the other question gives the named label to five unchanged texts
        judged = {key: value for key, value in one.to_dict().items() if key in fields}
        judged |= {"variation": "paraphrase-1", "prediction": before, "recheck": "y", "hit": True, "floor": 0.5}
        lines.append(Judged(**judged))
    place = out / "seed-0" / "faithful" / "robustness"
    place.mkdir()
    (place / "paraphrase-1.jsonl").write_text("".join(json.dumps(one.to_dict()) + "\n" for one in lines))
    summary = summarise(load_run(out))
    [move] = [one for one in summary.moves if one.variation == "paraphrase-1"]
    assert (move.n, move.answered, move.excess.n) == (15, 5, 15)
    assert move.same_answers.value == pytest.approx(0.75)
    assert "they name is the answer before any edit: 5 (paraphrase-1)." in robustness_sheets(summary)[0].note


def test_adapted_of_one_seed_grades_its_own_seed_only(tmp_path):
    run = load_run(folder_of(tmp_path / "run", [row("t", True, 0.5, seed=seed) for seed in (0, 1)]))
    table = Table("t", "redact", "x", 1.0, ("good",), ("y",), (2.0,))
    grid = CounterfactualGrid("t", "y", ("good",), ("bad",), ("y",), (2.0,), (2.0,))

    def graders(arm):
        graded = dataclasses.replace(run, tables={(0, arm): [table]}, grids={(0, arm): [grid]})
        return set(tables_of(graded, arm, "redact")), set(grids_of(graded, arm))

    assert graders("adapted") == ({("t", 0)}, {("t", 0)})
    assert graders("base") == ({("t", 0), ("t", 1)}, {("t", 0), ("t", 1)})
