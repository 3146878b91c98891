"""What an arm kept of the classifier: accuracy, agreement, drift of the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from saywhy.records import Decision, Table
from saywhy.stats.intervals import Interval, rate
from saywhy.stats.paired import Difference, Key, paired_difference


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
    other = {(d.id, d.seed): d.label for d in decisions_b}
    shared = [d for d in decisions_a if (d.id, d.seed) in other]
    if not shared:
        return Interval(None, None, None, 0, "no shared texts")
    return rate([d.label == other[d.id, d.seed] for d in shared], len({d.id for d in shared}))


def drift(tables: Mapping[Key, Table], start: Mapping[Key, Table], seed: int = 0) -> dict[str, Difference]:
    """Return how far floor, ceiling and margin (nats) of the tables moved from the start model's."""
    reads: dict[str, Callable[[Table], float]] = {
        "floor": lambda t: sum(t.hits()) / len(t.words),
        "ceiling": lambda t: float(any(t.hits())),
        "margin": lambda t: t.margin,
    }
    found = {}
    for name, read in reads.items():
        new, old = ({k: read(t) for k, t in side.items() if t.words} for side in (tables, start))
        found[name] = paired_difference(new, old, seed)
    return found
