"""Two arms on the same texts: difference, interval, sign-flip permutation test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from saywhy.stats.intervals import Interval, by_text, mean_interval

Key = tuple[str, int]
"""(text id, seed): what two arms are paired by."""

PERMUTATIONS = 9999
"""Sign flips behind each p-value (all of them if there are fewer)."""


@dataclass(frozen=True, slots=True)
class Difference(Interval):
    """A paired difference: an interval and the p of a sign-flip permutation test (None if not testable)."""

    p: float | None = None


def paired_difference(a: Mapping[Key, float], b: Mapping[Key, float], seed: int = 0) -> Difference:
    """Return the mean of ``a - b`` over the (text, seed) keys that both have.

    Seeds are averaged within a text; the interval is a bootstrap over texts, p a two-sided sign-flip
    permutation test (exact if all flips can be listed, exactly 1 if every difference is 0).
    """
    shared = [key for key in a if key in b]
    differences = by_text((key[0], a[key] - b[key]) for key in shared)
    numbers = np.array(list(differences.values()), dtype=float)
    mean = mean_interval(numbers, seed)
    if mean.value is None:
        return Difference(None, None, None, 0, "no shared texts")
    p = 1.0 if not numbers.any() else _sign_flip(numbers[numbers != 0], seed)
    return Difference(mean.value, mean.low, mean.high, mean.n, mean.reason, p)


def _sign_flip(differences: Any, seed: int) -> float:
    """Return the two-sided p of ``sum(differences)`` under independent sign flips; none of them is 0."""
    if len(differences) < 2:
        return 1.0
    from scipy.stats import permutation_test

    found = permutation_test(
        (differences,),
        lambda sample, axis: np.sum(sample, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=500,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)
