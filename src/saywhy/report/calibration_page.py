"""A calibration for people: terminal, ``calibration.md``, ``calibration.csv`` and one page with two pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from saywhy.folders.store import write_json, write_text
from saywhy.progress import PlainConsole
from saywhy.report.calibration import GOOD_AUROC, Calibration, load_calibration
from saywhy.report.calibration_sentences import (
    SentenceCalibration,
    sentence_explainers_sheet,
    sentence_metrics_sheet,
    sentence_verdicts,
)
from saywhy.report.calibration_sheets import explainers_sheet, methods_sheet, metrics_sheet, plants_sheet
from saywhy.report.calibration_words import metric_verdicts
from saywhy.report.format import Sheet, counted, joined
from saywhy.report.html import jinja_environment
from saywhy.report.marks import FOOLED_FILE
from saywhy.report.plots import svg
from saywhy.report.tables import csv_text, escaped_markdown, markdown_table
from saywhy.report.terminal import show_sheets
from saywhy.ruler.metrics import METRICS
from saywhy.stats import Interval

PLANT_MARKERS = ("o", "s", "^", "D", "v", "P")
"""A marker a plant, so that colour only helps."""
PLANT_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

CALIBRATION_ABOUT = (
    "A model was trained to decide built-in tweets by a rule of which every deciding word is known. A metric that "
    "cannot tell an accepted cause from another word there, or that a trivial explainer fools, should not be believed "
    "elsewhere."
)


def calibration_sheets(calibration: Calibration) -> list[Sheet]:
    """Return every table."""
    sheets = [
        plants_sheet(calibration),
        methods_sheet(calibration),
        metrics_sheet(calibration),
        explainers_sheet(calibration),
    ]
    if (sentences := SentenceCalibration.of(calibration)).plants:
        sheets += [sentence_metrics_sheet(sentences), sentence_explainers_sheet(sentences)]
    return sheets


def calibration_verdicts(calibration: Calibration) -> list[str]:
    """Return a line a metric: what it is worth, of explanations in a word and in sentences."""
    return metric_verdicts(calibration) + sentence_verdicts(SentenceCalibration.of(calibration))


def calibration_facts(calibration: Calibration) -> str:
    """Return in one line what was calibrated."""
    model, config = calibration.manifest.get("model", {}), calibration.manifest.get("config", {})
    git = calibration.manifest.get("git")
    revision = f", revision {git}" if git else ""
    seed = config.get("seeds", [0])[0]
    texts = max(len({record.id for record in plant.metric_scores}) for plant in calibration.learned)
    return f"Model {model.get('name', '')}, {counted(texts, 'text')} a plant, seed {seed}{revision}"


def fooled_json(calibration: Calibration) -> dict[str, Any]:
    """Return what ``report.marks`` ships: of which calibration, and who fools which metric on any plant.

    >>> list(fooled_json(Calibration({}, ())))
    ['model', 'plants', 'texts', 'seed', 'revision', 'fooled']
    """
    config = calibration.manifest.get("config", {})
    sentences = SentenceCalibration.of(calibration).fooled_anywhere
    return {
        "model": calibration.manifest.get("model", {}).get("name"),
        "plants": [plant.name for plant in calibration.learned],
        "texts": config.get("rows"),
        "seed": config.get("seeds", [None])[0],
        "revision": calibration.manifest.get("git"),
        "fooled": calibration.fooled_anywhere,
    } | ({"fooled_sentences": sentences} if sentences else {})


def show_calibration(folder: Path, console: Console | None = None) -> None:
    """Print the tables and the verdict on each metric."""
    calibration, console = load_calibration(folder), console or PlainConsole()
    show_sheets(calibration_sheets(calibration), console)
    console.print()
    for line in calibration_verdicts(calibration):
        console.print(Text(line))


def write_calibration(folder: Path) -> Path:
    """Write ``calibration.md``, ``.csv``, ``.html`` and what ``marks`` ships into a run folder; return the page."""
    calibration = load_calibration(folder)
    lines = [
        f"# How far to trust the ruler\n\n{escaped_markdown(calibration_facts(calibration))}.\n\n{CALIBRATION_ABOUT}",
        *(f"- {line}" for line in calibration_verdicts(calibration)),
    ]
    write_text(
        folder / "calibration.md",
        "\n".join(lines) + "\n\n" + "\n\n".join(map(_sheet_section, calibration_sheets(calibration))) + "\n",
    )
    write_text(folder / "calibration.csv", _calibration_csv(calibration))
    write_json(folder / FOOLED_FILE, fooled_json(calibration))
    write_text(folder / "calibration.html", _calibration_html(calibration))
    return folder / "calibration.html"


def _sheet_section(sheet: Sheet) -> str:
    return f"## {sheet.title}\n\n{markdown_table(sheet)}\n\n{sheet.note}"


def _calibration_csv(calibration: Calibration) -> str:
    """Return the AUROC of every metric as CSV, a line a setting, plant, operator and metric."""
    sentences = SentenceCalibration.of(calibration)
    return csv_text(
        [
            {
                "setting": setting,
                **dict(zip(("plant", "operator", "metric"), cell, strict=True)),
                **{
                    name: getattr(auroc, name if name != "auroc" else "value") for name in ("auroc", "low", "high", "n")
                },
                "fooled_by": " ".join(fooled[cell]),
            }
            for setting, aurocs, fooled in (
                ("one-word", calibration.aurocs, calibration.fooled),
                ("sentences", sentences.aurocs, sentences.fooled),
            )
            for cell, auroc in aurocs.items()
        ]
    )


def _calibration_html(calibration: Calibration) -> str:
    from markupsafe import Markup

    operator = calibration.learned[0].operators[0]
    aurocs = {
        metric: {plant.name: calibration.aurocs[plant.name, operator, metric] for plant in calibration.learned}
        for metric in METRICS
    }
    texts = f"n (texts): {joined([f'{len(plant.under(operator))} {plant.name}' for plant in calibration.learned])}."
    dotted = f"Dotted: {GOOD_AUROC}. {texts}"
    rates_by_method = {" ".join(filter(None, method)): rates for method, rates in calibration.cause_rates.items()}
    pictures = [
        (
            "auroc",
            "Which metric tells true from false explanations",
            f"AUROC of each metric, operator {operator}, with 95 % intervals over texts. Dotted: 0.5 (cannot tell) and "
            f"{GOOD_AUROC} (good). {texts}",
            Markup(svg("auroc", partial(_draw_dots, aurocs, "AUROC", (0.5, GOOD_AUROC)))),
        ),
        (
            "methods",
            "How often an attribution method finds an accepted cause",
            f"Share of texts in which the top word is an accepted cause, with 95 % intervals. {dotted}",
            Markup(
                svg("methods", partial(_draw_dots, rates_by_method, "top word is an accepted cause", (GOOD_AUROC,)))
            ),
        ),
    ]
    return (
        jinja_environment()
        .get_template("calibration.html.j2")
        .render(
            facts=calibration_facts(calibration),
            verdicts=calibration_verdicts(calibration),
            about=CALIBRATION_ABOUT,
            pictures=pictures,
            sheets=calibration_sheets(calibration),
        )
    )


def _draw_dots(intervals: Mapping[str, Mapping[str, Interval]], label: str, lines: tuple[float, ...]) -> Any:
    """Draw intervals, a row a metric or attribution method, a marker a plant.

    Args:
        intervals: Row -> plant -> interval.
        label: What the numbers are.
        lines: Where dotted upright lines stand.
    """
    from matplotlib.figure import Figure

    plants = list(dict.fromkeys(plant for row in intervals.values() for plant in row))
    figure = Figure(figsize=(7.2, 0.9 + (0.1 + 0.1 * len(plants)) * len(intervals)), layout="constrained")
    axes = figure.subplots()
    for number, plant in enumerate(plants):
        axes.plot([], [], PLANT_MARKERS[number], color=PLANT_COLOURS[number], ms=5, label=plant)
    for at, row in enumerate(intervals.values()):
        for plant, interval in row.items():
            number = plants.index(plant)
            y = -at + 0.3 - 0.6 * number / max(1, len(plants) - 1) if len(plants) > 1 else -at
            if interval.low is not None and interval.high is not None:
                axes.plot([interval.low, interval.high], [y, y], color=PLANT_COLOURS[number], lw=1.4)
            if interval.value is not None:
                axes.plot(interval.value, y, PLANT_MARKERS[number], color=PLANT_COLOURS[number], ms=5)
    for line in lines:
        axes.axvline(line, color="#999999", lw=0.8, ls=":")
    axes.set_yticks([-at for at in range(len(intervals))], list(intervals))
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(label)
    axes.legend(frameon=False, ncols=len(plants), loc="lower left", bbox_to_anchor=(0, 1))
    return figure
