"""Confidence and abstention as a table and a picture: what is gained by not showing reasons that are not sure."""

from __future__ import annotations

from typing import Any

from saywhy.report.arms import marked_arm
from saywhy.report.confidence import THRESHOLD_DELTA, WANTED_SHARE, CellConfidence
from saywhy.report.format import NO_NUMBER, Sheet, SheetCell, estimate_cell, joined, number, sheet_of
from saywhy.report.looks import look_of
from saywhy.report.summary import Summary
from saywhy.stats.selective import CALIBRATION_BINS

RISK_CAPTION = (
    "Share of the shown reasons that do not hold (risk) over the share that is shown (coverage), surest first. Dotted: "
    "an oracle that shows all that hold first; grey: showing any. The area under a curve is its AURC."
)


def confidence_sheet(summary: Summary) -> Sheet | None:
    """Return how good the confidence in the reasons of each arm and style is; None where nothing tells it."""
    if not summary.confidence:
        return None
    header = ("style", "arm", "n", "hold", "AUROC", "ECE", "AURC", "AURC, oracle", "AURC, any", "hold at half")
    at_share = f"coverage, {WANTED_SHARE:.0%} hold"
    rows = [_confidence_row(summary, cell) for cell in summary.confidence]
    return sheet_of("Confidence and abstention", (*header, at_share, "guaranteed"), rows, _confidence_note(summary))


def _confidence_row(summary: Summary, cell: CellConfidence) -> list[SheetCell | str]:
    name = marked_arm(summary.run, cell.key.arm, cell.key.operator)
    start: list[SheetCell | str] = [cell.key.style, name, str(cell.rows), estimate_cell(cell.held)]
    if (quality := cell.quality) is None:
        return [*start, *[SheetCell(NO_NUMBER, "", cell.problem or "")] * 8]
    return [
        *start,
        estimate_cell(quality.auroc),
        number(quality.calibration_error),
        estimate_cell(quality.areas.area),
        number(quality.areas.oracle),
        number(quality.areas.random),
        number(quality.held_at_half),
        number(quality.coverage),
        number(quality.guaranteed),
    ]


def _confidence_note(summary: Summary) -> str:
    """Say what the columns are, and why a row has no numbers."""
    key = summary.confidence[0].key
    problems: dict[str, list[str]] = {}
    for cell in summary.confidence:
        if cell.problem:
            problems.setdefault(cell.problem, []).append(f"{cell.key.arm} in {cell.key.style}")
    missing = "".join(f" No confidence of {joined(names)}: {problem}." for problem, names in problems.items())
    return (
        f"How likely a reason holds before it is rechecked ({key.setting}, {key.readout} readout): fitted on the other "
        "texts (five folds) from the log-probability of its word, the margin, the number of words, and whether other "
        "styles name the same word. Hold: the answer changes without the word, and not without most others. ECE: "
        f"calibration error ({CALIBRATION_BINS} bins of equal mass). AURC: mean share that does not hold over all "
        "coverages; 'any' knows nothing. At half: where the surer half is shown. Coverage: largest share that can be "
        f"shown so that {WANTED_SHARE:.0%} of it held. Guaranteed: so that as many hold in future, with probability "
        f"{1 - THRESHOLD_DELTA:.0%} (docs/confidence.md); 0.00: show none.{missing}"
    )


def draw_coverage_risk(summary: Summary) -> Any:
    """Draw the coverage-risk curve of each arm, one panel a style."""
    from matplotlib.figure import Figure

    cells = [cell for cell in summary.confidence if cell.quality is not None]
    styles = list(dict.fromkeys(cell.key.style for cell in cells))
    figure = Figure(figsize=(3.2 * len(styles) + 0.8, 3.0), layout="constrained")
    panels = figure.subplots(1, len(styles), squeeze=False, sharey=True)
    for axes, style in zip(panels.flat, styles, strict=True):
        for cell in cells:
            if cell.key.style == style and cell.quality is not None:
                _draw_curve(axes, cell.key.arm, cell.quality.curve.coverages, cell.quality.curve.risks)
        axes.set_title(style)
        axes.set_xlabel("coverage")
        axes.set_xlim(0, 1)
        axes.set_ylim(-0.02, 1.02)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    panels.flat[0].set_ylabel("risk")
    handles = {line.get_label(): line for axes in panels.flat for line in axes.get_lines()}
    named = {label: line for label, line in handles.items() if not label.startswith("_")}
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=4, frameon=False, handlelength=3.2)
    return figure


def _draw_curve(axes: Any, arm: str, coverages: tuple[float, ...], risks: tuple[float, ...]) -> None:
    """Draw the curve of an arm with the level of any order, and what an oracle of the same reasons would have."""
    colour, marker = look_of(arm)
    axes.axhline(risks[-1], color="#bbbbbb", linewidth=0.9, label="_any")
    oracle = [max(0.0, 1 - (1 - risks[-1]) / coverage) for coverage in coverages]
    axes.plot(coverages, oracle, ":", color=colour, linewidth=1.1, label="_oracle")
    every = max(1, len(risks) // 6)
    axes.plot(coverages, risks, "-", color=colour, marker=marker, markevery=every, markersize=5, label=arm)
