"""The jobs of a study: its own steps with what each needs, and how long they are at given rates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from benchmarks.scale.network import Job
from saywhy.arms import HALF, REFRESHED, STARTS, ArmName
from saywhy.records import STYLES
from saywhy.study.expand import plan_units, recipes_of_arms, task_settings, tasks_practised, texts_practised
from saywhy.study.plan import StudyPlan
from saywhy.study.rates import seconds_of_work
from saywhy.study.steps import (
    SEARCH_SETTINGS,
    StepWork,
    StudyStep,
    arm_before,
    needed_trainings,
    steps_of_units,
    work_of_steps,
)

QUARTERS = 4
"""Pieces of a training: a checkpoint is kept behind each."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes that steps write: for an audited text, a decision or target, a quarter of a training, an adapter."""

    text: float
    line: float
    checkpoint: float
    adapter: float


NONE = Sizes(0, 0, 0, 0)
"""Where nobody asks what is written."""


@dataclass(frozen=True)
class StudyJobs:
    """The jobs of a study on one model.

    Attributes:
        plan: The study.
        base: The model.
        rates: Seconds a text of each kind of work, as ``rates.json`` has them.
        sizes: What steps write.
        styles: How many styles the protocol has; what practises one by itself is there for each.
        chunk: Texts a chunk; None: as the plan has it.
    """

    plan: StudyPlan
    base: str
    rates: Mapping[str, float]
    sizes: Sizes
    styles: int = len(STYLES)
    chunk: int | None = None

    @cached_property
    def steps(self) -> list[StudyStep]:
        """The steps of the plan."""
        return steps_of_units(self.plan, plan_units(self.plan))

    @cached_property
    def recipes(self) -> dict[str, Mapping[str, Any]]:
        """The settings of each trained arm's training."""
        return recipes_of_arms(self.plan)

    @cached_property
    def searches(self) -> dict[str, list[tuple[str, int, list[str]]]]:
        """Of each trained arm, by task: how many texts are explained for it, and what is special about the search."""
        arms = {step.arm for step in self.steps if step.kind == "train" and step.arm not in STARTS}
        return {
            arm: [self._search(arm, task) for task in tasks_practised(self.plan, ArmName.parse(arm))] for arm in arms
        }

    @cached_property
    def chunk_texts(self) -> int:
        """Texts a chunk."""
        return self.chunk or task_settings(self.plan).chunk

    def jobs(self) -> list[Job]:
        """Return the jobs: the plan's steps, and the targets that trainings share."""
        work = work_of_steps(self.plan, self.steps)
        jobs: dict[str, Job] = {}
        for step in self.steps:
            lessons = [replace(lesson, seed=step.seed) for lesson in self._lessons(step)]
            for lesson in lessons:
                known = jobs.get(lesson.name, lesson)
                jobs[lesson.name] = max(known, lesson, key=lambda job: job.work)
            job = replace(self._job(step, work[step], [lesson.name for lesson in lessons]), seed=step.seed)
            jobs |= {copy.name: copy for copy in self._for_each_style(job, step)}
        return list(jobs.values())

    def step_seconds(self) -> dict[str, float]:
        """Return the seconds of each step by its name, targets counted where the first training needs them."""
        seconds: dict[str, float] = {}
        made: set[str] = set()
        for step, parts in work_of_steps(self.plan, self.steps).items():
            lessons = [lesson for lesson in self._lessons(step) if lesson.name not in made]
            made |= {lesson.name for lesson in lessons}
            seconds[step.name] = self._seconds(parts) + sum(lesson.work for lesson in lessons)
        return seconds

    def _seconds(self, parts: Sequence[StepWork]) -> float:
        return seconds_of_work([part for part in parts if part.rate[0] != "targets"], self.rates)

    def _named(self, name: str) -> str:
        return f"{self.base}: {name}"

    def _needs(self, step: StudyStep) -> list[str]:
        """Return the training that a step waits for; none if it measures the model as downloaded."""
        trainings = [needed for needed in needed_trainings(self.plan, step.arm, step.seed) if needed != step]
        return [self._named(needed.name) for needed in trainings[-1:]]

    def _job(self, step: StudyStep, parts: Sequence[StepWork], lessons: Sequence[str]) -> Job:
        seconds, needs = self._seconds(parts), (*self._needs(step), *lessons)
        adapter = f"{step.arm}, seed {step.seed}"
        if step.kind == "train":
            stored = self.sizes.checkpoint + self.sizes.adapter / QUARTERS
            return Job(
                self._named(step.name),
                "train",
                self.base,
                f"training of {adapter}",
                QUARTERS,
                seconds / QUARTERS,
                spread=False,
                needs=needs,
                size=stored,
            )
        written = sum(part.count * (self.sizes.text if part.rate[0] == "audit" else self.sizes.line) for part in parts)
        counts = [part.count for part in parts]
        return self._in_chunks(step.name, step.kind, adapter, seconds, counts, written, needs)

    def _in_chunks(
        self,
        name: str,
        kind: str,
        adapter: str,
        seconds: float,
        counts: Sequence[int],
        written: float,
        needs: Sequence[str],
    ) -> Job:
        """Return a job whose pieces are chunks of texts; a chunk is as long as the mean of all."""
        pieces = max(1, sum(math.ceil(count / self.chunk_texts) for count in counts))
        return Job(
            self._named(name),
            kind,
            self.base,
            adapter,
            pieces,
            seconds / pieces,
            needs=tuple(needs),
            size=written / pieces,
        )

    def _lessons(self, step: StudyStep) -> Iterator[Job]:
        """Yield the targets that a training waits for: all arms of a seed share those of a task."""
        if step.kind != "train" or step.arm in STARTS:
            return
        refreshed = ArmName.parse(step.arm).variant == REFRESHED
        explainer = arm_before(step.arm) if refreshed else "adapted"
        by = [f"by {explainer}"] if refreshed else []
        for task, texts, special in self.searches[step.arm]:
            yield self._in_chunks(
                ", ".join([f"targets {task}", f"seed {step.seed}", *special, *by]),
                "targets",
                f"{explainer}, seed {step.seed}",
                seconds_of_work([StepWork(("targets", task), texts)], self.rates),
                [texts],
                texts * self.sizes.line,
                [self._named(StudyStep("train", explainer, step.seed).name)],
            )

    def _search(self, arm: str, task: str) -> tuple[str, int, list[str]]:
        config, usual = task_settings(self.plan, task, self.recipes.get(arm, {})), task_settings(self.plan, task)
        texts = texts_practised(config) // (2 if ArmName.parse(arm).variant in (HALF, REFRESHED) else 1)
        special = [str(getattr(config, key)) for key in SEARCH_SETTINGS if getattr(config, key) != getattr(usual, key)]
        return task, texts, special

    def _for_each_style(self, job: Job, step: StudyStep) -> Iterator[Job]:
        """Yield a job, and, where its arm practises one style alone, once more for each style that is not there yet."""
        yield job
        if step.arm in STARTS or len(ArmName.parse(step.arm).styles) > 1:
            return
        own = self._named(StudyStep("train", step.arm, step.seed).name)
        for number in range(1, self.styles // len(STYLES)):
            mark = f", style {number} more"
            needs = tuple(f"{name}{mark}" if name == own else name for name in job.needs)
            yield replace(job, name=f"{job.name}{mark}", adapter=f"{job.adapter}{mark}", needs=needs)
