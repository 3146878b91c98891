"""Retention: accuracy and agreement of an arm, drift of its tables, and whether it is no worse than before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from saywhy.records import Decision, Table
from saywhy.stats.intervals import Interval, rate
from saywhy.stats.paired import Difference, Discordant, TextSeed, paired_difference

LossAnswer = Literal["yes", "no", "unclear"]
"""Whether something is no worse than before: shown, shown to be worse, or neither."""

FEW_CHANGED_TEXTS = 10
"""Below so many texts that changed, a bootstrap of the change is too narrow to show that nothing was lost."""


def correctness(decisions: Iterable[Decision], *, raw: bool = False) -> dict[TextSeed, float]:
    """Return 1 or 0 for each labelled (text, seed): whether its calibrated (or raw) label is the gold one."""
    labelled = (decision for decision in decisions if decision.gold is not None)
    return {
        (decision.id, decision.seed): float((decision.raw_label if raw else decision.label) == decision.gold)
        for decision in labelled
    }


def accuracy(decisions: Sequence[Decision], *, raw: bool = False) -> Interval:
    """Return the share of labelled texts that are classified right (``raw``: before calibration)."""
    labelled = [decision for decision in decisions if decision.gold is not None]
    if not labelled:
        return Interval(None, None, None, 0, "no gold labels")
    correct = [(decision.raw_label if raw else decision.label) == decision.gold for decision in labelled]
    return rate(correct, len({decision.id for decision in labelled}))


def agreement(decisions_a: Sequence[Decision], decisions_b: Sequence[Decision]) -> Interval:
    """Return the share of shared (text, seed) pairs to which both give the same calibrated label."""
    same_label = label_agreement(decisions_a, decisions_b)
    if not same_label:
        return Interval(None, None, None, 0, "no shared texts")
    return rate([value > 0 for value in same_label.values()], len({text for text, _ in same_label}))


def label_agreement(decisions_a: Iterable[Decision], decisions_b: Iterable[Decision]) -> dict[TextSeed, float]:
    """Return 1 or 0 for each (text, seed) that both decided: whether they give the same calibrated label."""
    labels_a, labels_b = (
        {(decision.id, decision.seed): decision.label for decision in decisions}
        for decisions in (decisions_a, decisions_b)
    )
    return {key: float(label == labels_b[key]) for key, label in labels_a.items() if key in labels_b}


def not_worse(change: Interval, loss: float, moved: Discordant | None = None) -> LossAnswer | None:
    """Return whether a change shows that at most ``loss`` was lost (non-inferiority by the interval's bound).

    ``yes`` if the 95 % interval's lower bound is above ``-loss``, ``no`` if its upper bound is below, else
    ``unclear``: an interval that does not exclude a loss does not show that there is none.

    Args:
        change: New minus old; for a share that is compared with a fixed one, the share minus that.
        loss: The non-inferiority margin, a share.
        moved: The texts behind ``change`` that got better and worse. If they are fewer than
            ``FEW_CHANGED_TEXTS`` (often none, and the bootstrap interval has no width), the lower bound is minus the
            upper Wilson bound of the share of texts that got worse, which no change can fall below.

    Returns:
        None if there is no interval.
    """
    if change.low is None or change.high is None:
        return None
    low = change.low
    if moved is not None and moved.won + moved.lost < FEW_CHANGED_TEXTS:
        low = -(rate([number < moved.lost for number in range(change.n)]).high or 0.0)
    if low > -loss:
        return "yes"
    return "no" if change.high < -loss else "unclear"


def table_drift(
    tables: Mapping[TextSeed, Table], start: Mapping[TextSeed, Table], seed: int = 0
) -> dict[str, Difference]:
    """Return how far floor, ceiling and margin (nats) of the tables moved from the start model's."""
    measures: dict[str, Callable[[Table], float]] = {
        "floor": Table.floor,
        "ceiling": lambda table: float(any(table.hits())),
        "margin": lambda table: table.margin,
    }
    differences = {}
    for name, measure in measures.items():
        new, old = (
            {key: measure(table) for key, table in arm_tables.items() if table.words} for arm_tables in (tables, start)
        )
        differences[name] = paired_difference(new, old, seed)
    return differences
