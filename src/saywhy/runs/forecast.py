"""How long things will take: computed on a few texts, nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from saywhy.checks import CHECKS, check_of
from saywhy.config import Config
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Choice, Model
from saywhy.robustness import rejudge
from saywhy.robustness.rejudge import AuditedText
from saywhy.robustness.variants import variants
from saywhy.tasks.corpus import Corpus
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.training.lessons import Lesson
from saywhy.training.rows import arm_rows
from saywhy.training.targets import as_answered, random_targets

TRAIN_COST = 3.0
"""Seconds of a trained token against a computed one: forward, backward through activations, LoRA's products."""


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
    model, task, operator = classifier.model, corpus.task, config.operators[0]
    variations = list(variants(task, config.robustness).items())
    checks_of_variations = [check_of(name) for name, _ in variations]

    def judge_by_a_variation() -> object:
        name, asked_otherwise = variations[0]
        uncalibrated = Classifier(model, asked_otherwise, dict.fromkeys(task.labels, 0.0))
        return rejudge.judged_by(uncalibrated, texts, name, operator, pinned)

    kinds: dict[str, Callable[[], object]] = {
        "unseen-wording": lambda: rejudge.asked_anew(classifier, texts, operator, pinned),
        "noise": lambda: rejudge.rechecked(classifier, texts),
        "k-curve": lambda: rejudge.curves(classifier, texts, operator, config.seeds[0], {}),
        "minimality": lambda: rejudge.spares(classifier, texts, operator),
        "rewrite": lambda: rejudge.rewrites(classifier, texts),
        "wrong-target": lambda: rejudge.wrong_targets(classifier, texts),
    }
    costs: dict[str, float] = {}
    scale, per_variation = len(corpus.audited) / len(texts), 0.0
    if variations:
        per_variation = scale * cost_of(judge_by_a_variation) + per_decision * len(corpus.calibration)
    for check in CHECKS:
        if check in checks_of_variations:
            costs[check] = per_variation * checks_of_variations.count(check)
        elif check in kinds and config.has_check(check):
            costs[check] = scale * cost_of(kinds[check])
    return costs


def rows_like_practice(config: Config, task: Task, items: Sequence[Item], pinned: Pinned) -> list[dict[str, Any]]:
    """Return rows as an arm practises them with the settings of ``config``, with random words: as long as any other."""
    answered = [as_answered(item, item.prediction.label) for item in items]
    targets = random_targets(answered, pinned, 0)
    lessons = [Lesson(*pair) for pair in zip(answered, targets, strict=True)]
    return arm_rows(config.model_copy(update={"verified": False}), task, lessons, lessons, config.seeds[0])


def training_seconds(model: Model, rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the seconds of one training pass over rows: of their forward pass, times ``TRAIN_COST``."""
    choices = [Choice(row["prompt"], (row["completion"][0]["content"],)) for row in rows]
    return TRAIN_COST * seconds_of(lambda: model.choose(choices))


def seconds_of(compute: Callable[[], object]) -> float:
    """Return the seconds that a computation takes."""
    began = time.monotonic()
    compute()
    return time.monotonic() - began
