"""transplant is compared where its donor goes by another word than the model that the arms went on from."""

from dataclasses import replace

import pytest

from saywhy.report.format import change_cell
from saywhy.report.study.answer import answer_sentences
from saywhy.report.study.donors import differing_in_task, donors_sheet
from saywhy.report.study.pooled import pooled_difference, rival_gains


@pytest.fixture
def moved(planted_summary):
    """The planted study, in which the donor goes by the start arm's words but in every second film text."""
    study, run = planted_summary.study, planted_summary.study.runs["films"]
    start = run.tables[0, "adapted"]
    differing_texts = {table.id for table in start[::2]}

    def turned(table):
        drops = list(table.drops)
        drops[table.best() - 1] = max(drops) + 1  # of the word before it, or of the last
        return replace(table, drops=tuple(drops))

    donor = [turned(table) if table.id in differing_texts else table for table in start]
    tables = {**run.tables, (0, "base"): donor}
    tables |= {(seed, name): start for seed, name in run.tables if name == "adapted"}
    runs = {**study.runs, "films": replace(run, tables=tables)}
    return replace(planted_summary, study=replace(study, runs=runs)), differing_texts


def test_the_texts_where_the_words_differ_are_found(moved):
    summary, differing_texts = moved
    keys = differing_in_task(summary, "films")
    assert {text for text, _ in keys} == differing_texts
    assert {seed for _, seed in keys} == set(summary.study.runs["films"].seeds)


def test_the_comparison_is_made_on_these_texts_alone(moved):
    summary, differing_texts = moved
    gains = rival_gains(summary, "transplant")
    rows = [[str(cell) for cell in row] for row in donors_sheet(summary).rows]
    assert [row[:2] for row in rows] == [*([gain.task, gain.key.style] for gain in gains), ["all", ""]]
    assert {row[4] for row in rows} == {str(len(differing_texts))}
    assert ["(" in row[6] for row in rows] == [*[True] * len(gains), False], "cells are corrected, the whole is one"
    gain = gains[0]
    sides = [
        {row.id: row.excess for row in summary.rows["films"][replace(gain.key, arm=arm)] if row.seed == 0}
        for arm in (gain.key.arm, gain.contrast.rival)
    ]
    overall = pooled_difference(summary, gains, {"films": differing_in_task(summary, "films")})
    assert f"{change_cell(overall)} in the texts where its donor goes by another word" in answer_sentences(summary)[0]
    by_hand = sum(sides[0][text] - sides[1][text] for text in differing_texts) / len(differing_texts)
    assert pooled_difference(summary, [gain], {"films": differing_in_task(summary, "films")}).value == pytest.approx(
        by_hand, abs=1e-12
    )


def test_a_donor_without_tables_is_compared_with_nowhere(moved):
    summary, _ = moved
    run = summary.study.runs["films"]
    tables = {key: run_tables for key, run_tables in run.tables.items() if key[1] != "base"}
    runs = {**summary.study.runs, "films": replace(run, tables=tables)}
    bare = replace(summary, study=replace(summary.study, runs=runs))
    assert donors_sheet(bare) is None
    assert "goes by another word" not in answer_sentences(bare)[0]


def test_without_transplant_or_with_another_donor_there_is_no_table(moved):
    summary, _ = moved
    assert donors_sheet(replace(summary, gains=())) is None
    plan = {**summary.study.plan, "with": {"donor": "somewhere"}}
    study = summary.study
    named = replace(study, manifest={**study.manifest, "plan": plan})
    assert donors_sheet(replace(summary, study=named)) is None
