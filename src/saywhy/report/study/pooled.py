"""Comparisons of one kind taken together: each alone may have too few texts to show what all of them show."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from saywhy import stats
from saywhy.arms import kind as arm_kind
from saywhy.records import Readout, Row, Setting
from saywhy.report.arms import StartGrader, matched_seeds, start_graders
from saywhy.report.cells import RESULT_READOUTS
from saywhy.report.format import Sheet, SheetCell, change_cell, p_value, sheet_of
from saywhy.report.shares import SHARE_COLUMNS, share_difference_cells
from saywhy.report.study.gains import OTHER_TARGET_KINDS, Gain, shared_excess
from saywhy.report.study.summary import StudySummary
from saywhy.stats import Difference, Effect, TextSeed

POOLED_AXES = ("practised", "other style", "other task", "unseen task", "free")
"""The kinds of comparisons that are taken together: arms against their matched control."""

STYLE_AXES = ("practised", "other style")
"""Those in which explanations in sentences stand."""

POOLED_RIVALS = ("base", "adapted", *OTHER_TARGET_KINDS)
"""What the arms are compared with besides, in the styles and on the task that they practised."""

POOLED_NOTE = (
    "Difference: of mean excess to the matched control (or to the arms named), the mean of that many cells. The "
    "interval is over texts: a text is drawn with all cells that it is in; arms and tasks are those that there are. p: "
    "sign flips over texts; exploratory, not corrected. Effect share: its difference, the gains and the rooms of all "
    "these cells added up; by the arms' own tables, and both by those of the start arm."
)


CountedTexts = Mapping[str, Collection[TextSeed]]
"""Task -> the (text, seed) that count."""


def pooled_difference(summary: StudySummary, gains: Sequence[Gain], among: CountedTexts | None = None) -> Difference:
    """Return the mean of the differences of several cells, every cell counting alike.

    The texts are resampled over all tasks at once, each with everything that it adds to the mean: cells that share
    texts (styles, arms) do not count as independent.

    Args:
        summary: Where the rows of the cells are.
        gains: The comparisons; those whose arms share no text are left out.
        among: The (text, seed) of each task that count; None: all.
    """
    sides: tuple[dict[TextSeed, float], ...] = (defaultdict(float), defaultdict(float))
    cells = 0
    for gain, rows in _rows_of_cells(summary, gains, among):
        excesses = shared_excess(*rows)
        cells += bool(excesses[0])
        for side, values in zip(sides, excesses, strict=True):
            for text, value in values.items():
                side[f"{gain.task}\n{text}", 0] += value / len(values)
    scale = len(sides[0]) / cells if cells else 0.0
    first, second = ({text: scale * value for text, value in side.items()} for side in sides)
    return stats.paired_difference(first, second, summary.seed)


EffectsOfRows = Callable[[str, Sequence[Row]], Mapping[TextSeed, Effect]]
"""Task and rows of a cell -> the effects of its explanations."""


def pooled_share_difference(
    summary: StudySummary, gains: Sequence[Gain], effects_of: EffectsOfRows, among: CountedTexts | None = None
) -> Difference:
    """Return the difference of effect shares over several cells: a ratio of sums over texts and cells, arm by arm.

    A text counts once, with what all cells that it is in add to its gain and its room (seeds averaged).

    Args:
        summary: Where the rows of the cells are.
        gains: The comparisons; only what both arms of a cell have an effect of counts.
        effects_of: Who grades: the arms' own tables, or those of the start arm.
        among: The (text, seed) of each task that count; None: all.
    """
    sides: tuple[dict[TextSeed, Effect], ...] = ({}, {})
    for gain, rows in _rows_of_cells(summary, gains, among):
        effects = [effects_of(gain.task, side) for side in rows]
        shared = effects[0].keys() & effects[1].keys()
        seeds = Counter(text for text, _ in shared)
        for side, of_arm in zip(sides, effects, strict=True):
            for text, seed in sorted(shared):
                key = (f"{gain.task}\n{text}", 0)
                before, added = side.get(key, Effect(0.0, 0.0)), of_arm[text, seed]
                side[key] = Effect(before.gain + added.gain / seeds[text], before.room + added.room / seeds[text])
    return stats.effect_share_difference(sides[0], sides[1], summary.seed)


def _rows_of_cells(
    summary: StudySummary, gains: Sequence[Gain], among: CountedTexts | None
) -> Iterator[tuple[Gain, tuple[Sequence[Row], Sequence[Row]]]]:
    """Yield each comparison with the rows of both arms under the same seeds."""
    for gain in gains:
        cell_rows = [summary.rows[gain.task][replace(gain.key, arm=arm)] for arm in (gain.key.arm, gain.contrast.rival)]
        rows = matched_seeds(*cell_rows)  # base, which no seed touches, stands for all seeds, as it does in each cell
        if among is not None:
            arm_rows, other_rows = ([row for row in side if (row.id, row.seed) in among[gain.task]] for side in rows)
            rows = arm_rows, other_rows
        yield gain, rows


def pooled_share_cells(
    summary: StudySummary, gains: Sequence[Gain], among: CountedTexts | None = None
) -> list[SheetCell]:
    """Return the differences of effect shares over several cells: own-graded, and graded by the start arm.

    Where the start arm grades some of the cells, as in a study half done, both are of these.
    """
    gains = _graded_by_start(gains) or gains
    tasks = {gain.task for gain in gains}
    graders: dict[str, StartGrader] = {
        task: start_graders(summary.study.runs[task], [summary.operator])[summary.operator] for task in tasks
    }
    own = pooled_share_difference(summary, gains, lambda _, rows: stats.own_effects(rows), among)
    by_start = pooled_share_difference(summary, gains, lambda task, rows: graders[task].effects(rows), among)
    return share_difference_cells(own, by_start)


def _graded_by_start(gains: Sequence[Gain]) -> list[Gain]:
    return [gain for gain in gains if gain.contrast.effect_share_start.n]


def pooled_sheet(summary: StudySummary) -> Sheet | None:
    """Return how far the training carries, one line a kind of comparison; None if nothing was compared."""
    rows: list[list[SheetCell | str]] = []
    note = POOLED_NOTE
    for readout in RESULT_READOUTS:
        groups = {kind: summary.of_axis(kind, setting=_setting_of_axis(kind), readout=readout) for kind in POOLED_AXES}
        for kind in STYLE_AXES:
            groups[f"{kind}, in sentences"] = summary.of_axis(kind, setting="sentences", readout=readout)
        for rival in POOLED_RIVALS:
            name = f"practised, against {rival}"
            groups[name] = rival_gains(summary, rival, readout)
            groups[f"{name}, in sentences"] = rival_gains(summary, rival, readout, "sentences")
        for name, gains in groups.items():
            if gains:
                difference = pooled_difference(summary, gains)
                counts = [str(len(gains)), str(difference.n)]
                shares = pooled_share_cells(summary, gains)
                graded, known = _graded_by_start(gains), [gain for gain in gains if gain.contrast.effect_share.n]
                if 0 < len(graded) < len(known):
                    note += f" {name}, {readout}: the start arm grades {len(graded)} of {len(known)} cells, whose"
                    note += " shares these are."
                rows.append([name, readout, *counts, change_cell(difference), p_value(difference.p), *shares])
    header = ("kind", "readout", "cells", "texts", "difference", "p", *SHARE_COLUMNS)
    return sheet_of("Cells taken together", header, rows, note) if rows else None


def _setting_of_axis(kind: str) -> Setting:
    return "free" if kind == "free" else "one-word"


def rival_gains(
    summary: StudySummary, rival: str, readout: Readout | None = None, setting: Setting = "one-word"
) -> list[Gain]:
    """Return the comparisons with arms of a kind other than the control, where practised."""
    gains = summary.of_axis("other arm", setting=setting, readout=readout)
    return [
        gain
        for gain in gains
        if arm_kind(gain.contrast.rival) == rival
        and gain.key.style in gain.arm.styles
        and gain.task in gain.arm.tasks
        and not gain.arm.variant
    ]
