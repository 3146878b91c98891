"""Matrices as heat maps that say the same in grey: a number with its sign, its interval and a mark in every cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saywhy.report.format import bounds, signed
from saywhy.report.study.gains import Gain
from saywhy.report.study.matrices import Matrix
from saywhy.report.study.summary import StudySummary

UP, DOWN = (0.13, 0.40, 0.67), (0.70, 0.35, 0.02)
"""Blue and brown (red, green, blue): apart for the colour-blind; brown cells are hatched, for grey print."""

STRONGEST = 0.62
"""How far a cell goes from white to its colour at most, so that the number in it stays legible."""

CELL = (0.94, 0.52)
"""Width and height of a cell, inches."""

WIDEST = 10.2
"""Width of the widest picture, inches: a landscape page."""

LEGEND = (
    "In each cell the mean excess of the arm minus that of its matched control (same texts, seeds averaged) and the "
    "95 % interval. Blue: higher; brown and hatched: lower. Framed: confirmatory; all others are exploratory. "
    "* stands after Holm's correction (framed: over the frozen cells; others: over all cells of the same kind, setting "
    "and readout). ! floor or ceiling is more than 5 points from the start arm's, so part of it may be brittleness."
)
"""What a reader must know; numbers of texts and seeds are added."""


def draw_matrices(summary: StudySummary, matrices: Sequence[Matrix], down: str, across: str) -> Any:
    """Draw matrices side by side where there is room, else one below the other.

    Args:
        summary: The study, for levels and drifts.
        matrices: What is drawn, one panel each.
        down: What the rows are, e.g. ``practised``.
        across: What the columns are.
    """
    from matplotlib.figure import Figure

    wide = max(len(one.columns) for one in matrices) * CELL[0]
    label = 0.085 * max(len(line) for one in matrices for row in one.rows for line in _broken(row).split("\n")) + 0.35
    abreast = max(1, min(len(matrices), int((WIDEST - label) // (wide + 0.25))))
    lines = _lines(matrices, abreast)
    abreast = max(len(line) for line in lines)
    tall = [len(line[0].rows) * CELL[1] + 0.75 for line in lines]
    size = (label + abreast * (wide + 0.25), sum(tall) + 0.15)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(lines), abreast, squeeze=False, height_ratios=tall)
    top = max(0.2, *(abs(gain.value) for one in matrices for gain in one.gains.values()))
    for spare in grid.flat:
        spare.axis("off")
    for row, line in zip(grid, lines, strict=True):
        for at, (axes, matrix) in enumerate(zip(row, line, strict=False)):
            axes.axis("on")
            _panel(axes, summary, matrix, top)
            axes.set_xlabel(across)
            axes.tick_params(labelleft=at == 0)
        row[0].set_ylabel(down)
    return figure


def _lines(matrices: Sequence[Matrix], abreast: int) -> list[list[Matrix]]:
    """Return which matrices stand side by side: at most ``abreast``, and only those with the same rows."""
    found: list[list[Matrix]] = []
    for one in matrices:
        if found and len(found[-1]) < abreast and found[-1][0].rows == one.rows:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _panel(axes: Any, summary: StudySummary, matrix: Matrix, top: float) -> None:
    axes.set_title(matrix.title, fontweight="bold")
    axes.set_xlim(-0.5, len(matrix.columns) - 0.5)
    axes.set_ylim(len(matrix.rows) - 0.5, -0.5)
    axes.set_aspect(CELL[1] / CELL[0])
    axes.set_xticks(range(len(matrix.columns)), matrix.columns)
    axes.set_yticks(range(len(matrix.rows)), [_broken(row) for row in matrix.rows])
    axes.tick_params(length=0, labelsize=8.5)
    axes.spines[:].set_visible(False)
    for y, row in enumerate(matrix.rows):
        for x, column in enumerate(matrix.columns):
            _square(axes, x, y, matrix.gains.get((row, column)), summary, top)


def _broken(row: str) -> str:
    """Return the name of a row in lines, as narrow as its longest word allows."""
    return row.replace("+", " +\n").replace(", ", ",\n")


def _square(axes: Any, x: int, y: int, gain: Gain | None, summary: StudySummary, top: float) -> None:
    """Draw one cell; one that was not measured says so."""
    from matplotlib.patches import Rectangle

    if gain is None:
        axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor="#ffffff", edgecolor="#cccccc", lw=0.6))
        axes.text(x, y, "not measured", ha="center", va="center", fontsize=6.5, color="#888888")
        return
    value = gain.value
    share = STRONGEST * min(1.0, abs(value) / top)
    ink = UP if value >= 0 else DOWN
    face = tuple(1 - share * (1 - channel) for channel in ink)
    axes.add_patch(
        Rectangle(
            (x - 0.48, y - 0.47), 0.96, 0.94, facecolor=face, edgecolor="#ffffff", linewidth=0.0,
            hatch="////" if value < 0 and signed(value) != signed(0.0) else None,
        )
    )  # fmt: skip
    framed = gain.frozen is not None
    edge, wide = ("#000000", 1.8) if framed else ("#bbbbbb", 0.6)
    axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, fill=False, edgecolor=edge, linewidth=wide))
    stands = gain.stands(summary.alpha) is not None
    drift = summary.drifts.get((gain.task, gain.key))
    text = signed(value).replace("-", "\N{MINUS SIGN}") + "*" * stands + " !" * (drift is not None and not drift.near())
    pale = {"facecolor": face, "edgecolor": "none", "pad": 0.6}
    weight = "bold" if stands else "normal"
    axes.text(x, y - 0.15, text, ha="center", va="center", fontsize=9.5, fontweight=weight, bbox=pale)
    interval = bounds(gain.contrast.difference).replace("-", "\N{MINUS SIGN}")
    axes.text(x, y + 0.22, interval, ha="center", va="center", fontsize=7, color="#222222", bbox=pale)


def counted_in(matrices: Sequence[Matrix]) -> str:
    """Say how many texts and seeds are behind the cells of matrices."""
    gains = [gain for one in matrices for gain in one.gains.values()]
    texts = sorted({gain.contrast.difference.n for gain in gains})
    seeds = sorted({len(gain.seeds) for gain in gains})
    return f"{_span(texts)} texts, {_span(seeds)} seed{'' if seeds == [1] else 's'} a cell."


def _span(values: Sequence[int]) -> str:
    if not values:
        return "0"
    return str(values[0]) if values[0] == values[-1] else f"{values[0]} to {values[-1]}"
