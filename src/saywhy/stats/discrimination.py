"""How well a value separates what is true from what is false: the area under the ROC curve, with texts as the unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from saywhy.stats.intervals import Interval, percentiles, resampled


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
    marked = [
        (value, text, mark) for mark, lists in ((1, true), (0, false)) for text in range(n) for value in lists[text]
    ]
    values, text_of, marks = map(np.array, zip(*marked, strict=True))
    sums = summed_by_value(values, text_of, (marks, 1 - marks))

    def wins_and_pairs(counts: Any) -> Any:
        """Return Mann and Whitney's U and the number of compared pairs, (B, 2)."""
        of_true, of_false = sums(counts)
        wins = of_true * (of_false.cumsum(1) - 0.5 * of_false)
        return np.stack([wins.sum(1), of_true.sum(1) * of_false.sum(1)], axis=1)

    [[wins, pairs]] = wins_and_pairs(np.ones((1, n)))
    if n == 1:
        return Interval(float(wins / pairs), None, None, 1, "one text has no interval")
    drawn = resampled(wins_and_pairs, n, seed)
    drawn = drawn[drawn[:, 1] > 0]
    return Interval(float(wins / pairs), *percentiles(drawn[:, 0] / drawn[:, 1]), n)


def summed_by_value(values: Any, text_of: Any, marks: Sequence[Any]) -> Callable[[Any], list[Any]]:
    """Return what sums marks over equal values, ascending, where texts are drawn several times.

    Args:
        values: One an explanation, (n,).
        text_of: Index of its text, (n,).
        marks: What is summed: arrays of one number an explanation, (n,).

    Returns:
        A function from how often each text is drawn, (B, texts), to the sums of each of ``marks``, (B, groups).
    """
    order = np.argsort(values, kind="stable")
    starts = np.unique(np.asarray(values)[order], return_index=True)[1]

    def sums(counts: Any) -> list[Any]:
        weights = np.asarray(counts, dtype=float)[:, text_of[order]]
        return [np.add.reduceat(weights * np.asarray(mark)[order], starts, axis=1) for mark in marks]

    return sums
