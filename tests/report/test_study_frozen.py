"""Which frozen cells the report of a study measures, and which it takes for those of the plan."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from saywhy.arms import kind
from saywhy.report.study import load_study
from saywhy.report.study.answer import answer_sentences
from saywhy.report.study.bar_checks import check_bars
from saywhy.report.study.files import cells_csv, confirmatory_csv
from saywhy.report.study.frozen import frozen_digest, objections
from saywhy.report.study.load import StudyRun
from saywhy.report.study.pictures import study_picture_plans
from saywhy.report.study.sheets import confirmatory_sheet
from saywhy.report.study.summary import summarise_study

OTHER_CELLS = (
    # (block, task, arm, against): none is a faithful arm against its control
    ("main", "films", "lexical.all.films", "random.all.films"),
    ("main", "films", "lexical.all.films", "faithful.all.films"),
    ("main", "films", "adapted", "base"),
    ("main", "meals", "faithful.all.films", "adapted"),
    ("anew", "films", "faithful-refreshed.all.films", "adapted"),
)


def freeze(folder: Path, cells: list[dict[str, str]], parts: list[dict[str, object]]) -> StudyRun:
    """Freeze other cells of a study, as parts of its plan ask for them; the block ``anew`` has a variant."""
    content = {**json.loads((folder / "frozen.json").read_text()), "cells": cells}
    (folder / "frozen.json").write_text(json.dumps({**content, "hash": frozen_digest(content)}))
    manifest = json.loads((folder / "study.json").read_text())
    anew = {**manifest["plan"]["blocks"][0], "name": "anew", "variant": "refreshed"}
    manifest["plan"]["blocks"] = [*manifest["plan"]["blocks"][:1], anew]
    manifest["plan"]["confirmatory"] = parts
    (folder / "study.json").write_text(json.dumps(manifest))
    return load_study(folder)


def test_every_frozen_cell_that_has_rows_is_measured(planted, tmp_path):
    place = {"style": "attribution", "setting": "one-word", "readout": "constrained", "direction": "higher"}
    cells = [{"task": task, "arm": arm, "against": against, **place} for _, task, arm, against in OTHER_CELLS]
    parts = [
        {"block": block, "arm": kind(arm), "against": kind(against), **place, "styles": ["attribution"]}
        for block, _, arm, against in OTHER_CELLS
    ]
    summary = summarise_study(freeze(shutil.copytree(planted, tmp_path / "others"), cells, parts))
    assert objections(summary.study) == [], "the plan names kinds, and a block's variant is part of its arms"
    assert summary.unmeasured == []
    assert [(gain.task, gain.arm.name, gain.contrast.rival) for gain in summary.confirmatory] == [
        cell[1:] for cell in OTHER_CELLS
    ]
    assert all(gain.contrast.p_holm is not None for gain in summary.confirmatory)
    unseen = summary.confirmatory[3]
    sides = [summary.cell("meals", replace(unseen.key, arm=arm)) for arm in ("faithful.all.films", "adapted")]
    assert unseen.value == pytest.approx(sides[0].excess.value - sides[1].excess.value)
    assert "not measured" not in confirmatory_csv(summary)
    assert summary.confirmatory[0].axis == "other arm", "no faithful arm's gain over its control"
    assert summary.confirmatory[1].value < 0 < unseen.value


def test_a_frozen_arm_of_another_variant_is_not_the_one_of_the_plan(planted, tmp_path):
    place = {"style": "attribution", "setting": "one-word", "readout": "constrained", "direction": "higher"}
    cells = [{"task": "films", "arm": "faithful-bare.all.films", "against": "adapted", **place}]
    parts = [{"block": "anew", "arm": "faithful", "against": "adapted", **place, "styles": ["attribution"]}]
    problems = objections(freeze(shutil.copytree(planted, tmp_path / "bare"), cells, parts))
    assert problems[0] == "1 frozen cells are not in the plan's confirmatory part"


def test_a_frozen_part_that_was_put_in_place_of_the_first_one_is_noticed(planted, tmp_path):
    folder = shutil.copytree(planted, tmp_path / "study")
    frozen, manifest = (json.loads((folder / name).read_text()) for name in ("frozen.json", "study.json"))
    (folder / "study.json").write_text(json.dumps({**manifest, "frozen": frozen["hash"]}))
    assert objections(load_study(folder)) == []
    fewer = {**frozen, "cells": frozen["cells"][1:]}
    (folder / "frozen.json").write_text(json.dumps({**fewer, "hash": frozen_digest(fewer)}))
    assert objections(load_study(folder)) == [
        "frozen.json is not the one that was written before the first audit: study.json has its hash"
    ]


def test_cells_that_are_frozen_against_two_arms_are_told_apart(planted, tmp_path):
    place = {"style": "redaction", "setting": "one-word", "readout": "constrained", "direction": "higher"}
    rivals = {"random.all.trains": "random", "base": "base"}
    cells = [{"task": "trains", "arm": "faithful.all.trains", "against": rival, **place} for rival in rivals]
    parts = [
        {"block": "main", "arm": "faithful", "against": against, **place, "styles": ["redaction"]}
        for against in rivals.values()
    ]
    study = freeze(shutil.copytree(planted, tmp_path / "two"), cells, parts)
    summary = summarise_study(study)
    answer = answer_sentences(summary)
    assert "than those that random and base name" in answer[0]
    assert "its control" not in answer[0]
    for rival in rivals.values():
        assert f"against {rival} in " in answer[0]
    sheet = confirmatory_sheet(summary)
    assert [row[sheet.header.index("against")].main for row in sheet.rows] == ["random", "base"]
    assert "to the other arm" in sheet.note
    (picture,) = [plan for plan in study_picture_plans(summary) if plan.name == "confirmatory"]
    assert "to the other arm" in picture.caption
    assert "of the start model's in all 2 cells" not in answer[-1], "the two are one cell of one arm"
    frozen_bar = {**study.plan, "bars": [{"bar": "confirmed", "p_below": 0.05}]}
    checked = replace(summary, study=replace(study, manifest={**study.manifest, "plan": frozen_bar}))
    assert [check.requirement for check in check_bars(checked)] == [
        "above its control, p (Holm) < 0.05",
        "above base, p (Holm) < 0.05",
    ]


def test_the_table_of_cells_marks_those_that_are_frozen_against_another_arm(planted, tmp_path):
    place = {"style": "redaction", "setting": "one-word", "readout": "constrained", "direction": "higher"}
    cells = [{"task": "trains", "arm": "faithful.all.trains", "against": "base", **place}]
    parts = [{"block": "main", "arm": "faithful", "against": "base", **place, "styles": ["redaction"]}]
    summary = summarise_study(freeze(shutil.copytree(planted, tmp_path / "base"), cells, parts))
    rows = list(csv.DictReader(io.StringIO(cells_csv(summary))))
    marked = [row for row in rows if row["confirmatory"] == "1"]
    assert [(row["task"], row["arm"], row["style"], row["readout"]) for row in marked] == [
        ("trains", "faithful.all.trains", "redaction", "constrained")
    ]
    assert marked[0]["control"] == "random.all.trains"


def test_a_frozen_cell_of_another_style_says_what_was_practised(planted_summary):
    """Two directions to one style would be two lines that read alike."""
    frozen = next(gain.frozen for gain in planted_summary.gains if gain.frozen)
    gains = tuple(
        replace(gain, frozen=replace(frozen, task=gain.task, key=gain.key, against=gain.contrast.rival))
        for gain in planted_summary.of_axis("other style")
    )
    summary = replace(planted_summary, gains=gains, frozen=tuple(gain.frozen for gain in gains))
    practised = {f"{gain.arm.practised} to {gain.key.style}" for gain in gains}
    assert len(practised) > 1
    [picture] = [plan for plan in study_picture_plans(summary) if plan.name == "confirmatory"]
    labels = {label.get_text().strip() for label in picture.draw().axes[0].get_yticklabels()}
    assert practised <= labels
    bars = {check.place.partition(", ")[0] for check in check_bars(summary) if "p (Holm)" in check.requirement}
    assert practised == bars
