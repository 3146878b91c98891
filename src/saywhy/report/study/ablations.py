"""Ablations: variants against the arm that they vary; and the learning curve over the number of training rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saywhy import stats
from saywhy.arms import HALF, REFRESHED
from saywhy.config import Config
from saywhy.records import STYLES, Row
from saywhy.report.arms import matched_seeds, start_graders
from saywhy.report.cells import CellKey, excesses
from saywhy.report.study.load import StudyArm, StudyRun
from saywhy.report.study.summary import StudySummary, is_finding
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
        recipe: In what its recipe differs from the study's, as in ``objective=word``; empty: in nothing.
        practice: What it practised, where arms of several practices have curves; else empty.
        rows: Texts on which the arm was trained.
        seeds: The seeds that all points of the curve share, so that they differ in the number of rows only.
        excess: Mean excess on the test texts.
        score: Score on the test texts.
        effect_share: Effect share on the test texts, by the arm's own tables.
        effect_share_start: The same by the tables of the start arm.
    """

    task: str
    style: str
    kind: str
    recipe: str
    practice: str
    rows: int
    seeds: tuple[int, ...]
    excess: Interval
    score: Interval
    effect_share: Interval
    effect_share_start: Interval

    @property
    def label(self) -> str:
        """Kind, recipe and practice in words."""
        return ", ".join(filter(None, (self.kind, self.recipe, self.practice)))


def arms_in_curves(study: StudyRun) -> dict[str, int]:
    """Return the arms that differ from another one in the number of training rows only, each with that number."""
    curves: dict[tuple[Any, ...], dict[str, int]] = {}
    for arm in study.arms.values():
        if arm.variant not in (REFRESHED, HALF):  # these learn in another way
            rows = _training_row_count(arm.settings, study.plan.get("with", {}))
            curves.setdefault((arm.kind, _recipe(arm), arm.practice), {})[arm.name] = rows
    return {name: rows for curve in curves.values() if len({*curve.values()}) > 1 for name, rows in curve.items()}


def _recipe(arm: StudyArm) -> str:
    """Say in what an arm's recipe differs from the study's, but for the number of texts."""
    return _in_words({key: arm.settings[key] for key in sorted(arm.settings) if key != TRAIN_ROWS_SETTING})


def _practice_in_words(study: StudyRun, arm: StudyArm) -> str:
    """Say what an arm of a learning curve practised; nothing where those on its tasks practised the same styles."""
    alike = {study.arms[name].practice for name in arms_in_curves(study) if study.arms[name].tasks == arm.tasks}
    return f"practised {arm.practised}" if len(alike) > 1 else ""


def ablations_of(summary: StudySummary) -> list[Ablation]:
    """Return every faithful variant in its one-word cells, in the order of the study; not those of a learning curve."""
    ablations, in_curves = [], arms_in_curves(summary.study)
    for task, cells in summary.rows.items():
        for key in cells:
            arm = summary.study.arm(key.arm)
            twin = summary.study.plain_twin(arm)
            if (
                arm.kind != "faithful"
                or twin is None
                or (arm.name in in_curves and TRAIN_ROWS_SETTING in arm.settings)
                or not is_finding(summary, key)
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


def curve_of(summary: StudySummary) -> list[CurvePoint]:
    """Return the learning curves, in the practised styles: arms that differ in the number of training rows only.

    All points of a curve are of the same seeds: none is drawn where its arms share no seed.
    """
    in_curves = arms_in_curves(summary.study)
    points = []
    for task, cells in summary.rows.items():
        arms: dict[tuple[Any, ...], list[tuple[StudyArm, CellKey, Sequence[Row]]]] = {}
        for key, rows in cells.items():
            arm = summary.study.arm(key.arm)
            practised = key.style in arm.styles and task in arm.tasks
            if arm.name in in_curves and practised and is_finding(summary, key):
                arms.setdefault((key.style, _recipe(arm), arm.practice), []).append((arm, key, rows))
        for of_curve in arms.values():
            shared_seeds = set.intersection(*({row.seed for row in rows} for _, _, rows in of_curve))
            for arm, key, rows in of_curve:
                if shared_rows := [row for row in rows if row.seed in shared_seeds]:
                    texts = int(min(in_curves[arm.name], _training_texts(summary.study, task)))
                    points.append(_curve_point(summary, task, arm, key, texts, shared_rows))
    return sorted(points, key=lambda at: (at.task, STYLES.index(at.style), at.kind, at.recipe, at.practice, at.rows))


def _curve_point(
    summary: StudySummary, task: str, arm: StudyArm, key: CellKey, train_rows: int, rows: Sequence[Row]
) -> CurvePoint:
    seed, grader = summary.seed, start_graders(summary.study.runs[task], (key.operator,))[key.operator]
    return CurvePoint(
        task=task,
        style=key.style,
        kind=arm.kind,
        recipe=_recipe(arm),
        practice=_practice_in_words(summary.study, arm),
        rows=train_rows,
        seeds=tuple(sorted({row.seed for row in rows})),
        excess=stats.mean_interval(stats.per_text(rows, lambda row: row.excess).values(), seed),
        score=stats.score(rows, seed),
        effect_share=stats.effect_share(stats.own_effects(rows), seed),
        effect_share_start=stats.effect_share(grader.effects(rows), seed),
    )


def _training_texts(study: StudyRun, task: str) -> float:
    """Return how many texts of a task there were to practise on; no limit where that was not kept."""
    counts = study.runs[task].manifest.get("counts") or {}
    return float(counts.get("arms", math.inf))


def _training_row_count(*settings: Mapping[str, Any]) -> int:
    """Return the number of training rows in the first of ``settings`` that has one, else the default."""
    counts = [mapping[TRAIN_ROWS_SETTING] for mapping in settings if TRAIN_ROWS_SETTING in mapping]
    return int([*counts, Config.model_fields[TRAIN_ROWS_SETTING].default][0])


def variant_settings(arm: StudyArm) -> str:
    """Say in what a variant differs, e.g. ``rank=0``."""
    return _in_words(arm.settings) or arm.variant


def _in_words(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={_setting_in_words(value)}" for key, value in settings.items())


def _setting_in_words(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
