"""What an arm kept of the classifier, and how far it drifted from the start arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.records import TRAINING_OPERATOR, Decision
from saywhy.report.arms import matched_seeds, tables_of
from saywhy.report.load import Run
from saywhy.report.rules import Rules
from saywhy.stats import Answer, Difference, Interval


@dataclass(frozen=True, slots=True)
class Retention:
    """What an arm kept of the classifier.

    Attributes:
        arm: Which arm.
        accuracy: Share of right calibrated labels.
        accuracy_raw: The same before calibration.
        accuracy_change: Paired difference of accuracy to the start arm; None for the start arm itself.
        accuracy_kept: Whether the change is above minus ``rules.accuracy_loss``; None for the start arm itself.
        agreement: Share of labels equal to the start arm's; None for the start arm itself.
        agreement_kept: Whether that is not lower than it may be (``rules.agreement_loss``).
        drift: Change of floor, ceiling and margin (nats) against the start arm.
    """

    arm: str
    accuracy: Interval
    accuracy_raw: Interval
    accuracy_change: Difference | None
    accuracy_kept: Answer | None
    agreement: Interval
    agreement_kept: Answer | None
    drift: Mapping[str, Difference]


def retention(run: Run, start: str | None, rules: Rules, seed: int) -> Iterable[Retention]:
    """Yield what each arm that has decisions kept; ``seed`` is that of the resampling."""
    by_arm = {arm: [d for d in run.decisions if d.arm == arm] for arm in run.arms}
    for arm, decisions in by_arm.items():
        if decisions and (not start or arm == start):
            yield _of_start(arm, decisions)
        elif decisions and start:
            yield _against_start(run, arm, start, by_arm, rules, seed)


def _of_start(arm: str, decisions: Sequence[Decision]) -> Retention:
    nobody = Interval(None, None, None, 0, "no other start arm to compare with")
    accuracy, raw = stats.accuracy(decisions), stats.accuracy(decisions, raw=True)
    return Retention(arm, accuracy, raw, None, None, nobody, None, {})


def _against_start(
    run: Run, arm: str, start: str, by_arm: Mapping[str, Sequence[Decision]], rules: Rules, seed: int
) -> Retention:
    decisions = by_arm[arm]
    mine, theirs = matched_seeds(decisions, by_arm[start])
    new, old = stats.right(mine), stats.right(theirs)
    change = stats.paired_difference(new, old, seed)
    seeds = {d.seed for d in mine}
    tables, before = (
        {at: table for at, table in tables_of(run, one, TRAINING_OPERATOR).items() if at[1] in seeds}
        for one in (arm, start)
    )
    return Retention(
        arm=arm,
        accuracy=stats.accuracy(decisions),
        accuracy_raw=stats.accuracy(decisions, raw=True),
        accuracy_change=change,
        accuracy_kept=stats.not_worse(change, rules.accuracy_loss, stats.discordant(new, old)),
        agreement=stats.agreement(mine, theirs),
        agreement_kept=_agreement_kept(mine, theirs, _twins(by_arm[start]), rules.agreement_loss, seed),
        drift=stats.drift(tables, before, seed),
    )


def _agreement_kept(
    mine: Sequence[Decision],
    theirs: Sequence[Decision],
    twins: tuple[Sequence[Decision], Sequence[Decision]] | None,
    loss: float,
    seed: int,
) -> Answer | None:
    """Compare the agreement with that of two seeds of the start arm on the same texts; one seed is no yardstick."""
    if twins is None:
        return None
    agreed, noise = stats.agreeing(mine, theirs), stats.agreeing(*twins)
    usual = {(text, at): noise[text, 0] for text, at in agreed if (text, 0) in noise}
    return stats.not_worse(stats.paired_difference(agreed, usual, seed), loss, stats.discordant(agreed, usual))


def yardstick(run: Run, start: str | None) -> Interval | None:
    """Return how often two seeds of the start arm agree: the noise in any agreement."""
    twins = _twins([d for d in run.decisions if d.arm == start])
    return None if twins is None else stats.agreement(*twins)


def _twins(decisions: Sequence[Decision]) -> tuple[Sequence[Decision], Sequence[Decision]] | None:
    """Return the decisions of the first two seeds, both as seed 0; None if there is but one."""
    seeds = sorted({d.seed for d in decisions})[:2]
    if len(seeds) < 2:
        return None
    first, second = ([replace(d, seed=0) for d in decisions if d.seed == seed] for seed in seeds)
    return first, second
