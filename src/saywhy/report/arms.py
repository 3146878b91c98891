"""Which arms are compared with which, and how arms with different seeds are paired."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from saywhy import stats
from saywhy.arms import SEARCHED, kind
from saywhy.records import TRAINING_OPERATOR, CounterfactualGrid, Row, Table
from saywhy.report.format import SAME_INSTRUMENT
from saywhy.report.load import LoadedRun

GradingRecord = TypeVar("GradingRecord", Table, CounterfactualGrid)

RIVALS_OF_FAITHFUL = ("base", "adapted", "random", "lexical", "transplant")
"""Kinds of arms that a faithful arm is compared with."""


def same_instrument(run: LoadedRun, arm: str, operator: str) -> bool:
    """Whether an arm is graded with an operator with which its training targets were found.

    If the run's model is an adapter that saywhy trained, its training operators count for every arm.
    """
    if operator in (run.manifest.get("model", {}).get("trained_with") or "").split("+"):
        return True
    settings = {**run.manifest.get("config", {}), **run.arm_settings.get(arm, {})}
    by_word = settings.get("objective", "word") == "word"
    searched_with = (TRAINING_OPERATOR,) if by_word else settings.get("target_operators", ())
    return operator in searched_with and kind(arm) in SEARCHED


def marked_arm(run: LoadedRun, arm: str, operator: str) -> str:
    """Return the name of an arm in a table of this operator: with a † if both instruments are the same."""
    return f"{arm} {SAME_INSTRUMENT}" if same_instrument(run, arm, operator) else arm


def start_arm(arms: Iterable[str]) -> str | None:
    """Return the arm that the others went on from."""
    kinds = {kind(arm): arm for arm in reversed(list(arms))}
    return kinds.get("adapted", kinds.get("base"))


def rivals(arms: Sequence[str], arm: str) -> list[str]:
    """Return the arms that ``arm`` is compared with: those of the same suffix, or the only one of a kind."""
    if kind(arm) != "faithful":
        return []
    rival_arms = []
    for rival_kind in RIVALS_OF_FAITHFUL:
        same_kind = [name for name in arms if kind(name) == rival_kind]
        same_suffix = [name for name in same_kind if name[len(rival_kind) :] == arm[len("faithful") :]]
        rival_arms += same_suffix or (same_kind if len(same_kind) == 1 or rival_kind in ("base", "adapted") else [])
    return rival_arms


def level_seeds(a: Sequence[Any], b: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the rows of two arms; those of an arm with a single seed are repeated for the seeds of the other."""
    return repeat_for_seeds(a, {row.seed for row in b}), repeat_for_seeds(b, {row.seed for row in a})


def matched_seeds(a: Sequence[Any], b: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the rows (or decisions) of two arms under the seeds that both have.

    Where one arm is ``base``, whose model depends on no seed, or the arms share no seed, nothing is left out: a single
    seed is repeated as ``level_seeds`` does.
    """
    seeds_of_a, seeds_of_b = ({item.seed for item in items} for items in (a, b))
    shared = seeds_of_a & seeds_of_b
    if not shared or "base" in {kind(item.arm) for items in (a, b) for item in items[:1]}:
        return level_seeds(a, b)
    return [item for item in a if item.seed in shared], [item for item in b if item.seed in shared]


def repeat_for_seeds(items: Sequence[Any], seeds: set[int]) -> Sequence[Any]:
    """Return rows (or decisions) of a single seed repeated for each of ``seeds``; rows of several seeds as they are.

    Of an arm but ``base``, whose model depends on its seed, a single seed does not stand for a single other one.
    """
    own_seeds = {item.seed for item in items}
    if len(own_seeds) != 1 or not seeds or own_seeds == seeds or (len(seeds) < 2 and kind(items[0].arm) != "base"):
        return items
    return [replace(item, seed=seed) for seed in sorted(seeds) for item in items]


def tables_of(run: LoadedRun, arm: str | None, operator: str) -> dict[stats.TextSeed, Table]:
    """Return an arm's leave-one-word-out tables by (text, seed); those of `base` stand for every seed."""
    return {key: table for key, table in _records_by_text_and_seed(run, run.tables, arm) if table.operator == operator}


def grids_of(run: LoadedRun, arm: str | None) -> dict[stats.TextSeed, CounterfactualGrid]:
    """Return an arm's counterfactual grids by (text, seed); those of `base` stand for every seed."""
    return dict(_records_by_text_and_seed(run, run.grids, arm))


def _records_by_text_and_seed(
    run: LoadedRun, records: Mapping[tuple[int, str], Sequence[GradingRecord]], arm: str | None
) -> Iterator[tuple[stats.TextSeed, GradingRecord]]:
    seeds = [seed for seed, name in records if name == arm and records[seed, name]]
    is_every_seed = (
        len(seeds) == 1 and kind(str(arm)) == "base"
    )  # the arms of a study that is half done are of their seeds
    for seed in run.seeds if is_every_seed else seeds:
        for record in records[(seeds[0] if is_every_seed else seed), str(arm)]:
            yield (record.id, seed), record


@dataclass(frozen=True, slots=True)
class StartGrader:
    """Tables and grids of an arm, mostly the start arm, by (text, seed): they grade the words that others name."""

    tables: Mapping[stats.TextSeed, Table]
    grids: Mapping[stats.TextSeed, CounterfactualGrid]

    def effects(self, rows: Sequence[Row]) -> dict[stats.TextSeed, stats.Effect]:
        """Return the effects of a cell's explanations in the grading arm."""
        return stats.start_effects(rows, self.tables, self.grids)

    def for_seeds(self, seeds: Iterable[int]) -> StartGrader:
        """Return the same for the rows of other seeds, where the arm has one seed."""
        if len({seed for _, seed in self.tables}) != 1:
            return self
        tables = {(text, seed): table for seed in set(seeds) for (text, _), table in self.tables.items()}
        grids = {(text, seed): grid for seed in set(seeds) for (text, _), grid in self.grids.items()}
        return StartGrader(tables, grids)


def start_graders(run: LoadedRun, operators: Iterable[str]) -> dict[str, StartGrader]:
    """Return the start arm of a run as a grader, by operator."""
    return graders_of(run, start_arm(run.arms), operators)


def graders_of(run: LoadedRun, arm: str | None, operators: Iterable[str]) -> dict[str, StartGrader]:
    """Return an arm of a run as a grader, by operator; None: one that knows no text."""
    grids = grids_of(run, arm)
    return {operator: StartGrader(tables_of(run, arm, operator), grids) for operator in set(operators)}
