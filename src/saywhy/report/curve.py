"""The picture of the k-curve: hits of the named, the best and random words over the number of words taken out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saywhy.checks import Curve
from saywhy.report.arms import marked_arm
from saywhy.report.summary import Summary

SEVERAL_WORDS_CAPTION = (
    "Share of texts whose answer changes when so many words are taken out together: the best ones (greedy), those with "
    "the highest scores of the constrained attribution readout, random ones."
)

K_CURVE_LINES = (("best", "best (greedy)", "-", "^", "#222222"), ("named", "named", "--", "o", "#0072B2"),
         ("random", "random", ":", "s", "#888888"))  # fmt: skip
"""Field of ``Curve``, label, line style, marker, colour; without colour, style and marker tell them apart."""


def draw_k_curve(summary: Summary) -> Any:
    """Draw the share of hits over the number of words taken out, one panel an arm."""
    from matplotlib.figure import Figure

    arms = [arm for arm in summary.run.arms if any(curve.arm == arm for curve in summary.run.curves)]
    column_count = min(3, len(arms))
    row_count = -(-len(arms) // column_count)
    figure = Figure(figsize=(3.2 * column_count + 0.8, 2.5 * row_count), layout="constrained")
    panels = figure.subplots(row_count, column_count, squeeze=False, sharey=True)
    for unused in list(panels.flat)[len(arms) :]:
        unused.axis("off")
    for axes, arm in zip(panels.flat, arms, strict=False):
        curves = [curve for curve in summary.run.curves if curve.arm == arm]
        sizes = curves[0].sizes
        for field, label, line, marker, colour in K_CURVE_LINES:
            axes.plot(
                sizes, _k_curve_hit_shares(curves, field), line, marker=marker, color=colour, label=label, markersize=5
            )
        axes.set_title(marked_arm(summary.run, arm, curves[0].operator))
        axes.set_xticks(sizes)
        axes.set_xlabel("words taken out")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, handlelength=3.2)
    return figure


def _k_curve_hit_shares(curves: Sequence[Curve], field: str) -> list[float]:
    return [sum(getattr(curve, field)[at] for curve in curves) / len(curves) for at in range(len(curves[0].sizes))]
