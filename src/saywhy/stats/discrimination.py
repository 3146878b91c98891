"""How well a number tells two kinds of things apart: the area under the ROC curve, with texts as the unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saywhy.stats.intervals import Interval, draws, percentiles


def auroc(true: Sequence[Sequence[float]], false: Sequence[Sequence[float]], seed: int = 0) -> Interval:
    """Return the chance that a true thing has a higher value than a false one (ties count half).

    All true things are compared with all false ones, across texts; the interval is a bootstrap over texts.

    Args:
        true: The values of the true things, one list a text.
        false: Those of the false things of the same texts.
        seed: Seed of the bootstrap.
    """
    n = len(true)
    if not any(map(len, true)) or not any(map(len, false)):
        return Interval(None, None, None, n, "nothing to tell apart")
    wins = np.array([[_wins(mine, others) for others in false] for mine in true])
    pairs = np.outer([len(one) for one in true], [len(one) for one in false]).astype(float)
    value = float(wins.sum() / pairs.sum())
    if n == 1:
        return Interval(value, None, None, 1, "one text has no interval")
    counts = draws(n, seed).astype(float)
    above = np.einsum("bs,st,bt->b", counts, wins, counts, optimize=True)
    tried = np.einsum("bs,st,bt->b", counts, pairs, counts, optimize=True)
    low, high = percentiles(above[tried > 0] / tried[tried > 0])
    return Interval(value, low, high, n)


def _wins(mine: Sequence[float], others: Sequence[float]) -> float:
    """Return Mann and Whitney's U of two samples."""
    a, b = np.asarray(mine, dtype=float)[:, None], np.asarray(others, dtype=float)[None]
    return float((a > b).sum() + 0.5 * (a == b).sum())
