"""The picture of practice: the loss of its batches, and of held-out texts where that was measured."""

from __future__ import annotations

from typing import Any

from saywhy.report.looks import look_of
from saywhy.report.summary import Summary

LOSSES_CAPTION = (
    "Loss over the share of the training steps, the mean of the batches since the point before; where each text is "
    "practised once, no batch has been seen before, so that this is the loss of fresh texts. Open markers, dashed: "
    "held-out texts, by which the best checkpoint was chosen. What a loss is differs between objectives, and between "
    "adapted and the other arms."
)


def draw_losses(summary: Summary) -> Any:
    """Draw the losses of each arm, one panel a seed."""
    from matplotlib.figure import Figure

    losses = summary.run.losses
    seeds = sorted({seed for seed, _ in losses})
    figure = Figure(figsize=(4.2 * len(seeds) + 0.4, 3.0), layout="constrained")
    panels = figure.subplots(1, len(seeds), squeeze=False, sharey=True)
    for axes, seed in zip(panels.flat, seeds, strict=True):
        for (of_seed, arm), points in losses.items():
            if of_seed == seed:
                _draw_arm(axes, arm, points)
        axes.set_title(f"seed {seed}")
        axes.set_xlabel("share of the steps")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(bottom=min(0.0, *(point.loss for points in losses.values() for point in points)))
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    panels.flat[0].set_ylabel("loss (nats a row)")
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, min(4, len(labels))), frameon=False)
    return figure


def _draw_arm(axes: Any, arm: str, points: Any) -> None:
    colour, marker = look_of(arm)
    last = max(point.step for point in points)
    for heldout, line, face in ((False, "-", colour), (True, "--", "white")):
        drawn = [(point.step / last, point.loss) for point in points if point.heldout == heldout]
        if drawn:
            label = f"{arm}, held out" if heldout else arm
            axes.plot(*zip(*drawn, strict=True), line, marker=marker, color=colour, markerfacecolor=face, markersize=4,
                      label=label)  # fmt: skip
