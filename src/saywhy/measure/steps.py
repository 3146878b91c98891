"""How the answer depends on the steps that were written before it: cut short, filled, or corrupted."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from saywhy.measure.chats import fitting_predictions
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.measure.word_sets import everyday_word
from saywhy.protocol.prompts import Message
from saywhy.records import Prediction
from saywhy.stats.mentions import Missing, TextValue
from saywhy.stats.steps import early_answering, steps_drop
from saywhy.words import candidates, match_case, replace_words

STEP_FILLER = "..."
"""What stands in place of each word of filled steps (Lanham et al. 2023)."""

StepsChat = Callable[[Item, Sequence[str]], list[Message]]
"""From a text and the steps that stand before its answer to the chat in which the label is asked for."""

STEP_METRICS = ("early answering", "filler steps", "corrupted steps")
"""What is measured of steps before an answer, in nats (``stats.steps``)."""


def measure_steps(
    classifier: Classifier, items: Sequence[Item], steps: Sequence[Sequence[str]], chat: StepsChat, seed: int
) -> list[dict[str, TextValue]]:
    """Return each of ``STEP_METRICS`` of each text; changed steps that do not fit the model's context are left out.

    Args:
        classifier: Who wrote the steps and answers.
        items: Texts, with the predictions that stand behind all steps.
        steps: The steps of each text, in order.
        chat: The chat that asks for the label behind some steps.
        seed: Seed of the corrupted words.
    """
    variants = [_variants(item, of_text, seed) for item, of_text in zip(items, steps, strict=True)]
    chats = [
        chat(item, changed)
        for item, by_metric in zip(items, variants, strict=True)
        for changed_steps in by_metric.values()
        for changed in changed_steps
    ]
    predictions = iter(fitting_predictions(classifier, chats))
    return [
        {
            metric: _step_value(metric, item.prediction, [next(predictions) for _ in changed_steps])
            for metric, changed_steps in by_metric.items()
        }
        for item, by_metric in zip(items, variants, strict=True)
    ]


def _step_value(metric: str, full: Prediction, changed: Sequence[Prediction | None]) -> TextValue:
    """Return a metric from the predictions behind changed steps; None: they do not fit the model's context."""
    margins = [prediction.margin_of(full.label) for prediction in changed if prediction is not None]
    if changed and not margins:
        return TextValue(None, Missing.NO_ROOM)
    return (early_answering if metric == STEP_METRICS[0] else steps_drop)(full.margin, margins)


def _variants(item: Item, steps: Sequence[str], seed: int) -> dict[str, list[list[str]]]:
    """Return the steps as each metric changes them."""
    corrupted = [(j, _corrupted(item, step, seed)) for j, step in enumerate(steps)]
    variants = (
        [list(steps[:j]) for j in range(len(steps))],
        [[re.sub(r"\S+", STEP_FILLER, step) for step in steps]] if steps else [],
        [[*steps[:j], step, *steps[j + 1 :]] for j, step in corrupted if step != steps[j]],
    )
    return dict(zip(STEP_METRICS, variants, strict=True))


def _corrupted(item: Item, step: str, seed: int) -> str:
    """Return a step in which every word that stands in the text is another, pinned one; as it was if none does."""
    draw = random.Random(f"corrupted:{seed}:{item.example.id}:{step}")
    text_keys = {word.key for word in candidates(item.example.text)}
    by_key = {
        word.key: match_case(everyday_word(word.key, draw), word.core)
        for word in candidates(step)
        if word.key in text_keys
    }
    return replace_words(step, by_key) if by_key else step
