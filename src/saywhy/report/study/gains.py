"""Trained arms against their matched controls, cell by cell over all tasks; what is confirmatory and what is not."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from saywhy import stats
from saywhy.arms import STARTS, kind, kind_and_variant
from saywhy.records import Row
from saywhy.report.arms import StartGrader, matched_seeds, start_graders
from saywhy.report.cells import CellKey, excesses
from saywhy.report.contrasts import Contrast, contrast_of
from saywhy.report.study.frozen import ConfirmatoryCell
from saywhy.report.study.load import StudyArm, StudyRun
from saywhy.stats.intervals import by_text

Axis = Literal["practised", "other style", "other task", "unseen task", "free", "variant", "robustness", "other arm"]
"""What a comparison is about: the practised styles on the practised task, or one way in which its cell differs."""

OTHER_TARGET_KINDS = ("lexical", "transplant")
"""Kinds of arms with targets of another origin; a faithful arm is compared with them in the styles it practised."""

RowsOfCells = Mapping[str, Mapping[CellKey, Sequence[Row]]]
"""Task -> cell -> its rows."""


@dataclass(frozen=True, slots=True)
class Gain:
    """A comparison of two arms in one cell of one task.

    Attributes:
        task: The task that is tested on.
        arm: The arm.
        contrast: The arm minus the other, with p corrected within its family.
        axis: What the comparison is about.
        frozen: The confirmatory cell that it answers; None if it is exploratory.
        seeds: The seeds that both arms ran under.
        levels: Mean excess of the arm and of the other, on the texts and seeds that they share.
    """

    task: str
    arm: StudyArm
    contrast: Contrast
    axis: Axis
    frozen: ConfirmatoryCell | None
    seeds: tuple[int, ...]
    levels: tuple[float, float]

    @property
    def key(self) -> CellKey:
        """The arm's cell."""
        return self.contrast.key

    @property
    def missing_seeds(self) -> tuple[int, ...]:
        """The frozen seeds that are not measured yet; while there are any, the comparison is not decided."""
        return tuple(seed for seed in self.frozen.seeds if seed not in self.seeds) if self.frozen else ()

    @property
    def value(self) -> float:
        """The difference of mean excess; 0 if no text is shared."""
        return self.contrast.difference.value or 0.0

    @property
    def family(self) -> tuple[str, ...]:
        """The comparisons whose p-values are corrected together."""
        if self.frozen is not None:
            return ("confirmatory",)
        return self.axis, self.key.setting, self.key.readout, self.key.operator

    def stands(self, alpha: float = 0.05) -> Literal["higher", "lower"] | None:
        """Return the direction of the difference if it stands after Holm's correction in its family, else None."""
        difference, p_holm = self.contrast.difference, self.contrast.p_holm
        if (
            p_holm is None
            or p_holm >= alpha
            or difference.low is None
            or difference.high is None
            or difference.low <= 0 <= difference.high
        ):
            return None
        return "higher" if difference.low > 0 else "lower"

    def confirmed(self, alpha: float = 0.05) -> bool:
        """Whether the difference stands in the frozen direction, with all frozen seeds measured."""
        return self.frozen is not None and not self.missing_seeds and self.stands(alpha) == self.frozen.direction

    def excluded(self, beyond: float) -> bool:
        """Whether the interval excludes a difference of ``beyond`` in the frozen direction, with all seeds measured."""
        difference = self.contrast.difference
        if self.frozen is None or self.missing_seeds or difference.low is None or difference.high is None:
            return False
        return difference.high < beyond if self.frozen.direction == "higher" else difference.low > -beyond

    def expected(self, alpha: float = 0.05) -> bool:
        """Whether the difference stands in the frozen direction, under the seeds measured so far."""
        return self.frozen is not None and self.stands(alpha) == self.frozen.direction


def rivals_of(gains: Iterable[Gain]) -> list[str]:
    """Return kind and variant of the arms that others are compared with, each once."""
    return list(dict.fromkeys(kind_and_variant(gain.contrast.rival) for gain in gains))


def gains_of(
    study: StudyRun, cells: RowsOfCells, frozen: Sequence[ConfirmatoryCell], seed: int = 0
) -> tuple[Gain, ...]:
    """Compare faithful arms with their controls and with other targets, and all frozen cells; correct each family.

    Args:
        study: The study.
        cells: The rows of each cell of each task.
        frozen: The confirmatory cells. One without rows counts in Holm's correction with p = 1.
        seed: Seed of the resampling.
    """
    frozen_cells = {(cell.task, cell.key) for cell in frozen}
    frozen_pairs = ((cell.task, cell.key, cell.against) for cell in frozen)
    measured = (pair for pair in frozen_pairs if _both_measured(cells, *pair))
    pairs = dict.fromkeys([*_compared_pairs(study, cells, frozen_cells), *measured])
    graders = {
        task: start_graders(study.runs[task], (key.operator for key in task_cells))
        for task, task_cells in cells.items()
    }
    gains = [
        _compare_arms(study, cells[task], graders[task][key.operator], task, key, against, frozen, seed)
        for task, key, against in pairs
    ]
    families: dict[tuple[str, ...], list[int]] = {}
    for at, gain in enumerate(gains):
        families.setdefault(gain.family, []).append(at)
    for name, members in families.items():
        p_values = [_p_or_one(gains[at]) for at in members]
        absent = max(0, len(frozen) - len(p_values)) if name == ("confirmatory",) else 0
        for at, p in zip(members, stats.holm([*p_values, *[1.0] * absent]), strict=False):
            gains[at] = replace(gains[at], contrast=replace(gains[at].contrast, p_holm=p))
    return tuple(gains)


def _both_measured(cells: RowsOfCells, task: str, key: CellKey, against: str) -> bool:
    """Whether both arms of a comparison were measured, on some text under the same seed."""
    arm_rows, other_rows = (cells.get(task, {}).get(replace(key, arm=arm), ()) for arm in (key.arm, against))
    measured, other_measured = (
        {(row.id, row.seed) for row in rows} for rows in _under_same_seeds(arm_rows, other_rows)
    )
    return not measured.isdisjoint(other_measured)


def _under_same_seeds(arm_rows: Sequence[Row], other_rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """Return the rows of two arms under the seeds that both have; but for ``base``, none stands for another seed."""
    arms = {kind(row.arm) for rows in (arm_rows, other_rows) for row in rows[:1]}
    if "base" not in arms and {row.seed for row in arm_rows}.isdisjoint(row.seed for row in other_rows):
        return (), ()
    return matched_seeds(arm_rows, other_rows)


def _p_or_one(gain: Gain) -> float:
    p = gain.contrast.difference.p
    return 1.0 if p is None else p


def _compared_pairs(
    study: StudyRun, cells: RowsOfCells, frozen: Collection[tuple[str, CellKey]]
) -> Iterator[tuple[str, CellKey, str]]:
    """Yield (task, cell, arm that it is compared with) for every comparison that has rows.

    The arms of ``frozen`` cells are also compared with base and adapted. In the frozen cells all comparisons are made,
    whether the style was practised or not.
    """
    answer_arms = {key.arm for _, key in frozen}
    for task, task_cells in cells.items():
        for key in task_cells:
            arm = study.arm(key.arm)
            if arm.kind != "faithful":
                continue
            rivals = [control.name] if (control := study.control(arm)) else []
            practised = task in arm.tasks and key.style in arm.styles and not arm.variant
            if practised or (task, key) in frozen:
                rivals += [
                    rival
                    for rival in _arms_of_other_targets(study, arm, task_cells, starts=arm.name in answer_arms)
                    if rival not in rivals
                ]
            yield from ((task, key, rival) for rival in rivals if _both_measured(cells, task, key, rival))


def _arms_of_other_targets(
    study: StudyRun, arm: StudyArm, cells: Mapping[CellKey, Sequence[Row]], *, starts: bool
) -> list[str]:
    """Return the arms with other targets and the same practice; with ``starts`` also base and adapted."""
    names = dict.fromkeys(key.arm for key in cells)
    before = [name for name in names if name in STARTS and starts]
    rivals = [study.arm(name) for name in names if kind(name) in OTHER_TARGET_KINDS]
    return before + [rival.name for rival in rivals if rival.practice == arm.practice and not rival.variant]


def _compare_arms(
    study: StudyRun,
    cells: Mapping[CellKey, Sequence[Row]],
    grader: StartGrader,
    task: str,
    key: CellKey,
    against: str,
    frozen: Sequence[ConfirmatoryCell],
    seed: int,
) -> Gain:
    arm = study.arm(key.arm)
    arm_rows, other_rows = matched_seeds(cells[key], cells[replace(key, arm=against)])
    frozen_cell = next((cell for cell in frozen if (cell.task, cell.key, cell.against) == (task, key, against)), None)
    seeds = tuple(sorted({row.seed for row in arm_rows} & {row.seed for row in other_rows}))
    control = study.control(arm)
    matched = arm.kind == "faithful" and control is not None and control.name == against
    axis = axis_of(study, task, arm, key) if matched else "other arm"
    return Gain(
        task,
        arm,
        contrast_of(key, against, (arm_rows, other_rows), grader, seed),
        axis,
        frozen_cell,
        seeds,
        _mean_excess_levels(arm_rows, other_rows),
    )


def _mean_excess_levels(arm_rows: Sequence[Row], other_rows: Sequence[Row]) -> tuple[float, float]:
    """Return both arms' mean excess on the texts and seeds that they share."""
    means = [side.values() for side in shared_excess(arm_rows, other_rows)]
    first, second = (math.fsum(values) / len(values) if values else 0.0 for values in means)
    return first, second


def shared_excess(arm_rows: Sequence[Row], other_rows: Sequence[Row]) -> tuple[dict[str, float], dict[str, float]]:
    """Return both arms' excess of each text that they share, averaged over the shared seeds."""
    sides = [excesses(arm_rows), excesses(other_rows)]
    shared = sides[0].keys() & sides[1].keys()
    first, second = (by_text((text, side[text, seed]) for text, seed in shared) for side in sides)
    return first, second


def axis_of(study: StudyRun, task: str, arm: StudyArm, key: CellKey) -> Axis:
    """Return the first way in which a cell differs from what its arm practised.

    A cell of a variant in another task or style counts there, as the same cell of an arm without variant does.
    """
    if key.operator != first_operator(study) or key.readout == "placebo":
        return "robustness"
    if task not in arm.tasks:
        return "unseen task" if task in study.unseen else "other task"
    if key.style not in arm.styles:
        return "other style"
    if arm.variant:
        return "variant"
    return "free" if key.setting == "free" else "practised"


def first_operator(study: StudyRun) -> str:
    """Return the primary operator of the study."""
    operators = study.plan.get("with", {}).get("operators") or ()
    return str(next(iter(operators), "redact"))
