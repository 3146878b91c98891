"""A report from a run folder written here with records: complete, self-contained, escaped, repeatable."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import saywhy.report
from saywhy.arms import start_arm
from saywhy.report import write_report
from saywhy.report.arms import kind, rivals
from saywhy.report.examples import example_cards
from saywhy.report.format import number, p_value
from saywhy.report.headline import headline
from saywhy.report.html import run_report_page
from saywhy.report.load import load_run
from saywhy.report.sheets import result_sheets
from saywhy.report.summary import Summary, summarise
from saywhy.report.tables import escaped_markdown
from saywhy.report.terminal import show_run_summary
from written_runs import write_run

TEMPLATES = Path(saywhy.report.__file__).parent / "templates"


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
    assert f"saywhy report {study}" in page
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
    few = summarise(load_run(write_run(tmp_path / "few", arms=("base",), n=12, seeds=(0,))))
    values = [cell.excess for cell in few.cells if cell.key.readout == "constrained"]
    assert any((one.value or 0) > 0 for one in values)
    assert all((one.low or 0) <= 0 for one in values)
    assert "are not shown to change its own answer more often" in headline(few)


def test_there_is_one_style_sheet_and_one_table() -> None:
    pages = {path.name: path.read_text("utf-8") for path in TEMPLATES.glob("*.j2")}
    assert [name for name, text in pages.items() if "<style>" in text or "<!DOCTYPE" in text] == ["base.html.j2"]
    assert [name for name, text in pages.items() if "macro table(" in text] == ["parts.html.j2"]


def test_groups_of_rows_stay_together_and_are_named_once(summary: Summary) -> None:
    found = result_sheets(summary)[0]
    assert [[row[1].main for row in rows] for rows in found.groups] == [
        ["base", "adapted", "faithful †", "random", "lexical"]
    ] * 3
    table = run_report_page(summary, []).split("<h3>one-word, generated")[1].split("</table>")[0]
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
    found = next(c for c in summary.contrasts if c.rival == "base")
    assert found.difference.n == 24
    assert next(kept for kept in summary.retention if kept.arm == "base").agreement.value == 1.0


def test_examples_are_a_seeded_sample(study: Path) -> None:
    run = load_run(study)
    readouts, samples = example_cards(run, seed=5)
    assert readouts == ("generated", "constrained")
    assert len(samples) == 10
    assert [s.example.id for s in samples] == [s.example.id for s in example_cards(run, seed=5)[1]]
    assert [s.example.id for s in samples] != [s.example.id for s in example_cards(run, seed=6)[1]]
    for shot in (shot for one in samples for line in one.lines for shot in line.shots if shot):
        kept = "".join(s.text for s in shot.segments if s.kind != "ins")
        assert not shot.row.valid or kept == run.texts[shot.row.id].text


def test_terminal_fits_its_width(summary: Summary) -> None:
    from rich.console import Console

    for width in (80, 200):
        console = Console(width=width, file=io.StringIO())
        show_run_summary(summary, console)
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert "†" in text
        assert "\u2026" not in text  # nothing is cut
        assert max(len(line) for line in text.splitlines()) <= width


def test_markdown_cells_hold_no_markup() -> None:
    assert escaped_markdown("a|b\n<i>*c*") == "a\\|b &lt;i&gt;\\*c\\*"


@pytest.mark.parametrize(("value", "text"), [(-0.001, "0.00"), (None, "–"), (0.125, "0.12"), (-0.5, "-0.50")])  # noqa: RUF001
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_small_p_values() -> None:
    assert [p_value(p) for p in (0.0002, 0.0321, 1.0)] == ["<0.001", "0.032", "1.000"]
