"""What an arm kept of the classifier: accuracy, agreement, drift of the tables, and whether it is no worse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from saywhy.records import Decision, Table
from saywhy.stats.intervals import Interval, rate
from saywhy.stats.paired import Difference, Discordant, Key, paired_difference

Answer = Literal["yes", "no", "unclear"]
"""Whether something is no worse than before: shown, shown to be worse, or neither."""

FEW = 10
"""Below so many texts that changed, a bootstrap of the change is too narrow to show that nothing was lost."""


def right(decisions: Iterable[Decision]) -> dict[Key, float]:
    """Return 1 or 0 for each labelled (text, seed): whether its calibrated label is the gold label."""
    return {(d.id, d.seed): float(d.label == d.gold) for d in decisions if d.gold is not None}


def accuracy(decisions: Sequence[Decision], *, raw: bool = False) -> Interval:
    """Return the share of labelled texts that are classified right (``raw``: before calibration)."""
    known = [d for d in decisions if d.gold is not None]
    if not known:
        return Interval(None, None, None, 0, "no gold labels")
    right = [(d.raw_label if raw else d.label) == d.gold for d in known]
    return rate(right, len({d.id for d in known}))


def agreement(decisions_a: Sequence[Decision], decisions_b: Sequence[Decision]) -> Interval:
    """Return the share of shared (text, seed) pairs to which both give the same calibrated label."""
    same = agreeing(decisions_a, decisions_b)
    if not same:
        return Interval(None, None, None, 0, "no shared texts")
    return rate([value > 0 for value in same.values()], len({text for text, _ in same}))


def agreeing(decisions_a: Iterable[Decision], decisions_b: Iterable[Decision]) -> dict[Key, float]:
    """Return 1 or 0 for each (text, seed) that both decided: whether they give the same calibrated label."""
    other = {(d.id, d.seed): d.label for d in decisions_b}
    return {(d.id, d.seed): float(d.label == other[d.id, d.seed]) for d in decisions_a if (d.id, d.seed) in other}


def not_worse(change: Interval, loss: float, moved: Discordant | None = None) -> Answer | None:
    """Return whether a change shows that at most ``loss`` was lost (non-inferiority by the interval's bound).

    ``yes`` if the 95 % interval's lower bound is above ``-loss``, ``no`` if its upper bound is below, else
    ``unclear``: that nothing was seen to be lost does not show that nothing was.

    Args:
        change: New minus old; for a share that is compared with a fixed one, the share minus that.
        loss: The non-inferiority margin, a share.
        moved: The texts behind ``change`` that got better and worse. If they are fewer than ``FEW`` (often none,
            and the bootstrap interval has no width), the lower bound is minus the upper Wilson bound of the share
            of texts that got worse, which no change can fall below.

    Returns:
        None if there is no interval.
    """
    if change.low is None or change.high is None:
        return None
    low = change.low
    if moved is not None and moved.won + moved.lost < FEW:
        low = -(rate([at < moved.lost for at in range(change.n)]).high or 0.0)
    if low > -loss:
        return "yes"
    return "no" if change.high < -loss else "unclear"


def drift(tables: Mapping[Key, Table], start: Mapping[Key, Table], seed: int = 0) -> dict[str, Difference]:
    """Return how far floor, ceiling and margin (nats) of the tables moved from the start model's."""
    reads: dict[str, Callable[[Table], float]] = {
        "floor": Table.floor,
        "ceiling": lambda t: float(any(t.hits())),
        "margin": lambda t: t.margin,
    }
    found = {}
    for name, read in reads.items():
        new, old = ({k: read(t) for k, t in side.items() if t.words} for side in (tables, start))
        found[name] = paired_difference(new, old, seed)
    return found
