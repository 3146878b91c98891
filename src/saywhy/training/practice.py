"""What the arms of a run practise on its texts: made once, kept in the run folder."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from saywhy.config import Config
from saywhy.folders.store import read_lines, read_records
from saywhy.measure.calibration import ensure_constants
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.progress import progress, say
from saywhy.records import ALL_STYLES, SENTENCE_STYLES, Example, Prediction, SaywhyError, StyleName
from saywhy.tasks.corpus import refuse_empty
from saywhy.training import targets as making
from saywhy.training.classifiers import TaskClassifiers
from saywhy.training.effects import ordered_by
from saywhy.training.encoding import say_smaller_share
from saywhy.training.lessons import Lesson, Targets, from_line, to_line
from saywhy.training.named_words import SentenceTargets, lexical_words, random_words
from saywhy.training.phrasing import phrasing_sentences
from saywhy.training.rows import adapted_rows, arm_rows, rehearsal_rows

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

    def arm_rows(self, kind: str, seed: int, config: Config, faithful: Sequence[Lesson]) -> list[dict[str, Any]]:
        """Return what an arm of ``kind`` learns with the settings of ``config``.

        Args:
            kind: What its explanations are made of (``arms.KINDS``).
            seed: Its seed.
            config: Its settings.
            faithful: Texts with the predictions of the start model and its pseudo-faithful explanations.
        """
        rows = self.rows_of_lessons(kind, seed, config, faithful)
        if config.format_share:
            texts, share = len({row["id"] for row in rows}), config.format_share
            rehearsed = rehearsal_rows(self.adapted_rows(seed), config.train_styles, texts, share, seed)
            say_smaller_share("format_share", share, len({row["id"] for row in rehearsed}), texts, "texts of adapted")
            rows += rehearsed
        return rows

    def rows_of_lessons(self, kind: str, seed: int, config: Config, faithful: Sequence[Lesson]) -> list[dict[str, Any]]:
        """Return the same without rehearsal."""
        self.note_sentences(config)
        task = self.corpus.task.replied_by(config.plan, config.steps_order)  # blocks of a study have an order each
        return arm_rows(config, task, self._lessons(kind, seed, config, faithful), faithful, seed)

    def heldout_rows(self, kind: str, seed: int, config: Config, faithful: Sequence[Lesson]) -> list[dict[str, Any]]:
        """Return the same of held-out texts, of all of them: ``verified`` says what is practised."""
        return self.rows_of_lessons(kind, seed, config.model_copy(update={"verified": False}), faithful)

    def note_sentences(self, config: Config) -> None:
        """Keep in ``run.json`` the sentences that are drawn; arms of other ones would not be comparable."""
        drawn, before = phrasing_sentences(config, self.corpus.task), self.folder.manifest.get("practised", {})
        for name, sentences in drawn.items():
            for key in before.get(name, {}).keys() & sentences.keys():
                if before[name][key] != sentences[key]:
                    raise SaywhyError(
                        f"{self.folder.path} practises other sentences ({before[name][key]!r}): choose another folder "
                        "with out=FOLDER, or restore the task's YAML"
                    )
        if drawn:
            self.folder.note(practised={name: before.get(name, {}) | sentences for name, sentences in drawn.items()})

    def heldout_by_adapted(self, seed: int) -> list[Lesson]:
        """Return the held-out texts with adapted's predictions and explanations, made once."""
        if not self.corpus.heldout:
            return []
        return self.explained("adapted", seed, self.corpus.heldout, f"seed-{seed}", "heldout", self.config)

    def explained_by_adapted(self, seed: int) -> list[Lesson]:
        """Return the arms' texts with adapted's predictions and its pseudo-faithful explanations, made once."""
        return self.explained("adapted", seed, self.corpus.arms, f"seed-{seed}", "targets", self.config)

    def explained(
        self, arm: str, seed: int, examples: Sequence[Example], where: str, name: str, config: Config
    ) -> list[Lesson]:
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
            precision = "autocast" if config.practice_precision == "autocast" else None
            classifier = self.classifiers.classifier(arm, seed, precision)
            lessons = making.lessons_of(classifier, part, pinned, config)
            bar.tick(len(part))
            return {name: [to_line(lesson) for lesson in lessons]}

        if not self.folder.done(where, (name,)):
            self.classifiers.ensure_calibrated(arm, seed)
            title = f"targets, seed {seed}"
            with self.folder.timed("targets"), progress(title, len(examples), shared=True) as bar:
                self.folder.stage_over(where, (name,), examples, self.config.chunk, explain, bar.skip)
        by_id = {example.id: example for example in examples}
        lines = read_lines(self.folder.path / where / f"{name}.jsonl", "id", "prediction", "picks")
        lessons = [from_line(line, by_id) for line in lines]
        rates = hit_rates([lesson.targets for lesson in lessons])
        self.folder.keep_json(f"{where}/{name}.json", {"n": len(lessons), "hits": rates})
        return lessons

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

    def _lessons(self, kind: str, seed: int, config: Config, faithful: Sequence[Lesson]) -> list[Lesson]:
        """Return what an arm of ``kind`` learns of each text: faithful's lessons, with its own words or order of words.

        A control of an objective that practises on all words gives the model's own effects to other words, so that
        it differs in nothing else.
        """
        if kind == "faithful":
            return list(faithful)
        if config.objective == "word":
            targets = self._targets(kind, seed, faithful)
            lessons = [replace(lesson, targets=of_text) for lesson, of_text in zip(faithful, targets, strict=True)]
        else:
            lessons = self._reordered(kind, seed, faithful)
        if not config.trains_sentences:
            return lessons
        named = self._named_words(kind, seed, faithful)
        return [
            replace(lesson, targets={**lesson.targets, **in_sentences})
            for lesson, in_sentences in zip(lessons, named, strict=True)
        ]

    def _reordered(self, kind: str, seed: int, faithful: Sequence[Lesson]) -> list[Lesson]:
        """Return faithful's lessons with its effects at other words, and the explanations that are best by these."""
        lessons = []
        for lesson, ranks in zip(faithful, self._ranks(kind, seed, faithful), strict=True):
            assert lesson.effects, f"the effects of {lesson.item.example.id} were not measured"
            rng = random.Random(f"{seed + 1}:{lesson.item.example.id}:effects")
            effects = ordered_by(lesson.effects, ranks, rng)
            lessons.append(replace(lesson, targets=effects.targets(verified=False), effects=effects))
        return lessons

    def _targets(self, kind: str, seed: int, faithful: Sequence[Lesson]) -> Sequence[Targets]:
        """Return the words that an arm of ``kind`` explains with."""
        items, pinned = [lesson.item for lesson in faithful], self.classifiers.pinned
        if kind == "random":
            return making.random_targets(items, pinned, seed + 1)
        if kind == "lexical":
            return making.lexical_targets(items, self.classifiers.associations, pinned, seed)
        return making.targets_naming(items, self._donated(seed, faithful), pinned, seed)

    def _named_words(self, kind: str, seed: int, faithful: Sequence[Lesson]) -> list[SentenceTargets]:
        """Return the words that sentences of a control name: as many as those of ``faithful``."""
        items, task = [lesson.item for lesson in faithful], self.corpus.task
        counts = [
            max((len(lesson.targets[style].words) for style in SENTENCE_STYLES if style in lesson.targets), default=0)
            for lesson in faithful
        ]
        if kind == "random":
            return random_words(task, items, counts, seed + 1)
        return lexical_words(task, items, counts, self.classifiers.associations)

    def _ranks(self, kind: str, seed: int, faithful: Sequence[Lesson]) -> list[Mapping[str, float]]:
        """Return by what an arm of ``kind`` ranks the words of each text; those without a rank come last, at random."""
        if kind == "lexical":
            associations = self.classifiers.associations
            return [associations.get(lesson.item.prediction.label, {}) for lesson in faithful]
        if kind == "transplant":
            return [{word: 1.0} for word in self._donated(seed, faithful)]
        return [{} for _ in faithful]

    def _donated(self, seed: int, faithful: Sequence[Lesson]) -> list[str]:
        """Return the words that the donor would name, and say how often they are the model's own."""
        words = self._donor_words([lesson.item.example for lesson in faithful])
        if {lesson.item.example.id for lesson in faithful} & {example.id for example in self.corpus.heldout}:
            return words  # what is noted is of the texts that are practised
        same = sum(lesson.targets["attribution"].words == (word,) for lesson, word in zip(faithful, words, strict=True))
        self.folder.note(donor={"model": self.config.donor or self.config.model, f"same word, seed {seed}": same})
        say(f"the donor names the same word in {same} of {len(words)} texts{donor_doubt(same, len(words))}")
        return words

    def _donor_words(self, examples: Sequence[Example]) -> list[str]:
        """Return the words that the donor (the model as downloaded unless another is set) would name, computed once."""
        where, texts = f"seed-{self.config.seeds[0]}", (*self.corpus.arms, *self.corpus.heldout)

        def name(part: Sequence[Example]) -> dict[str, list[dict[str, Any]]]:
            words = making.deciding_words(donor, part)
            bar.tick(len(part))
            return {"donor": [{"id": example.id, "word": word} for example, word in zip(part, words, strict=True)]}

        if not self.folder.done(where, ("donor",)):
            donor = self._donor(where)
            with self.folder.timed("donor"), progress("donor's words", len(texts), shared=True) as bar:
                self.folder.stage_over(where, ("donor",), texts, self.config.chunk, name, bar.skip)
        lines = read_lines(self.folder.path / where / "donor.jsonl", "id", "word")
        words = {line["id"]: line["word"] for line in lines}
        return [words[example.id] for example in examples]

    def _donor(self, where: str) -> Classifier:
        if self.config.donor is None:
            self.classifiers.ensure_calibrated("base", self.config.seeds[0])
            return self.classifiers.classifier("base", self.config.seeds[0])
        model, task = self.classifiers.models.load_named(self.config.donor), self.corpus.task
        name, texts = f"{where}/donor-constants.json", self.corpus.calibration
        constants = ensure_constants(self.folder, name, task, texts, lambda: model, self.config, "calibrate donor")
        return Classifier(model, task, constants)


def hit_rates(targets: Sequence[Targets]) -> dict[StyleName, float]:
    """Return the share of texts whose explanation to practise hits, of each style that any text has."""
    styles = [style for style in ALL_STYLES if any(style in of_text for of_text in targets)]
    return {
        style: sum(bool(style in of_text and of_text[style].hit) for of_text in targets) / len(targets)
        for style in styles
    }


def donor_doubt(same: int, texts: int) -> str:
    """Return what to add where a donor names too many of the model's own words, else nothing."""
    return f": more than {TOO_ALIKE:.0%}, so transplant is hardly another rule" if same > TOO_ALIKE * texts else ""
