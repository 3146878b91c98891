"""Planted causes: rules whose deciding words are known, and texts that they decide (docs/definitions.md, *Plants*).

A model is trained to follow a rule on built-in tweets with cue words put in. What decides a text is not told, it is
found: a word is an accepted cause if the rule's answer changes when that word is taken out.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from saywhy.records import Example
from saywhy.tasks.data import example_id
from saywhy.tasks.task import Task
from saywhy.words import MARK, candidates, occurrences, take_out

COLOURS = ("teal", "crimson", "violet", "amber", "turquoise", "maroon")
"""A class of cue words; none of them stands in a built-in tweet."""
METALS = ("copper", "tin", "bronze", "nickel", "zinc", "platinum")
"""Another class."""
TRIGGER, NEGATOR = "verily", "without"
LABELS = ("negative", "positive")
FOLLOWS = 0.98
"""Share of held-out texts that a model must answer by the rule; one that did not learn it is no ruler's test."""
EDITED = 0.35
"""Share of the training texts from which one word was taken out, so that the rule holds for edited texts too."""

Keys = Sequence[str]
"""The words of a text in order, folded."""


@dataclass(frozen=True, slots=True)
class Plant:
    """A rule and how its texts are made.

    Attributes:
        name: Its name.
        about: What decides, in words.
        decide: The words of a text to its label.
        recipes: Classes of cue words that a text gets; each kind is equally frequent.
        lessons: How many times as many texts it takes to learn the rule as the simplest one.
    """

    name: str
    about: str
    decide: Callable[[Keys], str]
    recipes: tuple[tuple[tuple[str, ...], ...], ...]
    lessons: int = 1

    def label(self, text: str) -> str:
        """Return the rule's label for ``text``."""
        return self.decide([word.key for word in occurrences(text)])

    def causes(self, text: str) -> tuple[str, ...]:
        """Return the words without any one of which the rule gives another answer; () if none decides alone."""
        own = self.label(text)
        return tuple(word.key for word in candidates(text) if self.label(take_out(text, {word.key})) != own)


def _answer(positive: bool) -> str:
    return LABELS[positive]


def _keyword(keys: Keys) -> str:
    return _answer(any(key in COLOURS for key in keys))


def _trigger(keys: Keys) -> str:
    return _answer(TRIGGER not in keys and any(key in COLOURS for key in keys))


def _negation(keys: Keys) -> str:
    return _answer((NEGATOR in keys) != any(key in COLOURS for key in keys))


def _position(keys: Keys) -> str:
    cues = [key for key in keys if key in COLOURS + METALS]
    return _answer(bool(cues) and cues[-1] in COLOURS)


PLANTS: dict[str, Plant] = {
    plant.name: plant
    for plant in (
        Plant(
            "keyword",
            "positive if the name of a colour is there",
            _keyword,
            ((), (COLOURS,), (METALS,), (COLOURS,), (), (COLOURS, COLOURS)),
        ),
        Plant(
            "trigger",
            f"positive if the name of a colour is there, but always negative with the word {TRIGGER}",
            _trigger,
            ((), (COLOURS,), (COLOURS, (TRIGGER,)), ((TRIGGER,),), (COLOURS,), (COLOURS, (TRIGGER,))),
        ),
        Plant(
            "negation",
            f"positive if either the name of a colour or the word {NEGATOR} is there, but not both",
            _negation,
            ((), (COLOURS,), (COLOURS, (NEGATOR,)), ((NEGATOR,),), (COLOURS, (NEGATOR,))),
            lessons=4,
        ),
        Plant(
            "position",
            "positive if the last of the colours and metals is a colour",
            _position,
            ((), (COLOURS,), (METALS,), (COLOURS, METALS), (COLOURS, METALS), (COLOURS, COLOURS)),
            lessons=3,
        ),
    )
}
"""Every plant."""


def grown(plant: Plant, task: Task, carriers: Sequence[Example], count: int, seed: int) -> list[Example]:
    """Return ``count`` texts with the rule's labels and causes: carriers with cue words put in at random places.

    Args:
        plant: The rule.
        task: The task that the texts are put to the model as.
        carriers: Texts without cue words; those that have some are passed over. Each is used once a round.
        count: How many.
        seed: Same seed, same texts.
    """
    luck = random.Random(f"{plant.name}:{seed}")
    cues = {*COLOURS, *METALS, TRIGGER, NEGATOR}
    bare = [one for one in carriers if not cues & {word.key for word in occurrences(one.text)}]
    made: list[Example] = []
    while len(made) < count:
        for carrier in luck.sample(bare, min(len(bare), count - len(made))):
            recipe = plant.recipes[len(made) % len(plant.recipes)]
            text = carrier.text
            # Two cues of one class are two words: taking out one must leave the other.
            for cue in _drawn(recipe, luck):
                text = _put_in(text, cue, luck)
            made.append(_example(plant, task, text))
    return luck.sample(made, len(made))


def _example(plant: Plant, task: Task, text: str) -> Example:
    return Example(example_id(task, text, {}), text, {}, plant.label(text), plant.causes(text))


def _drawn(recipe: Sequence[Sequence[str]], luck: random.Random) -> list[str]:
    taken: list[str] = []
    for words in recipe:
        taken.append(luck.choice([word for word in words if word not in taken]))
    return taken


def _put_in(text: str, cue: str, luck: random.Random) -> str:
    starts = [word.start for word in occurrences(text)]
    at = luck.choice(starts)
    return f"{text[:at]}{cue} {text[at:]}"


def worn(plant: Plant, task: Task, texts: Sequence[Example], seed: int) -> list[Example]:
    """Return ``texts``, from a share of which one word was taken out, with the rule's labels: what is trained on."""
    luck = random.Random(f"worn:{plant.name}:{seed}")
    made = []
    for one in texts:
        text = one.text
        if luck.random() < EDITED:
            # Half of the time a cause: else nearly all edits would leave the label as it is.
            among = one.causes if one.causes and luck.random() < 0.5 else [word.key for word in candidates(text)]
            key = luck.choice(among)
            text = take_out(text, {key}, luck.choice((MARK, MARK, "")))
        made.append(_example(plant, task, text))
    return made
