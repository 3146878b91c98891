"""What the arms of a run practise on its texts: made once, kept in the run folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saywhy.config import Config
from saywhy.folders.store import read_lines, read_records
from saywhy.measure.calibration import ensure_constants
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.progress import progress, say
from saywhy.records import STYLES, Example, Prediction
from saywhy.tasks.corpus import refuse_empty
from saywhy.training import targets as making
from saywhy.training.classifiers import TaskClassifiers
from saywhy.training.rows import adapted_rows, arm_rows, rehearsal_rows
from saywhy.training.targets import Targets

ExplainedTexts = tuple[list[Item], list[Targets]]
"""Texts with a model's predictions, and its explanations."""

TOO_ALIKE = 0.6
"""From this share of equal words on, a donor's explanations are hardly those of another rule."""


class Practice:
    """The training rows of a run's arms.

    Attributes:
        classifiers: The arms as classifiers of the task, with its texts, settings and run folder.
    """

    def __init__(self, classifiers: TaskClassifiers) -> None:
        self.classifiers = classifiers
        self.config, self.corpus, self.folder = classifiers.config, classifiers.corpus, classifiers.folder

    def arm_rows(
        self, kind: str, seed: int, config: Config, items: Sequence[Item], faithful: Sequence[Targets]
    ) -> list[dict[str, Any]]:
        """Return what an arm of ``kind`` learns from ``items`` with the settings of ``config``.

        Args:
            kind: What its explanations are made of (``arms.KINDS``).
            seed: Its seed.
            config: Its settings.
            items: Texts with the predictions of the start model.
            faithful: Its pseudo-faithful explanations.
        """
        rows = arm_rows(config, self.corpus.task, items, faithful, self._targets(kind, seed, items, faithful))
        if config.format_share:
            texts = len({row["id"] for row in rows})
            rows += rehearsal_rows(self.adapted_rows(seed), config.train_styles, texts, config.format_share, seed)
        return rows

    def explained_by_adapted(self, seed: int) -> ExplainedTexts:
        """Return the arms' texts with adapted's predictions and its pseudo-faithful explanations, made once."""
        return self.explained("adapted", seed, self.corpus.arms, f"seed-{seed}", "targets", self.config)

    def explained(
        self, arm: str, seed: int, examples: Sequence[Example], where: str, name: str, config: Config
    ) -> ExplainedTexts:
        """Return texts with the predictions of ``arm`` and its pseudo-faithful explanations, made once.

        Args:
            arm: Who predicts and explains; trained before.
            seed: Its seed.
            examples: The texts.
            where: Folder of the stage, below the run folder.
            name: Stem of its files.
            config: How the explanations are searched for.
        """
        pinned = self.classifiers.pinned

        def explain(part: Sequence[Example]) -> dict[str, list[dict[str, Any]]]:
            classifier = self.classifiers.classifier(arm, seed)
            items, targets = making.pseudo_faithful(classifier, part, pinned, config)
            bar.tick(len(part))
            return {name: [making.to_line(*pair) for pair in zip(items, targets, strict=True)]}

        if not self.folder.done(where, (name,)):
            self.classifiers.ensure_calibrated(arm, seed)
            title = f"targets, seed {seed}"
            with self.folder.timed("targets"), progress(title, len(examples), shared=True) as bar:
                self.folder.stage_over(where, (name,), examples, self.config.chunk, explain)
        by_id = {example.id: example for example in examples}
        lines = read_lines(self.folder.path / where / f"{name}.jsonl", "id", "prediction", "picks")
        pairs = [making.from_line(line, by_id) for line in lines]
        rates = {style: sum(bool(targets[style].hit) for _, targets in pairs) / len(pairs) for style in STYLES}
        self.folder.keep_json(f"{where}/{name}.json", {"n": len(pairs), "hits": rates})
        return [item for item, _ in pairs], [targets for _, targets in pairs]

    def adapted_rows(self, seed: int) -> list[dict[str, Any]]:
        """Return the training rows of ``adapted``."""
        refuse_empty(self.corpus, self.config, "adapt")
        where, first_seed = f"seed-{seed}/adapted", self.config.seeds[0]
        self.classifiers.ensure_calibrated("base", first_seed)

        def predict(part: Sequence[Example]) -> dict[str, list[dict[str, Any]]]:
            predictions = self.classifiers.classifier("base", first_seed).predict_examples(part)
            lines = [{"id": e.id, **prediction.to_dict()} for e, prediction in zip(part, predictions, strict=True)]
            return {"predictions": lines}

        self.folder.stage_over(where, ("predictions",), self.corpus.adapt, self.config.chunk, predict)
        predictions = read_records(self.folder.path / where / "predictions.jsonl", Prediction)
        items = [Item(*pair) for pair in zip(self.corpus.adapt, predictions, strict=True)]
        return adapted_rows(self.config, self.corpus.task, items, self.classifiers.pinned, seed)

    def _targets(self, kind: str, seed: int, items: Sequence[Item], faithful: Sequence[Targets]) -> Sequence[Targets]:
        """Return what an arm of ``kind`` explains ``items`` with."""
        pinned = self.classifiers.pinned
        if kind == "random":
            return making.random_targets(items, pinned, seed + 1)
        if kind == "lexical":
            return making.lexical_targets(items, self.classifiers.associations, pinned, seed)
        if kind == "transplant":
            words = self._donated([item.example for item in items])
            same = sum(own["attribution"].words == (word,) for own, word in zip(faithful, words, strict=True))
            donor = self.config.donor or self.config.model
            self.folder.note(donor={"model": donor, f"same word, seed {seed}": same})
            say(f"the donor names the same word in {same} of {len(items)} texts{donor_doubt(same, len(items))}")
            return making.targets_naming(items, words, pinned, seed)
        return faithful

    def _donated(self, examples: Sequence[Example]) -> list[str]:
        """Return the words that the donor (the model as downloaded unless another is set) would name, computed once."""
        where, texts = f"seed-{self.config.seeds[0]}", self.corpus.arms

        def name(part: Sequence[Example]) -> dict[str, list[dict[str, Any]]]:
            words = making.deciding_words(donor, part)
            bar.tick(len(part))
            return {"donor": [{"id": example.id, "word": word} for example, word in zip(part, words, strict=True)]}

        if not self.folder.done(where, ("donor",)):
            donor = self._donor(where)
            with self.folder.timed("donor"), progress("donor's words", len(texts), shared=True) as bar:
                self.folder.stage_over(where, ("donor",), texts, self.config.chunk, name)
        lines = read_lines(self.folder.path / where / "donor.jsonl", "id", "word")
        words = {line["id"]: line["word"] for line in lines}
        return [words[example.id] for example in examples]

    def _donor(self, where: str) -> Classifier:
        if self.config.donor is None:
            self.classifiers.ensure_calibrated("base", self.config.seeds[0])
            return self.classifiers.classifier("base", self.config.seeds[0])
        model, task = self.classifiers.models.load_named(self.config.donor), self.corpus.task
        name, texts, size = f"{where}/donor-constants.json", self.corpus.calibration, self.config.chunk
        constants = ensure_constants(self.folder, name, task, texts, lambda: model, size, "calibrate donor")
        return Classifier(model, task, constants)


def donor_doubt(same: int, texts: int) -> str:
    """Return what to add where a donor names too many of the model's own words, else nothing."""
    return f": more than {TOO_ALIKE:.0%}, so transplant is hardly another rule" if same > TOO_ALIKE * texts else ""
