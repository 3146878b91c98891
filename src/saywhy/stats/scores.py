"""The score: excess as a share of what the best word could do; and excess as graded by the start model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from saywhy.records import Row, Table
from saywhy.stats.intervals import Interval, by_text, mean_interval, per_text, percentiles, resampled_sums
from saywhy.stats.paired import Key

MIN_ROOM = 0.01
"""Least mean of (ceiling - floor) for which a score is a number rather than a division by nearly nothing."""


def score(rows: Sequence[Row], seed: int = 0) -> Interval:
    """Return sum of excess / sum of (ceiling - floor): 0 is a random word, 1 the best that one could do.

    The ratio is recomputed in each bootstrap resample of the texts. The value is None where (nearly) no text
    can flip; the bounds are None where more than 1 % of the resamples have that fate.
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
    return Interval(value, low, high, n)


def score_on_flippable(rows_a: Sequence[Row], rows_b: Sequence[Row], seed: int = 0) -> tuple[Interval, Interval]:
    """Return the two arms' scores on the (text, seed) pairs that can flip (ceiling) in both arms."""
    able_a, able_b = ({(r.id, r.seed) for r in rows if r.ceiling} for rows in (rows_a, rows_b))
    both = able_a & able_b
    if not both:
        none = Interval(None, None, None, 0, "no text can flip in both arms")
        return none, none
    kept = [[row for row in rows if (row.id, row.seed) in both] for rows in (rows_a, rows_b)]
    return score(kept[0], seed), score(kept[1], seed)


def start_graded(rows: Sequence[Row], start: Mapping[Key, Table], seed: int = 0) -> Interval:
    """Return the excess of one-word attributions and redactions as graded by the frozen start model.

    A word hits if taking it out changes the *start model's* own label; the start table's mean hit is
    subtracted. Invalid rows are no hits. A model that only became brittle gains nothing here.

    Args:
        rows: Rows of one cell.
        start: The start model's leave-one-word-out tables, same operator, by (text, seed).
        seed: Seed of the bootstrap.
    """
    graded = []
    for row in rows:
        table = start.get((row.id, row.seed))
        if row.style == "counterfactual" or row.setting != "one-word" or table is None or not table.words:
            continue
        hits = dict(zip(table.words, table.hits(), strict=True))
        hit = row.valid and bool(row.words) and hits.get(row.words[0], False)
        graded.append((row.id, float(hit) - sum(hits.values()) / len(hits)))
    if not graded:
        return Interval(None, None, None, 0, "no one-word row with a table of the start model")
    return mean_interval(by_text(graded).values(), seed)
