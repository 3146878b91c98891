"""Which arms are compared with which, and how arms with different seeds are paired."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from saywhy import stats
from saywhy.arms import SEARCHED, kind, start_arm
from saywhy.checks import Judged, judge_name
from saywhy.records import TRAINING_OPERATOR, CounterfactualGrid, Row, Table
from saywhy.report.format import SAME_INSTRUMENT
from saywhy.report.load import LoadedRun
from saywhy.stats.intervals import by_text

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
    """What an arm, mostly the start arm, says of the words that others name.

    Attributes:
        tables: Its leave-one-word-out tables under one operator, by (text, seed).
        grids: Its counterfactual grids, by (text, seed).
        arm: Its name; empty: rows of that name are another model's.
        verdicts: Its verdicts on explanations of several words of other arms, under that operator.
    """

    tables: Mapping[stats.TextSeed, Table]
    grids: Mapping[stats.TextSeed, CounterfactualGrid]
    arm: str = ""
    verdicts: Mapping[tuple[str, ...], Judged] = field(default_factory=dict)

    def effects(self, rows: Sequence[Row]) -> dict[stats.TextSeed, stats.Effect]:
        """Return the effects of a cell's explanations in the grading arm."""
        if all(row.setting == "one-word" for row in rows):
            return stats.start_effects(rows, self.tables, self.grids)
        return stats.own_effects(self._several_words(rows))

    def excess(self, rows: Sequence[Row], seed: int) -> stats.Interval:
        """Return the mean excess of a cell's explanations in the grading arm."""
        if all(row.setting == "one-word" for row in rows):
            return stats.start_graded(rows, self.tables, self.grids, seed)
        graded = [row for row in self._several_words(rows) if row.effect_floor is not None]
        if not graded:
            return stats.Interval(None, None, None, 0, "not judged by the start model")
        return stats.mean_interval(by_text((row.id, row.excess) for row in graded).values(), seed)

    def _several_words(self, rows: Sequence[Row]) -> Sequence[Row | Judged]:
        """Return the verdicts on a cell of explanations of several words: of the arm's own, the rows themselves.

        Nothing of a cell of which some seeds were not judged: rows of ``base``, which is judged under its one seed, may
        stand there for several (``level_seeds``).
        """
        if any(row.arm == self.arm for row in rows):
            return rows
        verdicts = [verdict for row in rows if (verdict := self.verdicts.get(_explanation_key(row)))]
        return verdicts if {verdict.seed for verdict in verdicts} == {row.seed for row in rows} else []

    def for_seeds(self, seeds: Iterable[int]) -> StartGrader:
        """Return the same for the rows of other seeds, where the arm has one seed."""
        if len({seed for _, seed in self.tables}) != 1:
            return self
        tables = {(text, seed): table for seed in set(seeds) for (text, _), table in self.tables.items()}
        grids = {(text, seed): grid for seed in set(seeds) for (text, _), grid in self.grids.items()}
        return replace(self, tables=tables, grids=grids)

    def of_words(self) -> StartGrader:
        """Return the same without what it says of several words: for rows of another run, whose arms are others."""
        return replace(self, arm="", verdicts={})


def _explanation_key(record: Row | Judged) -> tuple[str, ...]:
    return record.arm, record.id, str(record.seed), record.style, record.setting, record.readout


def start_graders(run: LoadedRun, operators: Iterable[str]) -> dict[str, StartGrader]:
    """Return the start arm of a run as a grader, by operator."""
    return graders_of(run, start_arm(run.arms), operators)


def graders_of(run: LoadedRun, arm: str | None, operators: Iterable[str]) -> dict[str, StartGrader]:
    """Return an arm of a run as a grader, by operator; None: one that knows no text."""
    grids, graders = grids_of(run, arm), {}
    judged = [verdict for verdict in run.judged_by_start if verdict.variation == judge_name(str(arm))]
    for operator in set(operators):
        verdicts = {_explanation_key(verdict): verdict for verdict in judged if verdict.operator == operator}
        graders[operator] = StartGrader(tables_of(run, arm, operator), grids, str(arm or ""), verdicts)
    return graders
