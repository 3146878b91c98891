"""A run that has the guided readout: shown to people, beside the others in tables, confirmatory in none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from saywhy.report.examples import example_cards
from saywhy.report.format import estimate_cell
from saywhy.report.headline import headline
from saywhy.report.load import LoadedRun, load_run
from saywhy.report.sheets import readout_sheet, result_sheets
from saywhy.report.summary import summarise
from written_runs import write_run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def guided_run(study: Path) -> LoadedRun:
    """A run that has the guided readout beside the others: as its constrained one, but with replies."""
    run = load_run(study)
    more = [
        dataclasses.replace(row, readout="guided", reply=row.edited) for row in run.rows if row.readout == "constrained"
    ]
    return dataclasses.replace(run, rows=[*run.rows, *more])


def test_examples_show_the_guided_reply_where_there_is_one(guided_run: LoadedRun) -> None:
    readouts, samples = example_cards(guided_run)
    assert readouts == ("guided", "constrained")
    shots = [shot for sample in samples for line in sample.lines for shot in line.shots if shot]
    assert shots
    assert all(shot.row.valid for shot in shots)


def test_the_guided_readout_stands_beside_the_others(study: Path, guided_run: LoadedRun) -> None:
    plain, more = (readout_sheet(summarise(run)) for run in (load_run(study), guided_run))
    assert plain is not None
    assert more is not None
    added = [title for title in more.header if title not in plain.header]
    shares = ["effect share, guided", "effect share, start-graded, guided"]
    assert added == ["excess, guided", "score, guided", *shares]
    column = more.header.index("effect share, start-graded, constrained")
    cells = {
        cell.key: cell
        for cell in summarise(guided_run).cells
        if cell.key.block == ("redact", "one-word", "constrained")
    }
    by_start = {(key.style, key.arm): str(estimate_cell(cell.effect_share_start)) for key, cell in cells.items()}
    assert {(str(row[0]), str(row[1]).removesuffix(" †")): str(row[column]) for row in more.rows} == by_start
    titles = [sheet.title for sheet in result_sheets(summarise(guided_run))]
    assert "one-word, guided readout, operator redact" in titles


def test_findings_are_read_from_the_constrained_readout_if_there_is_one(guided_run: LoadedRun) -> None:
    for left, chosen in (
        (("constrained", "guided", "generated"), "constrained"),
        (("guided", "generated"), "generated"),
        (("guided",), "guided"),
    ):
        run = dataclasses.replace(guided_run, rows=[row for row in guided_run.rows if row.readout in left])
        assert f"{chosen} readout" in headline(summarise(run))


def test_guided_comparisons_are_exploratory(guided_run: LoadedRun) -> None:
    contrasts = [contrast for contrast in summarise(guided_run).contrasts if contrast.key.readout == "guided"]
    assert contrasts
    assert all(contrast.p_holm is None for contrast in contrasts)
