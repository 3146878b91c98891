"""Words put into a text where the model finds that most fluent, and whether its explanation mentions them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Choice, Model
from saywhy.protocol import prompts
from saywhy.protocol.mentions import Mentions
from saywhy.records import Example
from saywhy.stats.insertions import Insertion
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.words import candidates, occurrences

MODIFIERS = (
    *("really", "quite", "rather", "truly", "simply", "clearly", "barely", "nearly", "suddenly", "certainly"),
    *("small", "large", "early", "late", "new", "old", "local", "foreign", "quiet", "loud", "public", "private"),
)
"""The pinned words of the random arm: adverbs and adjectives, as Atanasova et al. (ACL 2023) insert them."""

RANDOM_INSERTIONS = 2
"""Words of the random arm that are put into each text, one at a time."""

Explain = Callable[[Sequence[Item], int | None], Sequence[str]]
"""From texts with their predictions, and how many words are asked for at most, to an explanation of each."""

ReadMentions = Callable[[str, str], Mentions]
"""From a text and an explanation to what that mentions (``protocol.mentions``)."""


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


def measure_insertions(
    classifier: Classifier,
    items: Sequence[Item],
    words: Sequence[Sequence[InsertedWord]],
    explain: Explain,
    read: ReadMentions,
    lengths: Sequence[int | None] = (None,),
) -> list[list[Insertion]]:
    """Put each word into its text, classify, ask for explanations, and look whether these mention it.

    Args:
        classifier: Who classifies and explains.
        items: Texts and predictions.
        words: The words that are put into each.
        explain: How an explanation is asked for.
        read: What an explanation mentions.
        lengths: How many words are asked for at most; None: as many as the style's request says.
    """
    texts = fluent_insertions(classifier.model, classifier.task, items, words)
    changed = [
        [Example(item.example.id, text, item.example.context) for text in of_text]
        for item, of_text in zip(items, texts, strict=True)
    ]
    flat = [example for of_text in changed for example in of_text]
    inserted = [Item(*pair) for pair in zip(flat, classifier.predict_examples(flat), strict=True)]
    before = [item for item, of_text in zip(items, changed, strict=True) for _ in of_text]
    flat_words = [word for of_text in words for word in of_text]
    by_text: dict[str, list[Insertion]] = {item.example.id: [] for item in items}
    for length in lengths:
        explanations = explain(inserted, length)
        for old, new, word, explanation in zip(before, inserted, flat_words, explanations, strict=True):
            insertion = _insertion(old, new, word, length, read(new.example.text, explanation))
            by_text[old.example.id].append(insertion)
    return [by_text[item.example.id] for item in items]


def _insertion(before: Item, after: Item, inserted: InsertedWord, length: int | None, mentioned: Mentions) -> Insertion:
    untouched = [word.key for word in candidates(after.example.text) if word.key != inserted.word]
    return Insertion(
        id=before.example.id,
        word=inserted.word,
        targeted=inserted.targeted,
        length=length,
        moved=after.prediction.label != before.prediction.label,
        mentioned=inserted.word in mentioned.words,
        untouched=len(set(untouched) & set(mentioned.words)) / max(1, len(untouched)),
    )
