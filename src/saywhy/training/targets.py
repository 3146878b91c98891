"""Pseudo-faithful explanations and their controls: which word an arm explains with (docs/definitions.md).

Which word an explanation is made of is the whole difference between the arms.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from saywhy.attribution import METHODS, MethodOptions
from saywhy.attribution.occlusion import occlusion_scores
from saywhy.attribution.scores import WordScores
from saywhy.config import Config
from saywhy.measure.chats import explanation_chat
from saywhy.measure.edits import Item, items_of, leave_one_out_tables, log_odds_drop, recheck
from saywhy.measure.predict import Classifier, RememberingClassifier
from saywhy.models.interface import Copy, Edit, Gap
from saywhy.records import STYLES, TRAINING_OPERATOR, Example, Prediction, StyleName, Table, is_hit
from saywhy.tasks.lexicon import Associations, Pinned, most_associated
from saywhy.training.effects import POSITIONS, measured_lessons
from saywhy.training.lessons import Lesson, Target
from saywhy.training.named_words import supported_words
from saywhy.words import candidates, fold, free_word_budget, match_case, replace_words


def lessons_of(classifier: Classifier, examples: Sequence[Example], pinned: Pinned, config: Config) -> list[Lesson]:
    """Return the model's answers to some texts and the explanations that are likely to be faithful.

    Where the settings practise or anchor more than one word a text, also the effect of every one-word explanation.
    """
    if not config.whole_tables:
        return _searched(classifier, items_of(classifier, examples), pinned, config)
    classifier = RememberingClassifier(classifier)  # the search below rechecks edits that were measured
    lessons = measured_lessons(
        classifier, examples, pinned, config.target_operators, config.data_seed, compared=config.compares_with_start
    )
    if config.objective != "word":
        return _with_supported_words(classifier, lessons) if config.trains_sentences else lessons
    searched = _searched(classifier, [lesson.item for lesson in lessons], pinned, config)
    return [
        dataclasses.replace(measured, targets=lesson.targets)
        for measured, lesson in zip(lessons, searched, strict=True)
    ]


def _searched(classifier: Classifier, items: Sequence[Item], pinned: Pinned, config: Config) -> list[Lesson]:
    leave_one_out = leave_one_out_tables(classifier, items, TRAINING_OPERATOR)
    if config.target_method == "occlusion":
        scores = occlusion_scores(leave_one_out)
    else:
        options = MethodOptions(TRAINING_OPERATOR, config.steps, config.samples, config.seeds[0])
        scores = METHODS[config.target_method](classifier, items, options)
    targets = faithful_targets(classifier, items, leave_one_out, scores, pinned, infill=config.infill_words)
    if config.trains_sentences:
        supports = [_support(*pair) for pair in zip(scores, leave_one_out, strict=True)]
        named = supported_words(classifier, items, supports)
        targets = [{**in_words, **in_sentences} for in_words, in_sentences in zip(targets, named, strict=True)]
    return [Lesson(*pair) for pair in zip(items, targets, strict=True)]


def _support(scores: WordScores, table: Table) -> dict[str, float]:
    """Return the scores of the words whose removal makes the answer less likely."""
    drops = dict(zip(table.words, table.drops, strict=True))
    return {key: score for key, score in zip(scores.words, scores.scores, strict=True) if drops[key] > 0}


def _with_supported_words(classifier: Classifier, lessons: Sequence[Lesson]) -> list[Lesson]:
    """Return lessons whose effects are known with what their sentences name."""
    supports = [
        {key: fall for key, fall in zip(removal.words, removal.values, strict=True) if fall > 0}
        for removal in (lesson.effects.removal for lesson in lessons if lesson.effects)
    ]
    named = supported_words(classifier, [lesson.item for lesson in lessons], supports)
    return [
        dataclasses.replace(lesson, targets={**lesson.targets, **in_sentences})
        for lesson, in_sentences in zip(lessons, named, strict=True)
    ]


def deciding_words(classifier: Classifier, examples: Sequence[Example]) -> list[str]:
    """Return the word of each text that decides most for ``classifier``, by occlusion: what a donor would name."""
    leave_one_out = leave_one_out_tables(classifier, items_of(classifier, examples), TRAINING_OPERATOR)
    return [table.words[table.best()] for table in leave_one_out]


def faithful_targets(
    classifier: Classifier,
    items: Sequence[Item],
    tables: Sequence[Table],
    scores: Sequence[WordScores],
    pinned: Pinned,
    *,
    infill: int = 0,
) -> list[dict[StyleName, Target]]:
    """Return the explanations likely to be faithful: the best word by attribution, the best counterfactual found.

    Args:
        classifier: The model that explains itself.
        items: Texts and predictions.
        tables: Their leave-one-word-out tables, which say whether a word hits.
        scores: Their words' attribution; by occlusion, these are the tables' drops.
        pinned: The words that a counterfactual may insert, by named label.
        infill: How many of the model's own words the counterfactual search tries at each position beside those.
    """
    swaps = _search(classifier, items, _words_to_try(classifier, items, scores, pinned, infill))
    explanations: list[dict[StyleName, Target]] = []
    for table, of_words, swap in zip(tables, scores, swaps, strict=True):
        best = of_words.best()
        removal = Target((best,), hit=table.hits()[table.words.index(best)])
        explanations.append({"attribution": removal, "redaction": removal, "counterfactual": swap})
    return explanations


def _search(
    classifier: Classifier,
    items: Sequence[Item],
    moves: Sequence[Sequence[tuple[str, str]]],
) -> list[Target]:
    """Recheck every word to try at the best positions at once; take the most fluent edit that hits.

    Fluent is what the model itself would write there: log P(word) in its copy of the text. Where nothing hits,
    the edit that moves the log-odds most is taken, and the target says so.
    """
    edits = [
        [replace_words(item.example.text, {key: _cased(item, key, new)}) for key, new in of_text]
        for item, of_text in zip(items, moves, strict=True)
    ]
    rechecks = recheck(classifier, items, edits)
    copies = [
        Copy(
            explanation_chat(classifier.task, item, "counterfactual", "one-word"),
            item.example.text,
            tuple(Edit(text, _start(item, key) + len(new)) for (key, new), text in zip(of_text, edited, strict=True)),
        )
        for item, of_text, edited in zip(items, moves, edits, strict=True)
    ]
    departures = classifier.model.weigh((), copies)[1]
    targets = []
    for item, of_text, after, leaving in zip(items, moves, rechecks, departures, strict=True):
        label, named = item.prediction.label, item.prediction.runner_up
        hits = [is_hit(prediction.label, label, named) for prediction in after]
        falls = [log_odds_drop(item.prediction, prediction) for prediction in after]
        ranks = [(hit, edit.inserted if hit else fall) for hit, edit, fall in zip(hits, leaving, falls, strict=True)]
        best = max(range(len(ranks)), key=ranks.__getitem__)
        key, new = of_text[best]
        targets.append(Target((key,), (new,), hits[best]))
    return targets


def _words_to_try(
    classifier: Classifier, items: Sequence[Item], scores: Sequence[WordScores], pinned: Pinned, infill: int
) -> list[list[tuple[str, str]]]:
    """Return (word, what to put in its place) at each text's best positions."""
    best = [_highest(of_words) for of_words in scores]
    moves = [
        [(key, new) for key in keys for new in pinned[item.prediction.runner_up] if new != key]
        for item, keys in zip(items, best, strict=True)
    ]
    if infill:
        labels = {fold(word) for word in classifier.task.labels.values()}
        places = [(number, key) for number, keys in enumerate(best) for key in keys]
        gaps = [
            Gap(
                explanation_chat(classifier.task, items[number], "counterfactual", "one-word"),
                items[number].example.text[: _start(items[number], key)],
                frozenset({key, *labels}),
            )
            for number, key in places
        ]
        for (number, key), words in zip(places, classifier.model.infill(gaps, infill), strict=True):
            moves[number] += [(key, new) for new in words if (key, new) not in moves[number]]
    return moves


def _highest(scores: WordScores) -> list[str]:
    """Return the words at which a counterfactual is searched."""
    order = sorted(range(len(scores.words)), key=lambda i: -scores.scores[i])
    return [scores.words[i] for i in order[:POSITIONS]]


def _start(item: Item, key: str) -> int:
    return next(word.core_start for word in candidates(item.example.text) if word.key == key)


def _cased(item: Item, key: str, new: str) -> str:
    core = next(word.core for word in candidates(item.example.text) if word.key == key)
    return match_case(new, core)


def random_targets(
    items: Sequence[Item], pinned: Pinned, seed: int, *, free: bool = False
) -> list[dict[StyleName, Target]]:
    """Return uniformly random words: the matched control, and what ``adapted`` learns the formats from.

    Args:
        items: Texts and predictions.
        pinned: The words that a counterfactual may insert.
        seed: Same seed, same words, whatever the order of the items.
        free: Take two words up to the budget instead of one.
    """
    explanations: list[dict[StyleName, Target]] = []
    for item in items:
        rng = random.Random(f"{seed}:{item.example.id}")
        keys = [word.key for word in candidates(item.example.text)]
        targets: dict[StyleName, Target] = {}
        for style in STYLES:
            size = min(rng.randint(2, free_word_budget(item.example.text)), len(keys)) if free else 1
            words = tuple(sorted(rng.sample(keys, size), key=keys.index))
            swap = style == "counterfactual"
            targets[style] = Target(words, tuple(_other_word(rng, item, pinned, words) for _ in words) if swap else ())
        explanations.append(targets)
    return explanations


def _other_word(rng: random.Random, item: Item, pinned: Pinned, keys: Sequence[str]) -> str:
    """Draw a word to put in the place of one of ``keys``; beside another of them it could be read as that one."""
    words = pinned[item.prediction.runner_up]
    return rng.choice([word for word in words if word not in keys] or [word for word in words if word != keys[0]])


def lexical_targets(
    items: Sequence[Item], associations: Associations, pinned: Pinned, seed: int
) -> list[dict[StyleName, Target]]:
    """Return the word that the corpus associates most with the predicted label, whatever the model uses."""
    words = [most_associated(associations, item.example.text, item.prediction.label) for item in items]
    return targets_naming(items, words, pinned, seed)


def targets_naming(
    items: Sequence[Item], words: Sequence[str], pinned: Pinned, seed: int
) -> list[dict[StyleName, Target]]:
    """Return explanations that name ``words``, one a text; a counterfactual puts a random pinned word there."""
    explanations: list[dict[StyleName, Target]] = []
    for item, key in zip(items, words, strict=True):
        rng = random.Random(f"{seed}:{item.example.id}")
        removal, swap = Target((key,)), Target((key,), (_other_word(rng, item, pinned, (key,)),))
        explanations.append({"attribution": removal, "redaction": removal, "counterfactual": swap})
    return explanations


def as_answered(item: Item, label: str) -> Item:
    """Return ``item`` as if the model had answered ``label``: how ``adapted`` learns the gold labels."""
    before = item.prediction
    others = [other for other in before.scores if other != label]
    runner_up = max(others, key=lambda other: before.scores[other])
    return Item(item.example, Prediction(label, before.raw_label, before.scores, before.margin_of(label), runner_up))
