"""What a study's page says where not everything was asked in one word and read as constrained, under every seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from saywhy.records import Row, SaywhyError
from saywhy.report.study.answer import answer_sentences
from saywhy.report.study.bars import read_bars
from saywhy.report.study.groups import groups_sheet
from saywhy.report.study.load import StudyRun
from saywhy.report.study.matrices import style_matrices
from saywhy.report.study.page import study_page
from saywhy.report.study.parts import last_parts, parts_of
from saywhy.report.study.sheets import study_curve_sheet
from saywhy.report.study.summary import StudySummary, summarise_study

IN_SENTENCES = {"attribution": "keywords", "redaction": "reasons", "counterfactual": "steps"}


def with_rows(study: StudyRun, change: Callable[[Row], Row | None]) -> StudyRun:
    """Return a study whose rows are changed; None: left out."""
    changed = {
        name: replace(run, rows=tuple(row for before in run.rows if (row := change(before)) is not None))
        for name, run in study.runs.items()
    }
    return replace(study, runs=changed)


def with_cells(study: StudyRun, **fields: str) -> StudyRun:
    """Return a study whose frozen cells are about other explanations."""
    cells = [{**cell, **fields} for cell in study.frozen["cells"]]
    return replace(study, frozen={**study.frozen, "cells": cells})


def sheets_of(summary: StudySummary, anchor: str) -> list[str]:
    """Return the titles of a part's tables."""
    return [sheet.title for part in parts_of(summary) if part.anchor == anchor for sheet in part.sheets]


@pytest.fixture(scope="module")
def generated(planted_summary) -> StudySummary:
    """The planted study, of which only the replies of one word were measured."""
    written = with_rows(planted_summary.study, lambda row: row if row.readout == "generated" else None)
    written = with_rows(written, lambda row: row if row.setting == "one-word" else None)
    return summarise_study(with_cells(written, readout="generated"))


@pytest.fixture(scope="module")
def in_sentences(planted_summary) -> StudySummary:
    """The planted study, whose replies of one word count as sentences of three styles."""

    def spoken(row: Row) -> Row | None:
        if (row.setting, row.readout) != ("one-word", "generated"):
            return None
        return replace(row, style=IN_SENTENCES[row.style], setting="sentences", named=None, inserted=())

    study = with_rows(planted_summary.study, spoken)
    arms = {name: replace(arm, styles=tuple(map(IN_SENTENCES.get, arm.styles))) for name, arm in study.arms.items()}
    cells = [
        {**cell, "style": IN_SENTENCES[cell["style"]], "setting": "sentences", "readout": "generated"}
        for cell in study.frozen["cells"]
    ]
    plan = {**study.plan, "bars": []}
    manifest = {**study.manifest, "plan": plan}
    return summarise_study(replace(study, arms=arms, manifest=manifest, frozen={**study.frozen, "cells": cells}))


def test_other_readouts_are_no_gap(generated):
    styles, tasks = answer_sentences(generated)[1:3]
    assert "styles that an arm did not practise (generated replies)" in styles
    assert "not measured" not in styles + tasks
    assert "one-word, generated, styles" in study_curve_sheet(generated).note
    assert groups_sheet(generated).note.startswith("The arms of the answer, one-word, generated, on")


def test_free_replies_do_not_stand_for_guided_ones(planted_summary):
    def guided(row: Row) -> Row | None:
        if row.setting == "free":
            return row
        return replace(row, readout="guided") if row.readout == "generated" else None

    summary = summarise_study(with_cells(with_rows(planted_summary.study, guided), readout="guided"))
    assert summary.readout == "guided"
    assert len(groups_sheet(summary).rows) == len(groups_sheet(planted_summary).rows)


def test_sentences_are_compared_in_every_part(in_sentences):
    sentences = answer_sentences(in_sentences)
    assert "beyond as many random words of the same text" in sentences[0]
    assert "a random word of" not in " ".join(sentences)
    assert "sentences that an arm did not practise" in sentences[1]
    assert "sentences on tasks of the study that an arm did not practise" in sentences[2]
    assert "sentences on tasks that no arm saw" in sentences[2]
    assert "brittle" not in sentences[4]
    assert sheets_of(in_sentences, "styles") == ["sentences, generated"]
    assert sheets_of(in_sentences, "tasks") == [
        "Other tasks, sentences, generated",
        "Unseen tasks, sentences, generated",
    ]
    assert "sentences, generated" in sheets_of(in_sentences, "others")
    results = next(part for part in parts_of(in_sentences) if part.anchor == "results")
    assert "Of several words, the floor is that of random sets" in results.sheets[0].note
    assert "practised, against base, in sentences" in [
        str(row[0]) for part in parts_of(in_sentences) if part.anchor == "pooled" for row in part.sheets[0].rows
    ]


def test_every_comparison_stands_in_a_table_or_is_frozen(planted_summary, in_sentences, generated):
    for summary in (planted_summary, in_sentences, generated):
        shown = {
            tuple(map(str, row[:3]))
            for part in parts_of(summary)
            for sheet in part.sheets
            if sheet.header[:4] == ("task", "style", "arm", "against")
            for row in sheet.rows
        }
        compared = {(gain.task, gain.key.style, gain.key.arm) for gain in summary.gains if gain.axis != "variant"}
        assert compared <= shown


def test_examples_in_sentences_are_not_called_one_word(in_sentences):
    page = study_page(in_sentences, parts_of(in_sentences), last_parts(in_sentences), [])
    assert "sample, sentences, first seed" in page
    assert "the words mentioned" in page


def test_an_arm_under_another_seed_is_not_measured(planted_summary):
    def shifted(row: Row) -> Row | None:
        if row.arm.startswith("random.all"):
            return replace(row, seed=2) if row.seed == 0 else None
        return row

    summary = summarise_study(with_rows(planted_summary.study, shifted))
    assert not summary.confirmatory
    assert len(summary.unmeasured) == len(planted_summary.frozen)
    assert "cannot be said yet: none of the 6 confirmatory cells is measured" in answer_sentences(summary)[0]
    base = [gain for gain in summary.gains if gain.contrast.rival == "base"]
    assert {gain.seeds for gain in base if gain.arm.name == "faithful.all.films"} == {(0, 1)}


def test_arms_of_other_tasks_have_rows_of_their_own(planted_summary):
    name = "faithful.attribution.films"
    arm = planted_summary.study.arms[name]
    twin = replace(arm, name="faithful.attribution.films+trains", tasks=("films", "trains"))
    gains = [gain for gain in planted_summary.gains if gain.arm.name == name]
    twins = [replace(gain, arm=twin) for gain in gains]
    both = replace(arm, tasks=("films", "meals"))
    summary = replace(planted_summary, gains=(*(replace(gain, arm=both) for gain in gains), *twins))
    rows = {row for matrix in style_matrices(summary, "constrained") if matrix.title == "films" for row in matrix.rows}
    assert rows == {"attribution, films+meals", "attribution, all"}


def test_drift_is_judged_of_one_word():
    bar = {"bar": "drift", "arm": "a", "tasks": ["t"], "styles": ["reasons"], "within": 0.05, "setting": "sentences"}
    with pytest.raises(SaywhyError, match="setting"):
        read_bars([bar])
