"""Folders of all sorts: two runs beside each other, unfinished and damaged ones, a run in which nothing was valid."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from saywhy.records import SaywhyError
from saywhy.report import write_comparison, write_report
from saywhy.report.compare import compare_runs, comparison_markdown, comparison_sheets
from saywhy.report.headline import headline
from saywhy.report.load import load_run
from saywhy.report.summary import summarise
from written_runs import lines, write_run


def test_comparison_of_a_run_with_itself_shows_nothing(study: Path, tmp_path: Path) -> None:
    run = load_run(study)
    found = compare_runs(run, run)
    assert len(found) == 5 * 3 * 3
    assert all((c.difference.value, c.difference.p) == (0.0, 1.0) for c in found)
    out = write_comparison(study, shutil.copytree(study, tmp_path / "again"))
    assert "difference" in out.read_text(encoding="utf-8")


def test_the_start_of_the_first_run_grades_the_words_of_both(study: Path) -> None:
    """Whatever the second run's own tables say: they may have drifted."""
    first, second = load_run(study), load_run(study)
    flat = [dataclasses.replace(row, effect=row.effect_floor) for row in second.rows]
    before, after = compare_runs(first, second), compare_runs(first, dataclasses.replace(second, rows=flat))
    assert [c.effect_share_start for c in before] == [c.effect_share_start for c in after]
    assert any(c.effect_share.value not in (0.0, None) for c in after)
    assert "drift" not in comparison_markdown(first, second, comparison_sheets(first, second, before))


def test_a_grader_of_one_seed_grades_every_seed(tmp_path: Path) -> None:
    """Its tables are alike under all seeds here, so that both judges must say the same."""
    first, second = (
        load_run(write_run(tmp_path / name, arms=("base", "faithful"), n=24, seeds=seeds))
        for name, seeds in (("first", (0,)), ("second", (0, 1, 2)))
    )
    for cell in compare_runs(first, second):
        if cell.key.readout == "constrained" and cell.key.style != "counterfactual":
            assert cell.effect_share_start == cell.effect_share


def test_nobody_grades_the_words_of_another_model_or_of_other_candidates(study: Path) -> None:
    run = load_run(study)

    def graded(**manifest: object) -> bool:
        compared = compare_runs(run, second := dataclasses.replace(run, manifest={**run.manifest, **manifest}))
        said = comparison_markdown(run, second, comparison_sheets(run, second, compared))
        assert "None" not in said
        assert ("Start-graded" in said) == any(c.effect_share_start.n for c in compared)
        return "Start-graded" in said

    assert graded()
    assert not graded(model={**(run.manifest.get("model") or {}), "fingerprint": "another"})
    assert graded(candidates_rule=3)
    assert not graded(candidates_rule=3, bank=1)


def test_two_audits_are_compared_whatever_the_arm_is_called(audit: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path, arms=("other-model",), n=6, seeds=(0,))
    found = compare_runs(load_run(audit), load_run(other))
    assert {c.key.arm for c in found} == {"other-model"}
    assert any(c.effect_share_start.n for c in found), "graded by the only arm of the first"
    assert write_comparison(audit, other) == tmp_path / "compare.md"


def test_runs_of_different_tasks_are_refused_in_one_line(audit: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path, arms=("x",), n=6, task="news")
    with pytest.raises(SaywhyError, match="compare runs of one task") as caught:
        write_comparison(audit, other)
    assert "\n" not in str(caught.value)


def test_no_run_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SaywhyError, match=r"is no run: it has no run\.json"):
        write_report(tmp_path)


def test_half_a_last_line_and_a_broken_one_are_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, arms=("x",), n=4, seeds=(0,))
    path = folder / "seed-0" / "x" / "rows.jsonl"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-20], encoding="utf-8")
    with pytest.raises(SaywhyError, match=r"line 36 of .*rows\.jsonl is no Row"):
        load_run(folder)
    path.write_text("{broken\n" + whole, encoding="utf-8")
    with pytest.raises(SaywhyError, match=r"line 1 of .*rows\.jsonl is no Row"):
        load_run(folder)


def test_run_with_nothing_but_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": 1}', encoding="utf-8")
    write_report(tmp_path)
    assert "No explanation was judged" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema": 99}', encoding="utf-8")
    with pytest.raises(SaywhyError, match="schema 99"):
        load_run(tmp_path)


def test_all_invalid_still_makes_a_report(tmp_path: Path) -> None:
    folder = write_run(tmp_path, arms=("x",), n=12, seeds=(0,))
    rows = [
        dataclasses.replace(r, words=(), edited=None, reason="empty reply", recheck=None, drop=None, hit=False)
        for r in load_run(folder).rows
    ]
    lines(folder / "seed-0" / "x" / "rows.jsonl", rows)
    assert "no more often than a random word" in headline(summarise(load_run(folder)))
    write_report(folder, png=True)
    assert (folder / "figure-validity.png").stat().st_size > 0


def test_report_needs_no_torch(audit: Path) -> None:
    code = f"import sys; from saywhy.report import write_report; write_report({str(audit)!r})"
    code += "; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--confirmatory", "against=random"], "frozen.json says what is confirmatory"),
        (["--accuracy-loss", "0.02"], "--accuracy-loss and --agreement-loss have no effect there"),
        (["--agreement-loss", "0.1"], "--accuracy-loss and --agreement-loss have no effect there"),
    ],
)
def test_rules_that_a_study_would_ignore_are_refused(call, planted, options, told):
    said = call("report", planted, *options)
    assert said.code == 2
    assert told in said.problem


@pytest.mark.parametrize("option", [["--png"], ["--confirmatory", "against=random"], ["--accuracy-loss", "0.1"]])
@pytest.mark.parametrize("holds", ["a calibration", "attributions"])
def test_options_that_calibrations_and_attributions_would_ignore_are_refused(call, tmp_path, holds, option):
    (tmp_path / "run.json").write_text(json.dumps({"schema": 1, "config": {}}))
    if holds == "attributions":
        (tmp_path / "attribution").mkdir()
        (tmp_path / "attribution" / "occlusion.jsonl").write_text("")
    else:
        (tmp_path / "plants").mkdir()
    said = call("report", tmp_path, *option)
    assert said.code == 2
    assert f"holds {holds}: " in said.problem
    assert option[0] in said.problem
    assert "no effect there" in said.problem
