"""Trained arms against their matched controls, cell by cell over all tasks; what is confirmatory and what is not."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from saywhy import stats
from saywhy.arms import MADE, kind
from saywhy.records import Row
from saywhy.report.arms import matched_seeds
from saywhy.report.cells import Key, excesses
from saywhy.report.contrasts import Contrast, contrast_of
from saywhy.report.study.frozen import Confirmatory
from saywhy.report.study.load import Arm, StudyRun
from saywhy.stats.intervals import by_text

Axis = Literal["practised", "other style", "other task", "unseen task", "free", "variant", "robustness", "other arm"]
"""What a comparison is about: the practised styles on the practised task, or one way in which it is away from them."""

OTHERS = ("lexical", "transplant")
"""Kinds of arms with targets of another kind, which a faithful arm is compared with in the styles that it practised."""

Cells = Mapping[str, Mapping[Key, Sequence[Row]]]
"""Task -> cell -> its rows."""


@dataclass(frozen=True, slots=True)
class Gain:
    """A comparison of two arms in one cell of one task.

    Attributes:
        task: The task that is tested on.
        arm: The arm.
        contrast: The arm minus the other, with p corrected within its family.
        axis: What it is about.
        frozen: The confirmatory cell that it answers; None if it is exploratory.
        seeds: The seeds that both arms ran under.
        levels: Mean excess of the arm and of the other, on the texts and seeds that they share.
    """

    task: str
    arm: Arm
    contrast: Contrast
    axis: Axis
    frozen: Confirmatory | None
    seeds: tuple[int, ...]
    levels: tuple[float, float]

    @property
    def key(self) -> Key:
        """The arm's cell."""
        return self.contrast.key

    @property
    def lacks(self) -> tuple[int, ...]:
        """The frozen seeds that are not measured: as long as there are any, nothing is decided."""
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
        """Return which way the difference goes if it stands after Holm's correction within its family."""
        found, p = self.contrast.difference, self.contrast.p_holm
        if p is None or p >= alpha or found.low is None or found.high is None or found.low <= 0 <= found.high:
            return None
        return "higher" if found.low > 0 else "lower"

    def confirmed(self, alpha: float = 0.05) -> bool:
        """Whether the difference stands, under all frozen seeds, and goes the way that was named beforehand."""
        return self.frozen is not None and not self.lacks and self.stands(alpha) == self.frozen.direction

    def expected(self, alpha: float = 0.05) -> bool:
        """Whether the difference stands so far, and goes the way that was named beforehand."""
        return self.frozen is not None and self.stands(alpha) == self.frozen.direction


def gains_of(study: StudyRun, cells: Cells, frozen: Sequence[Confirmatory], seed: int = 0) -> tuple[Gain, ...]:
    """Compare every faithful arm with its control, and with the rivals, and what was frozen; correct each family.

    Args:
        study: The study.
        cells: The rows of each cell of each task.
        frozen: The confirmatory cells. One without rows counts in Holm's correction as if it had shown nothing.
        seed: Seed of the resampling.
    """
    places = {(cell.task, cell.key) for cell in frozen}
    named = ((cell.task, cell.key, cell.against) for cell in frozen)
    measured = (one for one in named if _has_rows(cells, *one))
    pairs = dict.fromkeys([*_pairs(study, cells, places), *measured])
    found = [_gain(study, cells[task], task, key, other, frozen, seed) for task, key, other in pairs]
    families: dict[tuple[str, ...], list[int]] = {}
    for at, gain in enumerate(found):
        families.setdefault(gain.family, []).append(at)
    for name, members in families.items():
        ps = [_p(found[at]) for at in members]
        absent = max(0, len(frozen) - len(ps)) if name == ("confirmatory",) else 0
        for at, p in zip(members, stats.holm([*ps, *[1.0] * absent]), strict=False):
            found[at] = replace(found[at], contrast=replace(found[at].contrast, p_holm=p))
    return tuple(found)


def _has_rows(cells: Cells, task: str, key: Key, other: str) -> bool:
    """Whether both arms of a comparison were measured."""
    mine = cells.get(task, {})
    return key in mine and replace(key, arm=other) in mine


def _p(gain: Gain) -> float:
    p = gain.contrast.difference.p
    return 1.0 if p is None else p


def _pairs(study: StudyRun, cells: Cells, frozen: Collection[tuple[str, Key]]) -> Iterator[tuple[str, Key, str]]:
    """Yield (task, cell, other arm) for everything that is compared and has rows.

    The arms of ``frozen`` cells are compared with base and adapted too, and in these cells with all arms, be the style
    practised or not.
    """
    answer = {key.arm for _, key in frozen}
    for task, mine in cells.items():
        for key in mine:
            arm = study.arm(key.arm)
            if arm.kind != "faithful":
                continue
            others = [control.name] if (control := study.control(arm)) else []
            practised = task in arm.tasks and key.style in arm.styles and not arm.variant
            if practised or (task, key) in frozen:
                others += [a for a in _others(study, arm, mine, starts=arm.name in answer) if a not in others]
            yield from ((task, key, other) for other in others if _has_rows(cells, task, key, other))


def _others(study: StudyRun, arm: Arm, cells: Mapping[Key, Sequence[Row]], *, starts: bool) -> list[str]:
    """Return the arms with other targets and the same practice; with ``starts`` those before the training too."""
    names = dict.fromkeys(key.arm for key in cells)
    before = [name for name in names if name in MADE and starts]
    found = [study.arm(name) for name in names if kind(name) in OTHERS]
    return before + [one.name for one in found if one.practice == arm.practice and not one.variant]


def _gain(
    study: StudyRun,
    cells: Mapping[Key, Sequence[Row]],
    task: str,
    key: Key,
    other: str,
    frozen: Sequence[Confirmatory],
    seed: int,
) -> Gain:
    arm = study.arm(key.arm)
    mine, theirs = matched_seeds(cells[key], cells[replace(key, arm=other)])
    named = next((cell for cell in frozen if (cell.task, cell.key, cell.against) == (task, key, other)), None)
    seeds = tuple(sorted({row.seed for row in mine} & {row.seed for row in theirs}))
    control = study.control(arm)
    matched = arm.kind == "faithful" and control is not None and control.name == other
    axis = axis_of(study, task, arm, key) if matched else "other arm"
    return Gain(task, arm, contrast_of(key, other, mine, theirs, seed), axis, named, seeds, _levels(mine, theirs))


def _levels(mine: Sequence[Row], theirs: Sequence[Row]) -> tuple[float, float]:
    """Return both arms' mean excess where both have rows: their difference is the paired one."""
    means = [side.values() for side in shared_excess(mine, theirs)]
    first, second = (math.fsum(some) / len(some) if some else 0.0 for some in means)
    return first, second


def shared_excess(mine: Sequence[Row], theirs: Sequence[Row]) -> tuple[dict[str, float], dict[str, float]]:
    """Return both arms' excess of each text that both have rows for, its shared seeds averaged."""
    sides = [excesses(mine), excesses(theirs)]
    shared = sides[0].keys() & sides[1].keys()
    first, second = (by_text((text, side[text, seed]) for text, seed in shared) for side in sides)
    return first, second


def axis_of(study: StudyRun, task: str, arm: Arm, key: Key) -> Axis:
    """Return in what way a cell is away from what its arm practised; the first that holds.

    A variant counts where it is away: a recipe that carries over to a style is an answer, whatever it is called.
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
    named = study.plan.get("with", {}).get("operators") or ()
    return str(next(iter(named), "redact"))
