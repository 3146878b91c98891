"""A study in numbers: cells, gains, what was kept, what is missing. Everything that the page shows is computed here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.arms import STARTS, start_arm
from saywhy.records import Readout, Row, Setting
from saywhy.report.arms import matched_seeds
from saywhy.report.cells import CellKey, finding_readout, rows_by_cell
from saywhy.report.load import LoadedRun
from saywhy.report.rules import Rules
from saywhy.report.study.frozen import ConfirmatoryCell, accepted_losses, alpha_of, frozen_cells_of
from saywhy.report.study.gains import Gain, RowsOfCells, first_operator, gains_of
from saywhy.report.study.gate import ArmKept, arms_kept_of
from saywhy.report.study.load import StudyArm, StudyRun
from saywhy.report.summary import Cell, Summary, cell_estimates
from saywhy.stats import Difference

NEAR_START_ARM = 0.05
"""How far floor and ceiling may be from those of the start arm before a gain may be brittleness (a share)."""

TaskCell = tuple[str, CellKey]
"""(task, cell)."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far floor and ceiling of a cell moved from the start arm's, same texts and seeds."""

    floor: Difference
    ceiling: Difference

    def near(self, within: float = NEAR_START_ARM) -> bool:
        """Whether both stayed within ``within``."""
        return all(abs(difference.value or 0.0) <= within for difference in (self.floor, self.ceiling))


@dataclass(frozen=True)
class StudySummary:
    """Everything that the report of a study shows in numbers.

    Attributes:
        study: The study folder as read.
        rows: Task -> cell -> its rows.
        tasks: Task -> its cells, as the report of a run has them.
        gains: Every comparison.
        frozen: The confirmatory cells.
        drifts: How far floor and ceiling of a one-word cell moved; without the cells of the start arm and of base.
            (Of several words they move with the number of words that an arm names.)
        kept: What each arm kept on each task, and the gate.
        alpha: Level of the confirmatory tests.
        seed: Seed of the resampling.
    """

    study: StudyRun
    rows: RowsOfCells
    tasks: Mapping[str, Summary]
    gains: tuple[Gain, ...]
    frozen: tuple[ConfirmatoryCell, ...]
    drifts: Mapping[TaskCell, Drift]
    kept: tuple[ArmKept, ...]
    alpha: float
    seed: int = 0

    @property
    def confirmatory(self) -> list[Gain]:
        """The confirmatory comparisons that have rows, in the frozen order."""
        order = {cell: at for at, cell in enumerate(self.frozen)}
        positioned = [(order[gain.frozen], gain) for gain in self.gains if gain.frozen is not None]
        return [gain for _, gain in sorted(positioned, key=lambda item: item[0])]

    @property
    def unmeasured(self) -> list[ConfirmatoryCell]:
        """The confirmatory cells that have no rows yet."""
        measured = {gain.frozen for gain in self.gains}
        return [cell for cell in self.frozen if cell not in measured]

    @property
    def operator(self) -> str:
        """The primary operator."""
        return first_operator(self.study)

    @property
    def readout(self) -> Readout:
        """The readout that findings of one word are read from."""
        keys = (key for cells in self.rows.values() for key in cells)
        return finding_readout(key for key in keys if (key.setting, key.operator) == ("one-word", self.operator))

    def of_axis(self, *axes: str, setting: Setting = "one-word", readout: Readout | None = None) -> list[Gain]:
        """Return the comparisons about one thing, under the primary operator.

        Args:
            axes: What the comparisons are about.
            setting: The setting in which explanations were asked for.
            readout: How they were read; None: as findings are, those of several words as generated.
        """
        condition = (setting, readout or (self.readout if setting == "one-word" else "generated"), self.operator)
        return [
            gain
            for gain in self.gains
            if gain.axis in axes and (gain.key.setting, gain.key.readout, gain.key.operator) == condition
        ]

    def cell(self, task: str, key: CellKey) -> Cell | None:
        """Return a cell."""
        run_summary = self.tasks.get(task)
        return next((cell for cell in run_summary.cells if cell.key == key), None) if run_summary else None

    def gate(self, arm: str, task: str) -> ArmKept | None:
        """Return what an arm kept on a task."""
        return next((arm_kept for arm_kept in self.kept if (arm_kept.arm.name, arm_kept.task) == (arm, task)), None)


def summarise_study(study: StudyRun, seed: int = 0) -> StudySummary:
    """Compute every number of a study's report; ``seed`` is that of the resampling."""
    frozen = frozen_cells_of(study)
    rows: dict[str, dict[CellKey, list[Row]]] = {}
    tasks: dict[str, Summary] = {}
    drifts: dict[TaskCell, Drift] = {}
    rules = Rules(accuracy_loss=accepted_losses(study)[0], agreement_loss=accepted_losses(study)[1])
    for task, run in study.runs.items():
        cells = rows_by_cell(run.rows)
        keys = sorted(cells, key=lambda key: key.order(run.arms, run.operators))
        start = start_arm(run.arms)
        rows[task] = {key: cells[key] for key in keys}
        tasks[task] = Summary(run, start, cell_estimates(run, cells, keys, start, seed), (), (), None, rules)
        drifts |= {(task, key): drift for key, drift in _drifts_of_cells(rows[task], start, seed)}
    gains = gains_of(study, rows, frozen, seed)
    kept = tuple(arms_kept_of(study, rules, seed))
    return StudySummary(study, rows, tasks, gains, frozen, drifts, kept, alpha_of(study), seed)


FLOOR_AND_CEILING: tuple[Callable[[Row], float], ...] = (lambda row: row.floor, lambda row: float(row.ceiling))
"""Floor and ceiling of a row."""


def _drifts_of_cells(cells: Mapping[CellKey, list[Row]], start: str | None, seed: int) -> list[tuple[CellKey, Drift]]:
    drifts = []
    for key, rows in cells.items():
        before = cells.get(replace(key, arm=str(start)))
        if before is None or key.arm in ("base", start) or key.setting != "one-word":
            continue
        new, old = matched_seeds(rows, before)
        floors, ceilings = (
            [{(row.id, row.seed): read(row) for row in side} for side in (new, old)] for read in FLOOR_AND_CEILING
        )
        floor = stats.paired_difference(floors[0], floors[1], seed)
        ceiling = stats.paired_difference(ceilings[0], ceilings[1], seed)
        drifts.append((key, Drift(floor, ceiling)))
    return drifts


def missing_from_study(summary: StudySummary) -> list[str]:
    """Say what a study half done lacks, one line each; nothing if it is complete."""
    study = summary.study
    lines = [f"no test task has been measured: {study.folder / 'tasks'} is empty"] if not study.runs else []
    absent = [task for task in (*study.tasks, *study.unseen) if task not in study.runs or not study.runs[task].rows]
    if absent and study.runs:
        lines.append(f"tasks not measured yet: {', '.join(absent)}")
    if summary.unmeasured:
        lines.append(f"confirmatory cells not measured yet: {len(summary.unmeasured)} of {len(summary.frozen)}")
    lacking = [gain for gain in summary.confirmatory if gain.missing_seeds]
    if lacking:
        seeds = ", ".join(map(str, sorted({seed for gain in lacking for seed in gain.missing_seeds})))
        lines.append(f"confirmatory cells that lack seeds ({seeds}): {len(lacking)} of {len(summary.frozen)}")
    present = {arm for run in study.runs.values() for arm in _arms_of_run(run)}
    planned = dict.fromkeys(arm for block in study.plan.get("blocks", ()) for arm in block.get("arms", ()))
    unmade = [arm for arm in planned if arm in STARTS and arm not in present]
    unmade += [arm.name for arm in study.arms.values() if arm.name not in present]
    if unmade and study.runs:
        lines.append(f"arms without any row: {', '.join(unmade)}")
    lines += _unmeasured_audits(study, {*unmade}, {*absent})
    kept = {arm for _, arm in study.kept}
    without_retention = sorted(present - kept)
    if without_retention and study.plan.get("instruction_rows") != 0:
        lines.append(f"arms without retention on instruction data: {', '.join(without_retention)}")
    return lines


def _unmeasured_audits(study: StudyRun, arms: Collection[str], tasks: Collection[str]) -> list[str]:
    """Return which planned audits lack rows; those of ``arms`` and ``tasks``, reported as a whole, are left out."""
    unmeasured: dict[str, list[str]] = {}
    conditions: dict[tuple[str, int, str], set[tuple[str, str, str]]] = {}
    for task, run in study.runs.items():
        for row in run.rows:
            conditions.setdefault((row.arm, row.seed, task), set()).add((row.style, row.setting, row.readout))
    for audit in study.manifest.get("audits", ()):
        arm, seed, task = audit["arm"], audit["seed"], audit["task"]
        measured = conditions.get((arm, seed, task), set())
        lacking = [condition for condition in map(tuple, audit["ways"]) if condition not in measured]
        if lacking and arm not in arms and task not in tasks:
            settings = {f"{setting}, {readout}" for _, setting, readout in lacking}
            detail = "" if not measured else f" ({'; '.join(sorted(settings))})"
            unmeasured.setdefault(f"{arm}{detail}", []).append(f"{task} (seed {seed})")
    return [f"not measured yet: {arm} on {', '.join(audits)}" for arm, audits in unmeasured.items()]


def _arms_of_run(run: LoadedRun) -> set[str]:
    return {row.arm for row in run.rows}


def is_finding(summary: StudySummary, key: CellKey) -> bool:
    """Whether a cell is one that findings of one word are read from."""
    return (key.setting, key.readout, key.operator) == ("one-word", summary.readout, summary.operator)


def main_arms(summary: StudySummary) -> list[StudyArm]:
    """Return the arms that the answer is about: those of the confirmatory cells, else every plain faithful one."""
    named = dict.fromkeys(cell.key.arm for cell in summary.frozen)
    if named:
        return [summary.study.arm(name) for name in named]
    return [arm for arm in summary.study.arms.values() if arm.kind == "faithful" and not arm.variant]
