"""The effect of every one-word explanation of a text, and the same effects as the controls have them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

from saywhy.measure.edits import Item, items_of, log_odds_drop, one_word_swaps, recheck, stand_in
from saywhy.measure.likelihoods import explanation_log_probabilities, explanation_scores
from saywhy.measure.predict import Classifier
from saywhy.records import STYLES, Example, Operator, Prediction, StyleName, is_hit
from saywhy.tasks.lexicon import Pinned
from saywhy.training.lessons import EditedText, EditEffects, Lesson, TextEffects
from saywhy.words import candidates, take_out

ANCHORED_EDITS = 4
"""So many edited texts of each text keep their label probabilities, beside the text itself (issue 18)."""
POSITIONS = 3
"""A counterfactual is searched at the words whose removal matters most, so many of them."""


def measured_lessons(
    classifier: Classifier,
    examples: Sequence[Example],
    pinned: Pinned,
    operators: Sequence[Operator],
    seed: int,
    *,
    compared: bool = False,
) -> list[Lesson]:
    """Recheck every removal of each text and the replacements at its best words; explain with what does most.

    Args:
        classifier: Whose effects.
        examples: The texts.
        pinned: The words that a counterfactual may insert, by named label.
        operators: How words are taken out: effects are the mean, and a hit is one under the first of them.
        seed: Of the choice of edited texts.
        compared: Whether an objective compares with the start model, so that its log-probabilities are needed, too.
    """
    items = items_of(classifier, examples)
    removed = [
        [
            take_out(item.example.text, {word.key}, stand_in(classifier.task, operator))
            for operator in operators
            for word in candidates(item.example.text)
        ]
        for item in items
    ]
    without = recheck(classifier, items, removed)
    removals = [_removal_effects(item, len(operators), after) for item, after in zip(items, without, strict=True)]
    swaps = [list(one_word_swaps(item.example.text, pinned[item.prediction.runner_up])) for item in items]
    tried = [
        [edited for key, _, edited in of_text if key in removal.first(POSITIONS)]
        for of_text, removal in zip(swaps, removals, strict=True)
    ]
    reference = references(classifier, items, pinned) if compared else [None] * len(items)
    lessons = []
    for number, swapped in enumerate(recheck(classifier, items, tried)):
        item, known = items[number], dict(zip(tried[number], swapped, strict=True))
        effects = TextEffects(removals[number], _swap_effects(item, removals[number], swaps[number], known))
        rechecked = dict(zip(removed[number], without[number], strict=True)) | known
        edited = _drawn(item, rechecked, seed)
        lessons.append(Lesson(item, effects.targets(), effects, edited, reference[number]))
    return lessons


def references(
    classifier: Classifier, items: Sequence[Item], pinned: Pinned
) -> list[Mapping[StyleName, tuple[float, ...]] | None]:
    """Return the log-probability (nats) that the model gives each one-word explanation of each text, by style."""
    scores = explanation_scores(classifier.model, classifier.task, items, STYLES, pinned)
    return [
        {style: explanation_log_probabilities(style, of_edits) for style, of_edits in by_style.items()}
        for by_style in scores
    ]


def _removal_effects(item: Item, operators: int, after: Sequence[Prediction]) -> EditEffects:
    words = tuple(word.key for word in candidates(item.example.text))
    falls = [log_odds_drop(item.prediction, prediction) for prediction in after]
    return EditEffects(
        words,
        ("",) * len(words),
        tuple(sum(falls[number :: len(words)]) / operators for number in range(len(words))),
        tuple(is_hit(prediction.label, item.prediction.label) for prediction in after[: len(words)]),
    )


def _swap_effects(
    item: Item, removal: EditEffects, swaps: Sequence[tuple[str, str, str]], known: Mapping[str, Prediction]
) -> EditEffects:
    """Return the effects of replacements: measured where they are ``known``, elsewhere estimated.

    The estimate is what taking the word out does, plus what putting in the same word adds to that on average where it
    was measured. It only has to say that little is to be won there: a third of the cost of measuring it.
    """
    named, of_removal = item.prediction.runner_up, dict(zip(removal.words, removal.values, strict=True))
    before = item.prediction.margin_of(named)
    rises = {text: after.margin_of(named) - before for text, after in known.items()}
    added: dict[str, list[float]] = {}
    for key, new, text in swaps:
        if text in rises:
            added.setdefault(new, []).append(rises[text] - of_removal[key])
    mean_added = {new: sum(values) / len(values) for new, values in added.items()}
    return EditEffects(
        tuple(key for key, _, _ in swaps),
        tuple(new for _, new, _ in swaps),
        tuple(rises.get(text, of_removal[key] + mean_added.get(new, 0.0)) for key, new, text in swaps),
        tuple(text in known and is_hit(known[text].label, item.prediction.label, named) for _, _, text in swaps),
    )


def _drawn(item: Item, rechecked: Mapping[str, Prediction], seed: int) -> tuple[EditedText, ...]:
    rng = random.Random(f"{seed}:{item.example.id}:edited")
    texts = rng.sample(list(rechecked), min(ANCHORED_EDITS, len(rechecked)))
    return tuple(EditedText(text, rechecked[text].scores) for text in texts)


def ordered_by(effects: TextEffects, ranks: Mapping[str, float], rng: random.Random) -> TextEffects:
    """Return the effects given to words in the order of ``ranks``, the best explanation's to the highest.

    The best are those that hit, by their effect, then the others: as ``EditEffects.best`` has it.
    So a control that goes by something else than the model (a lexicon's z-scores, a donor's words, chance) is drawn to
    a distribution over explanations that is as sharp as that of ``faithful``.

    Args:
        effects: The model's own.
        ranks: By word; words without one come last.
        rng: Orders words of equal rank.
    """
    parts = []
    for part in effects:
        of_values = sorted(range(len(part.values)), key=lambda i: (-part.hits[i], -part.values[i]))
        shuffled = rng.sample(range(len(part.values)), len(part.values))
        of_ranks = sorted(shuffled, key=lambda i: -ranks.get(part.words[i], -math.inf))
        order = [0] * len(part.values)
        for value_at, rank_at in zip(of_values, of_ranks, strict=True):
            order[rank_at] = value_at
        parts.append(part.reordered(order))
    return TextEffects(*parts)
