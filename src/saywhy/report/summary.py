"""Rows -> cells, contrasts and retention: every number of a report, before it is formatted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saywhy import stats
from saywhy.records import (
    OPERATORS,
    READOUTS,
    SETTINGS,
    STYLES,
    Operator,
    Readout,
    Row,
    Setting,
    StyleName,
    Table,
)
from saywhy.report.arms import TRAINING_OPERATOR, kind, level_seeds, rivals, start_arm, tables_of
from saywhy.report.load import Run
from saywhy.report.retention import Retention, retention, yardstick
from saywhy.stats import Difference, Interval

NOT_SHOWN = "unclear"
"""The verdict on a contrast that shows nothing: neither a gain nor a loss, nor equality."""
UNCORRECTED = ", uncorrected"
"""Behind a verdict that stands by itself, but not after Holm's correction for all contrasts."""

TRAINED = ("faithful", "transplant")
"""Kinds of arms whose targets were found with ``TRAINING_OPERATOR``."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a cell is about."""

    arm: str
    style: StyleName
    setting: Setting
    readout: Readout
    operator: Operator

    def order(self, arms: Sequence[str]) -> tuple[int, ...]:
        """Return the place of the cell in a table; blocks are operator, setting, readout."""
        return (
            OPERATORS.index(self.operator),
            SETTINGS.index(self.setting),
            READOUTS.index(self.readout),
            STYLES.index(self.style),
            arms.index(self.arm),
        )

    @property
    def block(self) -> tuple[Operator, Setting, Readout]:
        """The table to which the cell belongs."""
        return self.operator, self.setting, self.readout


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm x style x setting x readout x operator.

    Attributes:
        key: Which one.
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
        drop: Mean fall of the log-odds (nats) over valid replies.
        reasons: How often each reason made a reply invalid.
        instrument: Whether the operator is the one the arm's training targets were made with.
    """

    key: Key
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
    drop: Interval
    reasons: Mapping[str, int]
    instrument: bool


@dataclass(frozen=True, slots=True)
class Contrast:
    """A faithful arm against another in one cell: the paired difference of mean excess.

    Attributes:
        key: The faithful arm's cell.
        other: The arm that it is compared with.
        difference: Mean excess of the faithful arm minus that of the other, same texts.
        p_holm: p corrected for the confirmatory contrasts; None for the others.
        flippable: Scores of the two on the texts that can flip in both.
    """

    key: Key
    other: str
    difference: Difference
    p_holm: float | None
    flippable: tuple[Interval, Interval]

    @property
    def verdict(self) -> str:
        """``higher`` or ``lower`` if the interval excludes 0 and p < 0.05, or ``NOT_SHOWN``.

        ``, uncorrected`` is added where p is below 0.05 by itself but not after Holm's correction.
        """
        found = self.difference
        if found.low is None or found.high is None or found.p is None or found.p >= 0.05:
            return NOT_SHOWN
        if found.low <= 0 <= found.high:
            return NOT_SHOWN
        sign = "higher" if found.low > 0 else "lower"
        return sign if self.p_holm is None or self.p_holm < 0.05 else f"{sign}{UNCORRECTED}"


@dataclass(frozen=True)
class Summary:
    """Everything a report shows in numbers.

    Attributes:
        run: What was summarised.
        start: The arm that the others went on from: adapted, else base, else None.
        cells: In table order.
        contrasts: In table order.
        retention: One an arm that has decisions.
        yardstick: Agreement of the start arm's first two seeds; None if it has but one.
    """

    run: Run
    start: str | None
    cells: tuple[Cell, ...]
    contrasts: tuple[Contrast, ...]
    retention: tuple[Retention, ...]
    yardstick: Interval | None


def group(rows: Iterable[Row]) -> dict[Key, list[Row]]:
    """Return the rows of each cell."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(Key(row.arm, row.style, row.setting, row.readout, row.operator), []).append(row)
    return found


def summarise(run: Run, seed: int = 0) -> Summary:
    """Compute every number of a report from the rows of a run; ``seed`` is that of the resampling."""
    start = start_arm(run.arms)
    cells = group(run.rows)
    keys = sorted(cells, key=lambda key: key.order(run.arms))
    graders = {op: tables_of(run, start, op) for op in {key.operator for key in keys}}
    made = []
    for key in keys:
        base = cells.get(replace(key, arm=start)) if start and start != key.arm else None
        made.append(_cell(key, cells[key], base, graders[key.operator], seed))
    return Summary(
        run=run,
        start=start,
        cells=tuple(made),
        contrasts=_contrasts(run, cells, keys, seed),
        retention=tuple(retention(run, start, seed)),
        yardstick=yardstick(run, start),
    )


def _cell(
    key: Key, rows: Sequence[Row], start: Sequence[Row] | None, grader: Mapping[stats.Key, Table], seed: int
) -> Cell:
    valid = [row for row in rows if row.valid]
    seeds = sorted({row.seed for row in rows})

    def mean(some: Sequence[Row], value: Any) -> Interval:
        return stats.mean_interval(stats.per_text(some, value).values(), seed)

    def share(some: Sequence[Row], hits: Any) -> Interval:
        return stats.rate([hits(row) for row in some], len({row.id for row in some}))

    nobody = Interval(None, None, None, 0, "no other start arm to compare with")
    flippable = nobody if start is None else stats.score_on_flippable(*level_seeds(rows, start), seed)[0]
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
        excess_seeds={s: _plain_mean([r.excess for r in rows if r.seed == s]) for s in seeds},
        score=stats.score(rows, seed),
        score_valid=stats.score(valid, seed),
        score_flippable=flippable,
        start_graded=stats.start_graded(rows, grader, seed) if grader else nobody,
        drop=mean(valid, lambda row: row.drop),
        reasons=Counter(row.reason.split(": ")[0] for row in rows if row.reason is not None),
        instrument=key.operator == TRAINING_OPERATOR and kind(key.arm) in TRAINED,
    )


def _plain_mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _contrasts(run: Run, cells: Mapping[Key, Sequence[Row]], keys: Sequence[Key], seed: int) -> tuple[Contrast, ...]:
    """Compare faithful arms with the others; Holm over the confirmatory contrasts.

    Confirmatory are those with the primary operator in the generated and constrained readouts. Other
    operators and the placebo readout are robustness checks.
    """
    found = []
    for key in keys:
        for other in rivals(run.arms, key.arm):
            if (theirs := cells.get(replace(key, arm=other))) is None:
                continue
            mine, theirs = level_seeds(cells[key], theirs)
            difference = stats.paired_difference(excesses(mine), excesses(theirs), seed)
            found.append(Contrast(key, other, difference, None, stats.score_on_flippable(mine, theirs, seed)))
    tested = [at for at, c in enumerate(found) if confirmatory(c.key) and c.difference.p is not None]
    corrected = stats.holm([found[at].difference.p or 0.0 for at in tested])
    for at, p in zip(tested, corrected, strict=True):
        found[at] = replace(found[at], p_holm=p)
    return tuple(found)


def confirmatory(key: Key) -> bool:
    """Whether a cell belongs to the primary comparisons rather than to the robustness checks."""
    return key.operator == TRAINING_OPERATOR and key.readout != "placebo"


def excesses(rows: Iterable[Row]) -> dict[stats.Key, float]:
    """Return the excess of each (text, seed)."""
    return {(row.id, row.seed): row.excess for row in rows}
