"""``saywhy calibrate``: attribution methods and metrics on planted models, with explainers whose truth is known.

Each plant is a step of its own, kept chunk by chunk like a run: a killed calibration goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from saywhy.attribution import METHODS, OPERATOR_METHODS, MethodOptions, check_methods, method_passes
from saywhy.config import Config
from saywhy.folders.run import SENTENCE_FILES, RunFolder
from saywhy.hints import did_you_mean
from saywhy.measure.calibration import ensure_constants
from saywhy.measure.edits import Item, items_of
from saywhy.measure.predict import Classifier
from saywhy.models.backends import open_model, require
from saywhy.models.interface import Tick
from saywhy.models.spec import resolve_model
from saywhy.models.weights import has_weights, remove_checkpoints
from saywhy.progress import progress, say
from saywhy.records import OPERATORS, Example, Operator, SaywhyError
from saywhy.ruler.metrics import measure_metrics
from saywhy.ruler.plants import LEAST_FOLLOWED_SHARE, PLANTS, Plant, partly_edited_texts, planted_texts
from saywhy.ruler.sentences import measure_sentence_explainers
from saywhy.runs.manifest import run_facts
from saywhy.settings import resolved
from saywhy.tasks.corpus import assemble_corpus, corpus_associations
from saywhy.tasks.data import load_examples
from saywhy.tasks.lexicon import Associations
from saywhy.tasks.task import Task, load_task
from saywhy.training.label_rows import decided_label_row
from saywhy.training.models import refuse_unfit_trainer

RULER_TASK = "sentiment140"
"""The task whose built-in texts carry the cues, and whose question is asked."""
HELD_OUT_TEXTS = 200
"""Number of texts on which it is checked that a model follows its rule."""
MEASURED_TEXTS = 60
"""Number of texts that are measured for each plant if the settings have ``rows=none``."""
DRAWN_PER_MEASURED = 6
"""Number of texts drawn for each that is measured: in some no single word can change the answer."""
PLANT_FILES = ("scores", "gauged")
FULL_CALIBRATION: Mapping[str, Any] = {
    "plants": ("keyword", "trigger", "pair", "quorum"),  # not those that the default model did not learn
    "plant_rows": 480,
    "methods": tuple(METHODS),
    "operators": OPERATORS,
    "steps": 20,
    "samples": 64,
}
"""The settings of ``saywhy calibrate --full``; texts have about a dozen words, so few masked texts are enough."""


@dataclass(frozen=True, slots=True)
class ChosenTexts:
    """The texts of a plant that are measured, and how many of the same draw are not.

    Attributes:
        measured: Texts that have an accepted cause and are answered by the rule.
        fixed: Number of texts without an accepted cause.
        wrong: Number of texts that have an accepted cause and are not answered by the rule.
    """

    measured: tuple[Item, ...]
    fixed: int
    wrong: int


def calibrate_ruler(config: Config, out: Path) -> Path:
    """Run every plant of ``config`` and return the folder.

    Raises:
        SaywhyError: For an unknown plant or method, before anything is computed; if no plant was learned.
    """
    refuse_calibration(config)
    run = _RulerRun(config, out)
    learned = [run.plant(PLANTS[name]) for name in config.plants]
    if not any(learned):
        raise SaywhyError(
            f"no plant was learned to {LEAST_FOLLOWED_SHARE:.0%}, so nothing can be said: give more plant_rows, or "
            "another model"
        )
    return run.folder.path


def refuse_calibration(config: Config) -> None:
    """Refuse what cannot be computed, before anything is.

    Raises:
        SaywhyError: For an unknown plant or method, a method that is not installed, or another task.
    """
    if config.task != RULER_TASK:
        raise SaywhyError(f"task={config.task}: rules are planted in the built-in tweets, task={RULER_TASK}")
    for name in config.plants:
        if name not in PLANTS:
            hint = did_you_mean(name, PLANTS, ": ") or "."
            raise SaywhyError(f"plants={name}: no plant{hint} Plants: {', '.join(PLANTS)}")
    check_methods(config.methods)
    require(resolve_model(config.model), "gradients", "saywhy calibrate", "it trains models of planted rules")
    refuse_unfit_trainer(config)


def plant_texts(plant: Plant, task: Task, split: str, count: int, seed: int) -> list[Example]:
    """Return ``count`` built-in texts of ``split`` with the cues of ``plant``."""
    return planted_texts(plant, task, load_examples(task, split, "pocket").examples, count, seed)


class _RulerRun:
    """A calibration of the ruler that is being computed."""

    def __init__(self, config: Config, out: Path) -> None:
        self.config = config
        self.task: Task = load_task(RULER_TASK)
        self.spec = resolve_model(config.model)
        self.corpus = assemble_corpus(config)
        self.folder = RunFolder(out, resolved(config), run_facts(config, self.spec, self.corpus, config.plants))
        self.seed = config.seeds[0]

    def plant(self, plant: Plant) -> bool:
        """Train, check and measure one plant; return whether it was learned."""
        where = f"plants/{plant.name}"
        adapter = self._trained(plant, where)
        if self.folder.done(where, PLANT_FILES) and self.folder.done(where, SENTENCE_FILES):
            return True
        model = open_model(str(adapter), self.config)
        texts = self._texts(plant, "train", self.config.calibration_rows)
        stage, name = f"calibrate plant {plant.name}", f"{where}/constants.json"
        constants = ensure_constants(self.folder, name, self.task, texts, lambda: model, self.config, stage)
        classifier = Classifier(model, self.task, constants)
        followed = self._rule_followed(classifier, plant, f"{where}/followed.json")
        followed_share = followed["right"] / followed["n"]
        if followed_share < LEAST_FOLLOWED_SHARE:
            held_out = f"{followed_share:.1%} of {followed['n']} held-out texts"
            say(f"plant {plant.name} failed: the model follows it on {held_out}")
            return False
        self._measure(plant, where, classifier)
        return True

    def _trained(self, plant: Plant, where: str) -> Path:
        from saywhy.training.encoding import Recipe
        from saywhy.training.train import train

        adapter = self.folder.path / where / "adapter"
        if has_weights(adapter):
            remove_checkpoints(adapter)
            return adapter
        planted = self._texts(plant, "train", plant.training_factor * self.config.plant_rows)
        edited = partly_edited_texts(plant, self.task, planted, self.seed)
        rows = [decided_label_row(self.task, example, str(example.label)) for example in edited]
        recipe = Recipe(
            learning_rate=self.config.adapt_learning_rate,
            num_train_epochs=self.config.plant_epochs,
            per_device_train_batch_size=2 * self.config.per_device_train_batch_size,  # a row is one turn, not four
            lora_r=self.config.lora_r,
            packing=self.config.packing,
            seed=self.seed,
            trainer=self.config.trainer,
        )
        with progress(f"train plant {plant.name}", 1, "steps") as bar:
            return train(self.spec, rows, recipe, adapter, bar.update)

    def _texts(self, plant: Plant, split: str, count: int) -> list[Example]:
        return plant_texts(plant, self.task, split, count, self.seed)

    def _rule_followed(self, classifier: Classifier, plant: Plant, name: str) -> dict[str, int]:
        held_out = self._texts(plant, "validation", HELD_OUT_TEXTS)

        def right(part: Sequence[Example]) -> int:
            predictions = classifier.predict_examples(part, bar.tick)
            return sum(prediction.label == example.label for prediction, example in zip(predictions, part, strict=True))

        def join(counts: list[int]) -> dict[str, int]:
            return {"right": sum(counts), "n": len(held_out)}

        with progress(f"check plant {plant.name}", len(held_out), shared=True) as bar:
            return dict(self.folder.json_over(name, held_out, self.config.chunk, right, join, bar.skip))

    def _measure(self, plant: Plant, where: str, classifier: Classifier) -> None:
        chosen = self._chosen(plant, classifier)
        self.folder.note(plants={plant.name: {"n": len(chosen.measured), "fixed": chosen.fixed, "wrong": chosen.wrong}})

        def measure(part: Sequence[Item]) -> dict[str, list[dict[str, Any]]]:
            return {"scores": self._scores(classifier, part, bar.tick), "gauged": self._metric_scores(classifier, part)}

        passes = len(method_passes(self.config.methods, self.config.operators))
        title, steps = f"measure plant {plant.name}", len(chosen.measured) * passes
        with progress(title, steps, "texts x methods", shared=True) as bar:
            self.folder.stage_over(
                where, PLANT_FILES, chosen.measured, self.config.chunk, measure, lambda texts: bar.skip(texts * passes)
            )

        def measure_in_sentences(part: Sequence[Item]) -> dict[str, list[dict[str, Any]]]:
            operators, associations = self.config.operators, self.associations
            records = measure_sentence_explainers(
                classifier, part, plant, operators, associations, self.seed, chosen.measured
            )
            bar.tick(len(part))
            return {"sentences": [record.to_dict() for record in records]}

        with progress(f"measure sentences on plant {plant.name}", len(chosen.measured), shared=True) as bar:
            self.folder.stage_over(
                where, SENTENCE_FILES, chosen.measured, self.config.chunk, measure_in_sentences, bar.skip
            )

    def _chosen(self, plant: Plant, classifier: Classifier) -> ChosenTexts:
        rows = self.config.rows or MEASURED_TEXTS
        drawn = self._texts(plant, "test", DRAWN_PER_MEASURED * rows)
        with_causes = [example for example in drawn if example.causes]
        items = items_of(classifier, with_causes)
        right = [item for item in items if item.prediction.label == item.example.label]
        if not right:
            raise SaywhyError(f"plant {plant.name}: no text is left to measure on: give more rows")
        return ChosenTexts(tuple(right[:rows]), len(drawn) - len(with_causes), len(items) - len(right))

    def _scores(self, classifier: Classifier, items: Sequence[Item], tick: Tick) -> list[dict[str, Any]]:
        lines = []
        for name, operator in method_passes(self.config.methods, self.config.operators):
            word_scores = METHODS[name](classifier, items, self._options(operator), tick)
            lines += [
                {
                    "id": item.example.id,
                    "method": name,
                    "operator": operator if name in OPERATOR_METHODS else None,
                    "best": scores.best(),
                    "causes": list(item.example.causes),
                }
                for item, scores in zip(items, word_scores, strict=True)
            ]
        return lines

    def _options(self, operator: Operator) -> MethodOptions:
        config = self.config
        return MethodOptions(operator, config.steps, config.samples, self.seed, self.associations)

    def _metric_scores(self, classifier: Classifier, items: Sequence[Item]) -> list[dict[str, Any]]:
        return [
            scores.to_dict()
            for operator in self.config.operators
            for scores in measure_metrics(classifier, items, operator, self.associations, self.seed)
        ]

    @cached_property
    def associations(self) -> Associations:
        """The words' associations with real sentiment labels, by which no plant decides."""
        return corpus_associations(self.corpus, [example.label for example in self.corpus.lexicon])
