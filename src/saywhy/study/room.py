"""What room the machines of a cluster have: a worker is on one machine, and its part of a graphics card on one card."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

Amounts = Mapping[str, float]
"""Amounts of resources by Ray's names: ``CPU``, ``GPU``, ``memory`` (bytes)."""

ROUNDING = 1e-9
"""So much may be lacking: parts of a card are no exact numbers."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker has of a machine.

    Attributes:
        machine: Ray's name of the machine.
        amounts: How much of each resource.
        cards: Numbers of the cards that its ``GPU`` is of, from 0.
    """

    machine: str
    amounts: Amounts
    cards: tuple[int, ...] = ()


def fits(needed: Amounts, available: Amounts) -> bool:
    """Whether amounts of resources are available."""
    return all(available.get(name, 0) >= amount - ROUNDING for name, amount in needed.items())


def room_on(needed: Amounts, machine: Amounts) -> int:
    """Return how many workers that need so much a machine has room for when it is empty."""
    counts = [math.floor(machine.get(name, 0) / amount + ROUNDING) for name, amount in needed.items() if name != "GPU"]
    if gpus := needed.get("GPU", 0):
        cards = _cards(machine)
        whole = sum(free >= 1 for free in cards)
        part_counts = sum(math.floor(free / gpus + ROUNDING) for free in cards)
        counts.append(part_counts if gpus < 1 else math.floor(whole / gpus + ROUNDING))
    return min(counts, default=0)


def free_share(needed: Amounts, machines: Mapping[str, Amounts], shares: Collection[Share]) -> Share | None:
    """Return where there is room for a worker, on the machine with the fewest workers that has any.

    Args:
        needed: What the worker needs.
        machines: What each machine has in all.
        shares: What other workers have.
    """
    workers = Counter(share.machine for share in shares)
    for name in sorted(machines, key=lambda name: workers[name]):
        shares_there = [share for share in shares if share.machine == name]
        free = {
            resource: total - sum(share.amounts.get(resource, 0) for share in shares_there)
            for resource, total in machines[name].items()
        }
        cards = _chosen_cards(needed.get("GPU", 0), _cards(machines[name], shares_there))
        if cards is not None and fits(needed, free):
            return Share(name, needed, cards)
    return None


def _cards(machine: Amounts, shares: Collection[Share] = ()) -> list[float]:
    """Return what is free of each card of a machine beside ``shares`` of it."""
    total = machine.get("GPU", 0)
    free = [min(1.0, total - number) for number in range(math.ceil(total))]
    for share in shares:
        for card in share.cards:
            free[card] -= min(share.amounts["GPU"], 1.0)
    return free


def _chosen_cards(gpus: float, free: list[float]) -> tuple[int, ...] | None:
    """Return the cards that Ray gives: whole ones, or for a part the fullest with room for it; None: there are none."""
    fitting = [card for card, part in enumerate(free) if part >= min(gpus, 1.0) - ROUNDING]
    count = math.ceil(gpus - ROUNDING)
    if len(fitting) < count:
        return None
    return tuple(sorted(fitting, key=lambda card: free[card])[:count])
