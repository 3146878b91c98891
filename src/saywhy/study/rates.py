"""How long a study takes: seconds measured on a few texts, then on the steps that are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from saywhy.config import Config
from saywhy.measure import audit
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier, calibrate
from saywhy.models.interface import Choice, Model
from saywhy.records import STYLES
from saywhy.runs.forecast import TRAIN_COST, practised, seconds_of
from saywhy.study.expand import Asked
from saywhy.study.steps import Size
from saywhy.tasks.corpus import Corpus
from saywhy.tasks.lexicon import Pinned
from saywhy.training.rows import pseudo_faithful

PROBE = 2
"""Texts on which a rate is measured."""

Rates = dict[str, float]
"""Seconds a text, by the words of ``Size.rate`` joined by blanks."""


def measure(
    model: Model, config: Config, corpus: Corpus, pinned: Pinned, shapes: Sequence[Asked], trained: Sequence[str]
) -> Rates:
    """Measure what a text of a task costs, with the model as downloaded.

    Args:
        model: The model.
        config: The settings of the task's run.
        corpus: Its texts.
        pinned: The counterfactual's words.
        shapes: What audits ask for.
        trained: Sets of styles that arms practise, joined by ``+``.

    Returns:
        Seconds a text of an audit in each shape, of a decision, of targets, and of a training pass over each set of
        styles.
    """
    task = corpus.task
    some = corpus.arms[:PROBE]  # training texts: no test row is looked at before the study is frozen
    classifier = Classifier(model, task, calibrate(model, task, corpus.calibration[:PROBE]))
    found: Rates = {}
    items = [Item(*pair) for pair in zip(some, classifier.predict_examples(some), strict=True)]  # warms up
    for shape in shapes:
        asked = audit.Plan("probe", pinned, shape.styles, shape.settings, shape.readouts, config.operators)
        spent = seconds_of(partial(audit.audit, classifier, some, asked))
        found[f"audit {config.task} {name_of(shape)}"] = spent / len(some)
    many = corpus.calibration[: 8 * PROBE]
    found[f"decide {config.task}"] = seconds_of(partial(classifier.predict_examples, many)) / len(many)
    if trained:
        search = partial(pseudo_faithful, classifier, some, pinned, config)
        found[f"targets {config.task}"] = seconds_of(search) / len(some)
    for styles in trained:
        found[f"train {config.task} {styles}"] = _training(classifier, config, items, pinned, styles)
    return found


def _training(classifier: Classifier, config: Config, items: Sequence[Item], pinned: Pinned, trained: str) -> float:
    """Return the seconds of one training pass over a text: its tokens, forward, times ``TRAIN_COST``."""
    styles = tuple(style for style in STYLES if style in trained.split("+"))
    made = practised(config.model_copy(update={"train_styles": styles}), classifier.task, items, pinned)
    asked = [Choice(row["prompt"], (row["completion"][0]["content"],)) for row in made]
    return TRAIN_COST * seconds_of(partial(classifier.model.choose, asked)) / len(items)


def name_of(shape: Asked) -> str:
    """Return a shape in words, as ``Size.rate`` has it."""
    return ",".join((*shape.styles, *shape.settings, *shape.readouts))


def seconds(parts: Sequence[Size], rates: Mapping[str, float]) -> float:
    """Return what some work takes at ``rates``; what was not measured counts as nothing."""
    return sum(rates.get(" ".join(part.rate), 0.0) * part.count for part in parts)
