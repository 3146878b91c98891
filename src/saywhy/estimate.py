"""``--dry``: the resolved plan, and a time estimate from a few texts that are really audited."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from saywhy import audit
from saywhy.config import Config, resolved
from saywhy.corpus import assemble, associate, pin
from saywhy.data import sample
from saywhy.edits import Item
from saywhy.models.spec import load
from saywhy.predict import Classifier, calibrate
from saywhy.progress import say
from saywhy.targets import answered, at_random, rows

PROBE = 4
"""Texts that are audited to measure the rate."""
TRAIN_COST = 3.0
"""Seconds of a trained token against a computed one: forward, backward through activations, LoRA's products."""


def plan(config: Config, out: Path, arms: Sequence[str]) -> None:
    """Print what a run would do and about how long it would take; nothing is written."""
    for key, value in resolved(config).items():
        say(f"{key}: {value}")
    say(f"out: {out}")
    corpus = assemble(config)
    say(
        f"texts: {len(corpus.audited)} audited, {len(corpus.decided)} decided, {len(corpus.adapt)} for adapted, "
        f"{len(corpus.arms)} for each arm, {len(corpus.set_aside)} set aside"
    )
    labels = [one.label for one in corpus.lexicon]
    if any(label is None for label in labels):
        say("no time estimate: without labels, the words that a counterfactual may insert come from the model")
        return
    words = pin(corpus, associate(corpus, labels), config.pinned_words)
    from saywhy.models.local import LocalModel

    model = load(config.model, config.token_budget, config.precision)
    assert isinstance(model, LocalModel)
    some = sample(corpus.audited, PROBE, config.data_seed)
    classifier = Classifier(model, corpus.task, calibrate(model, corpus.task, some))
    began = time.monotonic()
    plan_ = audit.Plan("dry", words, config.styles, config.settings, config.readouts, config.operators)
    audit.audit(classifier, some, plan_)
    per_text = (time.monotonic() - began) / len(some)
    began, before = time.monotonic(), model.tokens
    predictions = classifier.predict_examples(corpus.calibration[:32])
    per_decision = (time.monotonic() - began) / len(predictions)
    per_token = (time.monotonic() - began) / max(model.tokens - before, 1)
    items = [answered(Item(*p), p[1].label) for p in zip(some, classifier.predict_examples(some), strict=True)]
    made = rows(corpus.task, items, at_random(items, words, 0), config.train_styles)
    trained = sum(len(model.chat.ids([model.chat.close([*r["prompt"], *r["completion"]])])[0]) for r in made)
    per_trained = TRAIN_COST * per_token * trained / len(items)
    trained_arms = [arm for arm in arms if arm not in ("base", "audited")]
    seconds = {
        "audit": per_text * len(corpus.audited) * len(arms),
        "decide and calibrate": per_decision * (len(corpus.decided) + len(corpus.calibration)) * len(arms),
        "train": per_trained
        * sum(
            len(corpus.adapt) * config.adapt_epochs if arm == "adapted" else len(corpus.arms) * config.epochs
            for arm in trained_arms
        ),
    }
    for stage, spent in seconds.items():
        say(f"about {spent * len(config.seeds) / 60:.1f} min: {stage}")
    say(f"about {sum(seconds.values()) * len(config.seeds) / 60:.0f} min in all, measured on {PROBE} texts here")
    if config.robustness:
        checks = ",".join(config.robustness)
        say(f"not in it: robustness={checks}; each other way to ask costs about what the tables of the audit cost")
