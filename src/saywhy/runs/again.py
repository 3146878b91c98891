"""The stages that go on from what an arm was audited with: its rows are read, and models are asked about them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from saywhy.arms import UNTRAINED
from saywhy.config import Config
from saywhy.folders.run import SAMPLE_FILES, SENTENCE_FILES, START_FILES, RunFolder
from saywhy.folders.store import read_records
from saywhy.measure.audit import AuditPlan
from saywhy.measure.predict import Classifier
from saywhy.measure.sentence_audit import AuditedSentences, SentenceAuditPlan, audit_sentences
from saywhy.measure.sentence_replies import sample_replies
from saywhy.measure.start import judged_by_start
from saywhy.progress import progress
from saywhy.records import Example, Row, Table
from saywhy.stats.sentences import SampledReply
from saywhy.tasks.corpus import Corpus
from saywhy.training.classifiers import TaskClassifiers


@dataclass(frozen=True)
class AuditedAgain:
    """An arm of a run whose audit is done.

    Attributes:
        config: The settings of the run.
        corpus: Its texts.
        folder: The run folder.
        classifiers: The arms of the run as classifiers of its task.
        plan: What the audit asked for, and of which arm and seed.
        load: Returns the arm as the classifier that is asked to explain itself.
        start: The arm that the others went on from; None: there is none.
    """

    config: Config
    corpus: Corpus
    folder: RunFolder
    classifiers: TaskClassifiers
    plan: AuditPlan
    load: Callable[[], Classifier]
    start: str | None

    @property
    def where(self) -> str:
        """The folder of the arm, below that of the run."""
        return f"seed-{self.plan.seed}/{self.plan.arm}"

    @property
    def _path(self) -> Path:
        return self.folder.path / self.where

    @cached_property
    def _rows(self) -> list[Row]:
        return read_records(self._path / "rows.jsonl", Row)

    def measure_sentences(self) -> None:
        """Measure what the audited replies in sentences are worth, chunk by chunk."""
        if self.folder.done(self.where, SENTENCE_FILES):
            return
        samples = self._sampled()
        audited = AuditedSentences(self._rows, read_records(self._path / "tables.jsonl", Table), samples)
        first_seed = self.config.seeds[0]
        untrained = None if self.classifiers.models.spec.adapter else self.classifiers.untrained  # it was trained
        if untrained:
            self.classifiers.ensure_calibrated(untrained, first_seed)

        @cache  # where anything is left to compute: both models are held, for every chunk asks both
        def loaded() -> tuple[Classifier, SentenceAuditPlan]:
            simulator = self.classifiers.classifier(untrained, first_seed) if untrained else None
            return self.load(), SentenceAuditPlan.of(self.plan, simulator)

        def measured(part: Sequence[Example]) -> list[Any]:
            classifier, sentence_plan = loaded()
            return audit_sentences(classifier, part, audited, sentence_plan)

        self._stage("measure sentences", SENTENCE_FILES, measured)

    def judge_by_start(self) -> None:
        """Let the start model judge the explanations of several words of another arm, chunk by chunk.

        That model is trained by then; where there is none (a model is only audited), nothing is done.
        """
        start, plan = self.start, self.plan
        if start is None or start == plan.arm or self.folder.done(self.where, START_FILES[start]):
            return
        seed = self.config.seeds[0] if start in UNTRAINED else plan.seed
        self.classifiers.ensure_calibrated(start, seed)

        def judged(part: Sequence[Example]) -> list[Any]:
            return judged_by_start(self.classifiers.classifier(start, seed), start, part, self._rows, plan)

        self._stage("judge by the start", START_FILES[start], judged)

    def _sampled(self) -> list[SampledReply]:
        """Return the sampled replies in sentences, drawn chunk by chunk; none if none are asked for."""
        plan = self.plan
        if plan.mention_samples == 1:
            return []

        def sampled(part: Sequence[Example]) -> list[Any]:
            return sample_replies(self.load(), part, plan.styles, plan.mention_samples, plan.arm, plan.seed)

        if not self.folder.done(self.where, SAMPLE_FILES):
            self._stage("sample replies", SAMPLE_FILES, sampled)
        return read_records(self._path / "samples.jsonl", SampledReply)

    def _stage(self, what: str, files: tuple[str], records_of: Callable[[Sequence[Example]], Sequence[Any]]) -> None:
        """Make the records of a stage with one file, chunk by chunk."""
        title, examples = f"{what} of {self.plan.arm}, seed {self.plan.seed}", self.corpus.audited

        def lines_of(part: Sequence[Example]) -> dict[str, list[dict[str, Any]]]:
            lines = [record.to_dict() for record in records_of(part)]
            bar.tick(len(part))
            return {files[0]: lines}

        with self.folder.timed(f"{what} of {self.plan.arm}"), progress(title, len(examples), shared=True) as bar:
            self.folder.stage_over(self.where, files, examples, self.config.chunk, lines_of, bar.skip)
