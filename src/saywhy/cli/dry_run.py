"""``--dry``: the resolved plan, and a time estimate from a few texts that are really computed. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from saywhy.arms import UNTRAINED
from saywhy.attribution import METHODS, MethodOptions, method_passes
from saywhy.cli.api_costs import ApiForecast, say_api_costs
from saywhy.cli.attribute import planned_passes
from saywhy.config import Config
from saywhy.measure import audit
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.measure.sentence_audit import measure_audited
from saywhy.measure.start import asks_for_several_words, judged_by_start
from saywhy.models.spec import resolve_model
from saywhy.progress import say
from saywhy.records import Example
from saywhy.report.format import counted
from saywhy.robustness.audited import audited_texts
from saywhy.ruler import run as ruler
from saywhy.ruler.metrics import measure_metrics
from saywhy.ruler.plants import PLANTS
from saywhy.ruler.sentences import measure_sentence_explainers
from saywhy.runs.forecast import PROBE_TEXTS, LabelProbe, ProbedModel, checks_cost, rows_like_practice, seconds_of
from saywhy.runs.run import refuse_unanswered
from saywhy.settings import resolved
from saywhy.tasks.corpus import (
    assemble_corpus,
    corpus_associations,
    pinned_of_corpus,
    refuse_empty,
    refuse_fewer,
)
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import load_task
from saywhy.training.label_rows import decided_label_row, refuse_anchor
from saywhy.training.lessons import Lesson
from saywhy.training.models import in_practised_plan, refuse_unfit_trainer
from saywhy.training.targets import lessons_of

SLOW_TEXT = 5.0
"""Seconds for the audit of a text from which on it stands for all: a plan is not to take as long as the run."""


def plan_run(config: Config, out: Path, arms: Sequence[str]) -> None:
    """Print what ``saywhy run`` or ``saywhy audit`` would do and about how long it would take."""
    config = in_practised_plan(config)
    refuse_unfit_trainer(config)
    spec = resolve_model(config.model)
    refuse_unanswered(spec, arms, config.readouts, config.robustness)
    _say_settings(config, out)
    if spec.api:
        say_api_costs(_api_forecast(config).audit())
        return
    probe = ProbedModel(config)
    corpus = probe.corpus
    trained_arms = [arm for arm in arms if arm not in UNTRAINED]
    if trained_arms:
        refuse_empty(corpus, config, "adapt", "arms")
        refuse_fewer(corpus, config)
        refuse_anchor(config, corpus.task)
    say(
        f"texts: {len(corpus.audited)} audited, {len(corpus.decided)} decided, {len(corpus.adapt)} for adapted, "
        f"{len(corpus.arms)} for each arm, {len(corpus.set_aside)} set aside"
    )
    labels = [example.label for example in corpus.lexicon]
    if any(label is None for label in labels):
        say("no time estimate: without labels, the words that a counterfactual may insert come from the model")
        return
    words = pinned_of_corpus(corpus, corpus_associations(corpus, labels), config.pinned_words)
    _say_run_seconds(config, probe, words, trained_arms, audits_of(arms, len(config.seeds)))


def _say_run_seconds(
    config: Config, probe: ProbedModel, words: Pinned, trained_arms: Sequence[str], audits: int
) -> None:
    """Measure what a few texts take, and say how long a run of ``audits`` audits would."""
    corpus, probe_texts = probe.corpus, probe.examples
    few_labels = LabelProbe(probe.classifier, probe_texts)
    few_words = {name: words[name] for name in few_labels.classifier.task.labels}
    audit_plan = audit.audit_plan_of(config, "dry", few_words)
    timed = partial(_timed_audit, few_labels, audit_plan, judged=bool(trained_arms))
    result, per_text, spent = timed(probe_texts[:1])
    if spent < SLOW_TEXT:
        result, per_text, _ = timed(probe_texts)
    else:
        probe_texts = probe_texts[:1]
    per_target = per_trained = 0.0
    if trained_arms:
        lessons: list[Lesson] = []
        explain = partial(lessons_of, few_labels.classifier, probe_texts, few_words, config)
        per_target = few_labels.seconds_of(lambda: lessons.extend(explain())) / len(probe_texts)
        rows = rows_like_practice(config, few_labels.classifier.task, lessons, few_words)
        per_trained = probe.training_seconds(rows) / len(probe_texts)
        if config.objective == "grpo":
            say("not in it: the replies that objective=grpo samples")
    checks: dict[str, float] = {}
    if config.robustness:
        audited = audited_texts(probe_texts, result.rows, result.tables, result.grids, config.operators[0])
        checks = checks_cost(
            few_labels.classifier,
            list(audited.values()),
            config,
            corpus,
            few_words,
            probe.per_decision,
            few_labels.seconds_of,
        )
    of_arms = [arm for arm in trained_arms if arm != "adapted"]  # which go on from adapted: it is trained in any case
    trained_rows = len(of_arms) * len(corpus.arms) * config.num_train_epochs
    trained_rows += len(corpus.adapt) * config.adapt_num_train_epochs if trained_arms else 0
    explained = len((*corpus.arms, *corpus.heldout)) if of_arms else 0
    _say_seconds(
        {
            "audit": per_text * len(corpus.audited) * audits,
            "decide and calibrate": probe.per_decision * (len(corpus.decided) + len(corpus.calibration)) * audits,
            "targets": per_target * explained * len(config.seeds),
            "train": per_trained * trained_rows * len(config.seeds),
            **{f"robustness={check}": seconds * audits for check, seconds in checks.items()},
        },
        len(probe_texts),
    )


def _timed_audit(
    probe: LabelProbe, plan: audit.AuditPlan, texts: Sequence[Example], *, judged: bool
) -> tuple[audit.AuditRecords, float, float]:
    """Return what the audit of texts gives, the seconds of each with all labels, and those that it took with few.

    ``judged``: what it takes a start model to judge explanations of several words is in them.
    """
    records, began = audit.AuditRecords(), time.monotonic()

    def compute() -> None:
        nonlocal records
        records = audit.audit(probe.classifier, texts, plan)
        if judged and asks_for_several_words(plan.settings):
            judged_by_start(probe.classifier, "adapted", texts, records.rows, plan)
        measure_audited(probe.classifier, texts, plan, records)

    seconds = probe.seconds_of(compute)
    return records, seconds / len(texts), (time.monotonic() - began) / len(texts)


def audits_of(arms: Sequence[str], seeds: int) -> int:
    """Return how many audits a run of ``seeds`` seeds makes: what is not trained does not depend on the seed.

    >>> audits_of(("base", "adapted", "faithful"), 3)
    7
    """
    return sum(1 if arm in UNTRAINED else seeds for arm in arms)


def plan_attribution(config: Config, out: Path) -> None:
    """Print what ``saywhy attribute`` would do and about how long it would take.

    Raises:
        SaywhyError: For a method that does not exist or is not installed, or if no text can be used.
    """
    method_passes = planned_passes(config)
    spec = resolve_model(config.model)
    _say_settings(config, out)
    if spec.api:
        say_api_costs(_api_forecast(config).attribution(method_passes))
        return
    probe = ProbedModel(config)
    corpus = probe.corpus
    say(f"texts: {len(corpus.audited)} scored by {len(method_passes)} methods, {len(corpus.set_aside)} set aside")
    seconds = {"predict and calibrate": probe.per_decision * (len(corpus.audited) + len(corpus.calibration))}
    labelled = all(example.label is not None for example in corpus.lexicon)
    for method_pass in method_passes:
        if method_pass.method == "lexical" and not labelled:
            say("not in it: lexical; without labels, the model labels the texts whose words are counted")
            continue
        method = method_pass.method
        associations = (
            corpus_associations(corpus, [text.label for text in corpus.lexicon]) if method == "lexical" else {}
        )
        options = MethodOptions(method_pass.operator, config.steps, config.samples, config.seeds[0], associations)
        per_text = _seconds_per_text(probe.classifier, probe.items, method, options)
        seconds[method_pass.name] = per_text * len(corpus.audited)
    _say_seconds(seconds)


def plan_calibration(config: Config, out: Path) -> None:
    """Print what ``saywhy calibrate`` would do and about how long it would take; the untrained model stands in.

    Raises:
        SaywhyError: For a plant or method that does not exist, or a method that is not installed.
    """
    ruler.refuse_calibration(config)
    _say_settings(config, out)
    task, seed, plants = load_task(ruler.RULER_TASK), config.seeds[0], len(config.plants)
    measured = config.rows or ruler.MEASURED_TEXTS
    training_texts = [PLANTS[name].training_factor * config.plant_rows for name in config.plants]
    say(
        f"a plant: {'/'.join(map(str, training_texts))} texts x {config.plant_epochs} to learn it, "
        f"{config.calibration_rows} to calibrate, {ruler.HELD_OUT_TEXTS} to check, "
        f"{measured} of {ruler.DRAWN_PER_MEASURED * measured} to measure"
    )
    drawn = ruler.plant_texts(PLANTS[config.plants[0]], task, "test", ruler.DRAWN_PER_MEASURED * PROBE_TEXTS, seed)
    probe = ProbedModel(config, task, [example for example in drawn if example.causes])
    associations = corpus_associations(probe.corpus, [example.label for example in probe.corpus.lexicon])
    options = {
        operator: MethodOptions(operator, config.steps, config.samples, seed, associations)
        for operator in config.operators
    }
    scores_seconds = sum(
        _seconds_per_text(probe.classifier, probe.items, method, options[operator])
        for method, operator in method_passes(config.methods, config.operators)
    )
    metrics_seconds = sum(
        seconds_of(partial(measure_metrics, probe.classifier, probe.items, operator, associations))
        for operator in config.operators
    )
    plant = PLANTS[config.plants[0]]
    sentences_seconds = seconds_of(
        partial(measure_sentence_explainers, probe.classifier, probe.items, plant, config.operators, associations, seed)
    )
    decided = config.calibration_rows + ruler.HELD_OUT_TEXTS + ruler.DRAWN_PER_MEASURED * measured
    label_rows = [decided_label_row(task, example, str(example.label)) for example in probe.examples]
    per_label_row = probe.training_seconds(label_rows) / len(label_rows)
    _say_seconds(
        {
            "train": per_label_row * config.plant_epochs * sum(training_texts),
            "calibrate, check and choose texts": probe.per_decision * decided * plants,
            "attribution methods": scores_seconds * measured * plants,
            "metrics": metrics_seconds / len(probe.items) * measured * plants,
            "metrics of sentences": sentences_seconds / len(probe.items) * measured * plants,
        }
    )


def _api_forecast(config: Config) -> ApiForecast:
    """Return what counts the requests of a run on the texts of ``config``."""
    corpus = assemble_corpus(config)
    refuse_empty(corpus, config, "calibration")
    say(
        f"texts: {len(corpus.audited)} audited, {len(corpus.decided)} decided, {len(corpus.calibration)} for the "
        f"calibration constants, {len(corpus.set_aside)} set aside"
    )
    return ApiForecast(config, corpus)


def _say_settings(config: Config, out: Path) -> None:
    for key, value in resolved(config).items():
        say(f"{key}: {value}")
    say(f"out: {out}")


def _seconds_per_text(classifier: Classifier, items: Sequence[Item], method: str, options: MethodOptions) -> float:
    """Return the seconds that an attribution method takes for a text; what it loads first is not counted."""
    METHODS[method](classifier, items[:1], options)
    return seconds_of(lambda: METHODS[method](classifier, items, options)) / len(items)


def _say_seconds(seconds: Mapping[str, float], texts: int = PROBE_TEXTS) -> None:
    """Print the seconds of each stage."""
    for stage, stage_seconds in seconds.items():
        say(f"about {stage_seconds / 60:.1f} min: {stage}")
    say(f"about {sum(seconds.values()) / 60:.0f} min in all, measured on {counted(texts, 'text')} here")
