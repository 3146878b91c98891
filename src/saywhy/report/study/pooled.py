"""Comparisons of one kind taken together: each alone may have too few texts to show what all of them show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from saywhy import stats
from saywhy.report.format import Sheet, Shown, change, p_value, sheet
from saywhy.report.study.gains import Gain, shared_excess
from saywhy.report.study.summary import StudySummary
from saywhy.stats import Difference

KINDS = ("practised", "other style", "other task", "unseen task", "free")
"""The kinds of comparisons that are taken together: arms without variant against their matched control."""

NOTE = (
    "Difference: of mean excess to the matched control, the mean of that many cells. The interval is over texts: a "
    "text is drawn with all cells that it is in; arms and tasks are those that there are. p: sign flips over texts; "
    "exploratory, not corrected."
)


def pooled(summary: StudySummary, gains: Sequence[Gain]) -> Difference:
    """Return the mean of the differences of several cells, every cell counting alike.

    The texts are resampled over all tasks at once, each with everything that it adds to the mean: cells that share
    texts (styles, arms) do not count as independent.

    Args:
        summary: Where the rows of the cells are.
        gains: The comparisons; those whose arms share no text are left out.
    """
    sides: tuple[dict[tuple[str, int], float], ...] = (defaultdict(float), defaultdict(float))
    cells = 0
    for gain in gains:
        rows = summary.rows[gain.task]
        found = shared_excess(rows[gain.key], rows[replace(gain.key, arm=gain.contrast.other)])
        cells += bool(found[0])
        for side, values in zip(sides, found, strict=True):
            for text, value in values.items():
                side[f"{gain.task}\n{text}", 0] += value / len(values)
    scale = len(sides[0]) / cells if cells else 0.0
    mine, theirs = ({text: scale * value for text, value in side.items()} for side in sides)
    return stats.paired_difference(mine, theirs, summary.seed)


def pooled_sheet(summary: StudySummary) -> Sheet | None:
    """Return how far the training carries, one line a kind of comparison; None if nothing was compared."""
    rows: list[list[Shown | str]] = []
    for kind in KINDS:
        setting = "free" if kind == "free" else "one-word"
        for readout in ("constrained", "generated"):
            if gains := summary.of_axis(kind, setting=setting, readout=readout):
                found = pooled(summary, gains)
                rows.append([kind, readout, str(len(gains)), str(found.n), change(found), p_value(found.p)])
    return (
        sheet("Cells taken together", ("kind", "readout", "cells", "texts", "difference", "p"), rows, NOTE)
        if rows
        else None
    )
