"""A study on Ray: what two workers do in the time that one does a part.

What is computed: a study of a model of a few random weights, by one and by two workers on this machine, in which every
part also sleeps, as one that waits for a graphics card would: so what is measured is how the parts are given out, not
how many cores there are. Parts a second are counted from when all workers are at work until the study is complete. One
worker and two take turns in rounds, and medians count, so that other load on the machine meets both alike.

Examples:
  python -m benchmarks.ray_study
  python -m benchmarks.ray_study --sleep 8 --rounds 5
"""

from __future__ import annotations

import importlib
import os
import platform
import statistics
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.common import Ledger, grid, progress
from benchmarks.script import ROOT, arguments, begin, command, finish, positive, revision, run
from saywhy.study.crew import Crew
from saywhy.study.plan import StudyPlan
from saywhy.study.resources import with_options
from saywhy.study.run import StudyRunner
from saywhy.study.spread import SpreadStudy
from saywhy.study.steps import StudyStep
from saywhy.study.worker import StudyWorker

PLAN = {
    "name": "sleeping",
    "tasks": ["sentiment140", "ag_news", "snli"],
    "instruction_rows": 0,
    "with": {
        **{"rows": 10, "decide_rows": 10, "calibration_rows": 5, "adapt_rows": 2, "train_rows": 2},
        **{"most_words": 9, "chunk": 1, "pinned_words": 2},
    },
    "blocks": [{"name": "main", "arms": ["base"], "test_tasks": "all", "styles": ["attribution"]}],
}

WORKERS = (1, 2)
"""How many workers are compared."""


class SleepingWorker(StudyWorker):
    """Sleeps before it computes; how long, the name of the study's folder says."""

    def compute(self, step: StudyStep | None, place: Path, number: int) -> tuple[Any, float]:
        """Compute a part."""
        time.sleep(float(self._out.name.rpartition("-")[2]))
        return super().compute(step, place, number)


class TimedCrew(Crew):
    """A crew that notes when all its workers were at work, and how many parts were computed before."""

    wanted, began, before = 1, 0.0, 0

    def turn(self, timeout: float) -> bool:
        """Hear what the cluster has to say."""
        has_spoken = super().turn(timeout)
        if not self.began and self.workers >= self.wanted:
            self.began, self.before = time.monotonic(), self.parts_computed
        return has_spoken


def parts_a_second(plan: StudyPlan, out: Path, workers: int) -> list[float]:
    """Return how many parts ``workers`` have computed after all of them had begun, and how many a second."""
    study_run = StudyRunner(plan, out)
    worker = importlib.import_module("benchmarks.ray_study").SleepingWorker  # by the name that other processes know
    with TimedCrew(plan, out, with_options({}, {}), workers, worker) as crew:
        crew.wanted = workers
        SpreadStudy(study_run, crew).run()
        parts = crew.parts_computed - crew.before
        return [parts, parts / (time.monotonic() - crew.began)]


def measured(ledger: Ledger, rounds: int, seconds: int) -> dict[int, list[list[float]]]:
    """Return, by number of workers, parts and parts a second of each round; other work meets both alike."""
    by_workers: dict[int, list[list[float]]] = {workers: [] for workers in WORKERS}
    with tempfile.TemporaryDirectory() as folder:
        model = importlib.import_module("tests.tiny").save(Path(folder) / "model")
        plan = StudyPlan(**PLAN, model=str(model))
        for number in range(rounds):
            for workers in WORKERS:
                progress(f"round {number + 1} of {rounds}: workers: {workers}")
                out = Path(folder) / f"{number}-{workers}-{seconds}"
                of_round = ledger.once(f"{number} {workers}", partial(parts_a_second, plan, out, workers))
                by_workers[workers].append(of_round)
    return by_workers


def section(by_workers: dict[int, list[list[float]]], seconds: int) -> str:
    """Return the section of RESULTS.md."""
    rows = []
    for workers, rounds in by_workers.items():
        parts, rate = (statistics.median(column) for column in zip(*rounds, strict=True))
        rows.append([str(workers), str(len(rounds)), f"{parts:.0f}", f"{rate:.3f}"])
    ratio = statistics.median(two[1] / single[1] for single, two in zip(*by_workers.values(), strict=True))
    facts = (
        f"{os.cpu_count()} cores. Python {platform.python_version()}, ray {version('ray')}; saywhy {revision()}; "
        f"{time.strftime('%Y-%m-%d')}."
    )
    note = (
        f"Each part of a study of a tiny model sleeps {seconds} s and computes. Two workers on this machine do "
        f"{ratio:.2f} times what a single worker does: the median over rounds, in each of which first one and then "
        "two work; counted from when all workers are at work."
    )
    table = grid(["workers", "rounds", "parts", "parts a second"], rows)
    return f"## Workers of a study on Ray\n\n{facts}\n\n`{command()}`\n\n{note}\n\n{table}"


def main() -> None:
    """Measure, print the ratio, and write the section."""
    parser = arguments(__doc__ or "", "one round, parts sleep for a second", rounds=3)
    parser.add_argument("--sleep", type=positive, default=4, help="seconds that a part sleeps (default %(default)s)")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    ledger = begin("ray_study", options)
    rounds, seconds = (1, 1) if options.quick else (options.rounds, options.sleep)
    finish("ray_study", options, section(measured(ledger, rounds, seconds), seconds), ledger)


if __name__ == "__main__":
    run("ray_study", main)
