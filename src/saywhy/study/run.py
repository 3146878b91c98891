"""The run of a study: each step once, in an order that can stop anywhere, within a budget of hours."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from saywhy import pocket
from saywhy.arms import ArmName, start_arm, task_name
from saywhy.bank.leaks import EXAMPLES_SUBFOLDER
from saywhy.folders.shared import SharedFolder
from saywhy.measure.retention import label_beginnings, measure_retention
from saywhy.models.backends import require
from saywhy.processes import world_size
from saywhy.progress import progress, say
from saywhy.records import SaywhyError
from saywhy.study.beside import BankBeside
from saywhy.study.expand import (
    StudyUnit,
    plan_units,
    recipes_of_arms,
    task_settings,
    tasks_practised,
    texts_practised,
    with_half_way_arms,
)
from saywhy.study.frozen import freeze_plan, frozen_part
from saywhy.study.journal import STUDY_FILE, StudyJournal, refuse_larger, study_facts
from saywhy.study.member import StudyTaskRun
from saywhy.study.plan import StudyPlan
from saywhy.study.rates import (
    RateSeconds,
    corrected_cost,
    costs_of_steps,
    duration_in_words,
    measure_rates,
)
from saywhy.study.refusals import refuse_unfit_plan, refuse_unfit_practice
from saywhy.study.requests import audit_requests
from saywhy.study.shown import built_in_task_run
from saywhy.study.steps import (
    StepWork,
    StudyStep,
    arm_before,
    folder_of_step,
    needed_trainings,
    shown_rows,
    stages_of_audit,
    steps_of_units,
    units_in_order,
    work_of_steps,
)
from saywhy.tasks.task import load_task
from saywhy.training.models import ArmModels


class StudyRunner:
    """The run of a study in its folder.

    Attributes:
        plan: The plan.
        out: The folder.
        seeds: The seeds that are done here; the others are left to other machines (``saywhy join``).
        blocks: The blocks that are done here, in this order; None: all, ordered by comparisons an hour.
        requests: What each audit of the plan asks for.
        recipes: The settings of each trained arm's training, by its name.
        beside: A bank of the study; what it has is not done again.
        folder: The folder as this process shares it with others.
        models: The models of the arms.
        journal: The study's manifest, ``study.json``.
    """

    def __init__(
        self,
        plan: StudyPlan,
        out: Path,
        seeds: Sequence[int] | None = None,
        beside: Path | None = None,
        blocks: Sequence[str] | None = None,
    ) -> None:
        self.plan, self.out, self.blocks = plan, out, blocks
        self.seeds = tuple(plan.seeds if seeds is None else seeds)
        self.requests = audit_requests(plan)
        self.recipes = recipes_of_arms(plan)
        refuse_unfit_plan(plan, self.recipes)
        self._trained = with_half_way_arms(self.recipes)
        settings = {arm: task_settings(plan, extra=recipe) for arm, recipe in self._trained.items()}
        self.models = ArmModels(task_settings(plan), out / "models", settings)
        require(self.models.spec, "gradients", "a study", "'saywhy audit' measures it as it is")
        self._members: dict[str, StudyTaskRun] = {}
        self._shown_members: dict[str, StudyTaskRun] = {}
        self._opening = threading.RLock()  # steps may be done in threads, which share the folders of tasks
        self.folder = SharedFolder(out, STUDY_FILE)
        self.models.clear_checkpoints()
        self.journal = StudyJournal(
            self.folder, plan, self.recipes, lambda: study_facts(task_settings(plan), self.models.spec)
        )
        frozen = frozen_part(plan)["hash"]
        self.beside = BankBeside(beside, self.journal.manifest, frozen, self.requests) if beside else None
        refuse_larger(plan, self.journal.earlier_plan, self.folder)
        known = recipes_of_arms(StudyPlan(**earlier)) if (earlier := self.journal.earlier_plan) else {}
        refuse_unfit_practice(plan, {arm: recipe for arm, recipe in self.recipes.items() if arm not in known})
        if earlier is None:
            self.journal.write()

    def run(self, hours: float | None = None) -> bool:
        """Do what is left, confirmatory cells first; return whether the study is complete.

        Args:
            hours: Stop before the step that would take longer than this; None: do all.
        """
        if hours is not None and world_size() > 1:
            raise SaywhyError("hours= is for one process: of several, each would stop at a moment of its own")
        self.freeze()
        cost = self.costs()
        steps = steps_of_units(self.plan, self.units_here(cost))
        left = self.steps_left(steps)
        began = time.monotonic()
        for number, step in enumerate(left):
            ahead = duration_in_words(self.corrected_seconds(cost, left[number:]))
            seconds_spent = time.monotonic() - began
            if hours is not None and seconds_spent + self.corrected_seconds(cost, [step]) > hours * 3600:
                say(f"stopped before {step.name}: it does not fit into {hours:g} h; about {ahead} left")
                return False
            say(f"step {len(steps) - len(left) + number + 1} of {len(steps)}: {step.name}; about {ahead} left")
            self.do(step)
        return True

    def freeze(self) -> None:
        """Fix what is decided before the first audit; blocks that were added belong to the study from now on."""
        self.journal.manifest["frozen"] = freeze_plan(self.plan, self.out)
        self.journal.write()  # a dry run adds no block

    def units_here(self, cost: dict[StudyStep, float]) -> list[StudyUnit]:
        """Return the units that are done here, in their order."""
        # Several processes must agree on the order, which therefore must not depend on the steps that are done so far.
        done = self.steps_done() if world_size() == 1 else filter(self._is_in_bank, self.steps)
        ordered = [unit for unit in units_in_order(self.plan, cost, done) if unit.seed in self.seeds]
        if self.blocks is None:
            return ordered
        return [unit for block in self.blocks for unit in ordered if unit.block == block]

    def steps_left(self, steps: Sequence[StudyStep]) -> list[StudyStep]:
        """Return the steps left to do, in order: a training only before the first measurement that needs it."""
        undone = {step for step in steps if not self.is_done(step) and not self._is_in_bank(step)}
        measurements = [step for step in steps if step in undone and step.kind != "train"]
        with_trainings = [
            needed_step
            for step in measurements
            for needed_step in (*needed_trainings(self.plan, step.arm, step.seed), step)
            if needed_step in undone
        ]
        return list(dict.fromkeys(with_trainings))

    def _is_in_bank(self, step: StudyStep) -> bool:
        return self.beside is not None and self.beside.has(step)

    def do(self, step: StudyStep) -> None:
        """Do one step and keep how long it took."""
        began = time.monotonic()
        try:
            self.perform(step)
        finally:  # what is stopped here costs less when it goes on
            self.journal.spent(step.name, time.monotonic() - began)

    def perform(self, step: StudyStep) -> None:
        """Do one step, as far as it is not done; its models are trained."""
        if step.kind == "train":
            self._train(step.arm, step.seed)
        elif step.kind == "audit":
            self.member(step.task).audit(step.arm, step.seed)
        elif step.kind == "show":
            self._shown_member(step.task).audit(step.arm, step.seed)
        else:
            self._measure_retention(step)

    def _measure_retention(self, step: StudyStep) -> None:
        """Measure the retention of an arm's model: what it kept besides the tasks."""
        config, rows = task_settings(self.plan), self.plan.instruction_rows
        split: Literal["validation", "test"] = "test" if config.split == "test" else "validation"
        data = None if self.plan.data in ("pocket", "hub") else self.plan.data
        load = partial(self.models.load, step.arm, step.seed)
        share = partial(self.folder.json_over, f"{folder_of_step(step)}/retention.json")
        with progress(step.name, rows + len(pocket.instructions()), "instructions", shared=True) as bar:
            sentences = label_beginnings(map(load_task, self.plan.all_tasks))  # those in files of their own included
            measure_retention(load, data, split, rows, bar.tick, sentences=sentences, size=config.chunk, share=share)

    def is_done(self, step: StudyStep) -> bool:
        """Whether a step is done here."""
        if step.kind == "train":
            return self.models.is_trained(step.arm, step.seed)
        if step.kind in ("audit", "show"):
            start = start_arm(arm for arm, _, task in self.requests if task == step.task)
            stages = stages_of_audit(step, self.requests[step.arm, step.seed, step.task], start)
            return all(self.folder.done(folder_of_step(step), files) for files in stages)
        return self.folder.made(f"{folder_of_step(step)}/retention.json")

    def _train(self, arm: str, seed: int) -> None:
        """Train an arm on rows of all the tasks it practises; the arm that it goes on from is trained already."""
        heldout: list[dict[str, Any]] = []
        if arm == "adapted":
            start = None
            rows = [row for task in self.plan.tasks for row in self.member(task).practice.adapted_rows(seed)]
        else:
            start, recipe, name = arm_before(arm), self._trained[arm], ArmName.parse(arm)
            rows = list[dict[str, Any]]()
            for task in tasks_practised(self.plan, name):
                settings = task_settings(self.plan, task, recipe)
                rows += self.member(task).arm_rows(name, seed, settings)
                heldout += self.member(task).heldout_rows(name, seed, settings)
        adapter = self.models.train(arm, seed, rows, start, heldout)
        if self.beside and (note := self.beside.retraining_note(arm, seed, adapter)):
            say(note)

    def member(self, task: str) -> StudyTaskRun:
        """Return the run of a task; its folder is begun when it is first needed."""
        with self._opening:
            if task not in self._members:
                recipes = self.recipes.values()
                stretch_ends = {texts_practised(task_settings(self.plan, task, recipe)) for recipe in recipes}
                folder, config = self.out / "tasks" / task_name(task), task_settings(self.plan, task)
                self._members[task] = StudyTaskRun(
                    config, folder, self.models, self.requests, sorted(stretch_ends), practised=task in self.plan.tasks
                )
                self._members[task].write_texts()
            return self._members[task]

    def _shown_member(self, task: str) -> StudyTaskRun:
        with self._opening:
            if task not in self._shown_members:
                folder = self.out / EXAMPLES_SUBFOLDER / task_name(task)
                self._shown_members[task] = built_in_task_run(self.member(task), folder, shown_rows(self.plan))
                self._shown_members[task].write_texts()
            return self._shown_members[task]

    def costs(self) -> dict[StudyStep, float]:
        """Return the seconds of each step, from rates measured once on this machine."""
        if not (self.out / "rates.json").is_file():
            for task in self.plan.all_tasks:
                self.member(task).classifiers.pinned  # noqa: B018 - labels of a lexicon are the work of all processes
        return costs_of_steps(self.work, self.plan.all_tasks, self.folder, self._task_rates)

    def _task_rates(self, task: str) -> RateSeconds:
        requests = list(
            dict.fromkeys(request for (_, _, audited_task), request in self.requests.items() if audited_task == task)
        )
        style_sets: list[str] = []
        if task in self.plan.tasks:
            rate_names = [part.rate for work in self.work.values() for part in work]
            style_sets = sorted({rate[2] for rate in rate_names if rate[:2] == ("train", task)})
        member = self.member(task)
        return measure_rates(
            self.models.load("base", self.plan.seeds[0]),
            member.config,
            member.corpus,
            member.classifiers.pinned,
            requests,
            style_sets,
        )

    @cached_property
    def steps(self) -> list[StudyStep]:
        """Every step of the plan."""
        return steps_of_units(self.plan, plan_units(self.plan))

    @cached_property
    def work(self) -> dict[StudyStep, list[StepWork]]:
        """The work of every step of the plan."""
        return work_of_steps(self.plan, self.steps)

    def corrected_seconds(self, cost: Mapping[StudyStep, float], steps: list[StudyStep]) -> float:
        """Return the seconds of ``steps``, corrected as ``corrected_cost`` has it."""
        corrected = self.corrected_cost(cost)
        return sum(corrected[step] for step in steps)

    def corrected_cost(self, cost: Mapping[StudyStep, float]) -> dict[StudyStep, float]:
        """Return the seconds of each step, corrected by how long the finished ones of its kind really took."""
        spent = self.journal.seconds
        return corrected_cost(cost, {s: spent[s.name] for s in cost if s.name in spent and self.is_done(s)})

    def steps_done(self) -> list[StudyStep]:
        """Return the steps that need not be done any more: done here or in the bank, or needed by none left to do."""
        left = set(self.steps_left(self.steps))
        return [step for step in self.steps if step not in left]
