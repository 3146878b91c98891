"""One run: arms of one model on one task, made, audited and kept, in an order that can stop anywhere.

Each step asks the run folder what is there. A killed run repeats at most one chunk, and gives the same rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from saywhy.arms import AUDITED, UNTRAINED, start_arm
from saywhy.attribution import check_methods
from saywhy.checks import ALL_CHECKS
from saywhy.clashes import idle_settings
from saywhy.config import Config
from saywhy.folders.run import AUDIT_FILES, DECIDED_FILES, RunFolder
from saywhy.folders.store import read_records
from saywhy.measure.audit import AuditPlan, audit, audit_plan_of, decide, decision, refused, unusable
from saywhy.measure.predict import Classifier
from saywhy.measure.readouts import refuse_readouts
from saywhy.measure.start import asks_for_several_words
from saywhy.models.backends import require
from saywhy.models.spec import ModelSpec
from saywhy.progress import progress
from saywhy.records import Example, Readout, Row, SaywhyError, SetAside, Setting, StepsOrder
from saywhy.robustness.stages import Checks, refuse_checks
from saywhy.runs.again import AuditedAgain
from saywhy.runs.growth import DECIDED_CHUNKS, open_run_folder
from saywhy.runs.manifest import run_facts
from saywhy.settings import resolved, say_idle
from saywhy.tasks.corpus import Corpus, assemble_corpus, refuse_empty, refuse_fewer
from saywhy.training.classifiers import TaskClassifiers
from saywhy.training.label_rows import refuse_anchor
from saywhy.training.models import ArmModels, in_practised_plan
from saywhy.training.practice import Practice


def refuse_unanswered(spec: ModelSpec, arms: Sequence[str], readouts: Sequence[Readout], checks: Sequence[str]) -> None:
    """Refuse, before anything is computed, arms, readouts and checks for which a model cannot be asked.

    Raises:
        SaywhyError: With what it cannot be asked for.
    """
    if set(arms) - set(UNTRAINED):
        require(spec, "gradients", "training", "'saywhy audit' measures it as it is")
    refuse_readouts(spec, readouts)
    if spec.api and {"noise", ALL_CHECKS} & set(checks):
        raise SaywhyError(
            "robustness: noise cannot be measured behind an API, whose answers are kept: name the other checks"
        )


class Run:
    """A run in the making.

    Attributes:
        config: The settings.
        arms: The arms that are audited.
        corpus: The texts.
        folder: Where everything goes.
        models: The models of its arms.
        classifiers: The arms as classifiers of the task.
        practice: What the arms learn.
        unbound: Settings that may change between its sittings, beside those of every run (``settings.UNBOUND``).
    """

    unbound: tuple[str, ...] = ()

    def __init__(
        self,
        config: Config,
        out: Path,
        *,
        arms: Sequence[str] | None = None,
        models: ArmModels | None = None,
        lender: TaskClassifiers | None = None,
        explains: bool = True,
    ) -> None:
        """Open or begin a run.

        Args:
            config: The settings.
            out: Where everything goes.
            arms: The arms that are audited; None: those of ``config``.
            models: The models of a study that this run is part of; None: its own.
            lender: Classifiers of the same task on other texts, whose constants and pinned words are used.
            explains: Whether explanations are asked for in the readouts of ``config``.

        Raises:
            SaywhyError: If the settings cannot be met, or the folder holds something else.
        """
        self.config = config = config if models else in_practised_plan(config)
        self.arms = tuple(arms or config.arms)
        self.corpus: Corpus = assemble_corpus(config)  # before the model: loading that takes longer
        self.models = models or ArmModels(config, out)
        refuse_unanswered(self.models.spec, self.arms, config.readouts if explains else (), config.robustness)
        if config.insertion_lengths:
            require(self.models.spec, "weigh", "insertion_lengths=true", "leave it out")
        self._refuse_unlabelled()
        self._refuse_unfit_practice()
        if not models and (explains or self.arms[0] == AUDITED):
            self._say_idle()
        refuse_checks(config, self.corpus.task)
        check_methods((config.target_method,), "target_method")
        about = run_facts(config, self.models.spec, self.corpus, self.arms, self.asked_settings(), self.asked_orders())
        if models:  # of a study, whose texts are frozen
            self.folder = RunFolder(out, resolved(config), about, self.unbound)
        else:
            self.folder = open_run_folder(out, config, self.corpus, about, self.arms)
        self.models.clear_checkpoints()
        self._screen()
        untrained = AUDITED if self.arms[0] == AUDITED else "base"
        self.classifiers = TaskClassifiers(self.models, config, self.corpus, self.folder, untrained, lender)
        self.practice = Practice(self.classifiers)

    def asked_settings(self) -> set[Setting]:
        """Return the settings in which explanations are asked for."""
        return set(self.config.settings)

    def asked_orders(self) -> set[StepsOrder]:
        """Return the orders in which steps and answer are asked for."""
        return {self.config.steps_order}

    def run(self) -> Path:
        """Make and audit every arm, for every seed; return the run folder."""
        self.write_texts()
        with self.models.counting(self.folder):
            for seed in self.config.seeds:
                for arm in self.arms:
                    if arm in UNTRAINED and seed != self.config.seeds[0]:
                        continue  # nothing in it depends on the seed
                    self.ensure_trained(arm, seed)
                    start = start_arm(self.arms)
                    if start and asks_for_several_words(self.config.settings):  # which it judges
                        self.ensure_trained(start, seed)
                    self.audit(arm, seed)
                    self.check(arm, seed)
        return self.folder.path

    def ensure_trained(self, arm: str, seed: int) -> None:
        """Train ``arm``, and ``adapted`` from which it goes on, unless they are trained."""
        if self.models.is_trained(arm, seed):
            return
        heldout: list[dict[str, Any]] = []
        if arm == "adapted":
            start, rows = None, self.practice.adapted_rows(seed)
        else:
            start = "adapted"
            self.ensure_trained(start, seed)
            rows = self.practice.arm_rows(arm, seed, self.config, self.practice.explained_by_adapted(seed))
            if lessons := self.practice.heldout_by_adapted(seed):
                heldout = self.practice.heldout_rows(arm, seed, self.config, lessons)
        with self.folder.timed(f"train {arm}"):
            self.models.train(arm, seed, rows, start, heldout=heldout)

    def audit(self, arm: str, seed: int) -> None:
        """Audit ``arm``, which is trained, and measure its decisions, chunk by chunk."""
        where, examples, plan = f"seed-{seed}/{arm}", self.corpus.audited, self.plan(arm, seed)

        def audit_part(part: Sequence[Example]) -> dict[str, list[dict[str, Any]]]:
            records = audit(self.explained_classifier(arm, seed), part, plan, bar.tick)
            return {name: [record.to_dict() for record in getattr(records, name)] for name in AUDIT_FILES}

        self.classifiers.ensure_calibrated(arm, seed)
        if not self.folder.done(where, AUDIT_FILES):
            title = f"audit {arm}, seed {seed}"
            with self.folder.timed(f"audit {arm}"), progress(title, len(examples), shared=True) as bar:
                self.folder.stage_over(where, AUDIT_FILES, examples, self.config.chunk, audit_part, bar.skip)
        load, start = partial(self.explained_classifier, arm, seed), start_arm(self.arms)
        again = AuditedAgain(self.config, self.corpus, self.folder, self.classifiers, plan, load, start)
        if asks_for_several_words(plan.settings):  # those of this audit: the settings of a study's task have none
            again.judge_by_start()
        if "sentences" in plan.settings:
            again.measure_sentences()
        self._decide(arm, seed, where)

    def explained_classifier(self, arm: str, seed: int) -> Classifier:
        """Return an arm as the classifier that is asked to explain itself."""
        return self.classifiers.classifier(arm, seed)

    def check(self, arm: str, seed: int) -> None:
        """Run the robustness checks of an audited arm."""
        if self.config.robustness:
            load = partial(self.classifiers.classifier, arm, seed)
            Checks(arm, seed, self.config, self.corpus, self.classifiers.pinned, load, self.folder).run()

    def _decide(self, arm: str, seed: int, where: str) -> None:
        if self.folder.done(where, DECIDED_FILES):
            return
        # What was predicted to be explained is not predicted again.
        known = {row.id: decision(row) for row in read_records(self.folder.path / where / "rows.jsonl", Row)}

        def decide_part(part: Sequence[Example]) -> dict[str, list[dict[str, Any]]]:
            new = [example for example in part if example.id not in known]
            decisions = decide(self.classifiers.classifier(arm, seed), new, arm, seed, bar.tick)
            by_id = known | {decided.id: decided for decided in decisions}
            bar.tick(len(part) - len(new))
            return {"decisions": [by_id[example.id].to_dict() for example in part]}

        title, examples = f"decide {arm}, seed {seed}", self.corpus.decided
        with self.folder.timed(f"decide {arm}"), progress(title, len(examples), shared=True) as bar:
            chunk = DECIDED_CHUNKS * self.config.chunk
            self.folder.stage_over(where, DECIDED_FILES, examples, chunk, decide_part, bar.skip)

    def plan(self, arm: str, seed: int) -> AuditPlan:
        """Return what the audit of an arm asks for."""
        return audit_plan_of(self.config, arm, self.classifiers.pinned, seed)

    def _refuse_unlabelled(self) -> None:
        """Say before anything is computed that gold labels are missing."""
        unlabelled = sum(example.label is None for example in self.corpus.adapt)
        if unlabelled and self.config.adapt_labels == "gold" and set(self.arms) - set(UNTRAINED):
            raise SaywhyError(f"{unlabelled} training rows have no label: run with adapt_labels=formats")

    def _screen(self) -> None:
        """Set aside the texts that cannot be put to the model; the same in every arm, for all share a tokenizer."""

        def objections() -> list[dict[str, Any]]:
            model, task = self.models.load("base", self.config.seeds[0]), self.corpus.task
            uncalibrated = Classifier(model, task, dict.fromkeys(task.labels, 0.0))
            texts = {example.id: example for pool in self.corpus.pools().values() for example in pool}
            set_aside = unusable(uncalibrated, list(texts.values()))
            if self.models.spec.api:
                set_aside += self._refused_by_server(uncalibrated, {record.id for record in set_aside})
            return [record.to_dict() for record in set_aside]

        set_aside = [SetAside.from_dict(line) for line in self.folder.json("screened.json", objections)]
        self.corpus = self.corpus.without(set_aside)
        counts = {name: len(pool) for name, pool in self.corpus.pools().items()}
        unlabelled = sum(example.label is None for example in self.corpus.audited)
        self.folder.note(counts={**counts, "unlabelled": unlabelled} if unlabelled else counts)
        refuse_empty(self.corpus, self.config, "calibration", *self.practised_pools())

    def _refused_by_server(self, uncalibrated: Classifier, unusable_ids: Collection[str]) -> list[SetAside]:
        """Return the texts that are to be asked of which a server says no label."""
        asked = (*self.corpus.calibration, *self.corpus.audited, *self.corpus.decided)
        texts = {example.id: example for example in asked if example.id not in unusable_ids}
        with progress("try texts", len(texts)) as bar:
            return refused(uncalibrated, list(texts.values()), self.config.chunk, bar.tick)

    def _refuse_unfit_practice(self) -> None:
        """Say before anything is computed that the arms cannot practise as the settings say."""
        if self.practised_pools():
            refuse_fewer(self.corpus, self.config)
            refuse_anchor(self.config, self.corpus.task)

    def _say_idle(self) -> None:
        """Say of which of the given settings no use is made, a line for each reason."""
        idle = idle_settings(dict(self.config), trains=bool(self.practised_pools()))
        if self.models.spec.adapter and self.config.lora_r and self.practised_pools():
            idle["lora_r"] = "the LoRA of the adapter goes on, by its own rank (0: it is added to the weights)"
        say_idle(self.config, idle)

    def practised_pools(self) -> tuple[str, ...]:
        """Return the pools of texts from which something is learned, whatever else is done."""
        return ("adapt", "arms") if set(self.arms) - set(UNTRAINED) else ()

    def write_texts(self) -> None:
        """Write the explained texts and those set aside, once."""
        for name, records in (("texts", self.corpus.audited), ("set_aside", self.corpus.set_aside)):
            if not (self.folder.path / f"{name}.jsonl").is_file():
                self.folder.keep_lines(f"{name}.jsonl", (record.to_dict() for record in records))
