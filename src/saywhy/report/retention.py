"""Retention: accuracy and agreement that an arm kept, and its drift from the start arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.records import TRAINING_OPERATOR, Decision
from saywhy.report.arms import matched_seeds, tables_of
from saywhy.report.load import LoadedRun
from saywhy.report.rules import Rules
from saywhy.stats import Difference, Interval, LossAnswer


@dataclass(frozen=True, slots=True)
class Retention:
    """What an arm kept of the classifier.

    Attributes:
        arm: Name of the arm.
        accuracy: Share of right calibrated labels.
        accuracy_raw: The same before calibration.
        accuracy_change: Paired difference of accuracy to the start arm; None for the start arm itself.
        accuracy_kept: Whether the change is above minus ``rules.accuracy_loss``; None for the start arm itself.
        agreement: Share of labels equal to the start arm's; None for the start arm itself.
        agreement_kept: Whether it is above that of two seeds of the start arm minus ``rules.agreement_loss``; None for
            the start arm itself, and where that has one seed only.
        drift: Change of floor, ceiling and margin (nats) against the start arm.
    """

    arm: str
    accuracy: Interval
    accuracy_raw: Interval
    accuracy_change: Difference | None
    accuracy_kept: LossAnswer | None
    agreement: Interval
    agreement_kept: LossAnswer | None
    drift: Mapping[str, Difference]


def retention_of_arms(run: LoadedRun, start: str | None, rules: Rules, seed: int) -> Iterable[Retention]:
    """Yield the retention of each arm that has decisions; ``seed`` is that of the resampling."""
    by_arm = {arm: [decision for decision in run.decisions if decision.arm == arm] for arm in run.arms}
    for arm, decisions in by_arm.items():
        if decisions and (not start or arm == start):
            yield _start_retention(arm, decisions)
        elif decisions and start:
            yield _retention_against_start(run, arm, start, by_arm, rules, seed)


def _start_retention(arm: str, decisions: Sequence[Decision]) -> Retention:
    not_compared = Interval(None, None, None, 0, "no other start arm to compare with")
    accuracy, accuracy_raw = stats.accuracy(decisions), stats.accuracy(decisions, raw=True)
    return Retention(arm, accuracy, accuracy_raw, None, None, not_compared, None, {})


def _retention_against_start(
    run: LoadedRun, arm: str, start: str, by_arm: Mapping[str, Sequence[Decision]], rules: Rules, seed: int
) -> Retention:
    decisions = by_arm[arm]
    shared, start_shared = matched_seeds(decisions, by_arm[start])
    right, start_right = stats.correctness(shared), stats.correctness(start_shared)
    change = stats.paired_difference(right, start_right, seed)
    seeds = {decision.seed for decision in shared}
    tables, start_tables = (
        {key: table for key, table in tables_of(run, name, TRAINING_OPERATOR).items() if key[1] in seeds}
        for name in (arm, start)
    )
    return Retention(
        arm=arm,
        accuracy=stats.accuracy(decisions),
        accuracy_raw=stats.accuracy(decisions, raw=True),
        accuracy_change=change,
        accuracy_kept=stats.not_worse(change, rules.accuracy_loss, stats.discordant(right, start_right)),
        agreement=stats.agreement(shared, start_shared),
        agreement_kept=_agreement_kept(
            shared, start_shared, _twin_seed_decisions(by_arm[start]), rules.agreement_loss, seed
        ),
        drift=stats.table_drift(tables, start_tables, seed),
    )


def _agreement_kept(
    decisions: Sequence[Decision],
    start_decisions: Sequence[Decision],
    twins: tuple[Sequence[Decision], Sequence[Decision]] | None,
    loss: float,
    seed: int,
) -> LossAnswer | None:
    """Compare the agreement with that of two seeds of the start arm on the same texts; None if that has one seed."""
    if twins is None:
        return None
    agreements, twin_agreements = stats.label_agreement(decisions, start_decisions), stats.label_agreement(*twins)
    expected = {
        (text, decision_seed): twin_agreements[text, 0]
        for text, decision_seed in agreements
        if (text, 0) in twin_agreements
    }
    return stats.not_worse(
        stats.paired_difference(agreements, expected, seed), loss, stats.discordant(agreements, expected)
    )


def yardstick_of(run: LoadedRun, start: str | None) -> Interval | None:
    """Return the agreement of two seeds of the start arm (the noise in any agreement); None if it has but one."""
    twins = _twin_seed_decisions([decision for decision in run.decisions if decision.arm == start])
    return None if twins is None else stats.agreement(*twins)


def _twin_seed_decisions(decisions: Sequence[Decision]) -> tuple[Sequence[Decision], Sequence[Decision]] | None:
    """Return the decisions of the first two seeds, both as seed 0; None if there is but one."""
    seeds = sorted({decision.seed for decision in decisions})[:2]
    if len(seeds) < 2:
        return None
    first, second = ([replace(decision, seed=0) for decision in decisions if decision.seed == seed] for seed in seeds)
    return first, second
