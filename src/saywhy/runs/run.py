"""One run: arms of one model on one task, made, audited and kept, in an order that can stop anywhere.

Each step asks the run folder what is there. A killed run repeats at most one chunk, and gives the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from saywhy.arms import SEARCHED, kind
from saywhy.attribution import check
from saywhy.config import Config, resolved
from saywhy.folders.run import RunFolder
from saywhy.folders.store import read_object, read_records, write_json
from saywhy.measure.audit import Plan, decide, decision, unusable
from saywhy.measure.audit import audit as audit_texts
from saywhy.measure.calibration import constants
from saywhy.measure.predict import Classifier
from saywhy.models.spec import CONSTANTS_FILE
from saywhy.processes import first
from saywhy.progress import progress
from saywhy.records import TRAINING_OPERATOR, Row, SaywhyError, SetAside
from saywhy.robustness.stages import Checks, refuse
from saywhy.runs.manifest import facts
from saywhy.tasks.corpus import Corpus, assemble, associate, pin, refuse_empty
from saywhy.tasks.lexicon import Associations, Pinned
from saywhy.training.curriculum import Curriculum
from saywhy.training.shelf import Shelf

AUDIT_FILES = ("rows", "tables", "grids")
DECIDED_FILES = ("decisions",)
AUDITED = "audited"
"""Name of the only arm of ``saywhy audit``."""


class Run:
    """A run in the making.

    Attributes:
        config: The settings.
        folder: Where everything goes.
        shelf: Its models.
        spec: The model as downloaded.
        lessons: What its arms learn.
        unbound: Settings that may change between its sittings, beside those of every run (``config.UNBOUND``).
    """

    unbound: tuple[str, ...] = ()

    def __init__(
        self, config: Config, out: Path, *, arms: Sequence[str] | None = None, shelf: Shelf | None = None
    ) -> None:
        self.config = config
        self.arms = tuple(arms or config.arms)
        self.shelf = shelf or Shelf(config)
        self.spec = self.shelf.spec
        self.corpus: Corpus = assemble(config)
        self._refuse_unlabelled()
        refuse(config, self.corpus.task)
        check((config.target_method,), "target_method")
        told = facts(config, self.spec, self.corpus, self.arms)
        self.folder = RunFolder(out, resolved(config), told, self.unbound)
        self.lessons = Curriculum(self)
        self._screen()

    def run(self) -> Path:
        """Make and audit every arm, for every seed; return the run folder."""
        self.write_texts()
        for seed in self.config.seeds:
            for arm in self.arms:
                if arm in ("base", AUDITED) and seed != self.config.seeds[0]:
                    continue  # nothing in it depends on the seed
                self.make(arm, seed)
                self.audit(arm, seed)
                self.check(arm, seed)
        return self.folder.path

    def make(self, arm: str, seed: int) -> Path | None:
        """Train ``arm`` if it is not there; return its adapter's folder, None for the model as downloaded."""
        if arm in ("base", AUDITED):
            return None
        adapter = self.folder.path / f"seed-{seed}" / arm / "adapter"
        if (adapter / CONSTANTS_FILE).is_file():
            return adapter
        start = None if arm == "adapted" else self.make("adapted", seed)
        rows = self.lessons.adapt_rows(seed) if arm == "adapted" else self.arm_rows(arm, seed)
        self.folder.keep_lines(f"seed-{seed}/{arm}/training.jsonl", rows)
        with self.folder.timed(f"train {arm}"), progress(f"train {arm}, seed {seed}", 1, "steps") as bar:
            self.shelf.train(rows, start, adapter, seed, bar.of)
        return adapter

    def audit(self, arm: str, seed: int) -> None:
        """Audit ``arm`` and measure its decisions, chunk by chunk."""
        where = f"seed-{seed}/{arm}"
        examples = self.corpus.audited
        size = self.config.chunk
        plan = self.plan(arm, seed)

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = examples[number * size : (number + 1) * size]
            found = audit_texts(self.classifier(arm, seed), part, plan, bar.tick)
            return {
                "rows": [one.to_dict() for one in found.rows],
                "tables": [one.to_dict() for one in found.tables],
                "grids": [one.to_dict() for one in found.grids],
            }

        if not self.folder.done(where, AUDIT_FILES):
            self.constants(arm, seed)
            title = f"audit {arm}, seed {seed}"
            with self.folder.timed(f"audit {arm}"), progress(title, len(examples), shared=True) as bar:
                self.folder.stage(where, AUDIT_FILES, -(-len(examples) // size), chunk)
        self._decide(arm, seed, where)

    def check(self, arm: str, seed: int) -> None:
        """Run the robustness checks of an audited arm."""
        if self.config.robustness:
            load_arm = partial(self.classifier, arm, seed)
            Checks(arm, seed, self.config, self.corpus, self.pinned, load_arm, self.folder).run()

    def _decide(self, arm: str, seed: int, where: str) -> None:
        if self.folder.done(where, DECIDED_FILES):
            return
        size, decided = 10 * self.config.chunk, self.corpus.decided
        # What was predicted to be explained is not predicted again.
        known = {row.id: decision(row) for row in read_records(self.folder.path / where / "rows.jsonl", Row)}

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = decided[number * size : (number + 1) * size]
            new = [one for one in part if one.id not in known]
            found = dict(known) | {one.id: one for one in decide(self.classifier(arm, seed), new, arm, seed, bar.tick)}
            bar.tick(len(part) - len(new))
            return {"decisions": [found[one.id].to_dict() for one in part]}

        title = f"decide {arm}, seed {seed}"
        with self.folder.timed(f"decide {arm}"), progress(title, len(decided), shared=True) as bar:
            self.folder.stage(where, DECIDED_FILES, -(-len(decided) // size), chunk)

    def classifier(self, arm: str, seed: int) -> Classifier:
        """Return ``arm`` as a calibrated classifier; a chunk takes one whose constants are kept already."""
        kept = self.constants(arm, seed)
        return Classifier(self.shelf.model(self.make(arm, seed)), self.corpus.task, kept)

    def constants(self, arm: str, seed: int) -> dict[str, float]:
        """Return the calibration constants of ``arm``, measured once by all processes and kept."""
        adapter, task, name = self.make(arm, seed), self.corpus.task, f"seed-{seed}/{arm}/constants.json"
        if not adapter and (travelled := self.spec.travelled(task.name)):
            return dict(self.folder.json(name, lambda: travelled.constants))
        load, texts = partial(self.shelf.model, adapter), self.corpus.calibration
        kept = constants(self.folder, name, task, texts, load, self.config.chunk, f"calibrate {arm}")
        if adapter:
            self._ship(arm, adapter, kept)
        return kept

    def arm_rows(self, arm: str, seed: int) -> list[dict[str, Any]]:
        """Return the training rows of an arm: the same texts for all, other words."""
        return self.lessons.rows(arm, seed, self.config, *self.lessons.practised(seed))

    def _ship(self, arm: str, adapter: Path, constants: Mapping[str, float]) -> None:
        """Write what travels with the adapter: constants and pinned words by task, what found its targets."""
        if not first():
            return
        path = adapter / CONSTANTS_FILE
        told = read_object(path)
        task = self.corpus.task.name
        mine = {
            "constants": dict(constants),
            "pinned": {label: list(words) for label, words in self.pinned.items()},
        }
        found_with = TRAINING_OPERATOR if kind(arm) in SEARCHED else self.spec.extras.get("trained_with")
        if told.get("tasks", {}).get(task) != mine or told.get("trained_with") != found_with:
            told.setdefault("tasks", {})[task] = mine
            write_json(path, {**told, "trained_with": found_with})

    def plan(self, arm: str, seed: int) -> Plan:
        """Return what the audit of an arm asks for."""
        config = self.config
        return Plan(arm, self.pinned, config.styles, config.settings, config.readouts, config.operators, seed)

    def _refuse_unlabelled(self) -> None:
        """Say before anything is computed that gold labels are missing."""
        unlabelled = sum(one.label is None for one in self.corpus.adapt)
        if unlabelled and self.config.adapt_labels == "gold" and set(self.arms) - {"base", AUDITED}:
            raise SaywhyError(f"{unlabelled} training rows have no label: run with adapt_labels=formats")

    def _screen(self) -> None:
        """Set aside the texts that cannot be put to the model; the same in every arm, for all share a tokenizer."""

        def objections() -> list[dict[str, Any]]:
            model, task = self.shelf.model(None), self.corpus.task
            plain = Classifier(model, task, dict.fromkeys(task.labels, 0.0))
            texts = {one.id: one for pool in self.corpus.pools().values() for one in pool}
            return [one.to_dict() for one in unusable(plain, list(texts.values()))]

        aside = [SetAside.from_dict(one) for one in self.folder.json("screened.json", objections)]
        self.corpus = self.corpus.without(aside)
        self.folder.note(counts={name: len(pool) for name, pool in self.corpus.pools().items()})
        refuse_empty(self.corpus, self.config, "calibration", *self.practised())

    def practised(self) -> tuple[str, ...]:
        """Return the pools of texts from which something is learned, whatever else is done."""
        return ("adapt", "arms") if set(self.arms) - {"base", AUDITED} else ()

    def write_texts(self) -> None:
        """Write the explained texts and those set aside, once."""
        for name, records in (("texts", self.corpus.audited), ("set_aside", self.corpus.set_aside)):
            if not (self.folder.path / f"{name}.jsonl").is_file():
                self.folder.keep_lines(f"{name}.jsonl", (one.to_dict() for one in records))

    @cached_property
    def associations(self) -> Associations:
        """Words' associations with labels: gold ones, else those that the model as downloaded predicts."""
        labels: list[str | None] = [one.label for one in self.corpus.lexicon]
        if any(label is None for label in labels):
            labels = self._predicted_labels(f"seed-{self.config.seeds[0]}/lexicon-labels.json")
        return associate(self.corpus, labels)

    def _predicted_labels(self, name: str) -> list[str | None]:
        """Return the model's own labels for twice as many lexicon texts as there are calibration texts."""
        arm, seed, size = self.arms[0] if self.arms[0] == AUDITED else "base", self.config.seeds[0], self.config.chunk
        some = self.corpus.lexicon[: 2 * len(self.corpus.calibration)]
        self.constants(arm, seed)

        def chunk(number: int) -> list[str]:
            part = some[number * size : (number + 1) * size]
            return [one.label for one in self.classifier(arm, seed).predict_examples(part)]

        def join(parts: list[list[str]]) -> list[str | None]:
            return [label for part in parts for label in part] + [None] * (len(self.corpus.lexicon) - len(some))

        return list(self.folder.json_of_chunks(name, -(-len(some) // size), chunk, join))

    @cached_property
    def pinned(self) -> Pinned:
        """The counterfactual's candidate words: those that travel with an audited adapter, else the corpus's."""
        if travelled := self.spec.travelled(self.corpus.task.name):
            return travelled.pinned
        return pin(self.corpus, self.associations, self.config.pinned_words)
