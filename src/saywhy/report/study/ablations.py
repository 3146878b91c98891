"""Variants against the arm that they vary, and the learning curve of arms that differ in their rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saywhy import stats
from saywhy.config import Config
from saywhy.records import STYLES, Row
from saywhy.report.arms import matched_seeds
from saywhy.report.cells import Key, excesses
from saywhy.report.study.load import Arm
from saywhy.report.study.summary import StudySummary
from saywhy.report.summary import Cell
from saywhy.stats import Difference, Interval

ROWS = "train_rows"
"""The setting of a learning curve."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """A variant in one cell, against the arm without variant.

    Attributes:
        task: The task.
        arm: The variant.
        twin: The arm that it varies.
        cell: The variant's cell.
        difference: Its mean excess minus the twin's, same texts and seeds.
        p_holm: p corrected over all ablations of the same setting and readout.
        accuracy: Its accuracy minus the twin's on the split; None without decisions.
    """

    task: str
    arm: Arm
    twin: Arm
    cell: Cell
    difference: Difference
    p_holm: float | None
    accuracy: Difference | None


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a learning curve.

    Attributes:
        task: The task.
        style: The style.
        sort: Kind of the arm: ``faithful`` or its control.
        rows: Texts on which the arm was trained.
        seeds: The seeds that all points of a curve have: others would differ in more than the rows.
        excess: Mean excess on the texts that were tested.
        score: Its score.
    """

    task: str
    style: str
    sort: str
    rows: int
    seeds: tuple[int, ...]
    excess: Interval
    score: Interval


def is_shorter(arm: Arm) -> bool:
    """Whether an arm differs from the one without variant in the number of training rows only."""
    return bool(arm.variant) and set(arm.settings) == {ROWS}


def ablations_of(summary: StudySummary, readout: str = "constrained") -> list[Ablation]:
    """Return every faithful variant but the points of a learning curve, one-word, in the order of the study."""
    found = []
    for task, mine in summary.rows.items():
        for key in mine:
            arm = summary.study.arm(key.arm)
            twin = summary.study.plain_twin(arm)
            if arm.kind != "faithful" or twin is None or is_shorter(arm) or not _primary(summary, key, readout):
                continue
            other = mine.get(replace(key, arm=twin.name))
            cell = summary.cell(task, key)
            if other and cell is not None:
                new, old = (excesses(side) for side in matched_seeds(mine[key], other))
                difference = stats.paired_difference(new, old, summary.seed)
                found.append(Ablation(task, arm, twin, cell, difference, None, _accuracy(summary, task, arm, twin)))
    corrected = stats.holm([1.0 if one.difference.p is None else one.difference.p for one in found])
    order = {name: at for at, name in enumerate(summary.study.arms)}
    made = [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]
    return sorted(made, key=lambda one: (one.task, order[one.arm.name], STYLES.index(one.cell.key.style)))


def _primary(summary: StudySummary, key: Key, readout: str) -> bool:
    return (key.setting, key.readout, key.operator) == ("one-word", readout, summary.operator)


def _accuracy(summary: StudySummary, task: str, arm: Arm, twin: Arm) -> Difference | None:
    """Return how much more often a variant decides right than the arm that it varies."""
    decisions = summary.study.runs[task].decisions
    mine, theirs = ([d for d in decisions if d.arm == one.name and d.gold is not None] for one in (arm, twin))
    if not mine or not theirs:
        return None
    new, old = matched_seeds(mine, theirs)
    return stats.paired_difference(stats.right(new), stats.right(old), summary.seed)


def curve_of(summary: StudySummary, readout: str = "constrained") -> list[Point]:
    """Return the learning curve, in the practised styles: variants in rows only, and the arms that they vary."""
    study = summary.study
    shorter = [arm for arm in study.arms.values() if is_shorter(arm)]
    rooted = {twin.name for arm in shorter if (twin := study.plain_twin(arm)) is not None}
    curves: dict[tuple[str, str], list[tuple[Arm, int, Sequence[Row]]]] = {}
    for task, mine in summary.rows.items():
        for key, rows in mine.items():
            arm = study.arm(key.arm)
            wanted = arm in shorter or arm.name in rooted
            if wanted and _primary(summary, key, readout) and key.style in arm.styles and task in arm.tasks:
                trained = _rows(arm.settings, study.plan.get("with", {}))
                curves.setdefault((task, key.style), []).append((arm, trained, rows))
    found = [point for (task, style), arms in curves.items() for point in _points(task, style, arms, summary.seed)]
    return sorted(found, key=lambda one: (one.task, STYLES.index(one.style), one.sort, one.rows))


def _points(task: str, style: str, arms: Sequence[tuple[Arm, int, Sequence[Row]]], seed: int) -> list[Point]:
    """Return the points of one curve, under the seeds that all of them have."""
    shared = set.intersection(*({row.seed for row in rows} for _, _, rows in arms))
    points = []
    for arm, trained, rows in arms:
        mine = [row for row in rows if row.seed in shared] or list(rows)
        excess = stats.mean_interval(stats.per_text(mine, lambda row: row.excess).values(), seed)
        seeds = tuple(sorted({row.seed for row in mine}))
        points.append(Point(task, style, arm.kind, trained, seeds, excess, stats.score(mine, seed)))
    return points


def _rows(*settings: Mapping[str, Any]) -> int:
    """Return the training rows that the first of ``settings`` says which has them; else the usual ones."""
    told = [some[ROWS] for some in settings if ROWS in some]
    return int([*told, Config.model_fields[ROWS].default][0])


def told(arm: Arm) -> str:
    """Say in what a variant differs, e.g. ``rank=0``."""
    return ", ".join(f"{key}={_plain(value)}" for key, value in arm.settings.items()) or arm.variant


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
