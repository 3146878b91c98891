"""Comparisons of one kind taken together: each alone may have too few texts to show what all of them show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from saywhy import stats
from saywhy.arms import kind as arm_kind
from saywhy.report.arms import matched_seeds
from saywhy.report.format import Sheet, Shown, change, p_value, sheet
from saywhy.report.study.gains import OTHERS, Gain, shared_excess
from saywhy.report.study.summary import StudySummary
from saywhy.stats import Difference, Key

KINDS = ("practised", "other style", "other task", "unseen task", "free")
"""The kinds of comparisons that are taken together: arms against their matched control."""

RIVALS = ("base", "adapted", *OTHERS)
"""What the arms are compared with besides, in the styles and on the task that they practised."""

NOTE = (
    "Difference: of mean excess to the matched control (or to the arms named), the mean of that many cells. The "
    "interval is over texts: a text is drawn with all cells that it is in; arms and tasks are those that there are. p: "
    "sign flips over texts; exploratory, not corrected."
)


Among = Mapping[str, Collection[Key]]
"""Task -> the (text, seed) that count."""


def pooled(summary: StudySummary, gains: Sequence[Gain], among: Among | None = None) -> Difference:
    """Return the mean of the differences of several cells, every cell counting alike.

    The texts are resampled over all tasks at once, each with everything that it adds to the mean: cells that share
    texts (styles, arms) do not count as independent.

    Args:
        summary: Where the rows of the cells are.
        gains: The comparisons; those whose arms share no text are left out.
        among: Only these; None: all.
    """
    sides: tuple[dict[tuple[str, int], float], ...] = (defaultdict(float), defaultdict(float))
    cells = 0
    for gain in gains:
        both = [summary.rows[gain.task][replace(gain.key, arm=arm)] for arm in (gain.key.arm, gain.contrast.other)]
        rows = matched_seeds(*both)  # base, which no seed touches, stands for all seeds, as it does in each cell
        if among is not None:
            mine, theirs = ([row for row in side if (row.id, row.seed) in among[gain.task]] for side in rows)
            rows = mine, theirs
        found = shared_excess(*rows)
        cells += bool(found[0])
        for side, values in zip(sides, found, strict=True):
            for text, value in values.items():
                side[f"{gain.task}\n{text}", 0] += value / len(values)
    scale = len(sides[0]) / cells if cells else 0.0
    first, second = ({text: scale * value for text, value in side.items()} for side in sides)
    return stats.paired_difference(first, second, summary.seed)


def pooled_sheet(summary: StudySummary) -> Sheet | None:
    """Return how far the training carries, one line a kind of comparison; None if nothing was compared."""
    rows: list[list[Shown | str]] = []
    for readout in ("constrained", "generated"):
        groups = {kind: summary.of_axis(kind, setting=_setting(kind), readout=readout) for kind in KINDS}
        groups |= {f"practised, against {rival}": against(summary, rival, readout) for rival in RIVALS}
        for name, gains in groups.items():
            if gains:
                found = pooled(summary, gains)
                rows.append([name, readout, str(len(gains)), str(found.n), change(found), p_value(found.p)])
    header = ("kind", "readout", "cells", "texts", "difference", "p")
    return sheet("Cells taken together", header, rows, NOTE) if rows else None


def _setting(kind: str) -> str:
    return "free" if kind == "free" else "one-word"


def against(summary: StudySummary, rival: str, readout: str = "constrained") -> list[Gain]:
    """Return the comparisons with arms of a kind other than the control, one-word, where practised."""
    gains = summary.of_axis("other arm", readout=readout)
    return [g for g in gains if arm_kind(g.contrast.other) == rival and g.key.style in g.arm.styles]
