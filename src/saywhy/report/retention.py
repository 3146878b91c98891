"""What an arm kept of the classifier, and how far it drifted from the start arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.report.arms import TRAINING_OPERATOR, stretch, tables_of
from saywhy.report.load import Run
from saywhy.stats import Difference, Interval


@dataclass(frozen=True, slots=True)
class Retention:
    """What an arm kept of the classifier.

    Attributes:
        arm: Which arm.
        accuracy: Share of right calibrated labels.
        accuracy_raw: The same before calibration.
        accuracy_change: Paired difference of accuracy to the start arm; None for the start arm itself.
        agreement: Share of labels equal to the start arm's; None for the start arm itself.
        drift: Change of floor, ceiling and margin (nats) against the start arm.
    """

    arm: str
    accuracy: Interval
    accuracy_raw: Interval
    accuracy_change: Difference | None
    agreement: Interval
    drift: Mapping[str, Difference]


def retention(run: Run, start: str | None, seed: int) -> Iterable[Retention]:
    """Yield what each arm that has decisions kept; ``seed`` is that of the resampling."""
    by_arm = {arm: [d for d in run.decisions if d.arm == arm] for arm in run.arms}
    base = tables_of(run, start, TRAINING_OPERATOR)
    for arm, decisions in by_arm.items():
        if not decisions:
            continue
        agreement = Interval(None, None, None, 0, "no other start arm to compare with")
        drift: Mapping[str, Difference] = {}
        change = None
        if start and arm != start:
            mine = stretch(decisions, {d.seed for d in by_arm[start]})
            theirs = stretch(by_arm[start], {d.seed for d in decisions})
            agreement = stats.agreement(mine, theirs)
            change = stats.paired_difference(stats.right(mine), stats.right(theirs), seed)
            drift = stats.drift(tables_of(run, arm, TRAINING_OPERATOR), base, seed)
        raw = stats.accuracy(decisions, raw=True)
        yield Retention(arm, stats.accuracy(decisions), raw, change, agreement, drift)


def yardstick(run: Run, start: str | None) -> Interval | None:
    """Return how often two seeds of the start arm agree: the noise in any agreement."""
    mine = [d for d in run.decisions if d.arm == start]
    seeds = sorted({d.seed for d in mine})[:2]
    if len(seeds) < 2:
        return None
    first, second = ([replace(d, seed=0) for d in mine if d.seed == seed] for seed in seeds)
    return stats.agreement(first, second)
