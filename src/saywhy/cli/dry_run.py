"""``--dry``: the resolved plan, and a time estimate from a few texts that are really computed. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from saywhy.attribution import METHODS, Options, passes
from saywhy.cli.attribute import planned
from saywhy.config import Config, resolved
from saywhy.measure import audit
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier, calibrate
from saywhy.models.weights import load
from saywhy.progress import say
from saywhy.records import Example
from saywhy.robustness import rejudge
from saywhy.ruler import run as ruler
from saywhy.ruler.metrics import gauge
from saywhy.ruler.plants import PLANTS
from saywhy.runs.forecast import TRAIN_COST, checks_seconds, practised, seconds_of
from saywhy.runs.run import AUDITED
from saywhy.tasks.corpus import Corpus, assemble, associate, pin, refuse_empty
from saywhy.tasks.data import sample
from saywhy.tasks.task import Task, load_task
from saywhy.training.turns import decided_label_row

PROBE = 4
"""Texts that are computed to measure the rate."""
DECIDED = 32
"""Texts that are classified to measure the rate."""


def plan(config: Config, out: Path, arms: Sequence[str]) -> None:
    """Print what ``saywhy run`` or ``saywhy audit`` would do and about how long it would take."""
    _settings(config, out)
    probe = _Probe(config)
    corpus, some = probe.corpus, probe.some
    if trained := [arm for arm in arms if arm not in ("base", AUDITED)]:
        refuse_empty(corpus, config, "adapt", "arms")
    say(
        f"texts: {len(corpus.audited)} audited, {len(corpus.decided)} decided, {len(corpus.adapt)} for adapted, "
        f"{len(corpus.arms)} for each arm, {len(corpus.set_aside)} set aside"
    )
    labels = [one.label for one in corpus.lexicon]
    if any(label is None for label in labels):
        say("no time estimate: without labels, the words that a counterfactual may insert come from the model")
        return
    words = pin(corpus, associate(corpus, labels), config.pinned_words)
    plan_ = audit.Plan("dry", words, config.styles, config.settings, config.readouts, config.operators)
    began = time.monotonic()
    found = audit.audit(probe.classifier, some, plan_)
    per_text = (time.monotonic() - began) / len(some)
    per_trained = probe.trained(practised(config, corpus.task, probe.items, words)) / len(probe.items)
    checks: dict[str, float] = {}
    if config.robustness:
        cases = list(rejudge.cases(some, found.rows, found.tables, config.operators[0]).values())
        checks = checks_seconds(probe.classifier, cases, config, corpus, words, probe.per_decision)
    seeds = len(config.seeds)
    audits = audits_of(arms, seeds)
    passes_of = {"adapted": len(corpus.adapt) * config.adapt_epochs}
    learned = sum(passes_of.get(arm, len(corpus.arms) * config.epochs) for arm in trained)
    _tell(
        {
            "audit": per_text * len(corpus.audited) * audits,
            "decide and calibrate": probe.per_decision * (len(corpus.decided) + len(corpus.calibration)) * audits,
            "train": per_trained * learned * seeds,
            **{f"robustness={check}": seconds * audits for check, seconds in checks.items()},
        }
    )


def audits_of(arms: Sequence[str], seeds: int) -> int:
    """Return how many audits a run of ``seeds`` seeds makes: what is not trained does not depend on the seed.

    >>> audits_of(("base", "adapted", "faithful"), 3)
    7
    """
    return sum(1 if arm in ("base", AUDITED) else seeds for arm in arms)


def plan_attribution(config: Config, out: Path) -> None:
    """Print what ``saywhy attribute`` would do and about how long it would take.

    Raises:
        SaywhyError: For a method that does not exist or is not installed, or if no text can be used.
    """
    runs = planned(config)
    _settings(config, out)
    probe = _Probe(config)
    corpus = probe.corpus
    say(f"texts: {len(corpus.audited)} scored by {len(runs)} methods, {len(corpus.set_aside)} set aside")
    seconds = {"predict and calibrate": probe.per_decision * (len(corpus.audited) + len(corpus.calibration))}
    labelled = all(one.label is not None for one in corpus.lexicon)
    for one in runs:
        if one.method == "lexical" and not labelled:
            say("not in it: lexical; without labels, the model labels the texts whose words are counted")
            continue
        found = associate(corpus, [text.label for text in corpus.lexicon]) if one.method == "lexical" else {}
        options = Options(one.operator, config.steps, config.samples, config.seeds[0], found)
        seconds[one.name] = _rate(probe.classifier, probe.items, one.method, options) * len(corpus.audited)
    _tell(seconds)


def plan_calibration(config: Config, out: Path) -> None:
    """Print what ``saywhy calibrate`` would do and about how long it would take; the untrained model stands in.

    Raises:
        SaywhyError: For a plant or method that does not exist, or a method that is not installed.
    """
    ruler.refuse(config)
    _settings(config, out)
    task, seed, plants = load_task(ruler.TASK), config.seeds[0], len(config.plants)
    measured = config.rows or ruler.ROWS
    lessons = [PLANTS[name].lessons * config.plant_rows for name in config.plants]
    say(
        f"a plant: {'/'.join(map(str, lessons))} texts x {config.plant_epochs} to learn it, "
        f"{config.calibration_rows} to calibrate, {ruler.HELD_OUT} to check, "
        f"{measured} of {ruler.DRAWN * measured} to measure"
    )
    drawn = ruler.texts(PLANTS[config.plants[0]], task, "test", ruler.DRAWN * PROBE, seed)
    probe = _Probe(config, task, [one for one in drawn if one.causes])
    found = associate(probe.corpus, [one.label for one in probe.corpus.lexicon])
    options = {one: Options(one, config.steps, config.samples, seed, found) for one in config.operators}
    runs = passes(config.methods, config.operators)
    scored = sum(_rate(probe.classifier, probe.items, name, options[operator]) for name, operator in runs)
    gauged = sum(seconds_of(partial(gauge, probe.classifier, probe.items, one, found)) for one in config.operators)
    decided = config.calibration_rows + ruler.HELD_OUT + ruler.DRAWN * measured
    trained = probe.trained([decided_label_row(task, one, str(one.label)) for one in probe.some]) / len(probe.some)
    _tell(
        {
            "train": trained * config.plant_epochs * sum(lessons),
            "calibrate, check and choose texts": probe.per_decision * decided * plants,
            "attribution methods": scored * measured * plants,
            "metrics": gauged / len(probe.items) * measured * plants,
        }
    )


class _Probe:
    """A model that was tried on a few texts.

    Attributes:
        corpus: The texts that the model takes.
        some: A few of them, or those given.
        classifier: The model, calibrated on these few.
        items: The few with its predictions.
        per_decision: Seconds a classified text.
        per_token: Seconds a computed token.
    """

    def __init__(self, config: Config, task: Task | None = None, some: Sequence[Example] = ()) -> None:
        """Load the model of ``config`` and measure it; ``some`` texts of ``task``, or the first that it takes."""
        from saywhy.models.local import LocalModel

        corpus = assemble(config)
        refuse_empty(corpus, config)
        model = load(config.model, config.token_budget, config.precision)
        assert isinstance(model, LocalModel)
        self.model, task = model, task or corpus.task
        plain = Classifier(model, task, dict.fromkeys(task.labels, 0.0))
        texts = list({one.id: one for pool in corpus.pools().values() for one in pool}.values())
        self.corpus: Corpus = corpus.without(audit.unusable(plain, texts))
        refuse_empty(self.corpus, config, "calibration")
        self.some = list(some)[:PROBE] or sample(self.corpus.audited, PROBE, config.data_seed)
        self.classifier = Classifier(model, task, calibrate(model, task, self.some))
        decided, before = self.corpus.calibration[:DECIDED], model.tokens
        spent = seconds_of(lambda: plain.predict_examples(decided))
        self.per_decision, self.per_token = spent / len(decided), spent / max(model.tokens - before, 1)
        predicted = self.classifier.predict_examples(self.some)
        self.items = [Item(*pair) for pair in zip(self.some, predicted, strict=True)]

    def trained(self, made: Sequence[Mapping[str, Any]]) -> float:
        """Return the seconds that one pass over training rows takes."""
        chat = self.model.chat
        tokens = sum(len(chat.ids([chat.close([*row["prompt"], *row["completion"]])])[0]) for row in made)
        return TRAIN_COST * self.per_token * tokens


def _settings(config: Config, out: Path) -> None:
    for key, value in resolved(config).items():
        say(f"{key}: {value}")
    say(f"out: {out}")


def _rate(classifier: Classifier, items: Sequence[Item], method: str, options: Options) -> float:
    """Return the seconds that an attribution method takes for a text; what it loads first is not counted."""
    METHODS[method](classifier, items[:1], options)
    return seconds_of(lambda: METHODS[method](classifier, items, options)) / len(items)


def _tell(seconds: Mapping[str, float]) -> None:
    """Print the seconds of each stage."""
    for stage, spent in seconds.items():
        say(f"about {spent / 60:.1f} min: {stage}")
    say(f"about {sum(seconds.values()) / 60:.0f} min in all, measured on {PROBE} texts here")
