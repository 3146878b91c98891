"""The section on confidence and abstention: planted confidences through run folders, pages and tables."""

import csv
import dataclasses
import io
import random

import pytest

from saywhy.bank.release import release_bank
from saywhy.folders.store import read_lines, write_lines
from saywhy.report import write_report
from saywhy.report.confidence import confidence_quality
from saywhy.report.load import load_run
from saywhy.report.plots import run_picture_plans
from saywhy.report.summary import summarise
from saywhy.stats.confidence import ConfidenceFeatures, RecheckedReason
from written_runs import write_known, write_run

SECTION = 'id="confidence"'


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    folder = write_known(tmp_path_factory.mktemp("known") / "run")
    write_report(folder)
    return folder


def test_a_confidence_that_knows_is_told_from_one_that_does_not(known):
    by_cell = {(c.key.arm, c.key.style): c for c in summarise(load_run(known)).confidence}
    assert {style for _, style in by_cell} == {"attribution", "redaction", "counterfactual"}
    for (arm, _), cell in by_cell.items():
        quality, areas = cell.quality, cell.quality.areas
        assert cell.key.readout == "constrained"
        assert (cell.rows, cell.held.n) == (60, 60)
        assert areas.random == pytest.approx(1 - cell.held.value)
        assert areas.oracle <= areas.area.value + 1e-9
        if arm == "faithful":
            assert quality.auroc.low > 0.9
            assert areas.area.high < areas.random
            assert quality.coverage > 0.3
            assert quality.held_at_half > 0.85
        else:
            assert quality.auroc.low < 0.6
            assert quality.guaranteed == 0.0


def test_copies_under_other_seeds_make_no_threshold_surer():
    """28 texts are too few to show that nine of ten hold, however often each is counted."""
    luck = random.Random(0)
    kept = [(0.0, True)] * 28 + [(-5.0, False)] * 20
    reasons = [
        RecheckedReason(f"t{number:02d}", ConfidenceFeatures(value - 0.1 * luck.random(), 1.0, 5), held)
        for number, (value, held) in enumerate(kept)
    ]
    for copies in (1, 4):
        assert confidence_quality(reasons * copies).threshold is None
    more = [dataclasses.replace(reason, text=f"more {reason.text}") for reason in reasons]
    assert confidence_quality(reasons + more).threshold is not None


def test_the_numbers_stand_on_the_page_in_the_tables_and_in_a_picture(known):
    page = (known / "report.html").read_text("utf-8")
    assert SECTION in page
    assert 'id="figure-confidence"' in page
    assert "## Confidence and abstention" in (known / "report.md").read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO((known / "confidence.csv").read_text("utf-8"))))
    cells = summarise(load_run(known)).confidence
    assert len(rows) == len(cells) == 6
    for row, cell in zip(rows, cells, strict=True):
        assert (row["arm"], row["style"]) == (cell.key.arm, cell.key.style)
        assert float(row["aurc"]) == pytest.approx(cell.quality.areas.area.value, abs=1e-5)
        assert float(row["auroc_low"]) == pytest.approx(cell.quality.auroc.low, abs=1e-5)
        assert row["problem"] == ""
    for text in (page, (known / "report.md").read_text("utf-8")):
        assert "nan" not in text.lower().replace("explanation", "")


def test_a_bank_gives_the_same_numbers(known, tmp_path):
    bank = release_bank(known, tmp_path / "bank")
    write_report(bank)
    assert (bank / "confidence.csv").read_bytes() == (known / "confidence.csv").read_bytes()


def test_too_few_texts_and_one_class_are_said_in_a_sentence(tmp_path):
    folder = write_known(tmp_path / "few", n=24)
    write_report(folder)
    page = (folder / "report.html").read_text("utf-8")
    assert SECTION in page
    assert "24 texts with a known log-probability, 40 are needed" in page
    assert 'id="figure-confidence"' not in page
    folder = write_known(tmp_path / "never")
    place = folder / "seed-0" / "base" / "rows.jsonl"
    write_lines(place, ({**row, "hit": False} for row in list(read_lines(place))))
    write_report(folder)
    page = (folder / "report.html").read_text("utf-8")
    assert "the reason holds in 0 of 60 texts, 5 are needed" in page
    assert 'id="figure-confidence"' in page  # of the other arm


def test_a_run_from_before_has_no_section_and_loses_the_table_of_another(tmp_path):
    folder = write_run(tmp_path / "run", arms=("base",), n=60)
    (folder / "confidence.csv").write_text("of before")
    write_report(folder)
    assert SECTION not in (folder / "report.html").read_text("utf-8")
    assert not (folder / "confidence.csv").exists()
    summary = summarise(load_run(folder))
    assert summary.confidence == ()
    assert "confidence" not in {plan.name for plan in run_picture_plans(summary)}


def test_the_curves_are_drawn_from_the_cells(known):
    summary = summarise(load_run(known))
    [plan] = [plan for plan in run_picture_plans(summary) if plan.name == "confidence"]
    figure = plan.draw()
    assert [axes.get_title() for axes in figure.axes] == ["attribution", "redaction", "counterfactual"]
    for axes in figure.axes:
        drawn = {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}
        assert set(drawn) == {"base", "faithful"}
        for arm, line in drawn.items():
            [cell] = [c for c in summary.confidence if (c.key.arm, c.key.style) == (arm, axes.get_title())]
            assert tuple(line.get_ydata()) == cell.quality.curve.risks
    alone = dataclasses.replace(summary, confidence=summary.confidence[:1])
    assert len(next(plan for plan in run_picture_plans(alone) if plan.name == "confidence").draw().axes) == 1
