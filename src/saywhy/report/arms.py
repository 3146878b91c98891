"""What the names of arms mean, and how arms of different seeds are laid side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from saywhy import stats
from saywhy.arms import SEARCHED, kind
from saywhy.records import TRAINING_OPERATOR, Grid, Table
from saywhy.report.format import SAME
from saywhy.report.load import Run

Kept = TypeVar("Kept", Table, Grid)

RIVALS = ("base", "adapted", "random", "lexical", "transplant")
"""Kinds of arms that a faithful arm is compared with."""


def same_instrument(run: Run, arm: str, operator: str) -> bool:
    """Whether an arm is graded with the operator with which its training targets were found.

    A model that saywhy trained before the run (an adapter) brings that into every arm.
    """
    brought = run.manifest.get("model", {}).get("trained_with")
    return operator == brought or (operator == TRAINING_OPERATOR and kind(arm) in SEARCHED)


def marked(run: Run, arm: str, operator: str) -> str:
    """Return the name of an arm in a table of this operator: with a † if both instruments are the same."""
    return f"{arm} {SAME}" if same_instrument(run, arm, operator) else arm


def start_arm(arms: Iterable[str]) -> str | None:
    """Return the arm that the others went on from."""
    kinds = {kind(arm): arm for arm in reversed(list(arms))}
    return kinds.get("adapted", kinds.get("base"))


def rivals(arms: Sequence[str], arm: str) -> list[str]:
    """Return the arms that ``arm`` is compared with: those of the same suffix, or the only one of a kind."""
    if kind(arm) != "faithful":
        return []
    found = []
    for sort in RIVALS:
        others = [other for other in arms if kind(other) == sort]
        twins = [other for other in others if other[len(sort) :] == arm[len("faithful") :]]
        found += twins or (others if len(others) == 1 or sort in ("base", "adapted") else [])
    return found


def level_seeds(a: Sequence[Any], b: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Repeat the rows of an arm that ran under one seed only for the seeds of the other."""
    return stretch(a, {row.seed for row in b}), stretch(b, {row.seed for row in a})


def matched_seeds(a: Sequence[Any], b: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Keep what two arms have under the seeds that both ran; ``base``, which no seed touches, stands for all.

    Arms that share no seed are laid side by side as ``level_seeds`` does.
    """
    mine, theirs = ({item.seed for item in items} for items in (a, b))
    shared = mine & theirs
    if not shared or "base" in {kind(item.arm) for items in (a, b) for item in items[:1]}:
        return level_seeds(a, b)
    return [item for item in a if item.seed in shared], [item for item in b if item.seed in shared]


def stretch(items: Sequence[Any], seeds: set[int]) -> Sequence[Any]:
    """Repeat items of a single seed for each of ``seeds``; leave others as they are."""
    if len({item.seed for item in items}) != 1 or len(seeds) < 2:
        return items
    return [replace(item, seed=seed) for seed in sorted(seeds) for item in items]


def tables_of(run: Run, arm: str | None, operator: str) -> dict[stats.Key, Table]:
    """Return an arm's leave-one-word-out tables by (text, seed); one seed's serve for all seeds."""
    return {key: table for key, table in _by_key(run, run.tables, arm) if table.operator == operator}


def grids_of(run: Run, arm: str | None) -> dict[stats.Key, Grid]:
    """Return an arm's counterfactual grids by (text, seed); one seed's serve for all seeds."""
    return dict(_by_key(run, run.grids, arm))


def _by_key(
    run: Run, kept: Mapping[tuple[int, str], Sequence[Kept]], arm: str | None
) -> Iterator[tuple[stats.Key, Kept]]:
    seeds = [seed for seed, name in kept if name == arm and kept[seed, name]]
    for seed in run.seeds if len(seeds) == 1 else seeds:
        for one in kept[(seeds[0] if len(seeds) == 1 else seed), str(arm)]:
            yield (one.id, seed), one
