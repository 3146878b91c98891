"""Pictures of a study other than the heat maps: rows of estimates with intervals, and learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from saywhy.report.looks import look_of
from saywhy.report.plots import PicturePlan
from saywhy.report.study.ablations import CurvePoint, curve_of
from saywhy.report.study.summary import StudySummary
from saywhy.stats import Interval

INTERVAL_NOTE = "Lines are 95 % intervals over texts"


@dataclass(frozen=True, slots=True)
class EstimateDot:
    """One estimate in a line of a picture.

    Attributes:
        estimate: Value and interval.
        look: Kind of arm whose colour and marker it gets.
        hollow: Whether the marker is empty: the second of two that are compared.
        ticks: The values of the single seeds.
        label: What the legend calls it.
    """

    estimate: Interval
    look: str = "faithful"
    hollow: bool = False
    ticks: tuple[float, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class EstimateLine:
    """A line of a picture: a name and one or more estimates. A line without estimates is a heading."""

    name: str
    dots: tuple[EstimateDot, ...] = ()


@dataclass(frozen=True, slots=True)
class EstimatePanel:
    """One panel of a picture: lines on a common axis.

    Attributes:
        lines: What is drawn, from the top; the panels of a picture have lines of the same names.
        label: What is measured.
        marks: Values at which vertical lines are drawn: the first solid, others dotted (limits).
        title: What distinguishes the panel from the others.
    """

    lines: Sequence[EstimateLine]
    label: str
    marks: tuple[float, ...] = (0.0,)
    title: str = ""


def draw_panels(*panels: EstimatePanel) -> Any:
    """Draw lines of estimates, panels side by side; the estimates of a line are set a little apart."""
    from matplotlib.figure import Figure

    lines = panels[0].lines
    names = 0.078 * max(len(line.name) for line in lines)
    width = names + (4.9 if len(panels) == 1 else max(2.5, 7.4 / len(panels)) * len(panels))
    figure = Figure(figsize=(width, 0.225 * len(lines) + 1.05), layout="constrained")
    alike = len({panel.label for panel in panels}) == 1
    grid = figure.subplots(1, len(panels), squeeze=False, sharey=True, sharex=alike)
    if alike:
        figure.supxlabel(panels[0].label, fontsize=9)
    for axes, panel in zip(grid.flat, panels, strict=True):
        _draw_estimate_panel(axes, panel)
        axes.set_xlabel("" if alike else panel.label)
    axes = grid.flat[0]
    axes.set_yticks([-at for at in range(len(lines))], [line.name for line in lines])
    for tick, line in zip(axes.get_yticklabels(), lines, strict=True):
        tick.set_fontweight("normal" if line.dots else "bold")
    axes.set_ylim(-len(lines) + 0.4, 0.6)
    _draw_dot_legend(figure, [dot for panel in panels for line in panel.lines for dot in line.dots])
    return figure


def _draw_estimate_panel(axes: Any, panel: EstimatePanel) -> None:
    from matplotlib.ticker import MaxNLocator

    for at, mark in enumerate(panel.marks):
        axes.axvline(mark, color="#333333", linewidth=0.9, linestyle="-" if at == 0 else ":")
    for at, line in enumerate(panel.lines):
        for index, dot in enumerate(line.dots):
            shift = 0.0 if len(line.dots) == 1 else 0.17 - 0.34 * index / (len(line.dots) - 1)
            _draw_estimate_dot(axes, dot, -at + shift)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], min_n_ticks=3))
    axes.set_title(panel.title)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _draw_estimate_dot(axes: Any, dot: EstimateDot, at: float) -> None:
    estimate, (colour, marker) = dot.estimate, look_of(dot.look)
    if estimate.value is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [at, at], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=2)
    if len(dot.ticks) > 1:
        axes.plot(dot.ticks, [at] * len(dot.ticks), "|", color="#222222", markersize=6, markeredgewidth=0.9, zorder=4)
    face = "white" if dot.hollow else colour
    axes.plot([estimate.value], [at], marker, markersize=6.5, color=colour, markerfacecolor=face, zorder=3)


def _draw_dot_legend(figure: Any, dots: Sequence[EstimateDot]) -> None:
    from matplotlib.lines import Line2D

    labelled = {dot.label: dot for dot in reversed(dots) if dot.label}
    handles = []
    for dot in reversed(labelled.values()):
        colour, marker = look_of(dot.look)
        face = "white" if dot.hollow else colour
        handles.append(Line2D([], [], color=colour, marker=marker, markerfacecolor=face, label=dot.label, markersize=6))
    if len(handles) > 1:
        columns = 2 if max(map(len, labelled)) > 18 else 4
        # Above the panels: below them, the layout would put it over the common label.
        figure.legend(handles=handles, loc="outside upper center", ncols=min(columns, len(handles)), frameon=False)


CURVE_MEASURES = {
    "curve": ("score", "score", "Score", "0 is a random word, 1 the best one"),
    "curve-effect-share": (
        "effect_share_start",
        "effect share",
        "Effect share as the start arm grades it",
        "how far the named words move the start arm's answer: 0 as a random word, 1 as the best one",
    ),
}
"""By name of a picture of learning curves: the field of ``CurvePoint``, its axis, what it is, and its scale."""


def curve_pictures(summary: StudySummary) -> list[PicturePlan]:
    """Return the learning curves; none where arms do not differ in the number of training texts."""
    points = curve_of(summary)
    seeds = sorted({seed for point in points for seed in point.seeds})
    plans = []
    for name, (field, axis, title, scale) in CURVE_MEASURES.items():
        if len({point.rows for point in points if getattr(point, field).value is not None}) > 1:
            caption = (
                f"{title} over the number of training texts (logarithmic axis), in practised styles, one-word, "
                f"{summary.readout}; {scale}. {INTERVAL_NOTE}. Seeds: {', '.join(map(str, seeds))}; exploratory. "
                f"n: {max(point.excess.n for point in points)} texts."
            )
            draw = partial(_draw_curves, points, field, axis)
            plans.append(PicturePlan(name, f"Learning curve: {title.lower()}", caption, draw))
    return plans


def _draw_curves(points: Sequence[CurvePoint], field: str, name: str) -> Any:
    """Draw a field of ``points``, called ``name``, over the number of training texts, one panel a task and style."""
    from matplotlib.figure import Figure

    panels, looks = list(dict.fromkeys((point.task, point.style) for point in points)), _looks_of_recipes(points)
    across = min(3, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(3.1 * across + 0.5, 2.3 * down + 0.5), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    for spare in list(grid.flat)[len(panels) :]:
        spare.axis("off")
    for axes, (task, style) in zip(grid.flat, panels, strict=False):
        panel_points = [point for point in points if (point.task, point.style) == (task, style)]
        axes.axhline(0, color="#333333", linewidth=0.9)
        for label in dict.fromkeys(point.label for point in points):
            curve = [point for point in panel_points if point.label == label]
            _draw_learning_curve(axes, curve, field, looks)
        axes.set_title(f"{style}, {task}")
        axes.set_xscale("log", base=2)
        rows = sorted({point.rows for point in panel_points})
        axes.set_xticks(rows, [str(row) for row in rows])
        axes.minorticks_off()
        axes.margins(x=0.12)
        axes.set_xlabel("training texts")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    grid.flat[0].set_ylabel(name)
    handles, labels = _curve_legend_handles(grid.flat)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _looks_of_recipes(points: Sequence[CurvePoint]) -> dict[tuple[str, str], tuple[Any, str]]:
    """Return line and marker of each recipe and practice; the plan's recipe alone looks as its kind of arm does."""
    recipes = list(dict.fromkeys((at.recipe, at.practice) for at in points if at.recipe or at.practice))
    lines, markers = (":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3))), ("D", "v", "P", "X")
    return {recipe: (lines[at % len(lines)], markers[at % len(markers)]) for at, recipe in enumerate(recipes)}


def _draw_learning_curve(
    axes: Any, points: Sequence[CurvePoint], field: str, looks: Mapping[tuple[str, str], tuple[Any, str]]
) -> None:
    estimates = [(point, getattr(point, field)) for point in points if getattr(point, field).value is not None]
    if not estimates:
        return
    first = points[0]
    colour, marker = look_of(first.kind)
    for point, estimate in estimates:
        if estimate.low is not None and estimate.high is not None:
            axes.plot([point.rows] * 2, [estimate.low, estimate.high], color=colour, linewidth=1.4)
    line, marker = looks.get((first.recipe, first.practice), ("-" if first.kind == "faithful" else "--", marker))
    rows, values = [point.rows for point, _ in estimates], [estimate.value for _, estimate in estimates]
    face = "white" if first.recipe else colour
    axes.plot(
        rows, values, linestyle=line, marker=marker, color=colour, markerfacecolor=face, label=first.label, markersize=6
    )


def _curve_legend_handles(grid: Any) -> tuple[list[Any], list[str]]:
    handles: dict[str, Any] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    return list(handles.values()), list(handles)
