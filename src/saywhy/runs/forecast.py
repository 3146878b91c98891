"""How long things will take: computed on a few texts, nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from saywhy.checks import CHECKS, check_of
from saywhy.clashes import PREFERENCE_OBJECTIVES
from saywhy.config import Config
from saywhy.measure import audit
from saywhy.measure.calibration import calibrate
from saywhy.measure.edits import items_of
from saywhy.measure.predict import Classifier
from saywhy.models.backends import open_model
from saywhy.models.interface import Choice, Model, Tick
from saywhy.protocol.prompts import asks_for_label
from saywhy.records import Example
from saywhy.robustness import probes, rejudge, sets
from saywhy.robustness.audited import AuditedText
from saywhy.robustness.variants import variants
from saywhy.tasks.corpus import Corpus, assemble_corpus, refuse_empty
from saywhy.tasks.data import nested_sample
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.training.lessons import Lesson
from saywhy.training.named_words import most_named_words, random_words
from saywhy.training.rows import arm_rows
from saywhy.training.targets import as_answered, random_targets

TRAIN_COST = 3.0
"""Seconds of a trained token against a computed one: forward, backward through activations, LoRA's products."""


PROBE_TEXTS = 4
"""Texts that are computed to measure the rate."""
CLASSIFIED_TEXTS = 32
"""Texts that are classified to measure the rate; fewer, where there are more than ``PROBE_LABELS`` labels."""
PROBE_LABELS = 8
"""Labels that a computation is measured with; what more of them add is measured apart, for one classified text."""


class LabelProbe:
    """A classifier of a few of a task's labels, by which the seconds of a computation with all of them are measured.

    An audit classifies hundreds of edited texts for each of its own, and each takes as long as there are labels.

    Attributes:
        classifier: The classifier; what else it is asked does not depend on the number of labels.
        added_seconds: How much longer the classification of a text takes with all labels.
        classified: How many texts it has classified.
    """

    def __init__(self, whole: Classifier, texts: Sequence[Example]) -> None:
        """Measure what the other labels of ``whole`` add, on some texts."""
        names = list(whole.task.labels)[:PROBE_LABELS]
        fields = {"labels": whole.task.labels, "verbaliser": whole.task.verbaliser}
        few = {field: {name: words[name] for name in names} for field, words in fields.items() if words}
        constants = {name: whole.constants[name] for name in names}
        self._model, self.classified = whole.model, 0
        self.classifier = Classifier(cast(Model, self), whole.task.model_copy(update=few), constants)
        self.added_seconds = 0.0
        if len(names) < len(whole.task.labels):
            self.classifier.predict_examples(texts[:1])  # what all texts share is computed once
            with_few, with_all = (
                seconds_of(lambda of=labelled: of.predict_examples(texts))  # type: ignore[misc]
                for labelled in (self.classifier, whole)
            )
            self.added_seconds = max(with_all - with_few, 0.0) / len(texts)

    def seconds_of(self, compute: Callable[[], object]) -> float:
        """Return the seconds that a computation by ``classifier`` would take with all labels."""
        before = self.classified
        return seconds_of(compute) + self.added_seconds * (self.classified - before)

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Put ``choices`` to the model, and count those between labels."""
        self.classified += sum(asks_for_label(choice.messages) for choice in choices)
        return self._model.choose(choices, tick)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class ProbedModel:
    """A model that was measured on a few texts.

    Attributes:
        corpus: The texts that the model takes.
        examples: A few of them, or those given.
        classifier: The model, calibrated on these few.
        items: The few with the model's predictions.
        per_decision: Seconds for each classified text.
    """

    def __init__(self, config: Config, task: Task | None = None, examples: Sequence[Example] = ()) -> None:
        """Load the model of ``config`` and measure it on ``examples`` of ``task``, or on a few that the model takes."""
        corpus = assemble_corpus(config)
        refuse_empty(corpus, config)
        model = open_model(config.model, config)
        task = task or corpus.task
        uncalibrated = Classifier(model, task, dict.fromkeys(task.labels, 0.0))
        texts = list({example.id: example for pool in corpus.pools().values() for example in pool}.values())
        self.corpus: Corpus = corpus.without(audit.unusable(uncalibrated, texts))
        refuse_empty(self.corpus, config, "calibration")
        self.examples = list(examples)[:PROBE_TEXTS] or nested_sample(
            self.corpus.audited, PROBE_TEXTS, config.data_seed
        )
        self.classifier = Classifier(model, task, calibrate(model, task, self.examples))
        fewer = CLASSIFIED_TEXTS * PROBE_LABELS // max(len(task.labels), PROBE_LABELS)
        decided = self.corpus.calibration[: max(fewer, PROBE_TEXTS)]
        self.per_decision = seconds_of(lambda: uncalibrated.predict_examples(decided)) / len(decided)
        self.items = items_of(self.classifier, self.examples)

    def training_seconds(self, training_rows: Sequence[Mapping[str, Any]]) -> float:
        """Return the seconds that one pass over training rows takes."""
        return training_seconds(self.classifier.model, training_rows)


def checks_cost(
    classifier: Classifier,
    texts: Sequence[AuditedText],
    config: Config,
    corpus: Corpus,
    pinned: Pinned,
    per_decision: float,
    cost_of: Callable[[Callable[[], object]], float],
) -> dict[str, float]:
    """Return what each robustness check of the settings will cost for one arm.

    Another question is computed once, whatever their number: each is calibrated, and predicts texts and edits anew.

    Args:
        classifier: Who audited the texts.
        texts: A few of them, with their explanations under the primary operator.
        config: The settings.
        corpus: All texts of the run.
        pinned: The counterfactual's words, by named label.
        per_decision: Cost of a classified text.
        cost_of: Computes, and returns what that cost: ``seconds_of``, say.

    Raises:
        SaywhyError: If a check is named for which the task lacks something.
    """
    model, task, operator = classifier.model, classifier.task, config.operators[0]
    variations = list(variants(task, config.robustness).items())
    checks_of_variations = [check_of(name) for name, _ in variations]

    def judge_by_a_variation() -> object:
        name, asked_otherwise = variations[0]
        uncalibrated = Classifier(model, asked_otherwise, dict.fromkeys(task.labels, 0.0))
        return rejudge.judged_by(uncalibrated, texts, name, operator, pinned)

    others = _other_checks(classifier, texts, config, pinned)
    costs: dict[str, float] = {}
    scale, per_variation = len(corpus.audited) / len(texts), 0.0
    if variations:
        per_variation = scale * cost_of(judge_by_a_variation) + per_decision * len(corpus.calibration)
    for check in CHECKS:
        if check in checks_of_variations:
            costs[check] = per_variation * checks_of_variations.count(check)
        elif check in others and config.has_check(check):
            costs[check] = scale * cost_of(others[check])
    return costs


def _other_checks(
    classifier: Classifier, texts: Sequence[AuditedText], config: Config, pinned: Pinned
) -> dict[str, Callable[[], object]]:
    """Return what computes each check that is no other way to ask the task."""
    operator, seed = config.operators[0], config.seeds[0]
    return {
        "unseen-wording": lambda: rejudge.asked_anew(classifier, texts, operator, pinned),
        "noise": lambda: rejudge.rechecked(classifier, texts),
        "k-curve": lambda: sets.curves(classifier, texts, operator, seed, {}),
        "minimality": lambda: sets.spares(classifier, texts, operator),
        "rewrite": lambda: probes.rewrites(classifier, texts),
        "wrong-target": lambda: probes.wrong_targets(classifier, texts),
    }


def rows_like_practice(config: Config, task: Task, lessons: Sequence[Lesson], pinned: Pinned) -> list[dict[str, Any]]:
    """Return rows as an arm practises them, as long as any other: those of ``lessons``, with random words in each text.

    Of a preference both replies; what GRPO samples is not among them.
    """
    items = [as_answered(lesson.item, lesson.item.prediction.label) for lesson in lessons]
    in_words = random_targets(items, pinned, 0)
    in_sentences = random_words(task, items, [most_named_words(item.example.text) for item in items], 0)
    targets = [{**of_words, **of_sentences} for of_words, of_sentences in zip(in_words, in_sentences, strict=True)]
    practised = [replace(lesson, targets=both) for lesson, both in zip(lessons, targets, strict=True)]
    # As many rows as any objective has: what weighs its candidates adds a fifth to the time, and a text may have none.
    settings = config.model_copy(update={"verified": False, "objective": "word"})
    rows = arm_rows(settings, task, practised, practised, config.seeds[0])
    if config.objective in PREFERENCE_OBJECTIVES:
        return 2 * [row for row in rows if row["style"] != "label"]
    return rows


def training_seconds(model: Model, rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the seconds of one training pass over rows: of their forward pass, times ``TRAIN_COST``."""
    choices = [Choice(row["prompt"], (row["completion"][0]["content"],)) for row in rows]
    return TRAIN_COST * seconds_of(lambda: model.choose(choices))


def seconds_of(compute: Callable[[], object]) -> float:
    """Return the seconds that a computation takes."""
    began = time.monotonic()
    compute()
    return time.monotonic() - began
