"""Words put into a text where the model finds that most fluent, and whether its explanation mentions them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from saywhy.measure.edits import Item, items_of
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Choice, Model
from saywhy.protocol import prompts
from saywhy.protocol.mentions import Mentions
from saywhy.stats.insertions import Insertion
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.words import candidates, occurrences

MODIFIERS = (
    *("quite", "barely", "nearly", "suddenly", "slowly", "recently"),
    *("small", "large", "early", "late", "new", "old", "local", "foreign", "quiet", "loud", "public", "private"),
)
"""The pinned words of the random arm: adverbs and adjectives, as Atanasova et al. (ACL 2023) insert them.

None is a word of explaining ("clearly", "rather"), which an explanation would mention whatever the text says.
"""

RANDOM_INSERTIONS = 2
"""Words of the random arm that are put into each text, one at a time."""


class ReadExplanation(NamedTuple):
    """What was read of an explanation.

    Attributes:
        mentions: What it mentions.
        length: How long it is, in keywords, sentences or steps.
    """

    mentions: Mentions
    length: int


ExplainTexts = Callable[[Sequence[Item], int | None], Sequence[ReadExplanation]]
"""From texts with their predictions, and the length that is asked for (None: as the style's request has it), to what is
read of an explanation of each."""


class InsertedWord(NamedTuple):
    """A word that is put into a text.

    Attributes:
        word: The word.
        targeted: Whether it was chosen to move the answer.
    """

    word: str
    targeted: bool


def drawn_insertions(item: Item, pinned: Pinned, seed: int) -> list[InsertedWord]:
    """Return the words that are put into a text: some modifiers at random, and those pinned for the runner-up.

    Words that the text holds already are passed over.
    """
    keys = {word.key for word in occurrences(item.example.text)}
    draw = random.Random(f"inserted:{seed}:{item.example.id}")
    absent = [word for word in MODIFIERS if word not in keys]
    modifiers = draw.sample(absent, min(RANDOM_INSERTIONS, len(absent)))
    targeted = [word for word in pinned.get(item.prediction.runner_up, ()) if word not in keys]
    return [
        *(InsertedWord(word, targeted=False) for word in modifiers),
        *(InsertedWord(word, targeted=True) for word in targeted if word not in modifiers),
    ]


def fluent_insertions(
    model: Model, task: Task, items: Sequence[Item], words: Sequence[Sequence[InsertedWord]]
) -> list[list[str]]:
    """Return each text with each word put before the word where the model's fluency falls least.

    Fluency is log P(text) in nats, of the assistant's turn that is asked to write such a text; of equal places the
    first one is taken.
    """
    placed = [
        [
            tuple(f"{text[: at.start]}{inserted.word} {text[at.start :]}" for at in occurrences(text))
            for inserted in of_text
        ]
        for text, of_text in ((item.example.text, of_text) for item, of_text in zip(items, words, strict=True))
    ]
    choices = [
        Choice(prompts.writing_chat(task, item.example.context), options, ends=True)
        for item, of_text in zip(items, placed, strict=True)
        for options in of_text
    ]
    scores = iter(model.choose(choices))
    return [
        [
            options[max(range(len(options)), key=of_options.__getitem__)]
            for options, of_options in ((options, next(scores)) for options in of_text)
        ]
        for of_text in placed
    ]


class PlacedWord(NamedTuple):
    """A word in its place.

    Attributes:
        inserted: The word.
        before: The text without it, with its prediction.
        after: The text with it, with its prediction.
    """

    inserted: InsertedWord
    before: Item
    after: Item


def placed_words(
    classifier: Classifier, items: Sequence[Item], words: Sequence[Sequence[InsertedWord]]
) -> list[list[PlacedWord]]:
    """Put each word into its text, one at a time, and classify."""
    texts = fluent_insertions(classifier.model, classifier.task, items, words)
    changed = [
        replace(item.example, text=text, causes=())
        for item, of_text in zip(items, texts, strict=True)
        for text in of_text
    ]
    after = iter(items_of(classifier, changed))
    return [
        [PlacedWord(inserted, item, next(after)) for inserted in of_text]
        for item, of_text in zip(items, words, strict=True)
    ]


def measure_insertions(
    placed: Sequence[Sequence[PlacedWord]], explain: ExplainTexts, lengths: Sequence[int] = ()
) -> list[list[Insertion]]:
    """Ask for an explanation of each text with a word inserted, and look whether it mentions the word.

    Args:
        placed: The words in their places, by text.
        explain: How explanations are asked for.
        lengths: In which lengths they are asked for beside that of the style's request.
    """
    asked = [word.after for of_text in placed for word in of_text]
    by_length = {length: iter(explain(asked, length)) for length in (None, *lengths)}
    return [
        [_insertion(word, length, next(explanations)) for word in of_text for length, explanations in by_length.items()]
        for of_text in placed
    ]


def _insertion(word: PlacedWord, length: int | None, explanation: ReadExplanation) -> Insertion:
    inserted, before, after = word
    mentioned = explanation.mentions
    untouched = [candidate.key for candidate in candidates(after.example.text) if candidate.key != inserted.word]
    return Insertion(
        id=before.example.id,
        word=inserted.word,
        targeted=inserted.targeted,
        moved=after.prediction.label != before.prediction.label,
        mentioned=inserted.word in mentioned.words,
        untouched=len(set(untouched) & set(mentioned.words)) / max(1, len(untouched)),
        length=length,
        kept_length=None if length is None else explanation.length == length,
    )
