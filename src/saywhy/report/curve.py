"""The picture of several words: hits of the named, the best and random words over their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saywhy.checks import Curve
from saywhy.report.arms import marked
from saywhy.report.summary import Summary

LINES = (("best", "best (greedy)", "-", "^", "#222222"), ("named", "named", "--", "o", "#0072B2"),
         ("random", "random", ":", "s", "#888888"))  # fmt: skip
"""Field of ``Curve``, label, line, marker, colour: told apart without colour."""


def draw_curve(summary: Summary) -> Any:
    """Draw the share of hits over the number of words taken out, one panel an arm."""
    from matplotlib.figure import Figure

    arms = [arm for arm in summary.run.arms if any(one.arm == arm for one in summary.run.curves)]
    columns = min(3, len(arms))
    rows = -(-len(arms) // columns)
    figure = Figure(figsize=(3.2 * columns + 0.8, 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for spare in list(grid.flat)[len(arms) :]:
        spare.axis("off")
    for axes, arm in zip(grid.flat, arms, strict=False):
        mine = [one for one in summary.run.curves if one.arm == arm]
        sizes = mine[0].sizes
        for field, label, line, marker, colour in LINES:
            axes.plot(sizes, _shares(mine, field), line, marker=marker, color=colour, label=label, markersize=5)
        axes.set_title(marked(summary.run, arm, mine[0].operator))
        axes.set_xticks(sizes)
        axes.set_xlabel("words taken out")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, handlelength=3.2)
    return figure


def _shares(curves: Sequence[Curve], field: str) -> list[float]:
    return [sum(getattr(one, field)[at] for one in curves) / len(curves) for at in range(len(curves[0].sizes))]
