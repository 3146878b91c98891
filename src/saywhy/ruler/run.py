"""``saywhy calibrate``: is the ruler right? Planted models, attribution methods, metrics, explainers of known truth.

Each plant is a step of its own, kept chunk by chunk like a run: a killed calibration goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from saywhy.attribution import METHODS, TAKE_OUT, Options, check, passes
from saywhy.config import Config, resolved
from saywhy.folders.run import RunFolder
from saywhy.hints import did_you_mean
from saywhy.measure.calibration import constants
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.models.spec import CONSTANTS_FILE, resolve
from saywhy.models.weights import load
from saywhy.progress import progress, say
from saywhy.records import OPERATORS, Example, Operator, SaywhyError
from saywhy.ruler.metrics import gauge
from saywhy.ruler.plants import FOLLOWS, PLANTS, Plant, grown, worn
from saywhy.runs.manifest import facts
from saywhy.tasks.corpus import assemble, associate
from saywhy.tasks.data import load_examples
from saywhy.tasks.lexicon import Associations
from saywhy.tasks.task import Task, load_task
from saywhy.training.turns import decided_label_row

TASK = "sentiment140"
"""The built-in texts that carry the cues, and the question they are asked under."""
HELD_OUT = 200
"""Texts on which it is checked that a model follows its rule."""
ROWS = 60
"""Texts that are measured, a plant, where the settings say ``rows=none``."""
DRAWN = 6
"""Texts drawn for one that is measured: in some no single word can change the answer."""
FILES = ("scores", "gauged")
FULL: Mapping[str, Any] = {
    "plants": tuple(PLANTS),
    "plant_rows": 480,
    "methods": tuple(METHODS),
    "operators": OPERATORS,
    "steps": 20,
    "samples": 64,
}
"""What ``saywhy calibrate --full`` does; texts have about a dozen words, for which so few masked texts are enough."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Texts of a plant.

    Attributes:
        measured: Texts that have an accepted cause and are answered by the rule.
        fixed: How many of the same draw have no accepted cause.
        wrong: How many that could change are not answered by the rule.
    """

    measured: tuple[Item, ...]
    fixed: int
    wrong: int


def calibrate_ruler(config: Config, out: Path) -> Path:
    """Run every plant of ``config`` and return the folder.

    Raises:
        SaywhyError: For an unknown plant or method, before anything is computed; if no plant was learned.
    """
    refuse(config)
    run = _Run(config, out)
    learned = [run.plant(PLANTS[name]) for name in config.plants]
    if not any(learned):
        raise SaywhyError(
            f"no plant was learned to {FOLLOWS:.0%}, so nothing can be said: give more plant_rows, or another model"
        )
    return run.folder.path


def refuse(config: Config) -> None:
    """Refuse what cannot be computed, before anything is.

    Raises:
        SaywhyError: For an unknown plant or method, a method that is not installed, or another task.
    """
    if config.task != TASK:
        raise SaywhyError(f"task={config.task}: rules are planted in the built-in tweets, task={TASK}")
    for name in config.plants:
        if name not in PLANTS:
            hint = did_you_mean(name, PLANTS, ": ") or "."
            raise SaywhyError(f"plants={name}: no plant{hint} Plants: {', '.join(PLANTS)}")
    check(config.methods)


def texts(plant: Plant, task: Task, split: str, count: int, seed: int) -> list[Example]:
    """Return ``count`` built-in texts of ``split`` with the cues of ``plant``."""
    return grown(plant, task, load_examples(task, split, "pocket").examples, count, seed)


class _Run:
    """A calibration in the making."""

    def __init__(self, config: Config, out: Path) -> None:
        self.config = config
        self.task: Task = load_task(TASK)
        self.spec = resolve(config.model)
        self.corpus = assemble(config)
        self.folder = RunFolder(out, resolved(config), facts(config, self.spec, self.corpus, config.plants))
        self.seed = config.seeds[0]

    def plant(self, plant: Plant) -> bool:
        """Train, check and measure one plant; return whether it was learned."""
        where = f"plants/{plant.name}"
        adapter = self._trained(plant, where)
        if self.folder.done(where, FILES):
            return True
        model = load(str(adapter), self.config.token_budget, self.config.precision)
        some, size = self._texts(plant, "train", self.config.calibration_rows), self.config.chunk
        stage, name = f"calibrate plant {plant.name}", f"{where}/constants.json"
        classifier = Classifier(
            model, self.task, constants(self.folder, name, self.task, some, lambda: model, size, stage)
        )
        followed = self._followed(classifier, plant, f"{where}/followed.json")
        share = followed["right"] / followed["n"]
        if share < FOLLOWS:
            say(f"plant {plant.name} failed: the model follows it on {share:.1%} of {followed['n']} held-out texts")
            return False
        self._measure(plant, where, classifier)
        return True

    def _trained(self, plant: Plant, where: str) -> Path:
        from saywhy.training.encoding import Recipe
        from saywhy.training.train import train

        adapter = self.folder.path / where / "adapter"
        if (adapter / CONSTANTS_FILE).is_file():
            return adapter
        many = self._texts(plant, "train", plant.lessons * self.config.plant_rows)
        practised = worn(plant, self.task, many, self.seed)
        rows = [decided_label_row(self.task, one, str(one.label)) for one in practised]
        recipe = Recipe(
            rate=self.config.adapt_rate,
            epochs=self.config.plant_epochs,
            batch=2 * self.config.batch,  # a row is one turn, not four
            rank=self.config.rank,
            packing=self.config.packing,
            seed=self.seed,
        )
        with progress(f"train plant {plant.name}", 1, "steps") as bar:
            return train(self.spec, rows, recipe, adapter, bar.of)

    def _texts(self, plant: Plant, split: str, count: int) -> list[Example]:
        return texts(plant, self.task, split, count, self.seed)

    def _followed(self, classifier: Classifier, plant: Plant, name: str) -> dict[str, int]:
        held, size = self._texts(plant, "validation", HELD_OUT), self.config.chunk

        def right(number: int) -> int:
            part = held[number * size : (number + 1) * size]
            found = classifier.predict_examples(part, bar.tick)
            return sum(a.label == b.label for a, b in zip(found, part, strict=True))

        with progress(f"check plant {plant.name}", len(held), shared=True) as bar:
            chunks = -(-len(held) // size)
            return dict(self.folder.json_of_chunks(name, chunks, right, lambda p: {"right": sum(p), "n": len(held)}))

    def _measure(self, plant: Plant, where: str, classifier: Classifier) -> None:
        chosen = self._chosen(plant, classifier)
        self.folder.note(plants={plant.name: {"n": len(chosen.measured), "fixed": chosen.fixed, "wrong": chosen.wrong}})
        size = self.config.chunk

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = chosen.measured[number * size : (number + 1) * size]
            return {"scores": self._scores(classifier, part, bar.tick), "gauged": self._gauged(classifier, part)}

        steps = len(chosen.measured) * len(passes(self.config.methods, self.config.operators))
        with progress(f"measure plant {plant.name}", steps, "texts x methods", shared=True) as bar:
            self.folder.stage(where, FILES, -(-len(chosen.measured) // size), chunk)

    def _chosen(self, plant: Plant, classifier: Classifier) -> Chosen:
        rows = self.config.rows or ROWS
        drawn = self._texts(plant, "test", DRAWN * rows)
        can = [one for one in drawn if one.causes]
        items = [Item(*pair) for pair in zip(can, classifier.predict_examples(can), strict=True)]
        right = [item for item in items if item.prediction.label == item.example.label]
        if not right:
            raise SaywhyError(f"plant {plant.name}: no text is left to measure on: give more rows")
        return Chosen(tuple(right[:rows]), len(drawn) - len(can), len(items) - len(right))

    def _scores(self, classifier: Classifier, items: Sequence[Item], tick: Tick) -> list[dict[str, Any]]:
        lines = []
        for name, operator in passes(self.config.methods, self.config.operators):
            found = METHODS[name](classifier, items, self._options(operator), tick)
            lines += [
                {
                    "id": item.example.id,
                    "method": name,
                    "operator": operator if name in TAKE_OUT else None,
                    "best": scores.best(),
                    "causes": list(item.example.causes),
                }
                for item, scores in zip(items, found, strict=True)
            ]
        return lines

    def _options(self, operator: Operator) -> Options:
        config = self.config
        return Options(operator, config.steps, config.samples, self.seed, self.associations)

    def _gauged(self, classifier: Classifier, items: Sequence[Item]) -> list[dict[str, Any]]:
        return [
            one.to_dict()
            for operator in self.config.operators
            for one in gauge(classifier, items, operator, self.associations, self.seed)
        ]

    @cached_property
    def associations(self) -> Associations:
        """What a corpus of real labels says: sentiment, which no plant decides by."""
        return associate(self.corpus, [one.label for one in self.corpus.lexicon])
