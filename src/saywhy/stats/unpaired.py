"""Two groups of different texts: the difference of shares with its interval, and how far two distributions differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saywhy.stats.intervals import CONFIDENCE_LEVEL
from saywhy.stats.paired import Difference


def unpaired_difference(after: Sequence[bool], before: Sequence[bool]) -> Difference:
    """Return the share of ``after`` minus that of ``before``, which are of different texts.

    Returns:
        The difference with Newcombe's interval (1998, method 10: from the Wilson intervals of both) and p of Fisher's
        exact test, two-sided; ``n`` counts both groups.
    """
    n = len(after) + len(before)
    if not after or not before:
        return Difference(None, None, None, n, "one of the groups is empty")
    from scipy.stats import fisher_exact
    from statsmodels.stats.proportion import confint_proportions_2indep

    hits, hits_before = sum(after), sum(before)
    low, high = confint_proportions_2indep(
        hits, len(after), hits_before, len(before), method="newcomb", compare="diff", alpha=1 - CONFIDENCE_LEVEL
    )
    table = [[hits, len(after) - hits], [hits_before, len(before) - hits_before]]
    value = hits / len(after) - hits_before / len(before)
    return Difference(value, float(low), float(high), n, p=float(fisher_exact(table).pvalue))


def total_variation(first: Mapping[str, float], second: Mapping[str, float]) -> float | None:
    """Return the total-variation distance of two distributions: the share that would have to change sides, 0 to 1.

    >>> total_variation({"a": 3, "b": 1}, {"a": 0.5, "b": 0.5})
    0.25

    Args:
        first: Outcome to its weight: a share, or a count.
        second: The same.

    Returns:
        None if one of them has no weight.
    """
    sums = sum(first.values()), sum(second.values())
    if not all(sums):
        return None
    outcomes = first.keys() | second.keys()
    return sum(abs(first.get(name, 0.0) / sums[0] - second.get(name, 0.0) / sums[1]) for name in sorted(outcomes)) / 2
