"""The picture of practice: the loss of its batches, and of held-out texts where that was measured."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from saywhy.report.load import Loss
from saywhy.report.looks import look_of

LOSSES_CAPTION = (
    "Loss over the share of the training steps, the mean of the batches since the point before; where each text is "
    "practised once, no batch has been seen before, so that this is the loss of fresh texts. Open markers, dashed: "
    "held-out texts, by which the best checkpoint was chosen. What a loss is differs between objectives, and between "
    "adapted and the other arms."
)

TITLE_WIDTH = 44
"""Letters of a panel's title that fit above it; longer ones are folded."""

LossPanels = Mapping[str, Sequence[tuple[str, Sequence[Loss]]]]
"""Title of a panel -> the arms in it, by name or kind, with their losses; an arm may stand there for several seeds."""


def draw_losses(panels: LossPanels) -> Any:
    """Draw the losses of arms, a line each."""
    from matplotlib.figure import Figure

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(3.6 * columns + 0.8, 2.7 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)  # losses of different practice are no measure of each other
    for unused in list(grid.flat)[len(panels) :]:
        unused.axis("off")
    lines: dict[str, Any] = {}
    for axes, (title, arms) in zip(grid.flat, panels.items(), strict=False):
        for arm, points in arms:
            lines |= _draw_arm(axes, arm, points)
        axes.set_title(textwrap.fill(title, TITLE_WIDTH))
        axes.set_xlabel("share of the steps")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(bottom=min(0.0, *(point.loss for _, points in arms for point in points)))
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    for left_axes in grid[:, 0]:
        left_axes.set_ylabel("loss (nats a row)")
    labels, handles = list(lines), list(lines.values())
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, min(4, len(labels))), frameon=False)
    return figure


def _draw_arm(axes: Any, arm: str, points: Sequence[Loss]) -> dict[str, Any]:
    """Draw the lines of an arm; return them by their labels."""
    colour, marker = look_of(arm)
    last, lines = max(point.step for point in points), {}
    for heldout, line, face in ((False, "-", colour), (True, "--", "white")):
        drawn = [(point.step / last, point.loss) for point in points if point.heldout == heldout]
        if drawn:
            label = f"{arm}, held out" if heldout else arm
            (lines[label],) = axes.plot(*zip(*drawn, strict=True), line, marker=marker, color=colour,
                                        markerfacecolor=face, markersize=4, label=label)  # fmt: skip
    return lines
