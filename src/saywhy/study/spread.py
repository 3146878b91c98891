"""A study spread over the workers of a cluster: each step in a thread that merges and writes, while workers compute."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from saywhy.processes import making_parts
from saywhy.progress import ProgressBar, progress, say
from saywhy.study.crew import Crew, StepParts
from saywhy.study.rates import duration_in_words
from saywhy.study.run import StudyRunner
from saywhy.study.steps import StudyStep, needed_trainings, steps_of_units

Result = TypeVar("Result")

MOST_STEPS = 64
"""Steps that are done at a time."""


class SpreadStudy:
    """The run of a study by a crew.

    Attributes:
        study_run: The run; this process is its leader.
        crew: Its workers.
    """

    def __init__(self, study_run: StudyRunner, crew: Crew) -> None:
        self.study_run, self.crew = study_run, crew
        self._running: dict[StudyStep, Future[None]] = {}

    def run(self, hours: float | None = None) -> bool:
        """Do what is left, as ``StudyRunner.run``; return whether the study is complete."""
        self.study_run.freeze()
        with self._threads() as threads:
            beginning = threads.submit(self._led, None, 0, self.study_run.costs)
            while not beginning.done():
                self.crew.turn(0.05)
            cost = beginning.result()
            steps = steps_of_units(self.study_run.plan, self.study_run.units_here(cost))
            left = self.study_run.steps_left(steps)
            with progress(f"study {self.study_run.plan.name}", len(left), "steps") as bar:
                return self._do(left, cost, hours, threads, bar)

    @contextmanager
    def _threads(self) -> Iterator[ThreadPoolExecutor]:
        """Yield threads, one a step; those that wait for parts when this ends are told that none will come."""
        with ThreadPoolExecutor(MOST_STEPS) as threads:
            try:
                yield threads
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
                self.crew.close()

    def _led(self, step: StudyStep | None, rank: int, perform: Callable[[], Result]) -> Result:
        """Do something in this thread whose parts are computed by the crew."""
        with making_parts(StepParts(self.crew, step, rank)):
            return perform()

    def _do(
        self,
        left: Sequence[StudyStep],
        cost: dict[StudyStep, float],
        hours: float | None,
        threads: ThreadPoolExecutor,
        bar: ProgressBar,
    ) -> bool:
        """Do steps, each as soon as the trainings that it needs are done; False if ``hours`` end before."""
        waiting = dict(enumerate(left, 1))
        deadline = math.inf if hours is None else time.monotonic() + hours * 3600
        corrected, is_changed = self.study_run.corrected_cost(cost), True
        while waiting or self._running:
            startable = self._startable(waiting) if is_changed else {}
            for rank, step in startable.items():
                if len(self._running) >= MOST_STEPS:
                    break
                if time.monotonic() + self._ahead(corrected, [step]) <= deadline:
                    del waiting[rank]
                    say(f"step {rank} of {len(left)}: {step.name}")
                    self._running[step] = threads.submit(self._led, step, rank, self._performing(step))
            if not self._running:
                step = next(iter(startable.values()))
                say(f"stopped before {step.name}: it does not fit into {hours:g} h")
                return False
            capacity = self.crew.capacity
            self.crew.turn(0.05)
            finished = self._finished()
            for step in finished:
                self.study_run.journal.spent(step.name, self.crew.seconds[step])
                corrected = self.study_run.corrected_cost(cost)
                ahead = duration_in_words(self._ahead(corrected, list(waiting.values())))
                say(f"done: {step.name}; {len(waiting) + len(self._running)} left, about {ahead}")
                bar.tick()
            if finished and self.crew.store:
                self.crew.store.publish()
            is_changed = bool(finished) or self.crew.capacity != capacity  # else what did not fit does not fit now
        return True

    def _performing(self, step: StudyStep) -> Callable[[], None]:
        return lambda: self.study_run.perform(step)

    def _startable(self, waiting: Mapping[int, StudyStep]) -> dict[int, StudyStep]:
        """Return those of the waiting steps, by rank, whose trainings are done."""
        undone = {*waiting.values(), *self._running}
        return {
            rank: step
            for rank, step in waiting.items()
            if undone.isdisjoint(set(needed_trainings(self.study_run.plan, step.arm, step.seed)) - {step})
        }

    def _ahead(self, corrected: Mapping[StudyStep, float], steps: Sequence[StudyStep]) -> float:
        """Return about how many seconds it takes to do ``steps`` beside what is left of those that run.

        Workers are counted as many as the cluster has room for: they begin as parts wait for them.
        """
        left = {step: max(corrected[step] - self.crew.seconds.get(step, 0.0), 0.0) for step in self._running}
        left |= {step: corrected[step] for step in steps}
        shared = sum(seconds / max(self.crew.capacity.get(step.kind, 1), 1) for step, seconds in left.items())
        return max([shared, *(corrected[step] for step in steps)])

    def _finished(self) -> list[StudyStep]:
        """Return the steps that have been finished since this was asked last.

        Raises:
            Exception: That of a step which could not be done.
        """
        finished = [step for step, future in self._running.items() if future.done()]
        for step in finished:
            self._running.pop(step).result()
        return finished
