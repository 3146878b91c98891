"""Statistics that are functions of sums over texts: their intervals and paired differences, with texts as the unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from saywhy.stats.intervals import LEAST_TEXTS, RESAMPLES, Interval, percentiles, resampled

SumsStatistic = Callable[[Any], Any]
"""From sums over texts, shape (B, k), to the statistic, shape (B,); NaN where it does not exist."""


def pooled_interval(sums: Any, statistic: SumsStatistic, reasons: tuple[str, str], seed: int = 0) -> Interval:
    """Return a statistic of the sums over all texts, with its percentile bootstrap interval over texts.

    Args:
        sums: What each text adds, shape (n, k).
        statistic: What is made of the sums.
        reasons: Why there is no value where the statistic does not exist, and why there is no interval where that
            holds for more than 1 % of the resamples.
        seed: Seed of the bootstrap: equally many texts and one seed give the same resamples.
    """
    n = len(sums)
    if n == 0:
        return Interval(None, None, None, 0, "no values")
    value = float(statistic(np.sum(sums, axis=0, keepdims=True))[0])
    if not np.isfinite(value):
        return Interval(None, None, None, n, reasons[0])
    if n == 1:
        return Interval(value, None, None, 1, "one text has no interval")
    doubt = f"{n} texts, {LEAST_TEXTS} are needed" if n < LEAST_TEXTS else None
    drawn = _drawn_statistics(sums, statistic, seed)
    if len(drawn) < 0.99 * RESAMPLES:
        return Interval(value, None, None, n, reasons[1], doubt)
    return Interval(value, *percentiles(drawn), n, doubt=doubt)


def _drawn_statistics(sums: Any, statistic: SumsStatistic, seed: int) -> Any:
    drawn = resampled(lambda counts: statistic(counts @ sums), len(sums), seed)
    return drawn[np.isfinite(drawn)]


def quotient(numerator: Any, denominator: Any) -> Any:
    """Return the quotient of two arrays of one shape, NaN where the second is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)
