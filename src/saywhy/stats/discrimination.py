"""How well a metric separates true from false explanations: the area under the ROC curve, with texts as the unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saywhy.stats.intervals import Interval, bootstrap_draws, percentiles


def auroc(true: Sequence[Sequence[float]], false: Sequence[Sequence[float]], seed: int = 0) -> Interval:
    """Return the chance that a true explanation has a higher value than a false one (ties count half).

    All true explanations are compared with all false ones, across texts; the interval is a bootstrap over texts.

    Args:
        true: The values of the true explanations, one list a text.
        false: The values of the false explanations, one list for each of the same texts.
        seed: Seed of the bootstrap.
    """
    n = len(true)
    if not any(map(len, true)) or not any(map(len, false)):
        return Interval(None, None, None, n, "nothing to tell apart")
    wins = np.array([[_mann_whitney_u(true_values, false_values) for false_values in false] for true_values in true])
    pairs = np.outer([len(values) for values in true], [len(values) for values in false]).astype(float)
    value = float(wins.sum() / pairs.sum())
    if n == 1:
        return Interval(value, None, None, 1, "one text has no interval")
    counts = bootstrap_draws(n, seed).astype(float)
    resampled_wins = np.einsum("bs,st,bt->b", counts, wins, counts, optimize=True)
    resampled_pairs = np.einsum("bs,st,bt->b", counts, pairs, counts, optimize=True)
    low, high = percentiles(resampled_wins[resampled_pairs > 0] / resampled_pairs[resampled_pairs > 0])
    return Interval(value, low, high, n)


def _mann_whitney_u(true_values: Sequence[float], false_values: Sequence[float]) -> float:
    """Return Mann and Whitney's U of two samples."""
    a, b = np.asarray(true_values, dtype=float)[:, None], np.asarray(false_values, dtype=float)[None]
    return float((a > b).sum() + 0.5 * (a == b).sum())
