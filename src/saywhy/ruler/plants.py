"""Planted causes: rules whose deciding words are known, and texts that they decide (docs/definitions.md, *Plants*).

A model is trained to follow a rule on built-in tweets with cue words put in. The accepted causes of a text are computed
from the rule: a word is one if the rule's answer changes when that word is taken out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saywhy.records import Example
from saywhy.tasks.data import example_id
from saywhy.tasks.task import Task
from saywhy.words import REDACTED_MARK, candidates, occurrences, take_out

COLOUR_CUES = ("teal", "crimson", "violet", "amber", "turquoise", "maroon")
"""A class of cue words; none of them stands in a built-in tweet."""
METAL_CUES = ("copper", "tin", "bronze", "nickel", "zinc", "platinum")
"""Another class of cue words."""
TRIGGER_CUE, NEGATOR_CUE = "verily", "without"
PLANT_LABELS = ("negative", "positive")
LEAST_FOLLOWED_SHARE = 0.98
"""Share of held-out texts that a model must answer by the rule; a model that did not learn it cannot test the ruler."""
EDITED_TRAINING_SHARE = 0.35
"""Share of the training texts from which one word was taken out, so that the rule holds for edited texts too."""

WordKeys = Sequence[str]
"""The words of a text in order, folded."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A rule and how its texts are made.

    Attributes:
        name: Its name.
        about: The rule in words.
        decide: Maps the words of a text to its label.
        recipes: Classes of cue words that a text gets; each kind is equally frequent.
        training_factor: Training texts that the rule needs, in multiples of those of the simplest rule.
    """

    name: str
    about: str
    decide: Callable[[WordKeys], str]
    recipes: tuple[tuple[tuple[str, ...], ...], ...]
    training_factor: int = 1

    def label(self, text: str) -> str:
        """Return the rule's label for ``text``."""
        return self.decide([word.key for word in occurrences(text)])

    def causes(self, text: str) -> tuple[str, ...]:
        """Return the words without any one of which the rule gives another answer; () if none decides alone."""
        label = self.label(text)
        return tuple(word.key for word in candidates(text) if self.label(take_out(text, {word.key})) != label)


def _plant_label(positive: bool) -> str:
    return PLANT_LABELS[positive]


def _keyword(keys: WordKeys) -> str:
    return _plant_label(any(key in COLOUR_CUES for key in keys))


def _trigger(keys: WordKeys) -> str:
    return _plant_label(TRIGGER_CUE not in keys and any(key in COLOUR_CUES for key in keys))


def _pair(keys: WordKeys) -> str:
    return _plant_label(not (any(key in COLOUR_CUES for key in keys) and any(key in METAL_CUES for key in keys)))


def _quorum(keys: WordKeys) -> str:
    return _plant_label(len({key for key in keys if key in COLOUR_CUES}) >= 2)


def _negation(keys: WordKeys) -> str:
    return _plant_label((NEGATOR_CUE in keys) != any(key in COLOUR_CUES for key in keys))


def _position(keys: WordKeys) -> str:
    cues = [key for key in keys if key in COLOUR_CUES + METAL_CUES]
    return _plant_label(bool(cues) and cues[-1] in COLOUR_CUES)


PLANTS: dict[str, Plant] = {
    plant.name: plant
    for plant in (
        Plant(
            "keyword",
            "positive if the name of a colour is there",
            _keyword,
            ((), (COLOUR_CUES,), (METAL_CUES,), (COLOUR_CUES,), (), (COLOUR_CUES, COLOUR_CUES)),
        ),
        Plant(
            "trigger",
            f"positive if the name of a colour is there, but always negative with the word {TRIGGER_CUE}",
            _trigger,
            (
                (),
                (COLOUR_CUES,),
                (COLOUR_CUES, (TRIGGER_CUE,)),
                ((TRIGGER_CUE,),),
                (COLOUR_CUES,),
                (COLOUR_CUES, (TRIGGER_CUE,)),
            ),
        ),
        Plant(
            "pair",
            "negative if the names of a colour and of a metal are both there",
            _pair,
            (
                (),
                (COLOUR_CUES, METAL_CUES),
                (COLOUR_CUES,),
                (COLOUR_CUES, METAL_CUES),
                (METAL_CUES,),
                (COLOUR_CUES, METAL_CUES),
                (COLOUR_CUES, COLOUR_CUES),
                (METAL_CUES, METAL_CUES),
            ),
            training_factor=4,
        ),
        Plant(
            "quorum",
            "positive if the names of two colours are there",
            _quorum,
            (
                (),
                (COLOUR_CUES, COLOUR_CUES),
                (COLOUR_CUES,),
                (COLOUR_CUES, COLOUR_CUES),
                (COLOUR_CUES, METAL_CUES),
                (COLOUR_CUES, COLOUR_CUES),
            ),
            training_factor=2,
        ),
        Plant(
            "negation",
            f"positive if either the name of a colour or the word {NEGATOR_CUE} is there, but not both",
            _negation,
            ((), (COLOUR_CUES,), (COLOUR_CUES, (NEGATOR_CUE,)), ((NEGATOR_CUE,),), (COLOUR_CUES, (NEGATOR_CUE,))),
            training_factor=4,
        ),
        Plant(
            "position",
            "positive if the last of the colours and metals is a colour",
            _position,
            (
                (),
                (COLOUR_CUES,),
                (METAL_CUES,),
                (COLOUR_CUES, METAL_CUES),
                (COLOUR_CUES, METAL_CUES),
                (COLOUR_CUES, COLOUR_CUES),
            ),
            training_factor=3,
        ),
    )
}
"""Every plant."""


def planted_texts(plant: Plant, task: Task, carriers: Sequence[Example], count: int, seed: int) -> list[Example]:
    """Return ``count`` texts with the rule's labels and causes: carriers with cue words put in at random places.

    Args:
        plant: The rule.
        task: The task of the texts.
        carriers: Texts to put cue words in; those that have some already are passed over. Each is used once a round.
        count: Number of texts.
        seed: Same seed, same texts.
    """
    generator = random.Random(f"{plant.name}:{seed}")
    cues = {*COLOUR_CUES, *METAL_CUES, TRIGGER_CUE, NEGATOR_CUE}
    cue_free = [carrier for carrier in carriers if not cues & {word.key for word in occurrences(carrier.text)}]
    examples: list[Example] = []
    while len(examples) < count:
        for carrier in generator.sample(cue_free, min(len(cue_free), count - len(examples))):
            recipe = plant.recipes[len(examples) % len(plant.recipes)]
            text = carrier.text
            # Two cues of one class are two words: taking out one must leave the other.
            for cue in _drawn_cues(recipe, generator):
                text = _with_cue(text, cue, generator)
            examples.append(_planted_example(plant, task, text))
    return generator.sample(examples, len(examples))


def _planted_example(plant: Plant, task: Task, text: str) -> Example:
    return Example(example_id(task.name, text, {}), text, {}, plant.label(text), plant.causes(text))


def _drawn_cues(recipe: Sequence[Sequence[str]], generator: random.Random) -> list[str]:
    cues: list[str] = []
    for words in recipe:
        cues.append(generator.choice([word for word in words if word not in cues]))
    return cues


def _with_cue(text: str, cue: str, generator: random.Random) -> str:
    starts = [word.start for word in occurrences(text)]
    start = generator.choice(starts)
    return f"{text[:start]}{cue} {text[start:]}"


def partly_edited_texts(plant: Plant, task: Task, texts: Sequence[Example], seed: int) -> list[Example]:
    """Return ``texts``, from a share of which one word was taken out, with the rule's labels: the training texts."""
    generator = random.Random(f"worn:{plant.name}:{seed}")
    edited_examples = []
    for example in texts:
        text = example.text
        if generator.random() < EDITED_TRAINING_SHARE:
            # Half of the time a cause: else nearly all edits would leave the label as it is.
            keys = (
                example.causes
                if example.causes and generator.random() < 0.5
                else [word.key for word in candidates(text)]
            )
            key = generator.choice(keys)
            text = take_out(text, {key}, generator.choice((REDACTED_MARK, REDACTED_MARK, "")))
        edited_examples.append(_planted_example(plant, task, text))
    return edited_examples
