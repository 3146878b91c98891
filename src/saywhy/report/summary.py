"""Rows -> cells, contrasts and retention: every number of a report, before it is formatted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from saywhy import stats
from saywhy.arms import start_arm
from saywhy.records import Row
from saywhy.report.arms import StartGrader, matched_seeds, same_instrument, start_graders
from saywhy.report.cells import CellKey, rows_by_cell
from saywhy.report.confidence import CellConfidence, confidence_of
from saywhy.report.contrasts import Contrast, contrasts_of
from saywhy.report.load import LoadedRun, by_place
from saywhy.report.mentioned import CellMentions, mentions_of_cells
from saywhy.report.moves import VerdictMove, moves_of
from saywhy.report.retention import Retention, retention_of_arms, yardstick_of
from saywhy.report.rules import Rules
from saywhy.stats import Interval

DEFAULT_RULES = Rules()
"""The rules of a report unless others are given."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm x style x setting x readout x operator.

    Attributes:
        key: Its arm, style, setting, readout and operator.
        rows: Number of rows (texts x seeds), invalid ones included.
        seeds: Number of seeds.
        validity: Share of valid replies.
        hit: Share of faithful replies, invalid ones counted as misses.
        hit_valid: Share of faithful replies among the valid ones.
        floor: Mean hit of a random explanation.
        ceiling: Share of texts in which any explanation hits.
        excess: Mean of hit - floor.
        excess_seeds: Mean excess of each seed.
        score: Sum of excess / sum of (ceiling - floor).
        score_valid: The same over valid replies only: skill without format.
        score_flippable: Score on texts that can flip in this arm and in the start arm.
        start_graded: Excess of the named words as graded by the frozen start model.
        effect_share: Share of the best word's effect that the named words have, beyond a random word.
        effect_share_start: The same as graded by the frozen start model.
        drop: Mean fall of the log-odds (nats) over valid replies.
        reasons: How often each reason made a reply invalid.
        instrument: Whether the operator is the one with which the arm's training targets were found.
    """

    key: CellKey
    rows: int
    seeds: int
    validity: Interval
    hit: Interval
    hit_valid: Interval
    floor: Interval
    ceiling: Interval
    excess: Interval
    excess_seeds: Mapping[int, float]
    score: Interval
    score_valid: Interval
    score_flippable: Interval
    start_graded: Interval
    effect_share: Interval
    effect_share_start: Interval
    drop: Interval
    reasons: Mapping[str, int]
    instrument: bool


@dataclass(frozen=True)
class Summary:
    """Everything a report shows in numbers.

    Attributes:
        run: The run that was summarised.
        start: The arm that the others went on from: adapted, else base, else None.
        cells: In table order.
        contrasts: In table order.
        retention: One for each arm that has decisions.
        yardstick: Agreement of the start arm's first two seeds; None if it has but one.
        rules: The choices by which it was judged.
        moves: The headline's cells under every variation.
        confidence: How good a confidence in their reasons is; empty for a run that knows no log-probabilities.
        mentions: What the replies of each cell in sentences mention.
    """

    run: LoadedRun
    start: str | None
    cells: tuple[Cell, ...]
    contrasts: tuple[Contrast, ...]
    retention: tuple[Retention, ...]
    yardstick: Interval | None
    rules: Rules = DEFAULT_RULES
    moves: tuple[VerdictMove, ...] = ()
    confidence: tuple[CellConfidence, ...] = ()
    mentions: Mapping[CellKey, CellMentions] = field(default_factory=dict)

    @property
    def tested(self) -> int:
        """How many contrasts were corrected together."""
        return sum(contrast.p_holm is not None for contrast in self.contrasts)


def summarise(run: LoadedRun, seed: int = 0, rules: Rules = DEFAULT_RULES) -> Summary:
    """Compute every number of a report from the rows of a run.

    Args:
        run: The run.
        seed: Seed of the resampling.
        rules: Which contrasts are confirmatory, and how much may be lost.
    """
    run = by_place(run)
    start = start_arm(run.arms)
    cells = rows_by_cell(run.rows)
    keys = sorted(cells, key=lambda key: key.order(run.arms, run.operators))
    return Summary(
        run=run,
        start=start,
        cells=cell_estimates(run, cells, keys, start, seed),
        contrasts=contrasts_of(run, cells, keys, rules.family, seed),
        retention=tuple(retention_of_arms(run, start, rules, seed)),
        yardstick=yardstick_of(run, start),
        rules=rules,
        moves=moves_of(run, cells, keys, seed),
        confidence=confidence_of(run, cells, keys, seed),
        mentions=mentions_of_cells(cells, seed),
    )


def cell_estimates(
    run: LoadedRun, cells: Mapping[CellKey, Sequence[Row]], keys: Sequence[CellKey], start: str | None, seed: int
) -> tuple[Cell, ...]:
    """Return the estimates of each cell, in the order of ``keys``."""
    graders = start_graders(run, (key.operator for key in keys))
    estimates = []
    for key in keys:
        start_rows = cells.get(replace(key, arm=start)) if start and start != key.arm else None
        instrument = same_instrument(run, key.arm, key.operator)
        estimates.append(
            _estimates_of_cell(key, cells[key], start_rows, graders[key.operator], seed, instrument=instrument)
        )
    return tuple(estimates)


def _estimates_of_cell(
    key: CellKey,
    rows: Sequence[Row],
    start_rows: Sequence[Row] | None,
    grader: StartGrader,
    seed: int,
    *,
    instrument: bool,
) -> Cell:
    valid = [row for row in rows if row.valid]
    seeds = sorted({row.seed for row in rows})

    def mean(subset: Sequence[Row], value: Any) -> Interval:
        return stats.mean_interval(stats.per_text(subset, value).values(), seed)

    def share(subset: Sequence[Row], hits: Any) -> Interval:
        return stats.rate([hits(row) for row in subset], len({row.id for row in subset}))

    not_compared = Interval(None, None, None, 0, "no other start arm to compare with")
    flippable = (
        not_compared if start_rows is None else stats.score_on_flippable(*matched_seeds(rows, start_rows), seed)[0]
    )
    return Cell(
        key=key,
        rows=len(rows),
        seeds=len(seeds),
        validity=share(rows, lambda row: row.valid),
        hit=share(rows, lambda row: row.hit),
        hit_valid=share(valid, lambda row: row.hit),
        floor=mean(rows, lambda row: row.floor),
        ceiling=share(rows, lambda row: row.ceiling),
        excess=mean(rows, lambda row: row.excess),
        excess_seeds={
            row_seed: _mean_of_excesses([row.excess for row in rows if row.seed == row_seed]) for row_seed in seeds
        },
        score=stats.score(rows, seed),
        score_valid=stats.score(valid, seed),
        score_flippable=flippable,
        start_graded=grader.excess(rows, seed) if grader.tables else not_compared,
        effect_share=stats.effect_share(stats.own_effects(rows), seed),
        effect_share_start=stats.effect_share(grader.effects(rows), seed) if grader.tables else not_compared,
        drop=mean(valid, lambda row: row.drop),
        reasons=Counter(row.reason.split(": ")[0] for row in rows if row.reason is not None),
        instrument=instrument,
    )


def _mean_of_excesses(values: Sequence[float]) -> float:
    return sum(values) / len(values)
