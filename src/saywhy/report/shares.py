"""Effect shares as cells of a table: an arm's own-graded and start-graded one, and the differences of two arms."""

from __future__ import annotations

from saywhy.report.contrasts import Contrast
from saywhy.report.format import DRIFT_MARK, SheetCell, change_cell, estimate_cell, p_value
from saywhy.report.summary import Cell
from saywhy.stats import Difference

SHARE_COLUMNS = ("effect share", "effect share, start-graded")
"""Names of the columns of ``share_cells`` and of ``share_difference_cells``."""

SHARE_LEGEND = (
    "Effect share: how far the named words move the log-odds of the answer (counterfactual: of the named label), as a "
    "share of how far the best word does, both beyond the mean of the text's words; start-graded: of the same words in "
    "the frozen start arm."
)

SHARE_DIFFERENCE_LEGEND = "Effect share: its difference on the same texts, each arm by its own tables; start-graded: "
SHARE_DIFFERENCE_LEGEND += "both by those of the start arm; uncorrected p by sign flips."


def share_cells(cell: Cell) -> list[SheetCell]:
    """Return a cell's effect shares."""
    return [estimate_cell(cell.effect_share), estimate_cell(cell.effect_share_start)]


def share_difference_cells(contrast: Contrast) -> list[SheetCell]:
    """Return the differences of two arms' effect shares, with the mark of drift behind the own-graded one."""
    own, by_start = (difference_cell(share) for share in (contrast.effect_share, contrast.effect_share_start))
    return [own._replace(main=f"{own.main} {DRIFT_MARK}") if contrast.is_drift else own, by_start]


def difference_cell(share: Difference) -> SheetCell:
    """Return a difference of effect shares with its p-value."""
    shown = change_cell(share)
    return shown if share.p is None else shown._replace(small=f"{shown.small} p {p_value(share.p)}".strip())
