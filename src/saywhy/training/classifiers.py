"""The arms of a run as classifiers of one task: calibrated once each, with the words that counterfactuals insert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

from saywhy.config import Config
from saywhy.folders.run import RunFolder
from saywhy.folders.store import DELETE_AND_REPEAT, read_object
from saywhy.measure.calibration import calibration_key, carried_calibration, ensure_constants, say_unread
from saywhy.measure.predict import Classifier
from saywhy.models.shipped import (
    SavedCalibration,
    calibration_entry,
    finite_constants,
    read_shipped,
    shipped_calibration,
    write_shipped,
)
from saywhy.models.spec import resolve_model
from saywhy.processes import is_first_process
from saywhy.records import Example, SaywhyError
from saywhy.tasks.corpus import Corpus, corpus_associations, pinned_of_corpus
from saywhy.tasks.lexicon import Associations, Pinned
from saywhy.training.models import ArmModels


class TaskClassifiers:
    """Owns the classifier of each (arm, seed) on one task.

    Attributes:
        models: The models.
        config: The settings of the run.
        corpus: Its texts.
        folder: The run folder, which keeps the calibration constants.
        untrained: What the rows of this run call the model as downloaded.
        lender: Classifiers of the same task on other texts, whose constants and pinned words are used; None: own ones.
    """

    def __init__(
        self,
        models: ArmModels,
        config: Config,
        corpus: Corpus,
        folder: RunFolder,
        untrained: str = "base",
        lender: TaskClassifiers | None = None,
    ) -> None:
        self.models, self.config, self.corpus, self.folder = models, config, corpus, folder
        self.untrained, self.lender = untrained, lender

    def classifier(self, arm: str, seed: int, precision: str | None = None) -> Classifier:
        """Return an arm, trained and calibrated before, as a classifier; ``precision``: not that of the settings."""
        return Classifier(self.models.load(arm, seed, precision), self.corpus.task, self.constants(arm, seed))

    def constants(self, arm: str, seed: int) -> dict[str, float]:
        """Return the calibration constants of an arm, which is calibrated."""
        if self.lender:
            return self.lender.constants(arm, seed)
        path = self.folder.path / constants_file(arm, seed)
        constants = read_object(path, *self.corpus.task.labels)
        try:
            return finite_constants(constants)
        except (TypeError, ValueError) as error:
            raise SaywhyError(f"{path} is damaged ({error}): {DELETE_AND_REPEAT}") from error

    def ensure_calibrated(self, arm: str, seed: int) -> None:
        """Measure the calibration constants of a trained arm, once, by all processes together.

        They travel with its adapter; those that came with an adapter that is only audited are taken over.
        """
        if self.lender:
            return self.lender.ensure_calibrated(arm, seed)
        name, task = constants_file(arm, seed), self.corpus.task
        adapter = self.models.adapter(arm, seed)
        if adapter is None and self.config.calibration and (travelled := self._travelled):
            self.folder.json(name, lambda: travelled.constants)
            say_unread(self.config, ("calibration_rows", "pinned_words", "lexicon_rows"))
            return None
        load, texts = partial(self.models.load, arm, seed), self.corpus.calibration
        constants = ensure_constants(self.folder, name, task, texts, load, self.config, f"calibrate {arm}")
        if adapter:
            self._ship(arm, adapter, constants)
        return None

    def _ship(self, arm: str, adapter: Path, constants: Mapping[str, float]) -> None:
        """Write what travels with the adapter: constants and pinned words by task, the operators of its targets."""
        if not is_first_process():
            return
        task = self.corpus.task
        saved = SavedCalibration(dict(constants), {label: tuple(words) for label, words in self.pinned.items()})
        with self.models.shipping:
            shipped = read_shipped(adapter)
            # Without calibration they are zeros, which a later run would take for measured ones.
            is_new = bool(self.config.calibration) and shipped_calibration(shipped, task.name) != saved
            if is_new:
                key = calibration_key(resolve_model(str(adapter)), task, self.config.quantize)
                shipped.setdefault("tasks", {})[task.name] = calibration_entry(saved, key)
            if is_new or shipped.get("trained_with") != self.models.searched_with(arm):
                write_shipped(adapter, {**shipped, "trained_with": self.models.searched_with(arm)})

    @cached_property
    def _travelled(self) -> SavedCalibration | None:
        """What came with an adapter that is audited or gone on from, None if nothing did for this task."""
        return carried_calibration(self.models.spec, self.corpus.task, self.config.quantize)

    @cached_property
    def pinned(self) -> Pinned:
        """The counterfactual's candidate words: those that travel with an audited adapter, else the corpus's."""
        if self.lender:
            return self.lender.pinned
        if self._travelled:
            return self._travelled.pinned
        return pinned_of_corpus(self.corpus, self.associations, self.config.pinned_words)

    @cached_property
    def associations(self) -> Associations:
        """Words' associations with labels: gold ones, else those that the model as downloaded predicts."""
        labels: list[str | None] = [example.label for example in self.corpus.lexicon]
        if any(label is None for label in labels):
            labels = self._predicted_labels()
        return corpus_associations(self.corpus, labels)

    def _predicted_labels(self) -> list[str | None]:
        """Return the model's own labels for twice as many lexicon texts as there are calibration texts."""
        arm, seed = self.untrained, self.config.seeds[0]
        lexicon, count = self.corpus.lexicon, 2 * len(self.corpus.calibration)
        self.ensure_calibrated(arm, seed)

        def predicted(examples: Sequence[Example]) -> list[str]:
            return [prediction.label for prediction in self.classifier(arm, seed).predict_examples(examples)]

        def join(parts: list[list[str]]) -> list[str | None]:
            return [label for part in parts for label in part] + [None] * len(lexicon[count:])

        name = f"seed-{seed}/lexicon-labels.json"
        return list(self.folder.json_over(name, lexicon[:count], self.config.chunk, predicted, join))


def constants_file(arm: str, seed: int) -> str:
    """Return where a run folder keeps the calibration constants of an arm."""
    return f"seed-{seed}/{arm}/constants.json"
