"""Rates: seconds a text of each kind of work of a study, measured on a few texts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from saywhy.config import Config
from saywhy.folders.shared import SharedFolder
from saywhy.folders.store import read_object
from saywhy.measure import audit
from saywhy.measure.calibration import calibrate
from saywhy.measure.predict import Classifier
from saywhy.measure.sentence_audit import measure_audited
from saywhy.measure.start import asks_for_several_words, judged_by_start
from saywhy.models.interface import Model
from saywhy.progress import say
from saywhy.records import ALL_STYLES, Example
from saywhy.runs.forecast import rows_like_practice, seconds_of, training_seconds
from saywhy.study.requests import AuditRequest
from saywhy.study.steps import StepWork, StudyStep, request_name
from saywhy.tasks.corpus import Corpus
from saywhy.tasks.lexicon import Pinned
from saywhy.training.lessons import Lesson
from saywhy.training.targets import lessons_of

RATED_TEXTS = 2
"""How many texts a rate is measured on."""

RateSeconds = dict[str, float]
"""Seconds a text, by the name of the rate: the words of ``StepWork.rate`` joined by blanks."""


def measure_rates(
    model: Model,
    config: Config,
    corpus: Corpus,
    pinned: Pinned,
    requests: Sequence[AuditRequest],
    style_sets: Sequence[str],
) -> RateSeconds:
    """Measure the rates of a task with the model as downloaded.

    Args:
        model: The model.
        config: The settings of the task's run.
        corpus: Its texts.
        pinned: The pinned words of each label.
        requests: What audits ask for.
        style_sets: Sets of styles that arms practise, each joined by ``+``.

    Returns:
        Seconds a text of an audit by each request, of a decision, of targets, and of a training pass over each set of
        styles.
    """
    task = corpus.task
    # Training texts: no test row is looked at before the study is frozen. All of an unseen task may be held out.
    texts = (corpus.arms or corpus.calibration)[:RATED_TEXTS]
    classifier = Classifier(model, task, calibrate(model, task, corpus.calibration[:RATED_TEXTS]))
    rates: RateSeconds = {}
    classifier.predict_examples(texts)  # warms up
    for request in requests:
        plan = dataclasses.replace(
            audit.audit_plan_of(config, "probe", pinned),
            styles=request.styles,
            settings=request.settings,
            readouts=request.readouts,
        )
        audit_seconds = seconds_of(partial(_audit, classifier, texts, plan))
        rates[f"audit {config.task} {request_name(request)}"] = audit_seconds / len(texts)
    decided = corpus.calibration[: 8 * RATED_TEXTS]
    rates[f"decide {config.task}"] = seconds_of(partial(classifier.predict_examples, decided)) / len(decided)
    if style_sets:
        lessons: list[Lesson] = []
        explain = partial(lessons_of, classifier, texts, pinned, config)
        rates[f"targets {config.task}"] = seconds_of(lambda: lessons.extend(explain())) / len(texts)
        for style_set in style_sets:
            seconds = _training_seconds(classifier, config, lessons, pinned, style_set)
            rates[f"train {config.task} {style_set}"] = seconds / len(texts)
    return rates


def _audit(classifier: Classifier, texts: Sequence[Example], plan: audit.AuditPlan) -> None:
    """Do what the audit of texts takes, and what goes on from it; of sentences their metrics are the larger part."""
    records = audit.audit(classifier, texts, plan)
    if asks_for_several_words(plan.settings):
        judged_by_start(classifier, "probe", texts, records.rows, plan)
    measure_audited(classifier, texts, plan, records)


def _training_seconds(
    classifier: Classifier, config: Config, lessons: Sequence[Lesson], pinned: Pinned, style_set: str
) -> float:
    """Return the seconds of one training pass over the texts of ``lessons``."""
    styles = tuple(style for style in ALL_STYLES if style in style_set.split("+"))
    rows = rows_like_practice(config.model_copy(update={"train_styles": styles}), classifier.task, lessons, pinned)
    return training_seconds(classifier.model, rows)


def costs_of_steps(
    work: Mapping[StudyStep, Sequence[StepWork]],
    tasks: Sequence[str],
    folder: SharedFolder,
    rates_of_task: Callable[[str], RateSeconds],
) -> dict[StudyStep, float]:
    """Return the seconds of each step, from rates that are measured once and kept in the study's folder.

    Args:
        work: The work of each step.
        tasks: The tasks of the study.
        folder: The study's folder.
        rates_of_task: Measures the rates of a task.
    """

    def measured(names: Sequence[str]) -> RateSeconds:
        rates: RateSeconds = {}
        for task in names:
            say(f"measuring what {task} costs here")
            rates |= rates_of_task(task)
        return rates

    rates: RateSeconds = folder.json("rates.json", partial(measured, tasks))
    for path in sorted(folder.path.glob("rates-*.json")):  # of blocks that were added since, or looked at
        rates = {**read_object(path), **rates}
    parts = [part for of_step in work.values() for part in of_step if part.rate != ("keep",)]
    if unrated := sorted({part.rate for part in parts if " ".join(part.rate) not in rates}):
        digest = hashlib.sha256(json.dumps(unrated).encode()).hexdigest()[:8]  # other blocks, another file
        more = folder.json(f"rates-{digest}.json", partial(measured, list(dict.fromkeys(rate[1] for rate in unrated))))
        rates = {**more, **rates}
    return {step: seconds_of_work(of_step, rates) for step, of_step in work.items()}


def seconds_of_work(work: Sequence[StepWork], rates: Mapping[str, float]) -> float:
    """Return the seconds that work takes at ``rates``; work without a rate counts as nothing."""
    return sum(rates.get(" ".join(part.rate), 0.0) * part.count for part in work)


def corrected_cost(cost: Mapping[StudyStep, float], spent: Mapping[StudyStep, float]) -> dict[StudyStep, float]:
    """Return the seconds of each step, corrected by how long those of its kind took that are finished.

    A kind without a rate takes as long as these did on average.

    Args:
        cost: The forecast seconds of each step.
        spent: The seconds that finished steps really took.
    """
    corrected: dict[StudyStep, float] = {}
    for kind in {step.kind for step in cost}:
        finished = [step for step in spent if step.kind == kind]
        forecast, seconds = sum(cost[step] for step in finished), sum(spent[step] for step in finished)
        factor = seconds / forecast if forecast else 1.0
        unrated = seconds / len(finished) if finished and not forecast else 0.0
        corrected |= {step: factor * cost[step] + unrated for step in cost if step.kind == kind}
    return corrected


def duration_in_words(seconds_left: float) -> str:
    """Return a time in words: ``40 s``, ``12 min``, ``3.2 h``."""
    if seconds_left < 90:
        return f"{seconds_left:.0f} s"
    return f"{seconds_left / 60:.0f} min" if seconds_left < 5400 else f"{seconds_left / 3600:.1f} h"
