"""What abstention buys: how well a confidence ranks and predicts what holds, and thresholds that keep a wanted share.

Selective prediction: a reason is shown where its confidence is at least a threshold. *Coverage* is the share that is
shown, *risk* the share of the shown ones that do not hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saywhy.records import SaywhyError
from saywhy.stats.discrimination import summed_by_value
from saywhy.stats.intervals import CONFIDENCE_LEVEL, Interval, percentiles, resampled

THRESHOLD_GRID: tuple[float, ...] = tuple(percent / 100 for percent in range(100, -1, -1))
"""The thresholds that ``threshold_for`` tests, from the most confident one on; fixed before any label is seen."""

CALIBRATION_BINS = 10
"""Bins of the expected calibration error, of equally many decisions each."""


@dataclass(frozen=True, slots=True)
class RiskCurve:
    """The risk at each number of shown decisions, the most confident ones first.

    Equal confidences enter in random order: the risk between them is the expected one.

    Attributes:
        coverages: Share of the decisions that is shown, ascending, (n,).
        risks: Share of the shown ones that do not hold, (n,).
    """

    coverages: tuple[float, ...]
    risks: tuple[float, ...]

    def risk_at(self, coverage: float) -> float:
        """Return the risk where at least ``coverage`` of the decisions is shown."""
        return self.risks[min(int(np.searchsorted(self.coverages, coverage - 1e-9)), len(self.risks) - 1)]

    def coverage_at(self, risk: float) -> float:
        """Return the largest coverage at which the risk is at most ``risk``; 0 if there is none."""
        return max(
            (at for at, value in zip(self.coverages, self.risks, strict=True) if value <= risk + 1e-9), default=0
        )


def risk_curve(confidences: Sequence[float], held: Sequence[bool]) -> RiskCurve:
    """Return the coverage-risk curve of decisions (El-Yaniv and Wiener, 2010); they are at least one."""
    groups = _equal_groups(confidences)
    sizes = np.bincount(groups)
    failing = np.bincount(groups, weights=~np.asarray(held, dtype=bool)) / sizes
    shown = np.arange(1, len(groups) + 1)
    risks = np.cumsum(np.repeat(failing, sizes)) / shown
    return RiskCurve(tuple((shown / len(groups)).tolist()), tuple(risks.tolist()))


@dataclass(frozen=True, slots=True)
class RiskAreas:
    """Areas under the coverage-risk curve (AURC): the mean risk over all coverages, lower is better.

    Attributes:
        area: That of the confidence.
        excess: What it is above the oracle's, which shows all that hold first (E-AURC; Geifman et al., ICLR 2019).
        oracle: That of the oracle.
        random: That of a confidence that knows nothing: the share that does not hold.
    """

    area: Interval
    excess: Interval
    oracle: float
    random: float


def risk_areas(confidences: Sequence[float], held: Sequence[bool], texts: Sequence[str], seed: int = 0) -> RiskAreas:
    """Return the areas under the coverage-risk curve, with percentile bootstrap intervals over texts.

    Args:
        confidences: One a decision; at least one.
        held: Whether it holds.
        texts: Its text; decisions of a text are drawn together.
        seed: Seed of the bootstrap.
    """
    names, text_of = np.unique(np.asarray(texts), return_inverse=True)
    failing, n = ~np.asarray(held, dtype=bool), len(names)
    sums = summed_by_value(-np.asarray(confidences, dtype=float), text_of, (np.ones(len(failing)), failing))

    def areas(counts: Any) -> Any:
        """Return the area and the oracle's of each resample, (B, 2)."""
        sizes, failures = sums(counts)
        return np.stack([_area(sizes, failures), _oracle_area(sizes.sum(1), failures.sum(1))], axis=1)

    [[area, oracle]] = areas(np.ones((1, n))).tolist()
    base_rate = float(failing.mean())
    if n == 1:
        alone = "one text has no interval"
        return RiskAreas(
            Interval(area, None, None, 1, alone), Interval(area - oracle, None, None, 1, alone), oracle, base_rate
        )
    drawn = resampled(areas, n, seed)
    return RiskAreas(
        Interval(area, *percentiles(drawn[:, 0]), n),
        Interval(area - oracle, *percentiles(drawn[:, 0] - drawn[:, 1]), n),
        oracle,
        base_rate,
    )


def _equal_groups(confidences: Sequence[float]) -> Any:
    """Return the group of each decision, (n,): 0 for those of the highest confidence; equal ones share a group."""
    return np.unique(-np.asarray(confidences, dtype=float), return_inverse=True)[1]


def _area(sizes: Any, failures: Any) -> Any:
    """Return the mean risk over all coverages, (B,).

    Within a group of m decisions, e of which fail, behind n with f, the expected risk of the first j is
    (f + e j / m) / (n + j); summed over j that is e + (f - e n / m) (H(n + m) - H(n)), with harmonic numbers H.

    Args:
        sizes: Decisions of each group, most confident first, (B, groups).
        failures: How many of them do not hold, (B, groups).
    """
    before, failed_before = sizes.cumsum(1) - sizes, failures.cumsum(1) - failures
    share = np.divide(failures, sizes, out=np.zeros_like(sizes), where=sizes > 0)
    steps = _harmonic(before + sizes) - _harmonic(before)
    return (failures + (failed_before - share * before) * steps).sum(1) / sizes.sum(1)


def _oracle_area(totals: Any, failures: Any) -> Any:
    """Return the area of a confidence under which all that hold come first, (B,)."""
    sizes = np.stack([totals - failures, failures], axis=1)
    return _area(sizes, np.stack([np.zeros_like(failures), failures], axis=1))


def _harmonic(counts: Any) -> Any:
    """Return 1 + 1/2 + ... + 1/n of each count n."""
    largest = int(counts.max())
    numbers = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, largest + 1))])
    return numbers[counts.astype(int)]


def expected_calibration_error(probabilities: Sequence[float], held: Sequence[bool]) -> float:
    """Return the mean distance of predicted and observed share over ``CALIBRATION_BINS`` bins of equal mass.

    Decisions are sorted by probability and split into bins of equally many (Nixon et al., 2019, adaptive bins); equal
    probabilities share what held among them evenly, so that their order does not count.
    """
    groups = _equal_groups(probabilities)
    shares = np.bincount(groups, weights=np.asarray(held, dtype=float)) / np.bincount(groups)
    order = np.argsort(groups, kind="stable")
    distances = np.asarray(probabilities, dtype=float)[order] - shares[groups[order]]
    return float(sum(abs(part.sum()) for part in np.array_split(distances, CALIBRATION_BINS)) / len(distances))


def brier_score(probabilities: Sequence[float], held: Sequence[bool]) -> float:
    """Return the mean squared distance of probability and outcome (Brier, 1950)."""
    return float(np.mean((np.asarray(probabilities, dtype=float) - np.asarray(held, dtype=float)) ** 2))


def exact_share(held: int, count: int) -> tuple[float, float]:
    """Return the Clopper-Pearson 95 % interval of a share of ``count`` decisions."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(held, count, alpha=1 - CONFIDENCE_LEVEL, method="beta")
    return float(low), float(high)


def threshold_for(
    probabilities: Sequence[float], held: Sequence[bool], wanted_share: float, delta: float
) -> float | None:
    """Return the lowest threshold at which at least a wanted share of the shown reasons holds; None: show none.

    With probability 1 - ``delta`` over the draw of these decisions, at least ``wanted_share`` of all those to come
    with ``probability >= threshold`` hold. That is *Learn then Test* (Angelopoulos et al., 2021, Theorem 1, with fixed
    sequence testing) for the selective risk, which *SGR* (Geifman and El-Yaniv, 2017, Theorem 3.2)
    bounds alike. Each threshold of ``THRESHOLD_GRID`` is the hypothesis that fewer hold; given how many are shown,
    those that fail are binomial, so it is rejected where their exact upper bound (Clopper and Pearson, level
    ``delta``) is at most ``1 - wanted_share``. The tests go from the most confident threshold on and end at the first
    that is not rejected. They need no correction, although there are many: an error is made only if the first true
    hypothesis of the sequence is rejected, and that is a single test.

    Passed over are thresholds that show too few to be worth a test (``_least_shown``): that looks at no label, and
    cannot raise the level where what is less sure does not hold more often.

    Args:
        probabilities: Confidence of each decision, which are independent; fitted on others.
        held: Whether its reason held.
        wanted_share: Least share that is to hold among the shown ones, between 0 and 1.
        delta: How likely the threshold may be one at which fewer do, between 0 and 1.

    Raises:
        SaywhyError: If the share or ``delta`` is not between 0 and 1.
    """
    from scipy.stats import binom

    for name, value in (("share", wanted_share), ("delta", delta)):
        if not 0 < value < 1:
            raise SaywhyError(f"{name}={value:g}: it takes a number between 0 and 1, as in {name}=0.9")
    ascending, outcomes = np.sort(np.asarray(probabilities, dtype=float)), np.asarray(held, dtype=bool)
    failing = np.sort(np.asarray(probabilities, dtype=float)[~outcomes])
    least_shown, chosen = _least_shown(len(outcomes), wanted_share, delta), None
    for threshold in THRESHOLD_GRID:
        shown = len(ascending) - int(np.searchsorted(ascending, threshold))
        if shown < least_shown:
            continue
        # The exact upper bound is at most 1 - wanted_share where so few failures have a probability of delta or less.
        failures = len(failing) - int(np.searchsorted(failing, threshold))
        if binom.cdf(failures, shown, 1 - wanted_share) > delta:
            break
        chosen = threshold
    return chosen


def _least_shown(count: int, wanted_share: float, delta: float) -> int:
    """Return how many decisions the first threshold that is tested shows, at least.

    So many that the test passes if half of the failures that are allowed for occur: of fewer, a single failure would
    end the sequence. But no more than half of all ``count``, unless even no failure among them would pass.
    """
    from scipy.stats import binom

    sizes = np.arange(1, max(count, 1) + 1)
    passes = binom.cdf(np.floor(sizes * (1 - wanted_share) / 2), sizes, 1 - wanted_share) <= delta
    sure = int(sizes[passes][0]) if passes.any() else count
    possible = math.ceil(math.log(delta) / math.log(wanted_share))
    return max(possible, min(sure, count // 2))
