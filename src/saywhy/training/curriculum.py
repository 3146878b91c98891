"""What the arms of a run learn from its texts: made once, kept in the run folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from saywhy.config import Config
from saywhy.folders.run import RunFolder
from saywhy.folders.store import read_lines, read_records
from saywhy.measure.calibration import constants
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.progress import progress, say
from saywhy.records import STYLES, Example, Prediction
from saywhy.tasks.corpus import Corpus, refuse_empty
from saywhy.tasks.lexicon import Associations, Pinned
from saywhy.training import rows as lessons
from saywhy.training import targets
from saywhy.training.shelf import Shelf
from saywhy.training.targets import Picks

Explained = tuple[list[Item], list[Picks]]
"""Texts with a model's predictions, and its explanations."""


class Source(Protocol):
    """What is asked of the run whose texts they are (``run.Run``)."""

    config: Config
    corpus: Corpus
    folder: RunFolder
    shelf: Shelf

    @property
    def pinned(self) -> Pinned:
        """The counterfactual's words."""

    @property
    def associations(self) -> Associations:
        """Words' associations with labels."""

    def constants(self, arm: str, seed: int) -> dict[str, float]:
        """Return an arm's calibration constants, measured once."""

    def classifier(self, arm: str, seed: int) -> Classifier:
        """Return an arm as a calibrated classifier."""


class Curriculum:
    """The training rows of a run's arms."""

    def __init__(self, run: Source) -> None:
        self.run = run

    def rows(
        self, kind: str, seed: int, config: Config, items: Sequence[Item], faithful: Sequence[Picks]
    ) -> list[dict[str, Any]]:
        """Return what an arm of ``kind`` learns from ``items`` with the settings of ``config``."""
        picks = self._picks(kind, seed, items, faithful)
        rows = lessons.of_arm(config, self.run.corpus.task, items, faithful, picks)
        if config.format_share:
            texts = len({row["id"] for row in rows})
            rows += lessons.rehearsal(self.adapt_rows(seed), config.train_styles, texts, config.format_share, seed)
        return rows

    def practised(self, seed: int) -> Explained:
        """Return the arms' texts with adapted's predictions and its pseudo-faithful explanations, made once."""
        return self.explained("adapted", seed, self.run.corpus.arms, f"seed-{seed}", "targets", self.run.config)

    def explained(
        self, arm: str, seed: int, examples: Sequence[Example], where: str, name: str, config: Config
    ) -> Explained:
        """Return texts with the predictions of ``arm`` and its pseudo-faithful explanations, made once.

        Args:
            arm: Who predicts and explains.
            seed: Its seed.
            examples: The texts.
            where: Folder of the stage, below the run folder.
            name: Stem of its files.
            config: How the explanations are found.
        """
        run, size, pinned = self.run, self.run.config.chunk, self.run.pinned

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = examples[number * size : (number + 1) * size]
            found = lessons.pseudo_faithful(run.classifier(arm, seed), part, pinned, config)
            bar.tick(len(part))
            return {name: [lessons.to_line(*one) for one in zip(*found, strict=True)]}

        if not run.folder.done(where, (name,)):
            run.constants(arm, seed)
            title = f"targets, seed {seed}"
            with run.folder.timed("targets"), progress(title, len(examples), shared=True) as bar:
                run.folder.stage(where, (name,), -(-len(examples) // size), chunk)
        by_id = {one.id: one for one in examples}
        lines = read_lines(run.folder.path / where / f"{name}.jsonl", "id", "prediction", "picks")
        found = [lessons.from_line(line, by_id) for line in lines]
        rates = {style: sum(bool(one[style].hit) for _, one in found) / len(found) for style in STYLES}
        run.folder.keep_json(f"{where}/{name}.json", {"n": len(found), "hits": rates})
        return [item for item, _ in found], [picks for _, picks in found]

    def adapt_rows(self, seed: int) -> list[dict[str, Any]]:
        """Return the training rows of ``adapted``."""
        run = self.run
        refuse_empty(run.corpus, run.config, "adapt")
        where, size, examples = f"seed-{seed}/adapted", run.config.chunk, run.corpus.adapt
        run.constants("base", run.config.seeds[0])

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = examples[number * size : (number + 1) * size]
            found = run.classifier("base", run.config.seeds[0]).predict_examples(part)
            return {"predictions": [{"id": one.id, **of.to_dict()} for one, of in zip(part, found, strict=True)]}

        run.folder.stage(where, ("predictions",), -(-len(examples) // size), chunk)
        told = read_records(run.folder.path / where / "predictions.jsonl", Prediction)
        items = [Item(*pair) for pair in zip(examples, told, strict=True)]
        return lessons.of_adapted(run.config, run.corpus.task, items, run.pinned, seed)

    def _picks(self, kind: str, seed: int, items: Sequence[Item], faithful: Sequence[Picks]) -> Sequence[Picks]:
        """Return the words that an arm of ``kind`` explains ``items`` with."""
        run = self.run
        if kind == "random":
            return targets.at_random(items, run.pinned, seed + 1)
        if kind == "lexical":
            return targets.lexical(items, run.associations, run.pinned, seed)
        if kind == "transplant":
            words = self._donated([item.example for item in items])
            same = sum(one["attribution"].words == (word,) for one, word in zip(faithful, words, strict=True))
            run.folder.note(donor={"model": run.config.donor or run.config.model, f"same word, seed {seed}": same})
            say(f"the donor names the same word in {same} of {len(items)} texts{lessons.doubt(same, len(items))}")
            return targets.named(items, words, run.pinned, seed)
        return faithful

    def _donated(self, examples: Sequence[Example]) -> list[str]:
        """Return the words that the donor (the model as downloaded unless another is set) would name, computed once."""
        run = self.run
        where, size, pool = f"seed-{run.config.seeds[0]}", run.config.chunk, run.corpus.arms

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = pool[number * size : (number + 1) * size]
            words = lessons.top_words(donor, part)
            bar.tick(len(part))
            return {"donor": [{"id": one.id, "word": word} for one, word in zip(part, words, strict=True)]}

        if not run.folder.done(where, ("donor",)):
            donor = self._donor(where)
            with run.folder.timed("donor"), progress("donor's words", len(pool), shared=True) as bar:
                run.folder.stage(where, ("donor",), -(-len(pool) // size), chunk)
        words = {line["id"]: line["word"] for line in read_lines(run.folder.path / where / "donor.jsonl", "id", "word")}
        return [words[one.id] for one in examples]

    def _donor(self, where: str) -> Classifier:
        run = self.run
        if run.config.donor is None:
            return run.classifier("base", run.config.seeds[0])
        model, task = run.shelf.model(run.config.donor), run.corpus.task
        name, texts, size = f"{where}/donor-constants.json", run.corpus.calibration, run.config.chunk
        kept = constants(run.folder, name, task, texts, lambda: model, size, "calibrate donor")
        return Classifier(model, task, kept)
