"""What the report says of its statistics: which contrasts count, what was kept, and what is not to be trusted."""

from __future__ import annotations

import csv
import dataclasses
import re
from pathlib import Path

import pytest

from saywhy.cli.app import main
from saywhy.records import Decision
from saywhy.report.contrasts import UNCORRECTED_SUFFIX
from saywhy.report.format import NO_NUMBER
from saywhy.report.headline import headline
from saywhy.report.html import run_report_page
from saywhy.report.load import load_run
from saywhy.report.retention import retention_of_arms
from saywhy.report.rules import Rules
from saywhy.report.sheets import contrast_sheets, retention_sheet
from saywhy.report.summary import Summary, summarise
from saywhy.report.tables import contrasts_csv, run_report_markdown, table_csv
from saywhy.stats import Family
from written_runs import lines, write_run


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("statistics"), n=60, seeds=(0, 1))


@pytest.fixture(scope="module")
def summary(study: Path) -> Summary:
    return summarise(load_run(study))


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_contrasts_have_every_statistic_in_every_format(summary: Summary) -> None:
    html, text, table = (
        run_report_page(summary, []).replace("\u00a0", " "),
        run_report_markdown(summary),
        contrasts_csv(summary),
    )
    for name in ("by seed", "McNemar §", "for 80 %", "p (Holm)", "kept"):
        assert f">{name}</th>" in html
        assert f"| {name} |" in text
    for one in read(table):
        assert all(one[name] for name in ("difference", "p", "mcnemar_p", "d_z", "texts_for_80", "difference_seeds"))
    assert not re.search(r"\bnan\b|\binf\b|None", table, re.IGNORECASE)


def test_a_contrast_by_hand(summary: Summary) -> None:
    place = {"style": "redaction", "readout": "generated", "other": "random"}
    [one] = [c for c in read(contrasts_csv(summary)) if place.items() <= c.items()]
    rows = [r for r in summary.run.rows if (r.style, r.readout) == ("redaction", "generated")]
    hits = {arm: {(r.id, r.seed): r.hit for r in rows if r.arm == arm} for arm in ("faithful", "random")}
    by_text = {text: 0 for text, _ in hits["faithful"]}
    for key, hit in hits["faithful"].items():
        by_text[key[0]] += int(hit) - int(hits["random"][key])
    assert int(one["mcnemar_won"]) == sum(value > 0 for value in by_text.values())
    assert int(one["mcnemar_lost"]) == sum(value < 0 for value in by_text.values())
    # The floors of a text are the same in both arms of this run, so the difference is that of the hits.
    assert float(one["difference"]) == pytest.approx(sum(by_text.values()) / 2 / 60)
    seeds = dict(part.split("=") for part in one["difference_seeds"].split(";"))
    assert sum(map(float, seeds.values())) / 2 == pytest.approx(float(one["difference"]), abs=1e-5)


def test_report_says_how_many_comparisons_were_corrected(summary: Summary) -> None:
    # 4 rivals x 3 styles x 2 readouts; the placebo readout is a robustness check.
    assert summary.tested == 24
    note = contrast_sheets(summary)[0].note
    assert "24 confirmatory comparisons (operator redact, generated and constrained readouts)" in note


def test_a_named_family_is_corrected_for_its_own_number(study: Path, summary: Summary) -> None:
    family = Family.parse("style=attribution readout=constrained against=random,base")
    found = summarise(load_run(study), rules=Rules(family))
    assert found.tested == 2
    assert "2 confirmatory comparisons (style=attribution readout=constrained against=random,base)" in (
        contrast_sheets(found)[0].note
    )
    wide = {(c.key, c.rival): c for c in summary.contrasts}
    for one in found.contrasts:
        if one.p_holm is None:
            assert one.verdict == "unclear" or one.verdict.endswith(UNCORRECTED_SUFFIX)
        else:
            assert one.p_holm <= (wide[one.key, one.rival].p_holm or 0)
    assert "it is not a confirmatory comparison" in headline(found)


def test_a_family_of_nothing_corrects_nothing(study: Path) -> None:
    found = summarise(load_run(study), rules=Rules(Family.parse("against=transplant")))
    assert found.tested == 0
    assert "0 confirmatory comparisons" in contrast_sheets(found)[0].note


def with_errors(folder: Path, arm: str, every: int) -> None:
    """Turn every so-many-th decision of an arm into an error (seed 0)."""
    path = folder / "seed-0" / arm / "decisions.jsonl"
    decisions = [d for d in load_run(folder).decisions if (d.arm, d.seed) == (arm, 0)]
    assert all(isinstance(d, Decision) for d in decisions)
    wrong = [dataclasses.replace(d, label="bad") if at % every == 0 else d for at, d in enumerate(decisions)]
    lines(path, wrong)


def test_what_was_kept_is_told_by_the_bound(tmp_path: Path) -> None:
    folder = write_run(tmp_path, arms=("adapted", "faithful", "random"), n=200, seeds=(0,))
    with_errors(folder, "faithful", 6)
    run = load_run(folder)
    kept = {one.arm: one for one in retention_of_arms(run, "adapted", Rules(), 0)}
    assert (kept["random"].accuracy_kept, kept["random"].agreement_kept) == ("yes", None)
    assert (kept["faithful"].accuracy_kept, kept["faithful"].agreement_kept) == ("no", None)
    assert kept["adapted"].accuracy_kept is None
    lax = {one.arm: one for one in retention_of_arms(run, "adapted", Rules(accuracy_loss=0.3), 0)}
    assert lax["faithful"].accuracy_kept == "yes"
    sheet = retention_sheet(summarise(run))
    assert sheet is not None
    assert (
        "less than 0.02 below the accuracy of adapted / less than 0.02 below what two seeds of adapted agree on (not"
        in sheet.note
    )
    assert f"no / {NO_NUMBER}" in {cell.main for line in sheet.rows for cell in line}


def test_agreement_is_held_against_two_seeds_of_the_start_arm(tmp_path: Path) -> None:
    folder = write_run(tmp_path, arms=("adapted", "faithful"), n=200, seeds=(0, 1))
    # The start arm's seeds agree on five texts of six: what differs no more than that has kept its decisions.
    with_errors(folder, "adapted", 6)
    [kept] = [one for one in retention_of_arms(load_run(folder), "adapted", Rules(), 0) if one.arm == "faithful"]
    assert kept.agreement.value == pytest.approx(1 - 34 / 400)
    assert kept.agreement_kept == "yes"


def test_a_score_that_is_not_to_be_trusted_is_marked(tmp_path: Path, summary: Summary) -> None:
    small = summarise(load_run(write_run(tmp_path, n=12, seeds=(0,))))
    assert "The interval of this score is not to be trusted" in run_report_markdown(small)
    assert 'title="8 texts can flip, 30 are needed"' in run_report_page(small, [])
    assert {one["score_doubt"] for one in read(table_csv(small))} == {"8 texts can flip, 30 are needed"}
    assert any(one["score_doubt"] == "" and one["score_low"] for one in read(table_csv(summary)))
    # A single seed needs no column of seeds.
    assert "by seed" not in run_report_markdown(small)


def test_command_line_takes_a_family_and_refuses_what_is_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Rules] = []
    monkeypatch.setattr("saywhy.report.show_report", lambda folder, rules: asked.append(rules))
    monkeypatch.setattr("saywhy.report.write_report", lambda folder, png, rules, cards: folder)
    words = ["saywhy", "report", "runs/run", "--confirmatory", "against=random", "--accuracy-loss", "0.01"]
    codes = []
    for argv in (words, [*words[:4], "style=nonsense"]):
        monkeypatch.setattr("sys.argv", argv)
        with pytest.raises(SystemExit) as stop:
            main()
        codes.append(stop.value.code or 0)
    assert codes == [0, 2]
    assert asked == [Rules(Family.parse("against=random"), accuracy_loss=0.01)]
    assert "no style 'nonsense'" in capsys.readouterr().err
