"""Scripted explainers of known truth that speak in sentences, and what the metrics of sentences say of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from saywhy.measure.edits import Item, items_of, leave_one_out_tables
from saywhy.measure.insertions import (
    ExplainTexts,
    InsertedWord,
    PlacedWord,
    ReadExplanation,
    drawn_insertions,
    measure_insertions,
    placed_words,
)
from saywhy.measure.predict import Classifier
from saywhy.measure.sentences import SentencePlan, measure_sentences, mention_reader
from saywhy.measure.simulations import GivenExplanation
from saywhy.protocol.wordings import REQUESTED_LENGTHS
from saywhy.records import Operator
from saywhy.ruler.metrics import NAMES_ALL_WORDS, RULER_EXPLAINERS, RulerExplainer
from saywhy.ruler.plants import Plant
from saywhy.stats.sentences import SentenceScores
from saywhy.tasks.lexicon import Associations
from saywhy.words import candidates, take_out

PLANTED = "planted"
"""The arm of the records: the model of a planted rule."""

SentenceExplainer = Callable[[Item, str, Associations, int | None], str]
"""Maps an item, a seed, the corpus's associations and a requested length (in words, None: any) to an explanation."""

SCRIPTED_LENGTHS = REQUESTED_LENGTHS["keywords"]
"""Lengths, in words, that scripted explainers are asked for."""


def reason_sentence(words: Sequence[str]) -> str:
    """Return a sentence that gives words as the reason; one that mentions nothing where there are none.

    >>> reason_sentence(("teal", "late"))
    'The answer was decided by “teal” and “late”.'
    """
    if not words:
        return "This was not decided by any such word."
    *others, last = (f"\u201c{word}\u201d" for word in words)
    before = f"{', '.join(others)} and " if others else ""
    return f"The answer was decided by {before}{last}."


def _all_causes(item: Item, seed: str, associations: Associations) -> tuple[str, ...]:
    """Name every accepted cause: a sentence has room for all."""
    return item.example.causes


def _chatty(item: Item, seed: str, associations: Associations) -> tuple[str, ...]:
    """Mention half of the text, drawn at random."""
    keys = [word.key for word in candidates(item.example.text)]
    return tuple(random.Random(f"chatty:{seed}:{item.example.id}:{len(keys)}").sample(keys, (len(keys) + 1) // 2))


def _denier(item: Item, seed: str, associations: Associations, length: int | None) -> str:
    """Deny every accepted cause."""
    causes = " or ".join(f"\u201c{word}\u201d" for word in item.example.causes[:length])
    return f"This is not because of {causes}." if causes else reason_sentence(())


def _in_a_sentence(name: str, explainer: RulerExplainer) -> SentenceExplainer:
    """Return the explainer in a sentence: the first of its words where a length is asked for, or *everything*."""

    def explain(item: Item, seed: str, associations: Associations, length: int | None) -> str:
        words = explainer(item, seed, associations)
        return reason_sentence(words if name == NAMES_ALL_WORDS else words[:length])

    return explain


SENTENCE_EXPLAINERS: Mapping[str, SentenceExplainer] = {
    **{
        name: _in_a_sentence(name, explainer)
        for name, explainer in {**RULER_EXPLAINERS, "honest": _all_causes, "chatty": _chatty}.items()
    },
    "denier": _denier,
}
"""Those of ``RULER_EXPLAINERS`` in a sentence each, of which the honest one names all accepted causes, and two more."""


def measure_sentence_explainers(
    classifier: Classifier,
    items: Sequence[Item],
    plant: Plant,
    operators: Sequence[Operator],
    associations: Associations,
    seed: int,
    among: Sequence[Item] | None = None,
) -> list[SentenceScores]:
    """Return what the metrics of sentences say of each explainer of known truth: a record a text, explainer, operator.

    Words are inserted where an accepted cause was taken out of the text: the cause itself, which moves the answer back,
    and modifiers, which the rule does not know.

    Args:
        classifier: The planted model.
        items: Texts that know their causes, with the model's answers; those without a cause are to be left out.
        plant: The rule, which says what the causes of a changed text are.
        operators: How words are taken out; the first is the primary one.
        associations: A corpus's associations of words with the labels, whatever the model uses.
        seed: Seed of the explainers' choices.
        among: All texts, whose explanations are controls of each other; None: ``items``.
    """
    tables = {operator: leave_one_out_tables(classifier, items, operator) for operator in operators}
    placed = _placed_causes(classifier, items, plant, seed)
    read = mention_reader(classifier.task)

    def explanations_of(name: str, asked: Sequence[Item], length: int | None = None) -> list[str]:
        return [SENTENCE_EXPLAINERS[name](item, str(seed), associations, length) for item in asked]

    def explained_by(name: str) -> ExplainTexts:
        def explain(asked: Sequence[Item], length: int | None) -> list[ReadExplanation]:
            readings = [
                read(name, item.example.text, text)
                for item, text in zip(asked, explanations_of(name, asked, length), strict=True)
            ]
            return [ReadExplanation(reading, len(reading.words)) for reading in readings]

        return explain

    insertions = {
        name: measure_insertions(placed, explained_by(name), SCRIPTED_LENGTHS) for name in SENTENCE_EXPLAINERS
    }
    by_name = {name: explanations_of(name, items) for name in SENTENCE_EXPLAINERS}
    explanations = [{name: texts[i] for name, texts in by_name.items()} for i in range(len(items))]
    everyone = items if among is None else among
    pool = {
        name: [
            GivenExplanation(item.example.id, item.prediction.label, text)
            for item, text in zip(everyone, explanations_of(name, everyone), strict=True)
        ]
        for name in SENTENCE_EXPLAINERS
    }
    plan = SentencePlan(PLANTED, read, seed, insertions, pool=pool)
    return measure_sentences(classifier, items, tables, explanations, plan)


def _placed_causes(classifier: Classifier, items: Sequence[Item], plant: Plant, seed: int) -> list[list[PlacedWord]]:
    """Put modifiers, and the cause, into each text without its first accepted cause; each knows its causes then."""
    bases = items_of(
        classifier,
        [replace(item.example, text=take_out(item.example.text, item.example.causes[:1], "")) for item in items],
    )
    words = [
        [*drawn_insertions(base, {}, seed), InsertedWord(item.example.causes[0], targeted=True)]
        for item, base in zip(items, bases, strict=True)
    ]
    return [
        [word._replace(after=_with_causes(word.after, plant)) for word in of_text]
        for of_text in placed_words(classifier, bases, words)
    ]


def _with_causes(item: Item, plant: Plant) -> Item:
    """Return a text with its causes by the rule."""
    return replace(item, example=replace(item.example, causes=plant.causes(item.example.text)))
