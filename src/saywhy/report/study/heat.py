"""Matrices as heat maps that say the same in grey: a number with its sign, its interval and a mark in every cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saywhy.report.format import interval_text, signed
from saywhy.report.study.gains import Gain
from saywhy.report.study.matrices import Matrix
from saywhy.report.study.summary import StudySummary

HIGHER_COLOUR, LOWER_COLOUR = (0.13, 0.40, 0.67), (0.70, 0.35, 0.02)
"""Blue and brown (red, green, blue): apart for the colour-blind; brown cells are hatched, for grey print."""

STRONGEST_SHADE = 0.62
"""How far a cell goes from white to its colour at most, so that the number in it stays legible."""

HEAT_CELL_SIZE = (0.94, 0.52)
"""Width and height of a cell, inches."""

HEAT_PAGE_WIDTH = 10.2
"""Width of the widest picture, inches: a landscape page."""

MATRIX_LEGEND = (
    "In each cell the mean excess of the arm minus that of its matched control (same texts, seeds averaged) and the "
    "95 % interval. Blue: higher; brown and hatched: lower. Framed: confirmatory; all others are exploratory. "
    "* stands after Holm's correction (framed: over the frozen cells; others: over all cells of the same kind, setting "
    "and readout). ! floor or ceiling is more than 5 points from the start arm's, so part of it may be brittleness."
)
"""Caption of every heat map; the numbers of texts and seeds are added to it."""


def draw_matrices(summary: StudySummary, matrices: Sequence[Matrix], down: str, across: str) -> Any:
    """Draw matrices side by side where there is room, else one below the other.

    Args:
        summary: The study, for levels and drifts.
        matrices: The matrices, one panel each.
        down: Label of the rows, e.g. ``practised style``.
        across: Label of the columns, e.g. ``tested style``.
    """
    from matplotlib.figure import Figure

    matrix_width = max(len(matrix.columns) for matrix in matrices) * HEAT_CELL_SIZE[0]
    label_width = (
        0.085
        * max(len(line) for matrix in matrices for row in matrix.rows for line in _broken_row_name(row).split("\n"))
        + 0.35
    )
    abreast = max(1, min(len(matrices), int((HEAT_PAGE_WIDTH - label_width) // (matrix_width + 0.25))))
    panel_rows = _matrix_panel_rows(matrices, abreast)
    abreast = max(len(panel_row) for panel_row in panel_rows)
    heights = [len(panel_row[0].rows) * HEAT_CELL_SIZE[1] + 0.75 for panel_row in panel_rows]
    size = (label_width + abreast * (matrix_width + 0.25), sum(heights) + 0.15)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(panel_rows), abreast, squeeze=False, height_ratios=heights)
    largest = max(0.2, *(abs(gain.value) for matrix in matrices for gain in matrix.gains.values()))
    for spare in grid.flat:
        spare.axis("off")
    for axes_row, panel_row in zip(grid, panel_rows, strict=True):
        for column, (axes, matrix) in enumerate(zip(axes_row, panel_row, strict=False)):
            axes.axis("on")
            _draw_matrix(axes, summary, matrix, largest)
            axes.set_xlabel(across)
            axes.tick_params(labelleft=column == 0)
        axes_row[0].set_ylabel(down)
    return figure


def _matrix_panel_rows(matrices: Sequence[Matrix], abreast: int) -> list[list[Matrix]]:
    """Return the matrices by the row of panels that they stand in: at most ``abreast`` each, all with the same rows."""
    panel_rows: list[list[Matrix]] = []
    for matrix in matrices:
        if panel_rows and len(panel_rows[-1]) < abreast and panel_rows[-1][0].rows == matrix.rows:
            panel_rows[-1].append(matrix)
        else:
            panel_rows.append([matrix])
    return panel_rows


def _draw_matrix(axes: Any, summary: StudySummary, matrix: Matrix, largest: float) -> None:
    axes.set_title(matrix.title, fontweight="bold")
    axes.set_xlim(-0.5, len(matrix.columns) - 0.5)
    axes.set_ylim(len(matrix.rows) - 0.5, -0.5)
    axes.set_aspect(HEAT_CELL_SIZE[1] / HEAT_CELL_SIZE[0])
    axes.set_xticks(range(len(matrix.columns)), matrix.columns)
    axes.set_yticks(range(len(matrix.rows)), [_broken_row_name(row) for row in matrix.rows])
    axes.tick_params(length=0, labelsize=8.5)
    axes.spines[:].set_visible(False)
    for y, row in enumerate(matrix.rows):
        for x, column in enumerate(matrix.columns):
            _draw_gain_cell(axes, x, y, matrix.gains.get((row, column)), summary, largest)


def _broken_row_name(row: str) -> str:
    """Return the name of a row in lines, as narrow as its longest word allows."""
    return row.replace("+", " +\n").replace(", ", ",\n")


def _draw_gain_cell(axes: Any, x: int, y: int, gain: Gain | None, summary: StudySummary, largest: float) -> None:
    """Draw one cell of a matrix; a cell that was not measured says so."""
    from matplotlib.patches import Rectangle

    if gain is None:
        axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor="#ffffff", edgecolor="#cccccc", lw=0.6))
        axes.text(x, y, "not measured", ha="center", va="center", fontsize=6.5, color="#888888")
        return
    value = gain.value
    share = STRONGEST_SHADE * min(1.0, abs(value) / largest)
    colour = HIGHER_COLOUR if value >= 0 else LOWER_COLOUR
    fill_colour = tuple(1 - share * (1 - channel) for channel in colour)
    axes.add_patch(
        Rectangle(
            (x - 0.48, y - 0.47), 0.96, 0.94, facecolor=fill_colour, edgecolor="#ffffff", linewidth=0.0,
            hatch="////" if value < 0 and signed(value) != signed(0.0) else None,
        )
    )  # fmt: skip
    framed = gain.frozen is not None
    edge_colour, line_width = ("#000000", 1.8) if framed else ("#bbbbbb", 0.6)
    axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, fill=False, edgecolor=edge_colour, linewidth=line_width))
    stands = gain.stands(summary.alpha) is not None
    drift = summary.drifts.get((gain.task, gain.key))
    text = signed(value).replace("-", "\N{MINUS SIGN}") + "*" * stands + " !" * (drift is not None and not drift.near())
    text_box = {"facecolor": fill_colour, "edgecolor": "none", "pad": 0.6}
    weight = "bold" if stands else "normal"
    axes.text(x, y - 0.15, text, ha="center", va="center", fontsize=9.5, fontweight=weight, bbox=text_box)
    interval = interval_text(gain.contrast.difference).replace("-", "\N{MINUS SIGN}")
    axes.text(x, y + 0.22, interval, ha="center", va="center", fontsize=7, color="#222222", bbox=text_box)


def texts_and_seeds_behind(matrices: Sequence[Matrix]) -> str:
    """Say how many texts and seeds are behind the cells of matrices."""
    gains = [gain for matrix in matrices for gain in matrix.gains.values()]
    texts = sorted({gain.contrast.difference.n for gain in gains})
    seeds = sorted({len(gain.seeds) for gain in gains})
    return f"{_span_of_counts(texts)} texts, {_span_of_counts(seeds)} seed{'' if seeds == [1] else 's'} a cell."


def _span_of_counts(values: Sequence[int]) -> str:
    if not values:
        return "0"
    return str(values[0]) if values[0] == values[-1] else f"{values[0]} to {values[-1]}"
