"""Effect shares as cells of a table: an arm's own-graded and start-graded one, and the differences of two arms."""

from __future__ import annotations

from saywhy.report.contrasts import only_own_shown
from saywhy.report.format import DRIFT_MARK, SheetCell, change_cell, estimate_cell, p_value
from saywhy.report.summary import Cell
from saywhy.stats import Difference

SHARE_COLUMNS = ("effect share", "effect share, start-graded")
"""Names of the columns of ``share_cells`` and of ``share_difference_cells``."""

SHARE_FIELDS = ("effect_share", "effect_share_start")
"""The fields of a ``Cell`` that these columns show."""

SHARE_LEGEND = (
    "Effect share: how far the named words move the log-odds of the answer (counterfactual: of the named label), as a "
    "share of how far the best word does, both beyond the mean of the text's words; start-graded: of the same words in "
    "the frozen start arm."
)

SHARE_DIFFERENCE_LEGEND = "Effect share: its difference on the same texts, each arm by its own tables; start-graded: "
SHARE_DIFFERENCE_LEGEND += "both by those of the start arm; uncorrected p by sign flips."


def share_cells(cell: Cell) -> list[SheetCell]:
    """Return a cell's effect shares."""
    return [estimate_cell(getattr(cell, name)) for name in SHARE_FIELDS]


def share_difference_cells(own: Difference, by_start: Difference) -> list[SheetCell]:
    """Return the differences of two arms' effect shares, with the mark of drift behind the own-graded one."""
    cells = [difference_cell(share) for share in (own, by_start)]
    if only_own_shown(own, by_start):
        cells[0] = cells[0]._replace(main=f"{cells[0].main} {DRIFT_MARK}")
    return cells


def difference_cell(share: Difference) -> SheetCell:
    """Return a difference of effect shares with its p-value."""
    shown = change_cell(share)
    return shown if share.p is None else shown._replace(small=f"{shown.small} p {p_value(share.p)}".strip())
