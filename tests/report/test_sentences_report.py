"""A run of explanations in sentences: a table a style, coverage and denial as columns, mentioned words marked."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import pytest

from saywhy import words
from saywhy.records import SENTENCE_STYLES, STYLES, Row
from saywhy.report.examples import example_cards
from saywhy.report.html import run_report_page
from saywhy.report.load import LoadedRun, load_run
from saywhy.report.mentioned import sentence_sheets
from saywhy.report.summary import summarise
from saywhy.report.tables import run_report_markdown, table_csv
from written_runs import write_run

STYLE_OF = dict(zip(STYLES, SENTENCE_STYLES, strict=True))


def in_sentences(row: Row, text: str) -> Row:
    """A written row as if it had been asked for in sentences: the last word of the text is denied."""
    last = [word.key for word in words.candidates(text)][-1]
    return dataclasses.replace(
        row,
        style=STYLE_OF[row.style],
        setting="sentences",
        named=None,
        inserted=(),
        reply="It is <b>great</b>.",
        denied=(last,) if last not in row.words else (),
        coverage=0.5 if row.valid else None,
        steps_answer="good" if row.style == "counterfactual" else None,
    )


@pytest.fixture(scope="module")
def sentence_run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    run = load_run(write_run(tmp_path_factory.mktemp("run"), arms=("base", "adapted")))
    rows = [in_sentences(row, run.texts[row.id].text) for row in run.rows if row.readout == "generated"]
    return dataclasses.replace(run, rows=rows)


def test_every_style_has_a_table_with_coverage_and_denied(sentence_run: LoadedRun) -> None:
    sheets = {sheet.title: sheet for sheet in sentence_sheets(summarise(sentence_run))}
    assert list(sheets) == list(SENTENCE_STYLES)
    for style, sheet in sheets.items():
        cells = {str(row[0]): dict(zip(sheet.header, row, strict=True)) for row in sheet.rows}
        assert set(cells) == {"base", "adapted"}
        assert all(cell["coverage"].main.startswith("0.50") for cell in cells.values())
        assert all(float(cell["denied"].main.rstrip("\u2021")) > 0.5 for cell in cells.values())
        assert ("same answer" in sheet.header) == (style == "steps")


def test_a_run_asked_for_one_word_and_for_sentences_has_both_in_one_table(sentence_run: LoadedRun) -> None:
    in_words = load_run(sentence_run.folder).rows
    run = dataclasses.replace(sentence_run, rows=[*in_words, *sentence_run.rows])
    cells = list(csv.DictReader(io.StringIO(table_csv(summarise(run)))))
    assert {cell["setting"] for cell in cells} == {"one-word", "sentences"}
    assert all((cell["coverage"] == "") == (cell["setting"] == "one-word") for cell in cells)


def test_a_run_of_free_explanations_alone_shows_examples(sentence_run: LoadedRun) -> None:
    rows = [row for row in load_run(sentence_run.folder).rows if row.readout == "generated"]
    run = dataclasses.replace(sentence_run, rows=[dataclasses.replace(row, setting="free") for row in rows])
    readouts, cards = example_cards(run, seed=0)
    assert readouts == ("generated",)
    assert cards


def test_the_columns_are_in_the_table_and_only_of_runs_that_have_them(sentence_run: LoadedRun, tmp_path: Path) -> None:
    [cell, *_] = cells = list(csv.DictReader(io.StringIO(table_csv(summarise(sentence_run)))))
    assert float(cell["coverage"]) == 0.5
    assert {cell["same_answer_behind_steps"] for cell in cells if cell["style"] == "steps"} == {"1.0"}
    assert "coverage" not in table_csv(summarise(load_run(write_run(tmp_path, arms=("base",)))))


def test_pages_show_the_tables_and_the_mentioned_words(sentence_run: LoadedRun) -> None:
    summary = summarise(sentence_run)
    page, markdown = run_report_page(summary, []), run_report_markdown(summary)
    assert "Explanations in sentences" in page
    assert "## Explanations in sentences" in markdown
    assert "<q>It is &lt;b&gt;great&lt;/b&gt;.</q>" in page
    shots = [shot for card in example_cards(sentence_run)[1] for line in card.lines for shot in line.shots if shot]
    for shot in (shot for shot in shots if shot.row.valid):
        kinds = {kind: [piece.text for piece in shot.segments if piece.kind == kind] for kind in ("mark", "del")}
        assert {words.fold(text) for text in kinds["mark"]} == set(shot.row.words)
        assert {words.fold(text) for text in kinds["del"]} == set(shot.row.denied)
