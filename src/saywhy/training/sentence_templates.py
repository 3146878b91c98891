"""The templates of pseudo-faithful explanations in sentences: only the words that fill them differ between arms.

Their own words are plain, and mostly such that any sentence is made of (``protocol.mentions.UNCITED_WORDS``): what such
a template mentions is what it was filled with. A template of a style has nothing else in any text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from saywhy.records import StepsOrder, StyleName

KEYWORD_TEMPLATES: tuple[str, ...] = (
    "{list}",
    "{list}.",
    "{quoted}",
    "{quoted}.",
    "{bold}",
    "Keywords: {list}",
    "Keywords: {quoted}",
    "My keywords: {list}.",
    "My keywords: {bold}",
    "The keywords are: {quoted}.",
    "These words: {list}",
    "These words decided: {quoted}.",
    "Decided by: {list}",
    "In keywords: {list}.",
)
"""``{list}`` stands for the words with commas between them, ``{quoted}`` and ``{bold}`` for the same in such marks."""

REASON_TEMPLATES: tuple[str, ...] = (
    "The answer is {answer} because of the word{s} {words}.",
    "Because of the word{s} {words} the answer is {answer}.",
    "The word{s} {words} decided it: the answer is {answer}.",
    "The word{s} {words} made the answer {answer}.",
    "What decided was the word{s} {words}. So the answer is {answer}.",
    "The {noun} contains the word{s} {words}. This is why the answer is {answer}.",
    "I decided by the word{s} {words}, and so the answer is {answer}.",
    "In this {noun} it was the word{s} {words} that spoke for {answer}.",
    "My reason is that the {noun} has the word{s} {words}. The answer is therefore {answer}.",
    "The answer {answer} rests on the word{s} {words}.",
    "Why {answer}? Because the {noun} says {words}.",
    "I read {words} in the {noun}. That settled it. The answer is {answer}.",
    "With the word{s} {words} the {noun} points to {answer}.",
    "{words} is what the {noun} says, and it made me answer {answer}.",
)
"""``{words}`` stands for quoted words with "and" before the last, ``{s}`` for a plural where there are several."""


class StepsTemplate(NamedTuple):
    """The steps of an explanation.

    Attributes:
        opening: A step before the words; empty: none.
        first: The step that names the first word.
        further: A step that names one word more.
        closing: The last step.
    """

    opening: str
    first: str
    further: str
    closing: str

    def numbered(self, count: int) -> str:
        """Return the numbered steps that name ``count`` words: a template with ``{word}`` for each."""
        steps = [self.opening, self.first, *[self.further] * (count - 1), self.closing]
        return "\n".join(f"{number}. {step}" for number, step in enumerate(filter(None, steps), start=1))


STEP_TEMPLATES: Mapping[StepsOrder, tuple[StepsTemplate, ...]] = {
    "after": (
        StepsTemplate(
            "", "The {noun} has the word {word}.", "It also has the word {word}.", "So the answer is {answer}."
        ),
        StepsTemplate(
            "", "The word {word} speaks for {answer}.", "The word {word} does so as well.", "So the answer is {answer}."
        ),
        StepsTemplate(
            "I read the {noun}.", "In it is the word {word}.", "Then comes the word {word}.", "So I answer {answer}."
        ),
        StepsTemplate("", "First comes the word {word}.", "Next comes the word {word}.", "This means {answer}."),
        StepsTemplate(
            "",
            "What decides is the word {word}.",
            "What adds to it is the word {word}.",
            "The answer is therefore {answer}.",
        ),
        StepsTemplate(
            "", "{word} is in the {noun}.", "{word} is there as well.", "This is what makes the answer {answer}."
        ),
        StepsTemplate(
            "I look for what decides.", "I come to {word}.", "After it I come to {word}.", "From this I get {answer}."
        ),
        StepsTemplate(
            "",
            "I start from the word {word}.",
            "I go on with the word {word}.",
            "I end with the answer {answer}.",
        ),
        StepsTemplate(
            "", "The word {word} points to {answer}.", "So does the word {word}.", "The answer is then {answer}."
        ),
        StepsTemplate(
            "",
            "Because of {word} the answer leans to {answer}.",
            "Because of {word} it does so even more.",
            "Thus it is {answer}.",
        ),
        StepsTemplate(
            "Every word of the {noun} is weighed.",
            "There is weight on {word}.",
            "There is weight on {word} as well.",
            "In sum it is {answer}.",
        ),
        StepsTemplate(
            "",
            "In the {noun} I notice {word}.",
            "I also notice {word}.",
            "With this the answer is {answer}.",
        ),
        StepsTemplate(
            "", "The author wrote {word}.", "The author also wrote {word}.", "It follows that the answer is {answer}."
        ),
    ),
    "before": (
        StepsTemplate("", "The {noun} has the word {word}.", "It also has the word {word}.", "By this I decide."),
        StepsTemplate(
            "I read the {noun}.", "In it is the word {word}.", "Then comes the word {word}.", "Now I can answer."
        ),
        StepsTemplate(
            "", "First comes the word {word}.", "Next comes the word {word}.", "This is what the answer is made of."
        ),
        StepsTemplate(
            "", "What decides is the word {word}.", "What adds to it is the word {word}.", "This settles the answer."
        ),
        StepsTemplate(
            "", "{word} is in the {noun}.", "{word} is there as well.", "This is what the answer will rest on."
        ),
        StepsTemplate(
            "I look for what decides.", "I come to {word}.", "After it I come to {word}.", "With this I can decide."
        ),
        StepsTemplate(
            "", "I start from the word {word}.", "I go on with the word {word}.", "I will end with an answer."
        ),
        StepsTemplate(
            "", "The word {word} points one way.", "The word {word} points that way too.", "The answer will do so."
        ),
        StepsTemplate(
            "",
            "Because of {word} I lean to one side.",
            "Because of {word} I do so even more.",
            "The answer will be on that side.",
        ),
        StepsTemplate(
            "Every word of the {noun} is weighed.",
            "There is weight on {word}.",
            "There is weight on {word} as well.",
            "The sum of it will be the answer.",
        ),
        StepsTemplate("", "In the {noun} I notice {word}.", "I also notice {word}.", "From this comes the answer."),
        StepsTemplate(
            "", "The author wrote {word}.", "The author also wrote {word}.", "It follows what is to be answered."
        ),
    ),
}
"""By the order of steps and answer: those that come before the answer do not give it."""


def sentence_templates(style: StyleName, order: StepsOrder, count: int) -> tuple[str, ...]:
    """Return the templates of a style that name ``count`` words; always as many, in the same order."""
    if style == "keywords":
        return KEYWORD_TEMPLATES
    if style == "reasons":
        return REASON_TEMPLATES
    return tuple(steps.numbered(count) for steps in STEP_TEMPLATES[order])
