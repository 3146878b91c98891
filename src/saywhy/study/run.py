"""A study at work: each step once, in an order that can stop anywhere, within a budget."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from saywhy import pocket
from saywhy.arms import Trained, task_name
from saywhy.attribution import check
from saywhy.bank.leaks import BUILT_IN
from saywhy.config import differences, resolved
from saywhy.folders.shared import SharedFolder
from saywhy.folders.store import read_object
from saywhy.measure.retention import label_beginnings, retain
from saywhy.models.spec import CONSTANTS_FILE
from saywhy.processes import world
from saywhy.progress import progress, say
from saywhy.records import SaywhyError
from saywhy.runs.run import AUDIT_FILES, DECIDED_FILES
from saywhy.study.beside import Beside
from saywhy.study.expand import Unit, asked, cells, practised, refuse_bars, settings, trained_arms, units
from saywhy.study.frozen import confirmatory, freeze
from saywhy.study.journal import Journal, facts
from saywhy.study.member import Member
from saywhy.study.plan import Plan
from saywhy.study.rates import Rates, measure, seconds
from saywhy.study.shown import Shown
from saywhy.study.steps import Size, Step, all_steps, before, in_order, needed, place_of, shown_rows, sizes
from saywhy.tasks.task import load_task
from saywhy.training.shelf import Shelf

BOUND = ("train_rows", "settings")
"""What blocks share: which texts are drawn and screened, and what ``adapted``, from which all arms go on, practised."""


class Grid:
    """A study in the making.

    Attributes:
        plan: What is to be done.
        out: Where it goes.
        seeds: The seeds that are done here; the others are left to other machines (``saywhy join``).
        blocks: The blocks that are done here, in this order; None: all, those first that bring most an hour.
        beside: A bank of the study; what it has is not done again.
        folder: Where it goes, with this process's part in the work on it.
        shelf: The models.
        journal: What ``study.json`` holds.
    """

    def __init__(
        self,
        plan: Plan,
        out: Path,
        seeds: Sequence[int] | None = None,
        beside: Path | None = None,
        blocks: Sequence[str] | None = None,
    ) -> None:
        self.plan, self.out, self.blocks = plan, out, blocks
        self.seeds = tuple(plan.seeds if seeds is None else seeds)
        self.wanted = asked(plan)
        self.arms = trained_arms(plan)
        for task in plan.known:
            settings(plan, task)  # what cannot be is refused before anything runs
            load_task(task)
        for recipe in self.arms.values():
            check((settings(plan, extra=recipe).target_method,), "target_method")
        cells(plan)
        refuse_bars(plan)
        self.shelf = Shelf(settings(plan))
        self._members: dict[str, Member] = {}
        self.folder = SharedFolder(out)
        self.journal = Journal(out, plan, self.arms, lambda: facts(settings(plan), self.shelf.spec))
        frozen = confirmatory(plan)["hash"]
        self.beside = Beside(beside, self.journal.told, frozen, self.wanted) if beside else None
        self._refuse_larger()
        if self.journal.before is None:
            self.journal.keep()

    def run(self, hours: float | None = None) -> bool:
        """Do what is left, confirmatory cells first; return whether the study is complete.

        Args:
            hours: Stop before the step that would take longer than this; None: do all.
        """
        if hours is not None and world() > 1:
            raise SaywhyError("hours= is for one process: of several, each would stop at a moment of its own")
        freeze(self.plan, self.out)
        self.journal.keep()  # now the blocks that were added belong to it: a dry look leaves it as it was
        cost = self.costs()
        steps = all_steps(self.plan, self.order(cost))
        left = self.left(steps)
        began = time.monotonic()
        for number, step in enumerate(left):
            ahead = self.scaled(cost, left[number:])
            spent = time.monotonic() - began
            if hours is not None and spent + self.scaled(cost, [step]) > hours * 3600:
                say(f"stopped before {step.name}: it does not fit into {hours:g} h; about {in_words(ahead)} left")
                return False
            say(
                f"step {len(steps) - len(left) + number + 1} of {len(steps)}: {step.name}; about {in_words(ahead)} left"
            )
            self.do(step)
        return True

    def order(self, cost: dict[Step, float]) -> list[Unit]:
        """Return the units that are done here, in their order."""
        # Of several processes, all must go in one order, wherever each has come to.
        done = self.finished() if world() == 1 else filter(self._elsewhere, self.steps)
        here = [unit for unit in in_order(self.plan, cost, done) if unit.seed in self.seeds]
        if self.blocks is None:
            return here
        return [unit for block in self.blocks for unit in here if unit.block == block]

    def left(self, steps: Sequence[Step]) -> list[Step]:
        """Return what is left to do, in order; a training stands before the first step that needs it, or nowhere."""
        undone = {step for step in steps if not self.done(step) and not self._elsewhere(step)}
        asked = [step for step in steps if step in undone and step.kind != "train"]
        path = [one for step in asked for one in (*needed(self.plan, step.arm, step.seed), step) if one in undone]
        return list(dict.fromkeys(path))

    def _elsewhere(self, step: Step) -> bool:
        return self.beside is not None and self.beside.has(step)

    def do(self, step: Step) -> None:
        """Do one step and keep how long it took."""
        began = time.monotonic()
        if step.kind == "train":
            self.adapter(step.arm, step.seed)
        elif step.kind == "audit":
            self.member(step.task).audit(step.arm, step.seed)
        elif step.kind == "show":
            self._shown(step.task).audit(step.arm, step.seed)
        else:
            self._keep(step)
        self.journal.spent(step.name, time.monotonic() - began)

    def _keep(self, step: Step) -> None:
        """Measure what a model kept beside the tasks."""
        config, rows = settings(self.plan), self.plan.instruction_rows
        split: Literal["validation", "test"] = "test" if config.split == "test" else "validation"
        data = None if self.plan.data in ("pocket", "hub") else self.plan.data
        model = self.shelf.model(self.adapter(step.arm, step.seed))
        share = partial(self.folder.json_of_chunks, f"{place_of(step)}/retention.json")
        with progress(step.name, rows + len(pocket.instructions()), "instructions", shared=True) as bar:
            sentences = self._sentences()
            retain(model, data, split, rows, bar.tick, sentences=sentences, size=config.chunk, share=share)

    def _sentences(self) -> list[str]:
        """Return how the answers to the plan's tasks begin, those in files of their own included."""
        return label_beginnings(map(load_task, self.plan.known))

    def done(self, step: Step) -> bool:
        """Whether a step has nothing left to do."""
        if step.kind == "train":
            return (self.place(step) / "adapter" / CONSTANTS_FILE).is_file()
        if step.kind in ("audit", "show"):
            return all(self.folder.done(place_of(step), files) for files in (AUDIT_FILES, DECIDED_FILES))
        return (self.place(step) / "retention.json").is_file()

    def place(self, step: Step) -> Path:
        """Return the folder of a step's model."""
        return self.out / place_of(step)

    def adapter(self, arm: str, seed: int) -> Path | None:
        """Return the adapter of an arm, None for the model as downloaded; trained if it is not there."""
        if arm == "base":
            return None
        home = self.place(Step("train", arm, seed))
        adapter = home / "adapter"
        if (adapter / CONSTANTS_FILE).is_file():
            return adapter
        if arm == "adapted":
            start, config = None, settings(self.plan)
            rows = [row for task in self.plan.tasks for row in self.member(task).lessons.adapt_rows(seed)]
        else:
            start, recipe = self.adapter(before(arm), seed), self.arms.get(arm, {})
            config = settings(self.plan, extra=recipe)
            rows = self._lesson(Trained.parse(arm), seed, recipe)
        self.folder.keep_lines(str(home.relative_to(self.out) / "training.jsonl"), rows)
        with progress(f"train {arm}, seed {seed}", 1, "steps") as bar:
            self.shelf.train(rows, start, adapter, seed, bar.of, config)
        if self.beside and (told := self.beside.otherwise(arm, seed, adapter)):
            say(told)
        return adapter

    def _lesson(self, arm: Trained, seed: int, recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
        tasks = practised(self.plan, arm)
        return [row for task in tasks for row in self.member(task).lesson(arm, seed, settings(self.plan, task, recipe))]

    def member(self, task: str) -> Member:
        """Return the run of a task; its folder is begun when it is first needed."""
        if task not in self._members:
            pieces = {settings(self.plan, task, recipe).train_rows for recipe in self.arms.values()}
            folder = self.out / "tasks" / task_name(task)
            config = settings(self.plan, task)
            self._members[task] = Member(config, folder, self.shelf, self.adapter, self.wanted, sorted(pieces))
            self._members[task].write_texts()
        return self._members[task]

    def _shown(self, task: str) -> Shown:
        run = Shown(self.member(task), self.out / BUILT_IN / task_name(task), shown_rows(self.plan))
        run.write_texts()
        return run

    def costs(self) -> dict[Step, float]:
        """Return the seconds of each step, from rates measured once on this machine."""
        if not (self.out / "rates.json").is_file():
            for task in self.plan.known:
                self.member(task).pinned  # noqa: B018 - labels of a lexicon are the work of all processes
        rates: Rates = self.folder.json("rates.json", self._rates)
        return {step: seconds(parts, rates) for step, parts in self.sizes.items()}

    def _rates(self) -> Rates:
        found: Rates = {}
        for task in self.plan.known:
            say(f"measuring what {task} costs here")
            found |= self._measured(task)
        return found

    def _measured(self, task: str) -> Rates:
        shapes = list(dict.fromkeys(one for (_, _, on), one in self.wanted.items() if on == task))
        trained: list[str] = []
        if task in self.plan.tasks:
            every = [size.rate for parts in self.sizes.values() for size in parts]
            trained = sorted({rate[2] for rate in every if rate[:2] == ("train", task)})
        member = self.member(task)
        return measure(self.shelf.model(None), member.config, member.corpus, member.pinned, shapes, trained)

    @cached_property
    def steps(self) -> list[Step]:
        """Every step of the plan."""
        return all_steps(self.plan, units(self.plan))

    @cached_property
    def sizes(self) -> dict[Step, list[Size]]:
        """The work of every step."""
        return sizes(self.plan, self.steps)

    def scaled(self, cost: Mapping[Step, float], steps: list[Step]) -> float:
        """Return the seconds of ``steps``, corrected by how long the finished ones of a kind really took."""
        total = 0.0
        for kind in {step.kind for step in steps}:
            finished = [one for one in cost if one.kind == kind and one.name in self.journal.seconds and self.done(one)]
            thought = sum(cost[one] for one in finished)
            factor = sum(self.journal.seconds[one.name] for one in finished) / thought if thought > 0 else 1.0
            total += factor * sum(cost[one] for one in steps if one.kind == kind)
        return total

    def finished(self) -> list[Step]:
        """Return the steps that are done, here or in the bank beside."""
        left = set(self.left(self.steps))
        return [step for step in self.steps if step not in left]

    def _refuse_larger(self) -> None:
        """Blocks may be added to a study, if what is drawn, trained and audited already stays enough."""
        for task in self.plan.known:
            path, now = self.out / "tasks" / task_name(task) / "run.json", resolved(settings(self.plan, task))
            begun = read_object(path).get("config", {}) if path.is_file() else now
            if changed := differences({key: begun.get(key) for key in BOUND}, {key: now[key] for key in BOUND}):
                raise SaywhyError(
                    f"{self.out} is begun, and a new block asks for more than its texts and adapted were made for "
                    f"({'; '.join(changed)}): leave it out, or begin anew with out=FOLDER"
                )
        earlier = asked(Plan(**self.journal.before)) if self.journal.before else {}
        for audit, wanted in self.wanted.items():
            place = place_of(Step("audit", *audit))
            if audit in earlier and not earlier[audit].covers(wanted) and self.folder.begun(place, AUDIT_FILES):
                raise SaywhyError(
                    f"{audit[0]} is audited on {audit[2]} already, and a new block asks more of it: leave it out, or "
                    "begin anew with out=FOLDER (beside=BANK: what a bank of this study has is not done again)"
                )


def in_words(seconds_left: float) -> str:
    """Return a time in words: ``40 s``, ``12 min``, ``3.2 h``."""
    if seconds_left < 90:
        return f"{seconds_left:.0f} s"
    return f"{seconds_left / 60:.0f} min" if seconds_left < 5400 else f"{seconds_left / 3600:.1f} h"
