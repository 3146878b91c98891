"""The score: excess as a share of what the best word could do; and excess as graded by the start model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from saywhy.records import Grid, Row, Table
from saywhy.stats.intervals import Interval, by_text, mean_interval, per_text, percentiles, resampled_sums
from saywhy.stats.paired import Key

MIN_ROOM = 0.01
"""Least mean of (ceiling - floor) for which a score is a number rather than a division by nearly nothing."""

FLIPPABLE = 30
"""Least number of texts that can flip for the score's interval to be trusted."""

EITHER = 5
"""Least number of hits, and of misses, among the texts that can flip."""


def score(rows: Sequence[Row], seed: int = 0) -> Interval:
    """Return sum of excess / sum of (ceiling - floor): 0 is a random word, 1 the best that one could do.

    The ratio is recomputed in each bootstrap resample of the texts. The value is None where (nearly) no text
    can flip; the bounds are None where more than 1 % of the resamples have that fate, and in ``doubt`` where the
    interval is known not to cover (``FLIPPABLE`` and ``EITHER`` were chosen by simulation: tests/test_coverage.py).
    """
    top = per_text(rows, lambda row: row.excess)
    room = per_text(rows, lambda row: row.ceiling - row.floor)
    texts = list(top)
    n = len(texts)
    if not texts:
        return Interval(None, None, None, 0, "no rows")
    tops, rooms = np.array([top[t] for t in texts]), np.array([room[t] for t in texts])
    if rooms.mean() < MIN_ROOM:
        reason = f"hardly any text can flip (mean ceiling - floor {rooms.mean():.3f})"
        return Interval(None, None, None, n, reason)
    value = float(tops.sum() / rooms.sum())
    if n == 1:
        return Interval(value, None, None, 1, "one text has no interval")
    top_sums, room_sums = resampled_sums(tops, seed), resampled_sums(rooms, seed)
    enough = room_sums > MIN_ROOM * n / 10
    if enough.mean() < 0.99:
        return Interval(value, None, None, n, "too few texts can flip for an interval")
    low, high = percentiles(top_sums[enough] / room_sums[enough])
    return Interval(value, low, high, n, doubt=_doubt(rows, room))


def _doubt(rows: Sequence[Row], room: Mapping[str, float]) -> str | None:
    """Say why the interval is not to be trusted: few texts carry the ratio, or nearly all of them do the same."""
    hits = per_text((row for row in rows if room[row.id] > 0), lambda row: float(row.hit))
    able, hit = len(hits), sum(hits.values())
    if able < FLIPPABLE:
        return f"{able} texts can flip, {FLIPPABLE} are needed"
    if min(hit, able - hit) < EITHER:
        name = "hits" if hit < able - hit else "misses"
        return f"{min(hit, able - hit):.3g} {name} among the {able} texts that can flip, {EITHER} are needed"
    return None


def score_on_flippable(rows_a: Sequence[Row], rows_b: Sequence[Row], seed: int = 0) -> tuple[Interval, Interval]:
    """Return the two arms' scores on the (text, seed) pairs that can flip (ceiling) in both arms."""
    able_a, able_b = ({(r.id, r.seed) for r in rows if r.ceiling} for rows in (rows_a, rows_b))
    both = able_a & able_b
    if not both:
        none = Interval(None, None, None, 0, "no text can flip in both arms")
        return none, none
    kept = [[row for row in rows if (row.id, row.seed) in both] for rows in (rows_a, rows_b)]
    return score(kept[0], seed), score(kept[1], seed)


def start_graded(
    rows: Sequence[Row], tables: Mapping[Key, Table], grids: Mapping[Key, Grid], seed: int = 0
) -> Interval:
    """Return the excess of one-word explanations as graded by the frozen start model.

    An attribution or redaction hits if taking its word out changes the *start model's* own label; a counterfactual if
    its edit brings the named label about there. The mean hit of the start model's table (grid) is subtracted. Invalid
    rows are no hits. A model that only became brittle gains nothing here.

    Left out is what the start model's files do not tell: counterfactuals towards another label than the start model's
    own runner-up, and those that insert a word outside the pinned list.

    Args:
        rows: Rows of one cell.
        tables: The start model's leave-one-word-out tables, same operator, by (text, seed).
        grids: The start model's counterfactual grids, by (text, seed).
        seed: Seed of the bootstrap.
    """
    graded = []
    for row in rows if all(row.setting == "one-word" for row in rows) else ():
        found = _of_grid(row, grids) if row.style == "counterfactual" else _of_table(row, tables)
        if found is not None:
            graded.append((row.id, found))
    if not graded:
        return Interval(None, None, None, 0, "no one-word row that the start model can grade")
    return mean_interval(by_text(graded).values(), seed)


def _of_table(row: Row, tables: Mapping[Key, Table]) -> float | None:
    """Return the excess of an attribution or redaction in the start model's table; None if there is none."""
    table = tables.get((row.id, row.seed))
    if table is None or not table.words:
        return None
    hits = dict(zip(table.words, table.hits(), strict=True))
    return float(row.valid and bool(row.words) and hits.get(row.words[0], False)) - table.floor()


def _of_grid(row: Row, grids: Mapping[Key, Grid]) -> float | None:
    """Return the excess of a counterfactual in the start model's grid; None if the grid does not tell."""
    grid = grids.get((row.id, row.seed))
    if grid is None or not grid.words or grid.named != row.named:
        return None
    hits = dict(zip(zip(grid.words, grid.inserted, strict=True), grid.hits(), strict=True))
    hit: bool | None = False
    if row.valid:
        hit = hits.get((row.words[0], row.inserted[0])) if row.words and row.inserted else None
    return None if hit is None else hit - sum(hits.values()) / len(hits)
