"""A report from a run folder written here with records: complete, self-contained, escaped, repeatable."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

import pytest

import saywhy.report
from saywhy import words
from saywhy.records import STYLES, Decision, Example, Record, Row, SaywhyError, SetAside, Table
from saywhy.report import write_comparison, write_report
from saywhy.report.arms import kind, rivals, start_arm
from saywhy.report.compare import compare
from saywhy.report.examples import sample
from saywhy.report.format import number, p_value
from saywhy.report.headline import headline
from saywhy.report.html import page
from saywhy.report.load import load_run
from saywhy.report.sheets import main_sheets
from saywhy.report.summary import Summary, summarise
from saywhy.report.tables import md
from saywhy.report.terminal import show

TEMPLATES = Path(saywhy.report.__file__).parent / "templates"
HOSTILE = "<script>alert(1)</script> I love this & that <b>great</b> day"
ARMS = ("base", "adapted", "faithful", "random", "lexical")
SKILL = {"base": 0.2, "adapted": 0.1, "faithful": 0.95, "random": 0.1, "lexical": 0.9}


def lines(path: Path, records: Iterable[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(one.to_dict()) + "\n" for one in records), encoding="utf-8")


def explained(example: Example, arm: str, seed: int, style: str, readout: str, luck: random.Random) -> Row:
    """One row of a model whose word is decisive as often as its arm is skilled."""
    keys = [word.key for word in words.candidates(example.text)]
    can = int(example.id[1:]) % 3 != 0
    valid = readout != "generated" or luck.random() < (0.3 if arm == "base" else 0.9)
    hit = valid and can and luck.random() < SKILL.get(arm, 0.5)
    reason = None if valid else luck.choice(["empty reply", "text unchanged", "refusal: I <b>cannot</b>"])
    word = keys[0] if hit else luck.choice(keys[1:])
    fields = {
        "id": example.id,
        "task": "tweets",
        "arm": arm,
        "seed": seed,
        "style": style,
        "setting": "one-word",
        "readout": readout,
        "operator": "redact",
        "gold": example.label,
        "prediction": "good",
        "raw_prediction": "good",
        "margin": 1.0,
        "named": "bad" if style == "counterfactual" else None,
        "reply": "<img src=x onerror=alert(2)>" if readout == "generated" else None,
        "words": (word,) if valid else (),
        "inserted": ("awful",) if valid and style == "counterfactual" else (),
        "edited": words.take_out(example.text, {word}, "awful" if style == "counterfactual" else words.MARK)
        if valid
        else None,
        "reason": reason,
        "recheck": ("bad" if hit else "good") if valid else None,
        "drop": (1.0 if hit else 0.1) if valid else None,
        "hit": hit,
        "floor": 1 / len(keys) if can else 0.0,
        "ceiling": can,
    }
    return Row.from_dict(fields)


def write_run(
    folder: Path,
    arms: tuple[str, ...] = ARMS,
    n: int = 24,
    seeds: tuple[int, ...] = (0, 1),
    task: str = "tweets",
) -> Path:
    """Write a small run whose texts include a hostile one; ``base`` has the first seed only."""
    texts = [Example(f"t{i}", f"great film number {i} &amp; more", {}, "good") for i in range(n)]
    texts[1] = Example("t1", HOSTILE, {"premise": "<i>so</i>"}, "bad")
    for seed in seeds:
        for arm in arms:
            if arm == "base" and seed != seeds[0]:
                continue
            luck, place = random.Random(f"{seed} {arm}"), folder / f"seed-{seed}" / arm
            rows = [
                explained(example, arm, seed, style, readout, luck)
                for style in STYLES
                for readout in ("generated", "constrained", "placebo")
                for example in texts
            ]
            lines(place / "rows.jsonl", rows)
            lines(place / "tables.jsonl", [table_of(example) for example in texts])
            lines(
                place / "decisions.jsonl",
                [Decision(e.id, "tweets", arm, seed, e.label, "good", "good", 1.0) for e in texts],
            )
    lines(folder / "texts.jsonl", texts)
    lines(
        folder / "set_aside.jsonl",
        [SetAside("x", "tweets", "too long: 900"), SetAside("y", "tweets", "too long: 7")],
    )
    manifest = {
        "schema": 1,
        "config": {"operators": ["redact"], "evil": "<script>"},
        "task": {"name": task, "labels": {"good": "good", "bad": "bad"}, "noun": "tweet"},
        "model": {"name": "some/model", "note": "Q4_1 quantisation, dequantised to float32"},
        "versions": {"numpy": "2"},
        "git": None,
        "prompts": {"attribution, one-word": "Which word?"},
        "seconds": {"predict": 1.5},
        "arms": list(arms),
        "counts": {"texts": n},
    }
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def table_of(example: Example) -> Table:
    keys = tuple(word.key for word in words.candidates(example.text))
    can = int(example.id[1:]) % 3 != 0
    labels = ("bad" if can else "good", *("good" for _ in keys[1:]))
    return Table(example.id, "redact", "good", 1.0, keys, labels, tuple(0.0 for _ in keys))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("study"))
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def summary(study: Path) -> Summary:
    return summarise(load_run(study))


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("audit"), arms=("some-model",), n=6, seeds=(0,))
    write_report(folder)
    return folder


class Tags(HTMLParser):
    """Collects every tag and attribute that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def test_page_is_self_contained_and_escaped(study: Path) -> None:
    page = (study / "report.html").read_text(encoding="utf-8")
    found = Tags()
    found.feed(page)
    assert not found.tags & {"script", "img", "link", "iframe", "object", "b", "i"}
    assert {"mark", "del", "ins", "svg", "table"} <= found.tags
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    links = [value or "" for name, value in found.attributes if name in ("src", "href", "xlink:href")]
    assert all(link.startswith("#") for link in links)
    assert "http" not in page
    assert "@import" not in page
    assert "url(" not in page.replace("url(#", "")
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("name", ["report.html", "report.md", "table.csv"])
def test_no_file_says_nan(study: Path, audit: Path, name: str) -> None:
    for folder in (study, audit):
        text = (folder / name).read_text(encoding="utf-8")
        assert not re.search(r"\bnan\b|\binf\b|None", text, re.IGNORECASE if name != "report.html" else 0)


def test_rebuilding_changes_no_byte(audit: Path) -> None:
    names = ("report.html", "report.md", "table.csv")
    before = [(audit / name).read_bytes() for name in names]
    write_report(audit)
    assert [(audit / name).read_bytes() for name in names] == before


def test_study_has_every_section(study: Path) -> None:
    page = (study / "report.html").read_text(encoding="utf-8")
    first = ["results", "contrasts", "pictures", "readouts", "failed", "retention"]
    for part in [*first, "robustness", "aside", "examples", "made"]:
        assert f'id="{part}"' in page
    assert "Q4_1 quantisation" in page
    assert f"saywhy report {study.name}" in page
    for picture in ("excess-redact", "range-redact", "validity", "retention"):
        assert f'id="figure-{picture}"' in page


def test_audit_of_one_arm_has_no_contrasts(audit: Path) -> None:
    page = (audit / "report.html").read_text(encoding="utf-8")
    assert 'id="contrasts"' not in page
    assert "start-graded" not in page.split("</thead>")[0].split("<thead>")[1]
    assert not (audit / "contrasts.csv").exists()
    assert "some-model" in headline(summarise(load_run(audit)))


def test_table_has_one_line_a_cell(study: Path, summary: Summary) -> None:
    cells = summary.cells
    found = list(csv.DictReader((study / "table.csv").read_text(encoding="utf-8").splitlines()))
    assert len(found) == len(cells) == 5 * 3 * 3
    one = next(r for r in found if (r["arm"], r["style"], r["readout"]) == ("faithful", "redaction", "constrained"))
    rows = [r for r in load_run(study).rows if (r.arm, r.style, r.readout) == ("faithful", "redaction", "constrained")]
    assert float(one["excess"]) == pytest.approx(sum(r.excess for r in rows) / len(rows))
    assert float(one["excess_low"]) < float(one["excess"]) < float(one["excess_high"])
    assert (one["rows"], one["seeds"], one["excess_n"], one["training_operator"]) == ("48", "2", "24", "1")


def test_cells_by_hand(tmp_path: Path) -> None:
    summary = summarise(load_run(write_run(tmp_path, n=6)))
    cell = next(c for c in summary.cells if (c.key.arm, c.key.readout) == ("base", "generated"))
    rows = [r for r in summary.run.rows if (r.arm, r.readout, r.style) == ("base", "generated", cell.key.style)]
    assert cell.validity.value == pytest.approx(sum(r.reason is None for r in rows) / 6)
    assert cell.hit.value == pytest.approx(sum(r.hit for r in rows) / 6)
    assert sum(cell.reasons.values()) == sum(r.reason is not None for r in rows)
    assert not any(": " in reason for reason in cell.reasons)


def test_headline_says_what_is_beaten_and_what_is_not(summary: Summary) -> None:
    said = headline(summary)
    assert "beats base, adapted and random" in said
    assert re.search(r"does not beat lexical \(difference -?\d\.\d\d \[-\d\.\d\d, \d\.\d\d\]\)", said)


def test_headline_of_an_audit_claims_no_more_than_its_interval(tmp_path: Path) -> None:
    few = summarise(load_run(write_run(tmp_path / "few", arms=("base",), n=5, seeds=(0,))))
    values = [cell.excess for cell in few.cells if cell.key.readout == "constrained"]
    assert any((one.value or 0) > 0 for one in values)
    assert all((one.low or 0) <= 0 for one in values)
    assert "are not shown to change its own answer more often" in headline(few)


def test_there_is_one_style_sheet_and_one_table() -> None:
    pages = {path.name: path.read_text("utf-8") for path in TEMPLATES.glob("*.j2")}
    assert [name for name, text in pages.items() if "<style>" in text or "<!DOCTYPE" in text] == ["base.html.j2"]
    assert [name for name, text in pages.items() if "macro table(" in text] == ["parts.html.j2"]


def test_groups_of_rows_stay_together_and_are_named_once(summary: Summary) -> None:
    found = main_sheets(summary)[0]
    assert [[row[1].main for row in rows] for rows in found.groups] == [
        ["base", "adapted", "faithful †", "random", "lexical"]
    ] * 3
    table = page(summary, []).split("<h3>one-word, generated")[1].split("</table>")[0]
    assert table.count("<tbody>") == 3
    assert table.count('<td class="t">redaction</td>') == 1
    assert table.count('<td class="t"></td>') == 3 * 4


def test_start_arm_and_rivals() -> None:
    arms = ["base", "adapted", "faithful-a", "faithful-b", "random-a", "random-b", "lexical-a"]
    assert start_arm(arms) == "adapted"
    assert start_arm(["base"]) == "base"
    assert start_arm(["mine"]) is None
    assert rivals(arms, "faithful-a") == ["base", "adapted", "random-a", "lexical-a"]
    assert rivals(arms, "faithful-b") == ["base", "adapted", "random-b", "lexical-a"]
    assert rivals(arms, "random-a") == []
    assert kind("faithful(attribution, tweets)") == "faithful"


def test_arm_of_one_seed_is_paired_with_all_seeds(summary: Summary) -> None:
    found = next(c for c in summary.contrasts if c.other == "base")
    assert found.difference.n == 24
    assert next(kept for kept in summary.retention if kept.arm == "base").agreement.value == 1.0


def test_examples_are_a_seeded_sample(study: Path) -> None:
    run = load_run(study)
    readouts, samples = sample(run, seed=5)
    assert readouts == ("generated", "constrained")
    assert len(samples) == 10
    assert [s.example.id for s in samples] == [s.example.id for s in sample(run, seed=5)[1]]
    assert [s.example.id for s in samples] != [s.example.id for s in sample(run, seed=6)[1]]
    for shot in (shot for one in samples for line in one.lines for shot in line.shots if shot):
        kept = "".join(s.text for s in shot.segments if s.kind != "ins")
        assert not shot.row.valid or kept == run.texts[shot.row.id].text


def test_terminal_fits_its_width(summary: Summary) -> None:
    from rich.console import Console

    for width in (80, 200):
        console = Console(width=width, file=io.StringIO())
        show(summary, console)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert "†" in text
        assert "\u2026" not in text  # nothing is cut
        assert max(len(line) for line in text.splitlines()) <= width


def test_markdown_cells_hold_no_markup() -> None:
    assert md("a|b\n<i>*c*") == "a\\|b &lt;i&gt;\\*c\\*"


@pytest.mark.parametrize(("value", "text"), [(-0.001, "0.00"), (None, "–"), (0.125, "0.12"), (-0.5, "-0.50")])  # noqa: RUF001
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_small_p_values() -> None:
    assert [p_value(p) for p in (0.0002, 0.0321, 1.0)] == ["<0.001", "0.032", "1.000"]


def test_comparison_of_a_run_with_itself_shows_nothing(study: Path, tmp_path: Path) -> None:
    run = load_run(study)
    found = compare(run, run)
    assert len(found) == 5 * 3 * 3
    assert all((c.difference.value, c.difference.p) == (0.0, 1.0) for c in found)
    out = write_comparison(study, study, tmp_path / "compare.md")
    assert "difference" in out.read_text(encoding="utf-8")


def test_two_audits_are_compared_whatever_the_arm_is_called(audit: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path, arms=("other-model",), n=6, seeds=(0,))
    found = compare(load_run(audit), load_run(other))
    assert {c.key.arm for c in found} == {"other-model"}
    assert write_comparison(audit, other) == tmp_path / "compare.md"


def test_runs_of_different_tasks_are_refused_in_one_line(audit: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path, arms=("x",), n=6, task="news")
    with pytest.raises(SaywhyError, match="compare runs of one task") as caught:
        write_comparison(audit, other)
    assert "\n" not in str(caught.value)


def test_no_run_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SaywhyError, match=r"is no run: it has no run\.json"):
        write_report(tmp_path)


def test_half_a_last_line_is_left_out_and_a_broken_one_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path, arms=("x",), n=4, seeds=(0,))
    path = folder / "seed-0" / "x" / "rows.jsonl"
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-20], encoding="utf-8")
    assert len(load_run(folder).rows) == 4 * 9 - 1
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
    folder = write_run(tmp_path, arms=("x",), n=4, seeds=(0,))
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
