"""How long things will take: computed on a few texts, nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from saywhy.checks import ALL, CHECKS, check_of
from saywhy.config import Config
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.robustness import rejudge
from saywhy.robustness.rejudge import Case
from saywhy.robustness.variants import variants
from saywhy.tasks.corpus import Corpus
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.training import rows as lessons
from saywhy.training.targets import answered, at_random

TRAIN_COST = 3.0
"""Seconds of a trained token against a computed one: forward, backward through activations, LoRA's products."""


def checks_seconds(
    classifier: Classifier,
    cases: Sequence[Case],
    config: Config,
    corpus: Corpus,
    pinned: Pinned,
    per_decision: float,
) -> dict[str, float]:
    """Return the seconds that each robustness check of the settings will take for one arm.

    Another way to ask is computed once, whatever their number: each is calibrated, and predicts the texts, their tables
    and their grids anew.

    Args:
        classifier: Who audited the texts.
        cases: A few of them, with what was said about them under the primary operator.
        config: The settings.
        corpus: All texts of the run.
        pinned: The counterfactual's words, by named label.
        per_decision: Seconds of a classified text.

    Raises:
        SaywhyError: If a check is named for which the task lacks something.
    """
    model, task, operator = classifier.model, corpus.task, config.operators[0]
    asked = list(variants(task, config.robustness).items())
    ways = [check_of(name) for name, _ in asked]

    def otherwise() -> object:
        name, other = asked[0]
        plain = dict.fromkeys(task.labels, 0.0)
        return rejudge.judged_by(Classifier(model, other, plain), cases, name, operator, pinned)

    kinds: dict[str, Callable[[], object]] = {
        "noise": lambda: rejudge.rechecked(classifier, cases),
        "k-curve": lambda: rejudge.curves(classifier, cases, operator, config.seeds[0], {}),
        "minimality": lambda: rejudge.spares(classifier, cases, operator),
        "rewrite": lambda: rejudge.rewrites(classifier, cases),
        "wrong-target": lambda: rejudge.wrong_targets(classifier, cases),
    }
    found, texts = {}, len(corpus.audited) / len(cases)
    again = texts * seconds_of(otherwise) + per_decision * len(corpus.calibration) if asked else 0.0
    for check in CHECKS:
        if check in ways:
            found[check] = again * ways.count(check)
        elif check in kinds and {check, ALL} & set(config.robustness):
            found[check] = texts * seconds_of(kinds[check])
    return found


def practised(config: Config, task: Task, items: Sequence[Item], pinned: Pinned) -> list[dict[str, Any]]:
    """Return rows as an arm practises them with the settings of ``config``, with random words: as long as any other."""
    told = [answered(item, item.prediction.label) for item in items]
    words = at_random(told, pinned, 0)
    return lessons.of_arm(config.model_copy(update={"verified": False}), task, told, words, words)


def seconds_of(compute: Callable[[], object]) -> float:
    """Return the seconds that a computation takes."""
    began = time.monotonic()
    compute()
    return time.monotonic() - began
