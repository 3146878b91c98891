"""Ablations: variants against the arm that they vary; and the learning curve over the number of training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saywhy import stats
from saywhy.config import Config
from saywhy.records import STYLES, Row
from saywhy.report.arms import matched_seeds
from saywhy.report.cells import CellKey, excesses
from saywhy.report.study.load import StudyArm
from saywhy.report.study.summary import StudySummary
from saywhy.report.summary import Cell
from saywhy.stats import Difference, Interval

TRAIN_ROWS_SETTING = "train_rows"
"""The setting in which the points of a learning curve differ."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """A variant in one cell, compared with the arm that it varies (its twin).

    Attributes:
        task: The task.
        arm: The variant.
        twin: The arm of the same kind, styles and tasks without variant.
        cell: The variant's cell.
        difference: Its mean excess minus the twin's, same texts and seeds.
        p_holm: p corrected over all ablations of the same setting and readout.
        accuracy: Its accuracy minus the twin's on the split; None without decisions.
    """

    task: str
    arm: StudyArm
    twin: StudyArm
    cell: Cell
    difference: Difference
    p_holm: float | None
    accuracy: Difference | None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A point of a learning curve.

    Attributes:
        task: The task.
        style: The style.
        kind: Kind of the arm: ``faithful`` or its control, ``random``.
        rows: Texts on which the arm was trained.
        seeds: The seeds that all points of the curve share, so that they differ in the number of rows only.
        excess: Mean excess on the test texts.
        score: Score on the test texts.
        effect_share: Effect share on the test texts, by the arm's own tables.
    """

    task: str
    style: str
    kind: str
    rows: int
    seeds: tuple[int, ...]
    excess: Interval
    score: Interval
    effect_share: Interval


def is_shorter(arm: StudyArm) -> bool:
    """Whether an arm differs from the one without variant in the number of training rows only."""
    return bool(arm.variant) and set(arm.settings) == {TRAIN_ROWS_SETTING}


def ablations_of(summary: StudySummary, readout: str = "constrained") -> list[Ablation]:
    """Return every faithful variant in its one-word cells, in the order of the study; not those of a learning curve."""
    ablations = []
    for task, cells in summary.rows.items():
        for key in cells:
            arm = summary.study.arm(key.arm)
            twin = summary.study.plain_twin(arm)
            if (
                arm.kind != "faithful"
                or twin is None
                or is_shorter(arm)
                or not _is_primary_one_word(summary, key, readout)
            ):
                continue
            twin_rows = cells.get(replace(key, arm=twin.name))
            cell = summary.cell(task, key)
            if twin_rows and cell is not None:
                new, old = (excesses(rows) for rows in matched_seeds(cells[key], twin_rows))
                difference = stats.paired_difference(new, old, summary.seed)
                ablations.append(
                    Ablation(task, arm, twin, cell, difference, None, _accuracy_against_twin(summary, task, arm, twin))
                )
    corrected = stats.holm([1.0 if ablation.difference.p is None else ablation.difference.p for ablation in ablations])
    order = {name: at for at, name in enumerate(summary.study.arms)}
    ablations = [replace(ablation, p_holm=p) for ablation, p in zip(ablations, corrected, strict=True)]
    return sorted(
        ablations, key=lambda ablation: (ablation.task, order[ablation.arm.name], STYLES.index(ablation.cell.key.style))
    )


def _is_primary_one_word(summary: StudySummary, key: CellKey, readout: str) -> bool:
    return (key.setting, key.readout, key.operator) == ("one-word", readout, summary.operator)


def _accuracy_against_twin(summary: StudySummary, task: str, arm: StudyArm, twin: StudyArm) -> Difference | None:
    """Return the accuracy of a variant minus that of its twin; None without labelled decisions of both."""
    decisions = summary.study.runs[task].decisions
    arm_decisions, twin_decisions = (
        [decision for decision in decisions if decision.arm == compared.name and decision.gold is not None]
        for compared in (arm, twin)
    )
    if not arm_decisions or not twin_decisions:
        return None
    new, old = matched_seeds(arm_decisions, twin_decisions)
    return stats.paired_difference(stats.correctness(new), stats.correctness(old), summary.seed)


def curve_of(summary: StudySummary, readout: str = "constrained") -> list[CurvePoint]:
    """Return the learning curve, in the practised styles: variants in rows only, and the arms that they vary."""
    study = summary.study
    shorter = [arm for arm in study.arms.values() if is_shorter(arm)]
    twin_names = {twin.name for arm in shorter if (twin := study.plain_twin(arm)) is not None}
    curves: dict[tuple[str, str], list[tuple[StudyArm, int, Sequence[Row]]]] = {}
    for task, cells in summary.rows.items():
        for key, rows in cells.items():
            arm = study.arm(key.arm)
            in_curve = arm in shorter or arm.name in twin_names
            if (
                in_curve
                and _is_primary_one_word(summary, key, readout)
                and key.style in arm.styles
                and task in arm.tasks
            ):
                train_rows = _training_row_count(arm.settings, study.plan.get("with", {}))
                curves.setdefault((task, key.style), []).append((arm, train_rows, rows))
    points = [
        point for (task, style), arms in curves.items() for point in _curve_points(task, style, arms, summary.seed)
    ]
    return sorted(points, key=lambda point: (point.task, STYLES.index(point.style), point.kind, point.rows))


def _curve_points(
    task: str, style: str, arms: Sequence[tuple[StudyArm, int, Sequence[Row]]], seed: int
) -> list[CurvePoint]:
    """Return the points of one curve, under the seeds that all of them have."""
    shared_seeds = set.intersection(*({row.seed for row in rows} for _, _, rows in arms))
    points = []
    for arm, train_rows, rows in arms:
        shared_rows = [row for row in rows if row.seed in shared_seeds] or list(rows)
        excess = stats.mean_interval(stats.per_text(shared_rows, lambda row: row.excess).values(), seed)
        seeds = tuple(sorted({row.seed for row in shared_rows}))
        score, effect_share = stats.score(shared_rows, seed), stats.effect_share(stats.own_effects(shared_rows), seed)
        points.append(CurvePoint(task, style, arm.kind, train_rows, seeds, excess, score, effect_share))
    return points


def _training_row_count(*settings: Mapping[str, Any]) -> int:
    """Return the number of training rows in the first of ``settings`` that has one, else the default."""
    counts = [mapping[TRAIN_ROWS_SETTING] for mapping in settings if TRAIN_ROWS_SETTING in mapping]
    return int([*counts, Config.model_fields[TRAIN_ROWS_SETTING].default][0])


def variant_settings(arm: StudyArm) -> str:
    """Say in what a variant differs, e.g. ``rank=0``."""
    return ", ".join(f"{key}={_setting_in_words(value)}" for key, value in arm.settings.items()) or arm.variant


def _setting_in_words(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
