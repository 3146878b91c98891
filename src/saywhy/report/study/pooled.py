"""Comparisons of one kind taken together: each alone may have too few texts to show what all of them show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from saywhy import stats
from saywhy.arms import kind as arm_kind
from saywhy.report.arms import matched_seeds
from saywhy.report.cells import RESULT_READOUTS
from saywhy.report.format import Sheet, SheetCell, change_cell, p_value, sheet_of
from saywhy.report.study.gains import OTHER_TARGET_KINDS, Gain, shared_excess
from saywhy.report.study.summary import StudySummary
from saywhy.stats import Difference, TextSeed

POOLED_AXES = ("practised", "other style", "other task", "unseen task", "free")
"""The kinds of comparisons that are taken together: arms against their matched control."""

POOLED_RIVALS = ("base", "adapted", *OTHER_TARGET_KINDS)
"""What the arms are compared with besides, in the styles and on the task that they practised."""

POOLED_NOTE = (
    "Difference: of mean excess to the matched control (or to the arms named), the mean of that many cells. The "
    "interval is over texts: a text is drawn with all cells that it is in; arms and tasks are those that there are. p: "
    "sign flips over texts; exploratory, not corrected."
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
    sides: tuple[dict[tuple[str, int], float], ...] = (defaultdict(float), defaultdict(float))
    cells = 0
    for gain in gains:
        cell_rows = [summary.rows[gain.task][replace(gain.key, arm=arm)] for arm in (gain.key.arm, gain.contrast.rival)]
        rows = matched_seeds(*cell_rows)  # base, which no seed touches, stands for all seeds, as it does in each cell
        if among is not None:
            arm_rows, other_rows = ([row for row in side if (row.id, row.seed) in among[gain.task]] for side in rows)
            rows = arm_rows, other_rows
        excesses = shared_excess(*rows)
        cells += bool(excesses[0])
        for side, values in zip(sides, excesses, strict=True):
            for text, value in values.items():
                side[f"{gain.task}\n{text}", 0] += value / len(values)
    scale = len(sides[0]) / cells if cells else 0.0
    first, second = ({text: scale * value for text, value in side.items()} for side in sides)
    return stats.paired_difference(first, second, summary.seed)


def pooled_sheet(summary: StudySummary) -> Sheet | None:
    """Return how far the training carries, one line a kind of comparison; None if nothing was compared."""
    rows: list[list[SheetCell | str]] = []
    for readout in RESULT_READOUTS:
        groups = {kind: summary.of_axis(kind, setting=_setting_of_axis(kind), readout=readout) for kind in POOLED_AXES}
        groups |= {f"practised, against {rival}": rival_gains(summary, rival, readout) for rival in POOLED_RIVALS}
        for name, gains in groups.items():
            if gains:
                difference = pooled_difference(summary, gains)
                rows.append(
                    [name, readout, str(len(gains)), str(difference.n), change_cell(difference), p_value(difference.p)]
                )
    header = ("kind", "readout", "cells", "texts", "difference", "p")
    return sheet_of("Cells taken together", header, rows, POOLED_NOTE) if rows else None


def _setting_of_axis(kind: str) -> str:
    return "free" if kind == "free" else "one-word"


def rival_gains(summary: StudySummary, rival: str, readout: str = "constrained") -> list[Gain]:
    """Return the comparisons with arms of a kind other than the control, one-word, where practised."""
    gains = summary.of_axis("other arm", readout=readout)
    return [g for g in gains if arm_kind(g.contrast.rival) == rival and g.key.style in g.arm.styles]
