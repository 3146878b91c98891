"""Replies in sentences beside the audited ones: in another wording, or drawn at random."""

from __future__ import annotations

import random
from collections.abc import Sequence

from saywhy.measure.chats import explanation_chat
from saywhy.measure.edits import Item, items_of
from saywhy.measure.predict import Classifier
from saywhy.measure.rooms import reply_room
from saywhy.models.interface import Reply, Sampling
from saywhy.protocol import prompts
from saywhy.protocol.sentences import read_sentences
from saywhy.records import Example, Explanation, StyleName
from saywhy.stats.sentences import SampledReply

SAMPLING_TEMPERATURE = 1.0
"""Temperature of sampled replies: the model's own distribution of explanations."""


def ask_for_sentences(
    classifier: Classifier,
    asked: Sequence[tuple[Item, StyleName]],
    wording: str | None = None,
    sampling: Sampling | None = None,
    length: int = 0,
) -> list[tuple[Reply, Explanation]]:
    """Return a reply in sentences about each text, and its reading.

    Args:
        classifier: Who explains.
        asked: Texts with their predictions, and the style that each is asked for.
        wording: The request; None: the pinned one.
        sampling: How replies are drawn; None: they are greedy.
        length: How many keywords the wording asks for, which may be more than a text of its size allows otherwise.
    """
    task = classifier.task
    replies = classifier.model.generate(
        [explanation_chat(task, item, style, "sentences", wording) for item, style in asked],
        [reply_room(item.example.text, style, "sentences") for item, style in asked],
        sampling=sampling,
    )
    excluded = prompts.uncounted_words(task)
    return [
        (reply, read_sentences(style, item.example.text, reply, excluded, cut=reply.cut, length=length))
        for (item, style), reply in zip(asked, replies, strict=True)
    ]


def sample_replies(
    classifier: Classifier, examples: Sequence[Example], styles: Sequence[StyleName], count: int, arm: str, seed: int
) -> list[SampledReply]:
    """Return ``count`` sampled replies of each style to each text, and what they mention.

    Each has a seed of its own, from the run's, the text, the style and its number: more samples begin with the same
    ones, whatever the batch.

    Args:
        classifier: Who explains.
        examples: The texts.
        styles: What is asked for; styles in sentences.
        count: Replies of each style to each text.
        arm: Name of the model in the records.
        seed: Seed of the run.
    """
    drawn = [(item, style, at) for item in items_of(classifier, examples) for style in styles for at in range(count)]
    seeds = tuple(_sample_seed(seed, item.example.id, style, at) for item, style, at in drawn)
    replies = ask_for_sentences(
        classifier, [(item, style) for item, style, _ in drawn], sampling=Sampling(SAMPLING_TEMPERATURE, seeds)
    )
    return [
        SampledReply(
            item.example.id,
            classifier.task.name,
            arm,
            seed,
            style,
            at,
            str(reply),
            explanation.words,
            explanation.denied,
            explanation.coverage,
            explanation.reason,
        )
        for (item, style, at), (reply, explanation) in zip(drawn, replies, strict=True)
    ]


def _sample_seed(seed: int, text_id: str, style: StyleName, at: int) -> int:
    return random.Random(f"sampled:{seed}:{text_id}:{style}:{at}").getrandbits(31)
