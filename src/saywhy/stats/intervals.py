"""Shares and means with their 95 % intervals. The unit is the text: its seeds are averaged first."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from saywhy.records import Row

RESAMPLES = 2000
"""Bootstrap resamples of texts behind each interval."""

CONFIDENCE_LEVEL = 0.95
"""Confidence level of every interval."""

LEAST_TEXTS = 10
"""Least number of texts of which a mean says anything: resampling fewer knows too little of what was not drawn."""

_RESAMPLES_AT_ONCE = 100
"""Resamples that are worked on at once: bounds the memory, changes no number."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        value: The estimate; None if it cannot be computed.
        low: Lower bound; None if there is no interval.
        high: Upper bound; None if there is no interval.
        n: Number of texts behind it.
        reason: Why ``value`` or the bounds are None.
        doubt: Why the bounds are not to be trusted, although there are some.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str | None = None
    doubt: str | None = None


def by_text(text_values: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Average the finite values of each text; texts in alphabetical order, whatever the order of the rows."""
    values_by_text: dict[str, list[float]] = defaultdict(list)
    for text, value in text_values:
        if math.isfinite(value):
            values_by_text[text].append(value)
    return {text: math.fsum(values) / len(values) for text, values in sorted(values_by_text.items())}


def per_text(rows: Iterable[Row], value: Callable[[Row], float | None]) -> dict[str, float]:
    """Return the mean of ``value`` over the rows of each text; rows for which it is None are left out."""
    return by_text((row.id, number) for row in rows if (number := value(row)) is not None)


def rate(hits: Sequence[bool], texts: int | None = None) -> Interval:
    """Return a share with its Wilson interval.

    Args:
        hits: One truth value a row.
        texts: Number of distinct texts, if a text has several rows. The interval then is that of so many
            observations: rows of one text under several seeds count as one, which errs on the wide side.
    """
    if not hits:
        return Interval(None, None, None, 0, "no rows")
    from statsmodels.stats.proportion import proportion_confint

    share, n = sum(hits) / len(hits), len(hits) if texts is None else texts
    low, high = proportion_confint(share * n, n, alpha=1 - CONFIDENCE_LEVEL, method="wilson")
    return Interval(share, max(0.0, float(low)), min(1.0, float(high)), n)


def mean_interval(values: Iterable[float], seed: int = 0) -> Interval:
    """Return the mean with its percentile bootstrap interval; equal values give an interval of no width.

    The interval of fewer than ``LEAST_TEXTS`` values is in doubt: two that happen to be equal would be sure.
    """
    numbers = np.array([value for value in values if math.isfinite(value)], dtype=float)
    n = len(numbers)
    if n == 0:
        return Interval(None, None, None, 0, "no values")
    if n == 1:
        return Interval(float(numbers[0]), None, None, 1, "one text has no interval")
    doubt = f"{n} texts, {LEAST_TEXTS} are needed" if n < LEAST_TEXTS else None
    if np.ptp(numbers) == 0:
        value = float(numbers[0])
        return Interval(value, value, value, n, doubt=doubt)
    low, high = percentiles(resampled_sums(numbers, seed) / n)
    return Interval(float(numbers.mean()), low, high, n, doubt=doubt)


def resampled_sums(values: Any, seed: int) -> Any:
    """Return the sum of ``values`` in each bootstrap resample of the texts.

    Calls with equally many texts and the same seed sum over the same resamples, so the ratio of two such sums is the
    ratio in each resample.

    Args:
        values: One number a text, shape (n,).
        seed: Seed of the bootstrap.

    Returns:
        Shape (RESAMPLES,).
    """
    return resampled(lambda counts: counts @ values, len(values), seed)


def resampled(statistic: Callable[[Any], Any], n: int, seed: int) -> Any:
    """Return a statistic of each bootstrap resample of ``n`` texts.

    Args:
        statistic: From how often each text is drawn, shape (B, n), to the statistic of each resample, shape (B, ...).
        n: Number of texts.
        seed: Seed of the bootstrap.

    Returns:
        Shape (RESAMPLES, ...).
    """
    drawn = bootstrap_draws(n, seed)
    # In pieces: the counts are small integers, and all of them as floats at once would take four times the memory.
    pieces = (drawn[start : start + _RESAMPLES_AT_ONCE] for start in range(0, len(drawn), _RESAMPLES_AT_ONCE))
    return np.concatenate([statistic(counts) for counts in pieces])


def resampled_ratios(numerators: Any, denominators: Any, least_mean: float, seed: int) -> Any:
    """Return sum of ``numerators`` / sum of ``denominators`` in each bootstrap resample of the texts.

    Args:
        numerators: One number a text, shape (n,).
        denominators: The same.
        least_mean: NaN stands for a resample in which the mean denominator is not above a tenth of this.
        seed: Seed of the bootstrap.

    Returns:
        Shape (RESAMPLES,).
    """
    sums, below = resampled_sums(numerators, seed), resampled_sums(denominators, seed)
    return np.divide(sums, below, out=np.full(len(sums), np.nan), where=below > least_mean * len(numerators) / 10)


def ratio_interval(
    numerators: Any, denominators: Any, least_mean: float, reasons: tuple[str, str], seed: int, doubt: str | None
) -> Interval:
    """Return sum of ``numerators`` / sum of ``denominators`` over texts, with its percentile bootstrap interval.

    The ratio is recomputed in each resample. The value is None where the mean denominator is below ``least_mean``, the
    bounds where more than 1 % of the resamples have nearly no denominator (``resampled_ratios``).

    Args:
        numerators: One number a text, shape (n,); at least one.
        denominators: The same.
        least_mean: Least mean denominator for which the ratio is a number.
        reasons: Why there is no value then, and why there is no interval.
        seed: Seed of the bootstrap.
        doubt: Why the interval is not to be trusted, if it is not.
    """
    n = len(numerators)
    if denominators.mean() < least_mean:
        return Interval(None, None, None, n, reasons[0])
    value = float(numerators.sum() / denominators.sum())
    if n == 1:
        return Interval(value, None, None, 1, "one text has no interval")
    ratios = resampled_ratios(numerators, denominators, least_mean, seed)
    ratios = ratios[np.isfinite(ratios)]
    if len(ratios) < 0.99 * RESAMPLES:
        return Interval(value, None, None, n, reasons[1])
    low, high = percentiles(ratios)
    return Interval(value, low, high, n, doubt=doubt)


@lru_cache(maxsize=32)  # the number of texts differs by arm, style and task
def bootstrap_draws(n: int, seed: int) -> Any:
    """Return how often each of ``n`` texts is drawn in each resample of ``scipy.stats.bootstrap``: (RESAMPLES, n)."""
    from scipy.stats import bootstrap

    pieces: list[Any] = []

    def count(drawn: Any, axis: int = -1) -> Any:
        flat_indices = drawn.astype(np.intp) + n * np.arange(len(drawn))[:, None]
        pieces.append(
            np.bincount(flat_indices.ravel(), minlength=flat_indices.size).reshape(flat_indices.shape).astype(np.int16)
        )
        return drawn.mean(axis=axis)

    bootstrap(
        (np.arange(n, dtype=float),),
        count,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=_RESAMPLES_AT_ONCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return np.concatenate(pieces)


def percentiles(distribution: Any) -> tuple[float, float]:
    """Return the bounds that hold the middle 95 % of a bootstrap distribution."""
    low, high = np.quantile(distribution, [(1 - CONFIDENCE_LEVEL) / 2, (1 + CONFIDENCE_LEVEL) / 2])
    return float(low), float(high)
