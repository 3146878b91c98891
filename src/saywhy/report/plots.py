"""The pictures of a report, as SVG within the page: legible in grey, safe for the colour-blind.

Every row of a picture carries its arm's name and a marker of its own, so that colour only helps.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from saywhy.records import STYLES
from saywhy.report.arms import marked
from saywhy.report.cells import Key
from saywhy.report.curve import draw_curve
from saywhy.report.format import SAME_NOTE, counted
from saywhy.report.looks import MORE, PIECES, RC, look_of
from saywhy.report.marks import shipped
from saywhy.report.sheets import block_title
from saywhy.report.summary import Cell, Summary
from saywhy.stats import Interval

NAMES = (' xmlns:xlink="http://www.w3.org/1999/xlink"', ' xmlns="http://www.w3.org/2000/svg"')
"""What an SVG file must say and an SVG within a page need not."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: its file name, title, caption, SVG, and whether it belongs in front."""

    name: str
    title: str
    caption: str
    svg: str
    primary: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """A picture to be drawn: what ``Picture`` says, and who draws it."""

    name: str
    title: str
    caption: str
    draw: Callable[[], Any]
    primary: bool = True


def figures(summary: Summary) -> list[Picture]:
    """Draw every picture for which the run has data."""
    return [
        Picture(plan.name, plan.title, plan.caption, svg(plan.name, plan.draw), plan.primary)
        for plan in _plans(summary)
    ]


def write_png(summary: Summary, folder: Path) -> list[Path]:
    """Write every picture as ``figure-NAME.png`` (200 dots an inch)."""
    return [picture_file(plan, folder / f"figure-{plan.name}.png") for plan in _plans(summary)]


def picture_file(plan: Plan, path: Path) -> Path:
    """Write a picture as a PNG file (200 dots an inch), the same bytes every time."""
    import matplotlib as mpl

    with mpl.rc_context({**RC, "svg.hashsalt": plan.name}):
        plan.draw().savefig(path, dpi=200, metadata={"Software": None})
    return path


EXCESS = (
    "Excess: how much more often an explanation changes the answer than a random word of the same text would. Lines "
    "are 95 % intervals over texts; 0 is a random word."
)
RANGE = (
    "From the floor (a random word, open circle) to the ceiling (the best word, bar); the filled marker is the "
    "explanation (hit{sign}). The nearer to the bar, the better."
)
REPLIES = "What became of generated replies: faithful, valid but not faithful, and why the rest is invalid."
KEPT = "Calibrated accuracy on texts of the split, and how often the label is that of the start arm."
WORDS = (
    "Share of texts whose answer changes when so many words are taken out together: the best ones (greedy), those with "
    "the highest scores of the constrained attribution readout, random ones."
)


def alone(drawn: str) -> str:
    """Return a picture of ``svg`` as the content of a file: within a page its names need no space of their own."""
    return drawn.replace("<svg", "<svg" + "".join(NAMES), 1) + "\n"


def _plans(summary: Summary) -> list[Plan]:
    operators = list(dict.fromkeys(cell.key.operator for cell in summary.cells))
    plans = []
    for op in operators:
        first = op == operators[0]
        cells = [cell for cell in summary.cells if cell.key.operator == op]
        excess, hits = _noted(EXCESS, cells), _noted(RANGE.format(sign=shipped().sign("hit")), cells)
        plans.append(Plan(f"excess-{op}", f"Excess ({op})", excess, partial(draw_excess, summary, cells), first))
        title = f"Floor, hit, ceiling ({op})"
        plans.append(Plan(f"range-{op}", title, hits, partial(draw_range, summary, cells), first))
    generated = [c for c in summary.cells if c.key.readout == "generated" and c.key.operator == operators[0]]
    if generated:
        draw = partial(draw_validity, summary, generated)
        plans.append(Plan("validity", "Generated replies", _noted(REPLIES, generated), draw))
    if any(kept.accuracy.value is not None or kept.agreement.value is not None for kept in summary.retention):
        decided = max(max(kept.accuracy.n, kept.agreement.n) for kept in summary.retention)
        kept = f"{KEPT} n: {counted(decided, 'text')}."
        plans.append(Plan("retention", "Retention", kept, partial(draw_retention, summary)))
    if summary.run.curves:
        same = [cell for cell in summary.cells if cell.key.operator == summary.run.curves[0].operator]
        plans.append(Plan("words", "Several words", _noted(WORDS, same), partial(draw_curve, summary)))
    return plans


def _noted(caption: str, cells: Sequence[Cell]) -> str:
    """Add to a caption n, and what the mark behind an arm's name means if one of them has it."""
    texts, seeds = max(cell.excess.n for cell in cells), max(cell.seeds for cell in cells)
    n = f"n: {counted(texts, 'text')}, {counted(seeds, 'seed')}."
    return f"{caption} {n}" + f" {SAME_NOTE}" * any(cell.instrument for cell in cells)


def svg(name: str, draw: Callable[[], Any]) -> str:
    """Return a picture as an ``<svg>`` element: no date, no metadata, no foreign names."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({**RC, "svg.hashsalt": name}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        draw().savefig(out, format="svg", metadata=nothing)
    text = out.getvalue()
    # Where a page scales a picture down, it stays at the left.
    text = text[text.index("<svg") :].replace("<svg", '<svg preserveAspectRatio="xMinYMin"', 1)
    for foreign in NAMES:
        text = text.replace(foreign, "")
    return text.strip()


def _figure(width: float, height: float, columns: int, rows: int = 1, **options: Any) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _rungs(cells: Sequence[Cell], arms: Sequence[str]) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Place every (style, arm) of the cells on a ladder from the top; a gap and a heading for each style."""
    places: dict[tuple[str, str], float] = {}
    heads: dict[str, float] = {}
    at = 0.0
    present = {(cell.key.style, cell.key.arm) for cell in cells}
    for style in STYLES:
        mine = [arm for arm in arms if (style, arm) in present]
        if mine:
            heads[style] = at
            at -= 1
        for arm in mine:
            places[style, arm] = at
            at -= 1
        at -= 0.4
    return places, heads


def _ladder(axes: Any, places: dict[tuple[str, str], float], heads: dict[str, float], names: Sequence[str]) -> None:
    """Label a ladder: styles in bold, below them the arms by ``names``."""
    axes.set_yticks([*heads.values(), *places.values()], [*heads, *names])
    for label in axes.get_yticklabels()[: len(heads)]:
        label.set_fontweight("bold")
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(min(places.values()) - 0.7, 0.7)
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _panels(summary: Summary, cells: Sequence[Cell]) -> tuple[Any, list[tuple[Any, list[Cell]]], Any]:
    """Return a figure with one panel a (setting, readout), at most two side by side, all with one ladder."""
    blocks: dict[Any, list[Cell]] = {}
    for cell in cells:
        blocks.setdefault(cell.key.block, []).append(cell)
    places, heads = _rungs(cells, summary.run.arms)
    names = [marked(summary.run, arm, cells[0].key.operator) for _, arm in places]
    columns = min(2, len(blocks))
    rows = -(-len(blocks) // columns)
    height = (0.2 * (len(places) + 1.4 * len(heads)) + 0.9) * rows
    figure, grid = _figure(4.6 * columns + 0.6, height, columns, rows, sharex=True, sharey=True)
    used = list(zip(grid.flat, blocks.values(), strict=False))
    for spare in list(grid.flat)[len(used) :]:
        spare.axis("off")
    for axes, block in used:
        _ladder(axes, places, heads, names)
        axes.tick_params(labelbottom=True)
        axes.set_title(_short(block[0].key))
    return figure, used, places


def _short(key: Key) -> str:
    return block_title(key).split(", operator")[0]


def _bar(axes: Any, found: Interval, at: float, look: tuple[str, str]) -> None:
    """Draw an estimate with its interval."""
    if found.value is None:
        return
    if found.low is not None and found.high is not None:
        axes.plot([found.low, found.high], [at, at], color=look[0], linewidth=1.6, solid_capstyle="butt")
    axes.plot([found.value], [at], look[1], color=look[0], markersize=7, markeredgecolor="white")


def draw_excess(summary: Summary, cells: Sequence[Cell]) -> Any:
    """Draw the excess of each arm x style with its interval, one panel a readout."""
    figure, panels, places = _panels(summary, cells)
    for axes, block in panels:
        axes.axvline(0, color="#333333", linewidth=0.9)
        for cell in block:
            _bar(axes, cell.excess, places[cell.key.style, cell.key.arm], look_of(cell.key.arm))
    return figure


def draw_range(summary: Summary, cells: Sequence[Cell]) -> Any:
    """Draw floor, hit and ceiling of each arm x style as dumbbells, one panel a readout."""
    figure, panels, places = _panels(summary, cells)
    for axes, block in panels:
        axes.set_xlim(-0.02, min(1.02, 1.1 * max(cell.ceiling.value or 0.1 for cell in cells)))
        for cell in block:
            at, (colour, marker) = places[cell.key.style, cell.key.arm], look_of(cell.key.arm)
            low, hit, high = cell.floor.value, cell.hit.value, cell.ceiling.value
            if low is None or hit is None or high is None:
                continue
            axes.plot([low, high], [at, at], color="#aaaaaa", linewidth=1.4, zorder=1)
            axes.plot([low], [at], "o", markersize=5, markerfacecolor="white", markeredgecolor="#555555")
            axes.plot([high], [at], "|", markersize=9, color="#222222", markeredgewidth=1.6)
            axes.plot([hit], [at], marker, markersize=7, color=colour, markeredgecolor="white", zorder=3)
    return figure


def draw_validity(summary: Summary, cells: Sequence[Cell]) -> Any:
    """Draw what became of the generated replies as stacked bars; rarer reasons are summed as ``other``."""
    total: Counter[str] = sum((Counter(cell.reasons) for cell in cells), Counter())
    common = sorted(total, key=lambda reason: (-total[reason], reason))
    room = len(PIECES) + len(MORE) - 3
    reasons = common if len(common) <= room + 1 else [*common[:room], "other reasons"]
    figure, panels, places = _panels(summary, cells)
    for axes, block in panels:
        axes.set_xlim(0, 1)
        axes.grid(visible=False)
        for cell in block:
            hit, valid = cell.hit.value or 0.0, cell.validity.value or 0.0
            shares = [hit, valid - hit] + [cell.reasons.get(reason, 0) / cell.rows for reason in reasons]
            if reasons and reasons[-1] == "other reasons":
                shares[-1] = max(0.0, 1 - sum(shares[:-1]))
            left = 0.0
            for share, (fill, hatch) in zip(shares, (*PIECES, *MORE), strict=False):
                at = places[cell.key.style, cell.key.arm]
                axes.barh(at, share, 0.74, left, color=fill, hatch=hatch, edgecolor="#555555", linewidth=0.5)
                left += share
    _legend(figure, ["faithful", "valid, not faithful", *reasons])
    return figure


def _legend(figure: Any, names: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=fill, hatch=hatch, edgecolor="#555555", linewidth=0.5, label=name)
        for name, (fill, hatch) in zip(names, (*PIECES, *MORE), strict=False)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, handlelength=2.4)


def draw_retention(summary: Summary) -> Any:
    """Draw accuracy and agreement of each arm with intervals; a dotted line is two seeds of the start arm."""
    kept = summary.retention
    agree = any(one.agreement.value is not None for one in kept)
    figure, grid = _figure(9.8 if agree else 5.2, 0.26 * len(kept) + 0.9, 1 + agree, sharey=True)
    titles = ("accuracy, calibrated", f"agreement with {summary.start}")
    for axes, title, name in zip(grid.flat, titles, ("accuracy", "agreement"), strict=False):
        axes.set_title(title)
        axes.set_xlim(0, 1)
        axes.grid(axis="x")
        axes.set_yticks([-at for at in range(len(kept))], [one.arm for one in kept])
        axes.set_ylim(-len(kept) + 0.4, 0.6)
        axes.tick_params(axis="y", length=0)
        for at, one in enumerate(kept):
            _bar(axes, getattr(one, name), -at, look_of(one.arm))
    if agree and summary.yardstick is not None and summary.yardstick.value is not None:
        grid.flat[1].axvline(summary.yardstick.value, color="#333333", linestyle=":", linewidth=1)
    return figure
