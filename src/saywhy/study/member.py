"""One task of a study: a run folder whose models come from the study."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.arms import HALF, REFRESHED, ArmName
from saywhy.config import Config
from saywhy.folders.store import read_lines
from saywhy.measure.audit import AuditPlan
from saywhy.measure.predict import Classifier
from saywhy.records import Setting, StepsOrder
from saywhy.runs.run import Run
from saywhy.study.expand import texts_practised
from saywhy.study.requests import AuditKey, AuditRequest
from saywhy.study.steps import SEARCH_SETTINGS
from saywhy.tasks.corpus import refuse_empty
from saywhy.training.classifiers import TaskClassifiers
from saywhy.training.label_rows import refuse_anchor
from saywhy.training.lessons import Lesson
from saywhy.training.models import ArmModels


class StudyTaskRun(Run):
    """A task of a study: its texts, its audits, and the training rows that its arms get from it; the study trains them.

    Attributes:
        requests: What each audit of the study asks for.
        practised: Whether arms are trained on the task, not only tested.
        stretch_ends: Where the stretches end in which the arms' texts are explained: an arm of few rows needs only the
            first. A stretch that was begun keeps its end, whatever blocks are added later.
    """

    # Each audit has readouts of its own, and no training depends on them; of data and replay the hashes are compared.
    unbound = ("readouts", "data", "replay")

    def __init__(
        self,
        config: Config,
        out: Path,
        models: ArmModels,
        requests: Mapping[AuditKey, AuditRequest],
        stretch_ends: Sequence[int],
        lender: TaskClassifiers | None = None,
        *,
        practised: bool = True,
    ) -> None:
        self.requests, self.practised = requests, practised
        arms = sorted({arm for arm, _, task in requests if task == config.task})
        super().__init__(config, out, arms=arms, models=models, lender=lender)
        self.stretch_ends = sorted({min(end, len(self.corpus.arms)) for end in stretch_ends})

    def asked_settings(self) -> set[Setting]:
        """Return the settings in which any arm is asked on this task, those of the config first."""
        requests = [request for (_, _, task), request in self.requests.items() if task == self.config.task]
        return super().asked_settings() | {setting for request in requests for setting in request.settings}

    def asked_orders(self) -> set[StepsOrder]:
        """Return the orders in which any arm is asked for steps on this task."""
        requests = [request for (_, _, task), request in self.requests.items() if task == self.config.task]
        return {request.steps_order for request in requests if "steps" in request.styles} or super().asked_orders()

    def explained_classifier(self, arm: str, seed: int) -> Classifier:
        """Return an arm as a classifier that is asked for steps in the order of its blocks."""
        classifier = super().explained_classifier(arm, seed)
        order = self.requests[arm, seed, self.config.task].steps_order
        task = classifier.task.replied_by(classifier.task.plan, order)
        return Classifier(classifier.model, task, classifier.constants)

    def _refuse_unlabelled(self) -> None:
        if self.practised:
            super()._refuse_unlabelled()

    def practised_pools(self) -> tuple[str, ...]:
        """Return no pool: an arm may be audited on a task on which it was not trained."""
        return ()

    def plan(self, arm: str, seed: int) -> AuditPlan:
        """Return what the study asks of ``arm`` on this task."""
        request = self.requests[arm, seed, self.config.task]
        return dataclasses.replace(
            super().plan(arm, seed), styles=request.styles, settings=request.settings, readouts=request.readouts
        )

    def arm_rows(self, arm: ArmName, seed: int, config: Config) -> list[dict[str, Any]]:
        """Return the rows of this task on which ``arm`` is trained, with the settings of its block."""
        refuse_empty(self.corpus, config, "arms")
        refuse_anchor(config, self.corpus.task)
        settings = config.model_copy(update={"train_styles": arm.styles})
        return self.practice.arm_rows(arm.kind, seed, settings, self._explained_for(arm, seed, settings))

    def heldout_rows(self, arm: ArmName, seed: int, config: Config) -> list[dict[str, Any]]:
        """Return the rows of held-out texts of this task on which the loss of ``arm`` is measured."""
        if not self.corpus.heldout:
            return []
        settings = config.model_copy(update={"train_styles": arm.styles})
        name = self._stem("heldout", settings)
        lessons = self.practice.explained("adapted", seed, self.corpus.heldout, f"seed-{seed}", name, settings)
        return self.practice.heldout_rows(arm.kind, seed, settings, lessons)

    def _explained_for(self, arm: ArmName, seed: int, config: Config) -> list[Lesson]:
        """Return the texts of an arm; a refreshed one gets the second half of them from the model half-way."""
        half = min(texts_practised(config), len(self.corpus.arms)) // 2
        if arm.variant == REFRESHED:
            half_way = str(dataclasses.replace(arm, variant=HALF))
            second_half = self.corpus.arms[half : 2 * half]
            return self.practice.explained(half_way, seed, second_half, f"seed-{seed}/{arm}", "targets", config)
        return self._first_texts(seed, half if arm.variant == HALF else texts_practised(config), config)

    def _first_texts(self, seed: int, count: int, config: Config) -> list[Lesson]:
        """Return the first ``count`` texts, explained by adapted stretch by stretch as ``config`` says."""
        stem = self._stem("targets", config)
        lessons: list[Lesson] = []
        where = f"seed-{seed}"
        while (begin := len(lessons)) < min(count, len(self.corpus.arms)):
            name = stem if begin == 0 else f"{stem}-from-{begin}"
            texts = self.corpus.arms[begin : self._end(where, name, begin)]
            lessons += self.practice.explained("adapted", seed, texts, where, name, config)
        return lessons[:count]

    def _stem(self, name: str, config: Config) -> str:
        """Return the stem of the file of explanations that are searched for as ``config`` says."""
        differing = [getattr(config, key) for key in SEARCH_SETTINGS if self._differs(config, key)]
        return "-".join((name, *("-".join(value) if isinstance(value, tuple) else str(value) for value in differing)))

    def _differs(self, config: Config, key: str) -> bool:
        return bool(getattr(config, key) != getattr(self.config, key))

    def _end(self, where: str, name: str, begin: int) -> int:
        """Return where the stretch ``name`` ends: as when it was begun, else at the next end of today's plan."""

        def planned() -> int:
            if self.folder.done(where, (name,)):  # by a version that kept no ends
                return begin + len(read_lines(self.folder.path / where / f"{name}.jsonl"))
            return next(end for end in self.stretch_ends if end > begin)

        return int(self.folder.json(f"{where}/{name}-end.json", lambda: {"end": planned()})["end"])
