"""A study's report holds every cell in its page, tables and pictures; a bank gives the same; odd files are refused."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from saywhy.bank.release import release_bank
from saywhy.folders.run import TEXT_ORDER
from saywhy.records import SaywhyError
from saywhy.report.format import SheetCell, sheet_of
from saywhy.report.study import load_study, show_study_report, write_study_report
from saywhy.report.study.files import cells_csv, confirmatory_csv, retention_csv
from saywhy.report.study.latex import escape, latex_table, tables_tex
from saywhy.report.study.parts import last_parts, parts_of
from saywhy.report.study.summary import StudySummary, summarise_study
from synthetic_study import bare_page


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_the_page_is_whole_escaped_and_alone(planted_report):
    page = (planted_report / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.findall(r"(?:src|href)=\"(?!#)", page)
    for part in ("films", "Holm", "NOT RELEASABLE", "20 examples", "saywhy study planted.yaml", "train_rows: 160"):
        assert part in page, part
    assert page.count("<svg") == len(list((planted_report / "pictures").glob("*.svg"))) > 10
    open_tags = _Tags()
    open_tags.feed(page)
    assert open_tags.open == []


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br", "col", "link", "path", "use", "rect", "g", "defs", "clippath"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("path", "use", "rect", "g", "defs", "clippath"):
            assert self.open.pop() == tag


def test_the_files_hold_every_cell(planted_report, planted_summary):
    cells = read(planted_report / "cells.csv")
    assert len(cells) == sum(len(task_summary.cells) for task_summary in planted_summary.tasks.values())
    cell = next(
        cell
        for cell in cells
        if (cell["arm"], cell["style"], cell["readout"]) == ("faithful.all.films", "attribution", "constrained")
    )
    assert (cell["control"], cell["confirmatory"], cell["result"], cell["gate"]) == (
        "random.all.films",
        "1",
        "confirmed",
        "passes",
    )
    generated = next(cell for cell in cells if (cell["arm"], cell["readout"]) == ("base", "generated"))
    assert "empty reply=" in generated["reasons"]
    assert [row["result"] for row in read(planted_report / "confirmatory.csv")].count("confirmed") == 5
    kept = {(row["task"], row["arm"]): row for row in read(planted_report / "retention.csv")}
    assert kept["films", "faithful-bare.all.films"]["gate"] == "fails"
    assert float(kept["films", "faithful-bare.all.films"]["loss_change"]) == pytest.approx(1.1, abs=0.05)
    assert "good=" in kept["films", "adapted"]["accuracy_by_class"]
    report = (planted_report / "report.md").read_text()
    assert "1. Confirmed in 5 of 6" in report
    assert "| Bars" not in report


@pytest.mark.slow
def test_the_report_is_the_same_every_time_with_pictures_for_slides(planted_report, planted_summary):
    before = {
        path.name: path.read_bytes()
        for path in (*planted_report.iterdir(), *(planted_report / "pictures").iterdir())
        if path.is_file()
    }
    write_study_report(planted_report, png=True, summary=planted_summary)
    after = {
        path.name: path.read_bytes()
        for path in (*planted_report.iterdir(), *(planted_report / "pictures").iterdir())
        if path.is_file()
    }
    drawn = {name for name in after if name.endswith(".png")}
    assert {name.removesuffix(".png") for name in drawn} == {
        name.removesuffix(".svg") for name in before if name.endswith(".svg")
    }
    assert {name: text for name, text in after.items() if name not in drawn} == before


def _without_bounds(line):
    """Return a line without its intervals, numbers rounded: their sums were taken in another order."""
    values = {name: value for name, value in line.items() if not name.endswith(("_low", "_high", "_p"))}
    return {
        name: f"{float(value):.9f}" if re.fullmatch(r"-?\d+\.\d+", value) else value for name, value in values.items()
    }


@pytest.mark.slow
def test_a_bank_gives_the_same_numbers_without_a_text(planted_report, tmp_path):
    whole = shutil.copytree(planted_report, tmp_path / "whole")
    # A study of today: older ones resample in the order of their ids, and a bank has others.
    for manifest in whole.glob("tasks/*/run.json"):
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"text_order": TEXT_ORDER}))
    of_whole = summarise_study(load_study(whole))
    shutil.copytree(whole / "tasks" / "meals", whole / "examples" / "meals")
    built_in = json.loads((whole / "examples" / "meals" / "run.json").read_text())
    built_in["config"]["data"] = "pocket"
    (whole / "examples" / "meals" / "run.json").write_text(json.dumps(built_in))
    bank = release_bank(whole, tmp_path / "bank")
    summary = summarise_study(load_study(bank))
    for name, csv_of in (
        ("cells.csv", cells_csv),
        ("confirmatory.csv", confirmatory_csv),
    ):
        assert csv_of(summary) == csv_of(of_whole), name
    # Instructions are resampled in the order of their ids in any case: the same but for the resamples.
    kept, kept_of_whole = (list(csv.DictReader(io.StringIO(retention_csv(of_one)))) for of_one in (summary, of_whole))
    assert [_without_bounds(line) for line in kept] == [_without_bounds(line) for line in kept_of_whole]
    parts, parts_of_whole = ([*parts_of(of_one), *last_parts(of_one)] for of_one in (summary, of_whole))
    tables, tables_of_whole = (re.sub(r"\[[^\]]*\]", "[]", tables_tex(of_one)) for of_one in (parts, parts_of_whole))
    assert tables == tables_of_whole
    page, page_of_bank = (planted_report / "report.html").read_text(), bare_page(summary)
    texts = [example.text for example in load_study(planted_report).runs["films"].texts.values()]
    assert any(text in page for text in texts)
    assert not any(text in page_of_bank for text in texts)
    assert "20 examples" in page_of_bank
    assert "these are built-in ones" in page_of_bank
    without = dataclasses.replace(summary, study=dataclasses.replace(summary.study, examples=()))
    assert "No examples" in bare_page(without)


def test_latex_is_escaped_and_balanced(planted_report):
    tex = (planted_report / "tables.tex").read_text()
    assert tex.count(r"\begin{") == tex.count(r"\end{")
    assert tex.count("{") - tex.count(r"\{") == tex.count("}") - tex.count(r"\}")
    body = re.sub(r"\\[%&#_$]", "", tex)
    assert not re.search(r"[#~]", body)
    assert tex.isascii()
    assert escape("a_b & 5 % {x} -0.1 [<0.001]") == r"a\_b \& 5 \% \{x\} $-$0.1 [\textless{}0.001]"
    tabular = latex_table(sheet_of("T", ("a", "b"), [["x", SheetCell("[1]", "[0, 1]")]], texts=1), "tab:x")
    assert r"x & {[1]} {\tiny [0, 1]} \\" in tabular


def test_the_terminal_says_the_five_sentences_and_the_table(planted):
    out = io.StringIO()
    summary = show_study_report(planted, Console(file=out, width=160))
    printed = out.getvalue()
    assert isinstance(summary, StudySummary)
    assert all(f"{number}. " in printed for number in range(1, 6))
    assert re.search(r"redaction +40 +[+-]0\.\d\d \[.*\] +[\d.]+ +[+-]0\.\d\d‡? +not shown", printed)
    assert "not shown" in printed


def test_broken_files_are_one_line(planted, tmp_path):
    odd = shutil.copytree(planted, tmp_path / "odd")
    (odd / "frozen.json").write_text('{"cells": [{"task": "films"}]}')
    with pytest.raises(SaywhyError, match="cell 1 of"):
        summarise_study(load_study(odd))
    (odd / "models" / "seed-0" / "base" / "retention.json").write_text('{"replay": {"ids": ["a"], "losses": []}}')
    with pytest.raises(SaywhyError, match="as many losses as ids"):
        load_study(odd)


def test_an_arm_that_the_study_does_not_know_is_refused(planted, tmp_path):
    odd = shutil.copytree(planted, tmp_path / "odd")
    manifest = json.loads((odd / "study.json").read_text())
    del manifest["arms"]["lexical.all.films"]
    (odd / "study.json").write_text(json.dumps(manifest))
    with pytest.raises(SaywhyError, match=r"knows no arm 'lexical.all.films'"):
        summarise_study(load_study(odd))
