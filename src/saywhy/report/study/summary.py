"""A study in numbers: cells, gains, what was kept, what is missing. Everything that the page shows is computed here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from saywhy import stats
from saywhy.arms import MADE
from saywhy.records import Row
from saywhy.report.arms import matched_seeds, start_arm
from saywhy.report.cells import Key, group
from saywhy.report.load import Run
from saywhy.report.rules import Rules
from saywhy.report.study.frozen import Confirmatory, alpha, confirmatory, losses
from saywhy.report.study.gains import Cells, Gain, first_operator, gains_of
from saywhy.report.study.gate import ArmKept, kept_of
from saywhy.report.study.load import Arm, StudyRun
from saywhy.report.summary import Cell, Summary, cells_of
from saywhy.stats import Difference

NEAR = 0.05
"""How far floor and ceiling may be from those of the start arm before a gain may be brittleness (a share)."""

Place = tuple[str, Key]
"""(task, cell)."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far floor and ceiling of a cell moved from the start arm's, same texts and seeds."""

    floor: Difference
    ceiling: Difference

    def near(self, within: float = NEAR) -> bool:
        """Whether both stayed within ``within``."""
        return all(abs(one.value or 0.0) <= within for one in (self.floor, self.ceiling))


@dataclass(frozen=True)
class StudySummary:
    """Everything that the report of a study shows in numbers.

    Attributes:
        study: What was summarised.
        rows: Task -> cell -> its rows.
        tasks: Task -> its cells, as the report of a run has them.
        gains: Every comparison.
        frozen: The confirmatory cells.
        drifts: How far floor and ceiling of a cell moved; without the cells of the start arm and of base.
        kept: What each arm kept on each task, and the gate.
        alpha: Level of the confirmatory tests.
        seed: Seed of the resampling.
    """

    study: StudyRun
    rows: Cells
    tasks: Mapping[str, Summary]
    gains: tuple[Gain, ...]
    frozen: tuple[Confirmatory, ...]
    drifts: Mapping[Place, Drift]
    kept: tuple[ArmKept, ...]
    alpha: float
    seed: int = 0

    @property
    def confirmatory(self) -> list[Gain]:
        """The confirmatory comparisons that have rows, in the frozen order."""
        order = {cell: at for at, cell in enumerate(self.frozen)}
        found = [(order[gain.frozen], gain) for gain in self.gains if gain.frozen is not None]
        return [gain for _, gain in sorted(found, key=lambda item: item[0])]

    @property
    def unmeasured(self) -> list[Confirmatory]:
        """The confirmatory cells that have no rows yet."""
        there = {gain.frozen for gain in self.gains}
        return [cell for cell in self.frozen if cell not in there]

    @property
    def operator(self) -> str:
        """The primary operator."""
        return first_operator(self.study)

    def of_axis(self, *axes: str, setting: str = "one-word", readout: str = "constrained") -> list[Gain]:
        """Return the comparisons about one thing, under the primary operator."""
        wanted = (setting, readout, self.operator)
        return [g for g in self.gains if g.axis in axes and (g.key.setting, g.key.readout, g.key.operator) == wanted]

    def cell(self, task: str, key: Key) -> Cell | None:
        """Return a cell."""
        found = self.tasks.get(task)
        return next((cell for cell in found.cells if cell.key == key), None) if found else None

    def gate(self, arm: str, task: str) -> ArmKept | None:
        """Return what an arm kept on a task."""
        return next((one for one in self.kept if (one.arm.name, one.task) == (arm, task)), None)


def summarise_study(study: StudyRun, seed: int = 0) -> StudySummary:
    """Compute every number of a study's report; ``seed`` is that of the resampling."""
    frozen = confirmatory(study)
    rows: dict[str, dict[Key, list[Row]]] = {}
    tasks: dict[str, Summary] = {}
    drifts: dict[Place, Drift] = {}
    rules = Rules(accuracy_loss=losses(study)[0], agreement_loss=losses(study)[1])
    for task, run in study.runs.items():
        mine = group(run.rows)
        keys = sorted(mine, key=lambda key: key.order(run.arms))
        start = start_arm(run.arms)
        rows[task] = {key: mine[key] for key in keys}
        tasks[task] = Summary(run, start, cells_of(run, mine, keys, start, seed), (), (), None, rules)
        drifts |= {(task, key): drift for key, drift in _drifts(rows[task], start, seed)}
    gains = gains_of(study, rows, frozen, seed)
    kept = tuple(kept_of(study, rules, seed))
    return StudySummary(study, rows, tasks, gains, frozen, drifts, kept, alpha(study), seed)


READS: tuple[Callable[[Row], float], ...] = (lambda row: row.floor, lambda row: float(row.ceiling))
"""Floor and ceiling of a row."""


def _drifts(cells: Mapping[Key, list[Row]], start: str | None, seed: int) -> list[tuple[Key, Drift]]:
    found = []
    for key, rows in cells.items():
        before = cells.get(replace(key, arm=str(start)))
        if before is None or key.arm in ("base", start):
            continue
        new, old = matched_seeds(rows, before)
        floors, ceilings = ([{(r.id, r.seed): value(r) for r in side} for side in (new, old)] for value in READS)
        floor = stats.paired_difference(floors[0], floors[1], seed)
        ceiling = stats.paired_difference(ceilings[0], ceilings[1], seed)
        found.append((key, Drift(floor, ceiling)))
    return found


def missing(summary: StudySummary) -> list[str]:
    """Say what a study half done lacks, one line each; nothing if it is complete."""
    study = summary.study
    found = [f"no test task has been measured: {study.folder / 'tasks'} is empty"] if not study.runs else []
    absent = [task for task in (*study.tasks, *study.unseen) if task not in study.runs or not study.runs[task].rows]
    if absent and study.runs:
        found.append(f"tasks not measured yet: {', '.join(absent)}")
    if summary.unmeasured:
        found.append(f"confirmatory cells not measured yet: {len(summary.unmeasured)} of {len(summary.frozen)}")
    short = [gain for gain in summary.confirmatory if gain.lacks]
    if short:
        seeds = ", ".join(map(str, sorted({seed for gain in short for seed in gain.lacks})))
        found.append(f"confirmatory cells that lack seeds ({seeds}): {len(short)} of {len(summary.frozen)}")
    present = {arm for run in study.runs.values() for arm in _arms(run)}
    planned = dict.fromkeys(arm for block in study.plan.get("blocks", ()) for arm in block.get("arms", ()))
    unmade = [arm for arm in planned if arm in MADE and arm not in present]
    unmade += [arm.name for arm in study.arms.values() if arm.name not in present]
    if unmade and study.runs:
        found.append(f"arms without any row: {', '.join(unmade)}")
    found += _unasked(study, {*unmade}, {*absent})
    kept = {arm for _, arm in study.kept}
    untold = sorted(present - kept)
    if untold and study.plan.get("instruction_rows") != 0:
        found.append(f"arms without retention on instruction data: {', '.join(untold)}")
    return found


def _unasked(study: StudyRun, arms: Collection[str], tasks: Collection[str]) -> list[str]:
    """Say which planned audits have no rows, or lack a way of asking, but for ``arms`` and ``tasks``, told already."""
    found: dict[str, list[str]] = {}
    rows: dict[tuple[str, int, str], set[tuple[str, str, str]]] = {}
    for task, run in study.runs.items():
        for row in run.rows:
            rows.setdefault((row.arm, row.seed, task), set()).add((row.style, row.setting, row.readout))
    for one in study.manifest.get("audits", ()):
        arm, seed, task = one["arm"], one["seed"], one["task"]
        there = rows.get((arm, seed, task), set())
        lacking = [way for way in map(tuple, one["ways"]) if way not in there]
        if lacking and arm not in arms and task not in tasks:
            settings = {f"{setting}, {readout}" for _, setting, readout in lacking}
            what = "" if not there else f" ({'; '.join(sorted(settings))})"
            found.setdefault(f"{arm}{what}", []).append(f"{task} (seed {seed})")
    return [f"not measured yet: {arm} on {', '.join(places)}" for arm, places in found.items()]


def _arms(run: Run) -> set[str]:
    return {row.arm for row in run.rows}


def main_arms(summary: StudySummary) -> list[Arm]:
    """Return the arms that the answer is about: those of the confirmatory cells, else every plain faithful one."""
    named = dict.fromkeys(cell.key.arm for cell in summary.frozen)
    if named:
        return [summary.study.arm(name) for name in named]
    return [arm for arm in summary.study.arms.values() if arm.kind == "faithful" and not arm.variant]
