"""The score: excess as a share of (ceiling - floor); and excess as graded by the start model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from saywhy.records import CounterfactualGrid, Row, Table
from saywhy.stats.graded import start_grades
from saywhy.stats.intervals import Interval, by_text, mean_interval, per_text, ratio_interval
from saywhy.stats.paired import TextSeed

LEAST_MEAN_ROOM = 0.01
"""Least mean of (ceiling - floor) for which a score is a number rather than a division by nearly nothing."""

LEAST_FLIPPABLE_TEXTS = 30
"""Least number of texts that can flip for the score's interval to be trusted."""

LEAST_HITS_AND_MISSES = 5
"""Least number of hits, and of misses, among the texts that can flip."""


def score(rows: Sequence[Row], seed: int = 0) -> Interval:
    """Return sum of excess / sum of (ceiling - floor): 0 is a random word, 1 the best that one could do.

    The ratio is recomputed in each bootstrap resample of the texts. The value is None where (nearly) no text
    can flip; the bounds are None where that holds for more than 1 % of the resamples, and in ``doubt`` where the
    interval is known not to cover (both limits were chosen by simulation: tests/stats/test_coverage.py).
    """
    excess_by_text = per_text(rows, lambda row: row.excess)
    room_by_text = per_text(rows, lambda row: row.ceiling - row.floor)
    if not excess_by_text:
        return Interval(None, None, None, 0, "no rows")
    excesses, rooms = (np.array([by_id[text] for text in excess_by_text]) for by_id in (excess_by_text, room_by_text))
    reasons = (
        f"hardly any text can flip (mean ceiling - floor {rooms.mean():.3f})",
        "too few texts can flip for an interval",
    )
    return ratio_interval(excesses, rooms, LEAST_MEAN_ROOM, reasons, seed, _score_doubt(rows, room_by_text))


def _score_doubt(rows: Sequence[Row], room_by_text: Mapping[str, float]) -> str | None:
    """Return why the interval is not to be trusted: few texts carry the ratio, or nearly all have the same hit."""
    hits = per_text((row for row in rows if room_by_text[row.id] > 0), lambda row: float(row.hit))
    flippable, hit_count = len(hits), sum(hits.values())
    if flippable < LEAST_FLIPPABLE_TEXTS:
        return f"{flippable} texts can flip, {LEAST_FLIPPABLE_TEXTS} are needed"
    if min(hit_count, flippable - hit_count) < LEAST_HITS_AND_MISSES:
        name = "hits" if hit_count < flippable - hit_count else "misses"
        rarer = min(hit_count, flippable - hit_count)
        return f"{rarer:.3g} {name} among the {flippable} texts that can flip, {LEAST_HITS_AND_MISSES} are needed"
    return None


def score_on_flippable(rows_a: Sequence[Row], rows_b: Sequence[Row], seed: int = 0) -> tuple[Interval, Interval]:
    """Return the two arms' scores on the (text, seed) pairs that can flip (ceiling) in both arms."""
    flippable_a, flippable_b = ({(row.id, row.seed) for row in rows if row.ceiling} for rows in (rows_a, rows_b))
    shared = flippable_a & flippable_b
    if not shared:
        no_score = Interval(None, None, None, 0, "no text can flip in both arms")
        return no_score, no_score
    shared_rows = [[row for row in rows if (row.id, row.seed) in shared] for rows in (rows_a, rows_b)]
    return score(shared_rows[0], seed), score(shared_rows[1], seed)


def start_graded(
    rows: Sequence[Row], tables: Mapping[TextSeed, Table], grids: Mapping[TextSeed, CounterfactualGrid], seed: int = 0
) -> Interval:
    """Return the excess of one-word explanations as graded by the frozen start model.

    An attribution or redaction hits if taking its word out changes the *start model's* own label; a counterfactual if
    its edit changes that label to the named one. The mean hit of the start model's table (grid) is subtracted.
    Invalid rows are no hits. A model that only became brittle gains nothing here.
    What it cannot grade is left out (``start_grades``).

    Args:
        rows: Rows of one cell.
        tables: The start model's leave-one-word-out tables, same operator, by (text, seed).
        grids: The start model's counterfactual grids, by (text, seed).
        seed: Seed of the bootstrap.
    """
    graded = [
        (row.id, hit - sum(hits) / len(hits))
        for row, hit, hits in start_grades(rows, tables, grids, lambda r: r.hits())
    ]
    if not graded:
        return Interval(None, None, None, 0, "no one-word row that the start model can grade")
    return mean_interval(by_text(graded).values(), seed)
