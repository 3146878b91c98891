"""What a calibration found to be fooled is marked in every report; what is shipped is what the calibration says."""

import csv
import dataclasses
import html
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

import saywhy
from saywhy.records import OPERATORS
from saywhy.report import marks, write_report
from saywhy.report.arms import marked_arm, same_instrument
from saywhy.report.calibration import load_calibration
from saywhy.report.calibration_page import fooled_json
from saywhy.report.format import DOUBT_NOTE, DRIFT_NOTE, SAME_INSTRUMENT, SAME_INSTRUMENT_NOTE, SheetCell, sheet_of
from saywhy.report.html import run_report_page
from saywhy.report.load import load_run
from saywhy.report.marks import FOOLED_FILE, FOOLED_SIGN, FooledMetrics, shipped_fooled_metrics
from saywhy.report.plots import figures
from saywhy.report.sheets import contrast_sheets, readout_sheet, result_sheets
from saywhy.report.summary import summarise
from saywhy.report.tables import run_report_markdown
from saywhy.report.terminal import show_run_summary
from written_runs import write_run

SHIPPED = Path(saywhy.__file__).parent / "catalog" / FOOLED_FILE
FULL = Path(__file__).parents[2] / "results" / "calibration"

TOLD = {
    "model": "some-model",
    "plants": ["keyword", "position"],
    "texts": 60,
    "seed": 0,
    "revision": None,
    "fooled": {
        "redact": {"hit": ["everything"], "drop": ["everything"], "excess": [], "top-1": ["parrot"]},
        "delete": {"hit": ["everything", "parrot"], "drop": [], "excess": []},
    },
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = write_run(tmp_path_factory.mktemp("marks"), arms=("base", "faithful"), n=12, seeds=(0,))
    write_report(folder)
    return folder


def test_what_is_shipped_is_what_the_full_calibration_gives():
    assert SHIPPED.read_bytes() == (FULL / FOOLED_FILE).read_bytes()
    assert json.loads(SHIPPED.read_text("utf-8")) == fooled_json(load_calibration(FULL))


def test_what_is_shipped_knows_every_measure_that_reports_show():
    told = json.loads(SHIPPED.read_text("utf-8"))
    assert told["plants"]
    assert "redact" in told["fooled"]
    for mine in told["fooled"].values():
        assert {*marks.REPORTED_METRICS, marks.PRIMARY_METRIC} <= set(mine)
        assert {name for names in mine.values() for name in names} <= set(marks.EXPLAINER_HABITS)
    assert FooledMetrics.from_dict(told) == shipped_fooled_metrics()
    assert shipped_fooled_metrics().fooled_by("hit") == ("everything",)
    assert shipped_fooled_metrics().fooled_by("excess") == ()


def test_who_fools_a_measure_under_one_operator_marks_it_everywhere():
    ruler = FooledMetrics.from_dict(TOLD)
    assert [ruler.sign(name) for name in ("hit", "drop", "excess", "top-1", "unheard-of")] == [
        f" {FOOLED_SIGN}",
        f" {FOOLED_SIGN}",
        "",
        f" {FOOLED_SIGN}",
        "",
    ]
    assert ruler.fooled_by("hit") == ("everything", "parrot")
    assert ruler.csv_field() == "hit=everything+parrot;drop=everything"


def test_the_footnote_says_who_fools_what_and_that_the_primary_measure_is_spared():
    said = FooledMetrics.from_dict(TOLD).footnote()
    assert said.startswith(f"{FOOLED_SIGN} A trivial explainer fools this measure")
    assert "everything (names all words) is not put below an honest explainer by drop" in said
    assert "parrot (always names the first word) are not put below an honest explainer by hit;" in said
    assert "no explainer fools excess, the primary measure" in said
    assert "some-model, 2 plants (keyword and position), 60 texts each" in said
    assert said.endswith("docs/measuring.md.")


def test_a_fooled_primary_measure_is_not_called_spared():
    told = {**TOLD, "fooled": {"redact": {"hit": [], "drop": [], "excess": ["liar"]}}}
    ruler = FooledMetrics.from_dict(told)
    assert "no explainer fools" not in ruler.footnote()
    assert "liar (names a word that decides nothing) is not put below an honest explainer by excess" in (
        ruler.footnote()
    )
    assert FooledMetrics.from_dict({**TOLD, "fooled": {"redact": {"hit": []}}}).footnote() == ""


def test_every_format_marks_hit_and_drop(study):
    summary = summarise(load_run(study))
    for found in result_sheets(summary):
        assert {f"hit {FOOLED_SIGN}", f"drop {FOOLED_SIGN}", "excess"} <= set(found.header)
    assert f"McNemar {FOOLED_SIGN}" in contrast_sheets(summary)[0].header
    line = shipped_fooled_metrics().footnote()
    for text in (run_report_page(summary, []), run_report_markdown(summary)):
        assert text.count(line.split("docs/")[0][-60:]) == 1
        assert f"hit {FOOLED_SIGN}" in text.replace("\u00a0", " ")
    for name in ("table.csv",):
        rows = list(csv.DictReader((study / name).read_text("utf-8").splitlines()))
        assert {row["fooled"] for row in rows} == {"hit=everything;drop=everything"}


@pytest.mark.parametrize("width", [80, 240])
def test_the_terminal_says_it_once_and_leaves_marked_columns_out_as_others(study, width):
    console = Console(width=width, file=io.StringIO())
    show_run_summary(summarise(load_run(study)), console)
    told = " ".join(console.file.getvalue().split())
    assert told.count("A trivial explainer fools this measure") == 1
    assert f"hit {FOOLED_SIGN}" in told
    assert (f"drop {FOOLED_SIGN}" in told) == (width == 240)


def test_what_is_graded_by_its_training_instrument_is_marked_in_every_format(study):
    summary = summarise(load_run(study))
    for found in result_sheets(summary):
        assert {row[1].main for row in found.rows} == {"base", f"faithful {SAME_INSTRUMENT}"}
        assert SAME_INSTRUMENT_NOTE in found.note
    others = [*contrast_sheets(summary), readout_sheet(summary)]
    for found in others:
        assert {row[1].main for row in found.rows} <= {"base", f"faithful {SAME_INSTRUMENT}"}
        assert SAME_INSTRUMENT_NOTE in found.note
    for name in ("table.csv", "contrasts.csv"):
        for row in csv.DictReader((study / name).read_text("utf-8").splitlines()):
            assert row["training_operator"] == str(int(row["arm"] == "faithful"))
    drawn = figures(summary)
    for text in (html.unescape(run_report_page(summary, drawn)), run_report_markdown(summary)):
        assert f"faithful {SAME_INSTRUMENT}" in text
        assert SAME_INSTRUMENT_NOTE in text
    assert all(SAME_INSTRUMENT_NOTE in one.caption for one in drawn if one.name != "retention")


def test_another_operator_is_another_instrument(study):
    run = load_run(study)
    assert not any(same_instrument(run, "faithful", operator) for operator in ("delete", "infill"))
    assert same_instrument(run, "faithful-redaction.snli", "redact")
    assert not any(same_instrument(run, arm, "redact") for arm in ("base", "adapted", "random", "lexical", "audited"))
    practised = {"objective": "table", "target_operators": ["delete"]}
    of_delete = dataclasses.replace(run, manifest={**run.manifest, "config": {**run.manifest["config"], **practised}})
    marked = [name for name in ("redact", "delete", "infill") if same_instrument(of_delete, "faithful", name)]
    assert marked == ["delete"]
    variant = {"faithful-table.all.snli": practised}
    of_variant = dataclasses.replace(run, arm_settings=variant)
    marked = [(arm, name) for arm in (*variant, "faithful.all.snli") for name in ("redact", "delete", "infill")
              if same_instrument(of_variant, arm, name)]  # fmt: skip
    assert marked == [("faithful-table.all.snli", "delete"), ("faithful.all.snli", "redact")]


def test_an_adapter_brings_its_instrument_into_every_arm(study):
    run = load_run(study)
    audited = dataclasses.replace(run, manifest={**run.manifest, "model": {"name": "mine", "trained_with": "redact"}})
    assert [same_instrument(audited, "audited", operator) for operator in ("redact", "delete")] == [True, False]
    assert marked_arm(audited, "base", "redact") == f"base {SAME_INSTRUMENT}"
    audited = dataclasses.replace(run, manifest={**run.manifest, "model": {"trained_with": "delete+infill"}})
    assert [same_instrument(audited, "audited", operator) for operator in OPERATORS] == [False, True, True]


def test_every_mark_behind_a_number_has_its_sentence():
    marked = sheet_of("t", ("a", "b"), [["x", SheetCell("+0.64‡ ¶")]], texts=1)
    assert DOUBT_NOTE in marked.note
    assert DRIFT_NOTE in marked.note
    assert not sheet_of("t", ("a", "b"), [["what ‡ means", SheetCell("0.64")]], texts=1).note
