"""The pictures of a report, as SVG within the page: legible in grey, safe for the colour-blind.

Every row of a picture carries its arm's name and a marker of its own, so that colour only helps.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from saywhy.records import ALL_STYLES
from saywhy.report.abstention import RISK_CAPTION, draw_coverage_risk
from saywhy.report.arms import marked_arm
from saywhy.report.cells import CellKey, several_words_legend
from saywhy.report.curve import SEVERAL_WORDS_CAPTION, draw_k_curve
from saywhy.report.format import SAME_INSTRUMENT_NOTE, counted
from saywhy.report.looks import BAR_PIECES, FURTHER_BAR_PIECES, RC_PARAMS, look_of
from saywhy.report.losses import LOSSES_CAPTION, draw_losses
from saywhy.report.marks import shipped_fooled_metrics
from saywhy.report.sheets import block_title
from saywhy.report.summary import Cell, Summary
from saywhy.stats import Interval

SVG_NAMESPACES = (' xmlns:xlink="http://www.w3.org/1999/xlink"', ' xmlns="http://www.w3.org/2000/svg"')
"""Namespaces that an SVG file must declare and an ``<svg>`` element within a page need not."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: its file name, title, caption, SVG, and whether it belongs in front."""

    name: str
    title: str
    caption: str
    svg: str
    primary: bool = True


@dataclass(frozen=True, slots=True)
class PicturePlan:
    """A picture to be drawn: the fields of ``Picture``, but for the SVG the function that draws it."""

    name: str
    title: str
    caption: str
    draw: Callable[[], Any]
    primary: bool = True


def figures(summary: Summary) -> list[Picture]:
    """Draw every picture of a run."""
    return [
        Picture(plan.name, plan.title, plan.caption, svg(plan.name, plan.draw), plan.primary)
        for plan in run_picture_plans(summary)
    ]


EXCESS_CAPTION = (
    "Excess: how much more often an explanation changes the answer than a random word of the same text would. Lines "
    "are 95 % intervals over texts; 0 is a random word."
)
RANGE_CAPTION = (
    "From the floor (a random word, open circle) to the ceiling (the best word, bar); the filled marker is the "
    "explanation (hit{sign}). The nearer to the bar, the better."
)
REPLIES_CAPTION = "What became of generated replies: faithful, valid but not faithful, and why the rest is invalid."
RETENTION_CAPTION = "Calibrated accuracy on texts of the split, and how often the label is that of the start arm."


def run_picture_plans(summary: Summary) -> list[PicturePlan]:
    """Return every picture for which the run has data."""
    operators = list(dict.fromkeys(cell.key.operator for cell in summary.cells))
    plans = []
    for operator in operators:
        first = operator == operators[0]
        cells = [cell for cell in summary.cells if cell.key.operator == operator]
        several_words = several_words_legend(cell.key for cell in cells)
        title, caption = f"Excess ({operator})", _caption_with_n(f"{EXCESS_CAPTION}{several_words}", cells)
        plans.append(PicturePlan(f"excess-{operator}", title, caption, partial(draw_excess, summary, cells), first))
        title, caption = (
            f"Floor, hit, ceiling ({operator})",
            _caption_with_n(RANGE_CAPTION.format(sign=shipped_fooled_metrics().sign("hit")) + several_words, cells),
        )
        plans.append(PicturePlan(f"range-{operator}", title, caption, partial(draw_range, summary, cells), first))
    generated = [cell for cell in summary.cells if (cell.key.readout, cell.key.operator) == ("generated", operators[0])]
    if generated:
        draw = partial(draw_validity, summary, generated)
        plans.append(PicturePlan("validity", "Generated replies", _caption_with_n(REPLIES_CAPTION, generated), draw))
    shares = [share for retention in summary.retention for share in (retention.accuracy, retention.agreement)]
    if any(share.value is not None for share in shares):
        caption = f"{RETENTION_CAPTION} n: {counted(max(share.n for share in shares), 'text')}."
        plans.append(PicturePlan("retention", "Retention", caption, partial(draw_retention, summary)))
    if any(cell.quality for cell in summary.confidence):
        n = counted(max(cell.held.n for cell in summary.confidence if cell.quality), "text")
        draw = partial(draw_coverage_risk, summary)
        plans.append(PicturePlan("confidence", "Confidence and abstention", f"{RISK_CAPTION} n: {n}.", draw))
    if losses := summary.run.losses:
        panels = {f"seed {at}": [(arm, losses[at, arm]) for seed, arm in losses if seed == at] for at, _ in losses}
        plans.append(PicturePlan("losses", "Loss of practice", LOSSES_CAPTION, partial(draw_losses, panels)))
    if summary.run.curves:
        cells = [cell for cell in summary.cells if cell.key.operator == summary.run.curves[0].operator]
        caption = _caption_with_n(SEVERAL_WORDS_CAPTION, cells)
        plans.append(PicturePlan("words", "Several words", caption, partial(draw_k_curve, summary)))
    return plans


def _caption_with_n(caption: str, cells: Sequence[Cell]) -> str:
    """Add to a caption n, and if an arm has a † behind its name what this means."""
    texts, seeds = max(cell.excess.n for cell in cells), max(cell.seeds for cell in cells)
    n = f"n: {counted(texts, 'text')}, {counted(seeds, 'seed')}."
    return f"{caption} {n}" + f" {SAME_INSTRUMENT_NOTE}" * any(cell.instrument for cell in cells)


def svg(name: str, draw: Callable[[], Any]) -> str:
    """Return a picture as an ``<svg>`` element: no date, no metadata, no namespaces."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({**RC_PARAMS, "svg.hashsalt": name}):
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        draw().savefig(out, format="svg", metadata=no_metadata)
    text = out.getvalue()
    # Where a page scales a picture down, it stays at the left.
    text = text[text.index("<svg") :].replace("<svg", '<svg preserveAspectRatio="xMinYMin"', 1)
    for namespace in SVG_NAMESPACES:
        text = text.replace(namespace, "")
    return text.strip()


def _empty_figure(width: float, height: float, columns: int, rows: int = 1, **options: Any) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _row_positions(cells: Sequence[Cell], arms: Sequence[str]) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Return the y position of every (style, arm) of the cells, from the top, and that of each style's heading."""
    positions: dict[tuple[str, str], float] = {}
    headings: dict[str, float] = {}
    y = 0.0
    present = {(cell.key.style, cell.key.arm) for cell in cells}
    for style in ALL_STYLES:
        style_arms = [arm for arm in arms if (style, arm) in present]
        if style_arms:
            headings[style] = y
            y -= 1
        for arm in style_arms:
            positions[style, arm] = y
            y -= 1
        y -= 0.4
    return positions, headings


def _label_rows(
    axes: Any, positions: dict[tuple[str, str], float], headings: dict[str, float], names: Sequence[str]
) -> None:
    """Label the rows of a panel: styles in bold, below them the arms by ``names``."""
    axes.set_yticks([*headings.values(), *positions.values()], [*headings, *names])
    for label in axes.get_yticklabels()[: len(headings)]:
        label.set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(min(positions.values()) - 0.7, 0.7)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _block_panels(summary: Summary, cells: Sequence[Cell]) -> tuple[Any, list[tuple[Any, list[Cell]]], Any]:
    """Return a figure with one panel a (setting, readout), at most two side by side, all with the same rows."""
    blocks: dict[Any, list[Cell]] = {}
    for cell in cells:
        blocks.setdefault(cell.key.block, []).append(cell)
    positions, headings = _row_positions(cells, summary.run.arms)
    names = [marked_arm(summary.run, arm, cells[0].key.operator) for _, arm in positions]
    columns = min(2, len(blocks))
    rows = -(-len(blocks) // columns)
    height = (0.2 * (len(positions) + 1.4 * len(headings)) + 0.9) * rows
    figure, grid = _empty_figure(4.6 * columns + 0.6, height, columns, rows, sharex=True, sharey=True)
    panels = list(zip(grid.flat, blocks.values(), strict=False))
    for unused in list(grid.flat)[len(panels) :]:
        unused.axis("off")
    for axes, block in panels:
        _label_rows(axes, positions, headings, names)
        axes.tick_params(labelbottom=True)
        axes.set_title(_panel_title(block[0].key))
    return figure, panels, positions


def _panel_title(key: CellKey) -> str:
    return block_title(key).split(", operator")[0]


def _draw_estimate(axes: Any, interval: Interval, y: float, look: tuple[str, str]) -> None:
    """Draw an estimate with its interval."""
    if interval.value is None:
        return
    if interval.low is not None and interval.high is not None:
        axes.plot([interval.low, interval.high], [y, y], color=look[0], linewidth=1.6, solid_capstyle="butt")
    axes.plot([interval.value], [y], look[1], color=look[0], markersize=7, markeredgecolor="white")


def draw_excess(summary: Summary, cells: Sequence[Cell]) -> Any:
    """Draw the excess of each arm x style with its interval, one panel a readout."""
    figure, panels, positions = _block_panels(summary, cells)
    for axes, block in panels:
        axes.axvline(0, color="#333333", linewidth=0.9)
        for cell in block:
            _draw_estimate(axes, cell.excess, positions[cell.key.style, cell.key.arm], look_of(cell.key.arm))
    return figure


def draw_range(summary: Summary, cells: Sequence[Cell]) -> Any:
    """Draw floor, hit and ceiling of each arm x style as dumbbells, one panel a readout."""
    figure, panels, positions = _block_panels(summary, cells)
    for axes, block in panels:
        axes.set_xlim(-0.02, min(1.02, 1.1 * max(cell.ceiling.value or 0.1 for cell in cells)))
        for cell in block:
            y, (colour, marker) = positions[cell.key.style, cell.key.arm], look_of(cell.key.arm)
            low, hit, high = cell.floor.value, cell.hit.value, cell.ceiling.value
            if low is None or hit is None or high is None:
                continue
            axes.plot([low, high], [y, y], color="#aaaaaa", linewidth=1.4, zorder=1)
            axes.plot([low], [y], "o", markersize=5, markerfacecolor="white", markeredgecolor="#555555")
            axes.plot([high], [y], "|", markersize=9, color="#222222", markeredgewidth=1.6)
            axes.plot([hit], [y], marker, markersize=7, color=colour, markeredgecolor="white", zorder=3)
    return figure


def draw_validity(summary: Summary, cells: Sequence[Cell]) -> Any:
    """Draw what became of the generated replies as stacked bars; rarer reasons are summed as ``other``."""
    total: Counter[str] = sum((Counter(cell.reasons) for cell in cells), Counter())
    common = sorted(total, key=lambda reason: (-total[reason], reason))
    room = len(BAR_PIECES) + len(FURTHER_BAR_PIECES) - 3
    reasons = common if len(common) <= room + 1 else [*common[:room], "other reasons"]
    figure, panels, positions = _block_panels(summary, cells)
    for axes, block in panels:
        axes.set_xlim(0, 1)
        axes.grid(visible=False)
        for cell in block:
            hit, valid = cell.hit.value or 0.0, cell.validity.value or 0.0
            shares = [hit, valid - hit] + [cell.reasons.get(reason, 0) / cell.rows for reason in reasons]
            if reasons and reasons[-1] == "other reasons":
                shares[-1] = max(0.0, 1 - sum(shares[:-1]))
            left = 0.0
            for share, (fill, hatch) in zip(shares, (*BAR_PIECES, *FURTHER_BAR_PIECES), strict=False):
                y = positions[cell.key.style, cell.key.arm]
                axes.barh(y, share, 0.74, left, color=fill, hatch=hatch, edgecolor="#555555", linewidth=0.5)
                left += share
    _reply_legend(figure, ["faithful", "valid, not faithful", *reasons])
    return figure


def _reply_legend(figure: Any, names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=fill, hatch=hatch, edgecolor="#555555", linewidth=0.5, label=name)
        for name, (fill, hatch) in zip(names, (*BAR_PIECES, *FURTHER_BAR_PIECES), strict=False)
    ]
    columns = int(figure.get_figwidth() // 3.2)  # inches that the longest reason takes
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(handles) // columns))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.4)


def draw_retention(summary: Summary) -> Any:
    """Draw accuracy and agreement of each arm with intervals; a dotted line is two seeds of the start arm."""
    retentions = summary.retention
    has_agreement = any(retention.agreement.value is not None for retention in retentions)
    width, height = 9.8 if has_agreement else 5.2, 0.26 * len(retentions) + 0.9
    figure, grid = _empty_figure(width, height, 1 + has_agreement, sharey=True)
    titles = ("accuracy, calibrated", f"agreement with {summary.start}")
    for axes, title, name in zip(grid.flat, titles, ("accuracy", "agreement"), strict=False):
        axes.set_title(title)
        axes.set_xlim(0, 1)
        axes.grid(axis="x")
        axes.set_yticks([-at for at in range(len(retentions))], [retention.arm for retention in retentions])
        axes.set_ylim(-len(retentions) + 0.4, 0.6)
        axes.tick_params(axis="y", length=0)
        for at, retention in enumerate(retentions):
            _draw_estimate(axes, getattr(retention, name), -at, look_of(retention.arm))
    if has_agreement and summary.yardstick is not None and summary.yardstick.value is not None:
        grid.flat[1].axvline(summary.yardstick.value, color="#333333", linestyle=":", linewidth=1)
    return figure
