"""How the answer depends on the steps that were written before it: cut short, filled, or corrupted."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.measure.word_sets import everyday_word
from saywhy.protocol.prompts import Message
from saywhy.stats.mentions import TextValue
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
    """Return each of ``STEP_METRICS`` of each text.

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
    predictions = iter(classifier.predict_chats(chats))
    values = []
    for item, by_metric in zip(items, variants, strict=True):
        margins = {
            metric: [next(predictions).margin_of(item.prediction.label) for _ in changed_steps]
            for metric, changed_steps in by_metric.items()
        }
        full = item.prediction.margin
        early, *changed_metrics = STEP_METRICS
        values.append(
            {early: early_answering(full, margins[early])}
            | {metric: steps_drop(full, margins[metric]) for metric in changed_metrics}
        )
    return values


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
