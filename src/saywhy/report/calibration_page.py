"""A calibration for people: terminal, ``calibration.md``, ``calibration.csv`` and one page with two pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from saywhy.folders.store import write, write_json
from saywhy.report.calibration import (
    Calibration,
    explainers_sheet,
    known,
    load_calibration,
    methods_sheet,
    metrics_sheet,
    plants_sheet,
)
from saywhy.report.calibration_words import GOOD, verdicts
from saywhy.report.format import Sheet, counted, joined
from saywhy.report.html import environment
from saywhy.report.marks import FILE
from saywhy.report.plots import svg
from saywhy.report.tables import markdown_table
from saywhy.report.terminal import show_sheets
from saywhy.ruler.metrics import METRICS
from saywhy.stats import Interval

MARKS = ("o", "s", "^", "D")
"""A marker a plant, so that colour only helps."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")

ABOUT = (
    "A model was trained to decide built-in tweets by a rule of which every deciding word is known. A metric that "
    "cannot tell an accepted cause from another word there, or that a trivial explainer fools, should not be believed "
    "elsewhere."
)


def sheets(found: Calibration) -> list[Sheet]:
    """Return every table."""
    return [plants_sheet(found), methods_sheet(found), metrics_sheet(found), explainers_sheet(found)]


def facts(found: Calibration) -> str:
    """Return in one line what was calibrated."""
    model, config = found.manifest.get("model", {}), found.manifest.get("config", {})
    git = found.manifest.get("git")
    revision = f", revision {git}" if git else ""
    seed = config.get("seeds", [0])[0]
    texts = max(len({text.id for text in one.gauged}) for one in found.learned)
    return f"Model {model.get('name', '')}, {counted(texts, 'text')} a plant, seed {seed}{revision}"


def show_calibration(folder: Path, console: Console | None = None) -> None:
    """Print the tables and what they say."""
    found, console = load_calibration(folder), console or Console()
    show_sheets(sheets(found), console)
    console.print()
    for line in verdicts(found):
        console.print(Text(line))


def write_calibration(folder: Path) -> Path:
    """Write ``calibration.md``, ``.csv``, ``.html`` and what ``marks`` ships into a run folder; return the page."""
    found = load_calibration(folder)
    told = [f"# How far to trust the ruler\n\n{facts(found)}.\n\n{ABOUT}", *(f"- {line}" for line in verdicts(found))]
    write(folder / "calibration.md", "\n".join(told) + "\n\n" + "\n\n".join(map(_section, sheets(found))) + "\n")
    write(folder / "calibration.csv", _csv(found))
    write_json(folder / FILE, known(found))
    write(folder / "calibration.html", _page(found))
    return folder / "calibration.html"


def _section(found: Sheet) -> str:
    return f"## {found.title}\n\n{markdown_table(found)}\n\n{found.note}"


def _csv(found: Calibration) -> str:
    """Return what every metric is worth, a line a plant, operator and metric."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(("plant", "operator", "metric", "auroc", "low", "high", "n", "fooled_by"))
    for at, area in found.areas.items():
        lines.writerow((*at, area.value, area.low, area.high, area.n, " ".join(found.fooled[at])))
    return out.getvalue()


def _page(found: Calibration) -> str:
    from markupsafe import Markup

    operator = found.learned[0].operators[0]
    areas = {metric: {one.name: found.areas[one.name, operator, metric] for one in found.learned} for metric in METRICS}
    texts = f"n (texts): {joined([f'{len(one.under(operator))} {one.name}' for one in found.learned])}."
    methods = {" ".join(filter(None, way)): rates for way, rates in found.found.items()}
    pictures = [
        (
            "auroc",
            "Which metric tells true from false explanations",
            f"AUROC of each metric, operator {operator}, with 95 % intervals over texts. Dotted: 0.5 (cannot tell) and "
            f"{GOOD} (good). {texts}",
            Markup(svg("auroc", lambda: _dots(areas, "AUROC", (0.5, GOOD)))),
        ),
        (
            "methods",
            "How often an attribution method finds an accepted cause",
            f"Share of texts in which the top word is an accepted cause, with 95 % intervals. Dotted: {GOOD}. {texts}",
            Markup(svg("methods", lambda: _dots(methods, "top word is an accepted cause", (GOOD,)))),
        ),
    ]
    return (
        environment()
        .get_template("calibration.html.j2")
        .render(facts=facts(found), verdicts=verdicts(found), about=ABOUT, pictures=pictures, sheets=sheets(found))
    )


def _dots(found: Mapping[str, Mapping[str, Interval]], label: str, lines: tuple[float, ...]) -> Any:
    """Draw a row a name, a marker a plant."""
    from matplotlib.figure import Figure

    plants = list(dict.fromkeys(plant for row in found.values() for plant in row))
    figure = Figure(figsize=(7.2, 0.9 + (0.1 + 0.1 * len(plants)) * len(found)), layout="constrained")
    axes = figure.subplots()
    for which, plant in enumerate(plants):
        axes.plot([], [], MARKS[which], color=COLOURS[which], ms=5, label=plant)
    for at, row in enumerate(found.values()):
        for plant, area in row.items():
            which = plants.index(plant)
            y = -at + 0.3 - 0.6 * which / max(1, len(plants) - 1) if len(plants) > 1 else -at
            if area.low is not None and area.high is not None:
                axes.plot([area.low, area.high], [y, y], color=COLOURS[which], lw=1.4)
            if area.value is not None:
                axes.plot(area.value, y, MARKS[which], color=COLOURS[which], ms=5)
    for line in lines:
        axes.axvline(line, color="#999999", lw=0.8, ls=":")
    axes.set_yticks([-at for at in range(len(found))], list(found))
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(label)
    axes.legend(frameon=False, ncols=len(plants), loc="lower left", bbox_to_anchor=(0, 1))
    return figure
