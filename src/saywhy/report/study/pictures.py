"""Which pictures a study's report has, with captions that say n, seeds and interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from saywhy.folders.store import write
from saywhy.records import STYLES
from saywhy.report.format import counted
from saywhy.report.plots import Picture, Plan, alone, draw_validity, picture_file, svg
from saywhy.report.study.ablations import Ablation, ablations_of, curve_of, told
from saywhy.report.study.draw import Dot, Line, Panel, draw_curves, draw_panels
from saywhy.report.study.frozen import losses
from saywhy.report.study.gains import Gain
from saywhy.report.study.groups import groups_of
from saywhy.report.study.heat import LEGEND, counted_in, draw_matrices
from saywhy.report.study.matrices import Matrix, style_matrices, task_matrices
from saywhy.report.study.sheets import beside
from saywhy.report.study.summary import StudySummary, main_arms
from saywhy.stats import Interval

ABOVE = "difference of mean excess to the matched control"
BARS = "Lines are 95 % intervals over texts"


def plans_of(summary: StudySummary) -> list[Plan]:
    """Return every picture for which the study has data."""
    return [
        *_confirmatory(summary),
        *_matrices(summary),
        *_free(summary),
        *_graded(summary),
        *_curve(summary),
        *_ablations(summary),
        *_retention(summary),
        *_groups(summary),
        *_replies(summary),
    ]


def write_pictures(plans: Sequence[Plan], folder: Path, *, png: bool) -> list[Picture]:
    """Draw every picture and write it as ``NAME.svg``, with ``png``, or where it is there, also as ``NAME.png``."""
    drawn = [Picture(plan.name, plan.title, plan.caption, svg(plan.name, plan.draw)) for plan in plans]
    for picture in drawn:
        write(folder / f"{picture.name}.svg", alone(picture.svg))
    for plan in plans:
        if png or (folder / f"{plan.name}.png").is_file():
            picture_file(plan, folder / f"{plan.name}.png")
    return drawn


def counts(gains: Sequence[Gain]) -> str:
    """Say how many texts and seeds are behind comparisons."""
    return counted_in([Matrix("", (), (), {(str(at), ""): gain for at, gain in enumerate(gains)})])


def _by_task(gains: Sequence[Gain], name: str = "") -> list[Line]:
    """Return a line a comparison, with a heading a task; ticks are the single seeds."""
    lines: list[Line] = []
    for task in dict.fromkeys(gain.task for gain in gains):
        lines.append(Line(task))
        for gain in gains:
            if gain.task == task:
                found = gain.contrast.difference
                lines.append(Line(gain.key.style, (Dot(found, ticks=tuple(found.seeds.values()), label=name),)))
    return lines


def _confirmatory(summary: StudySummary) -> list[Plan]:
    gains = summary.confirmatory
    if not gains:
        return []
    several = any(len(gain.contrast.difference.seeds) > 1 for gain in gains)
    ticks = "ticks are the single seeds; " if several else ""
    caption = f"The confirmatory cells: {ABOVE}, one-word. {BARS}; {ticks}0: no more than the control. {counts(gains)}"
    draw = partial(draw_panels, Panel(_by_task(gains), ABOVE))
    return [Plan("confirmatory", "Above the control, cell by cell", caption, draw)]


def _matrices(summary: StudySummary) -> list[Plan]:
    plans = []
    for readout in ("constrained", "generated"):
        for name, matrices, down, across in (
            ("styles", style_matrices(summary, "one-word", readout), "practised style", "tested style"),
            ("tasks", task_matrices(summary, "one-word", readout), "practised task", "tested task"),
        ):
            if matrices:
                title = f"{'Style x style' if name == 'styles' else 'Task x task'}, {readout} readout"
                caption = f"{LEGEND} One-word, {readout}. {counted_in(matrices)}"
                draw = partial(draw_matrices, summary, matrices, down, across)
                plans.append(Plan(f"{name}-{readout}", title, caption, draw))
    return plans


def _free(summary: StudySummary) -> list[Plan]:
    free = summary.of_axis("free", setting="free", readout="generated")
    if not free:
        return []
    lines: list[Line] = []
    for task in dict.fromkeys(gain.task for gain in free):
        lines.append(Line(task))
        for gain in free:
            if gain.task == task:
                word = [g for g in summary.gains if _twin_of(g, gain)]
                dots = [Dot(g.contrast.difference, label="one-word, generated") for g in word[:1]]
                dots.append(Dot(gain.contrast.difference, "adapted", True, label="free, generated"))
                name = gain.key.style + (f" ({gain.arm.practised})" if gain.arm.practised != "all" else "")
                lines.append(Line(name, tuple(dots)))
    caption = (
        f"Arms that practised one-word explanations, asked for one word and for as many as they like: {ABOVE}; replies "
        f"as users see them, an invalid one is a miss. {BARS}. Free: exploratory. {counts(free)}"
    )
    draw = partial(draw_panels, Panel(lines, ABOVE))
    return [Plan("free", "From one word to free explanations", caption, draw)]


def _twin_of(one: Gain, free: Gain) -> bool:
    """Whether a comparison is that of the generated one-word replies beside a free one."""
    same = (one.task, one.arm, one.key.style, one.contrast.other, one.key.operator)
    return same == (free.task, free.arm, free.key.style, free.contrast.other, free.key.operator) and (
        one.key.setting,
        one.key.readout,
    ) == ("one-word", "generated")


def _graded(summary: StudySummary) -> list[Plan]:
    lines: list[Line] = []
    most = 0
    for task, found in summary.tasks.items():
        names = beside(summary, task) - {"base", "adapted"}
        cells = [
            cell
            for cell in found.cells
            if cell.key.arm in names
            and cell.start_graded.n
            and (cell.key.setting, cell.key.readout, cell.key.operator) == ("one-word", "constrained", summary.operator)
        ]
        lines += [Line(task)] if cells else []
        for cell in cells:
            kind = summary.study.arm(cell.key.arm).kind
            current = Dot(cell.excess, kind, label=f"{kind}, by the current model")
            started = Dot(cell.start_graded, kind, True, label=f"{kind}, by the start model")
            lines.append(Line(f"{cell.key.style}, {kind}", (current, started)))
            most = max(most, cell.excess.n)
    if not lines:
        return []
    caption = (
        "Excess of the named words in the arm itself (filled) and as looked up in the start arm's tables (hollow); "
        f"one-word, constrained. {BARS}. Up to {most} texts."
    )
    draw = partial(draw_panels, Panel(lines, "mean excess"))
    return [Plan("graded", "By the current and by the start model", caption, draw)]


def _curve(summary: StudySummary) -> list[Plan]:
    points = curve_of(summary)
    if len({point.rows for point in points}) < 2:
        return []
    seeds = sorted({seed for point in points for seed in point.seeds})
    caption = (
        "Score over the number of training texts (axis doubles), in practised styles, one-word, constrained; 0 is a "
        f"random word, 1 the best one. {BARS}. Seeds: {', '.join(map(str, seeds))}; exploratory. "
        f"n: {max(point.excess.n for point in points)} texts."
    )
    return [Plan("curve", "Learning curve", caption, partial(draw_curves, points))]


def _ablations(summary: StudySummary) -> list[Plan]:
    found = ablations_of(summary)
    if not found:
        return []
    styles = [style for style in STYLES if any(one.cell.key.style == style for one in found)]
    label = "mean excess minus that of the plain arm"
    panels = [Panel(_variants(found, style), label, title=style) for style in styles]
    caption = (
        "What each change of the recipe does: mean excess of the variant minus that of the arm without variant, "
        f"one-word, constrained. {BARS}; exploratory. {max(one.difference.n for one in found)} texts. "
        f"{_most(len(one.difference.seeds) for one in found)}."
    )
    return [Plan("ablations", "Ablations", caption, partial(draw_panels, *panels))]


def _variants(found: Sequence[Ablation], style: str) -> list[Line]:
    """Return a line a variant, with a heading a task; all styles have the same lines."""
    lines: list[Line] = []
    for task in dict.fromkeys(one.task for one in found):
        lines.append(Line(task))
        for arm in {one.arm.name: one.arm for one in found if one.task == task}.values():
            dots = [
                Dot(one.difference) for one in found if (one.task, one.arm, one.cell.key.style) == (task, arm, style)
            ]
            lines.append(Line(arm.variant + f" ({told(arm)})" * bool(arm.settings), tuple(dots)))
    return lines


def _most(counts: Iterable[int]) -> str:
    return "Up to " + counted(max(counts, default=0), "seed")


def _retention(summary: StudySummary) -> list[Plan]:
    """Draw accuracy and agreement of the arms that practised on a task, a picture a task."""
    lost, plans = losses(summary.study)[0], []
    for task in summary.tasks:
        mine = [one for one in summary.kept if one.task == task and (one.gate is not None or one.arm.name == "base")]
        shown = [one for one in mine if one.kept.accuracy_change is not None]
        if not any(one.gate for one in shown):
            continue
        names = [one.arm.name + " (fails)" * (one.gate is not None and one.gate.state == "fails") for one in shown]
        moved = [
            Line(n, (Dot(one.kept.accuracy_change or EMPTY, one.arm.kind),))
            for n, one in zip(names, shown, strict=True)
        ]
        agreed = [Line(name, (Dot(one.kept.agreement, one.arm.kind),)) for name, one in zip(names, shown, strict=True)]
        usual = shown[0].yardstick.value if shown[0].yardstick is not None else None
        caption = (
            f"Arms that practised on {task}, on {shown[0].kept.accuracy.n} texts of its test split; those that fail "
            f"the gate are named so. {BARS}. Left, against the start arm; dotted: the most that may be lost. Right, "
            "labels equal to the start arm's"
            f"{'; the upright line is the agreement of two seeds of the start arm' if usual is not None else ''}. "
            f"{_most(len(one.kept.accuracy_change.seeds) for one in shown if one.kept.accuracy_change)}."
        )
        panels = (
            Panel(moved, "change of accuracy", (0.0, -lost)),
            Panel(agreed, "agreement with the start arm", (usual,) if usual is not None else ()),
        )
        plans.append(Plan(f"retention-{task}", f"What was kept, {task}", caption, partial(draw_panels, *panels)))
    return plans


EMPTY = Interval(None, None, None, 0)


def _groups(summary: StudySummary) -> list[Plan]:
    found, plans = groups_of(summary), []
    for task in dict.fromkeys(one.task for one in found):
        lines: list[Line] = []
        for by in dict.fromkeys(one.by for one in found if one.task == task):
            lines.append(Line(f"by {by}"))
            mine = [one for one in found if (one.task, one.by) == (task, by)]
            lines += [Line(f"{one.name} (n {one.texts})", (Dot(one.difference),)) for one in mine]
        caption = (
            f"For whom it works, {task}: {ABOVE} in groups of texts, practised styles averaged within a text, "
            f"one-word, constrained. {BARS}; exploratory, not corrected."
        )
        draw = partial(draw_panels, Panel(lines, ABOVE))
        plans.append(Plan(f"groups-{task}", f"Class, length, margin: {task}", caption, draw))
    return plans


def _replies(summary: StudySummary) -> list[Plan]:
    plans = []
    for task, found in summary.tasks.items():
        names = beside(summary, task) or {arm.name for arm in main_arms(summary)}
        cells = [
            cell
            for cell in found.cells
            if cell.key.readout == "generated" and cell.key.operator == summary.operator and cell.key.arm in names
        ]
        if cells:
            caption = (
                "What became of generated replies: faithful, valid but not faithful, and why the rest is invalid. "
                f"Shares of {max(cell.rows for cell in cells)} replies (texts x seeds) at most."
            )
            draw = partial(draw_validity, found, cells)
            plans.append(Plan(f"replies-{task}", f"What became of generated replies, {task}", caption, draw))
    return plans
