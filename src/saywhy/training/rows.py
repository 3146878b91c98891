"""What each arm is trained on: texts, the model's answers, and words (docs/definitions.md, *Arms*)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from saywhy.attribution import METHODS, Options
from saywhy.attribution.occlusion import of_tables
from saywhy.config import Config
from saywhy.measure.edits import Item, tables
from saywhy.measure.predict import Classifier
from saywhy.records import STYLES, TRAINING_OPERATOR, Example, Prediction, SaywhyError, StyleName
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.training import targets, turns
from saywhy.training.targets import Pick, Picks

NOTHING_FLIPS = "no training text has a word that flips the answer: verified=false, or more train_rows"
"""What is said where ``verified`` leaves nothing to train on."""


def pseudo_faithful(
    classifier: Classifier, examples: Sequence[Example], pinned: Pinned, config: Config
) -> tuple[list[Item], list[Picks]]:
    """Return the model's answers to some texts and the one-word explanations that are likely to be faithful."""
    items = [Item(*pair) for pair in zip(examples, classifier.predict_examples(examples), strict=True)]
    made = tables(classifier, items, TRAINING_OPERATOR)
    if config.target_method == "occlusion":
        scores = of_tables(made)
    else:
        options = Options(TRAINING_OPERATOR, config.steps, config.samples, config.seeds[0])
        scores = METHODS[config.target_method](classifier, items, options)
    return items, list(targets.faithful(classifier, items, made, scores, pinned, infill=config.infill_words))


def top_words(classifier: Classifier, examples: Sequence[Example]) -> list[str]:
    """Return the word of each text that decides most for ``classifier``, by occlusion: what a donor would name."""
    items = [Item(*pair) for pair in zip(examples, classifier.predict_examples(examples), strict=True)]
    made = tables(classifier, items, TRAINING_OPERATOR)
    return [one.words[one.best()] for one in made]


ALIKE = 0.6
"""From this share of equal words on, a donor's explanations are hardly those of another rule (DESIGN, *Arms*)."""


def doubt(same: int, texts: int) -> str:
    """Return what to add where a donor names too many of the model's own words, else nothing."""
    return f": more than {ALIKE:.0%}, so transplant is hardly another rule" if same > ALIKE * texts else ""


def to_line(item: Item, picks: Picks) -> dict[str, Any]:
    """Return one line of ``targets.jsonl``."""
    return {
        "id": item.example.id,
        "prediction": item.prediction.to_dict(),
        "picks": {style: pick.to_dict() for style, pick in picks.items()},
    }


def from_line(line: dict[str, Any], by_id: dict[str, Example]) -> tuple[Item, Picks]:
    """Read a line of ``targets.jsonl``."""
    item = Item(by_id[line["id"]], Prediction.from_dict(line["prediction"]))
    return item, {style: Pick.from_dict(pick) for style, pick in line["picks"].items()}


def of_arm(
    config: Config, task: Task, items: Sequence[Item], faithful: Sequence[Picks], picks: Sequence[Picks]
) -> list[dict[str, Any]]:
    """Return the training rows of an arm that takes ``picks``; ``faithful`` decides which texts are kept."""
    keep = [i for i, one in enumerate(faithful) if one["attribution"].hit or not config.verified]
    if not keep:
        raise SaywhyError(NOTHING_FLIPS)
    mine, said = [items[i] for i in keep], [picks[i] for i in keep]
    anchored = config.label_turn == "probabilities"
    labels = [item.prediction.label for item in mine] if config.label_weight and not anchored else None
    rows = turns.rows(task, mine, said, config.train_styles, labels=labels)
    if config.label_weight and anchored:
        rows += turns.anchor_rows(task, mine)
    if config.stay_weight:
        rows += turns.stay_rows(task, mine, said, config.train_styles, config.stay_weight)
    return rows


def of_adapted(config: Config, task: Task, items: Sequence[Item], pinned: Pinned, seed: int) -> list[dict[str, Any]]:
    """Return the rows of ``adapted``: labels, and the formats of all styles and settings from random words."""
    gold = config.adapt_labels == "gold"
    told = [targets.answered(item, str(item.example.label)) for item in items] if gold else list(items)
    rows: list[dict[str, Any]] = []
    for number, setting in enumerate(config.settings):
        mine = told[number :: len(config.settings)]
        picks = targets.at_random(mine, pinned, seed, free=setting == "free")
        labels = [item.prediction.label for item in mine] if gold else None
        rows += turns.rows(task, mine, picks, STYLES, setting, labels=labels)
    return rows


def rehearsal(
    adapted: Sequence[dict[str, Any]], practised: Sequence[StyleName], texts: int, share: float, seed: int
) -> list[dict[str, Any]]:
    """Return rows of ``adapted`` in the styles that an arm does not practise, so that it keeps their formats.

    Args:
        adapted: The rows of ``adapted``: random words in all styles.
        practised: The styles of the arm.
        texts: How many texts it practises on.
        share: Which share of all its texts are to rehearse.
        seed: Of the choice.
    """
    rows = [row for row in adapted if row["style"] in STYLES and row["style"] not in practised]
    ids = sorted({row["id"] for row in rows})
    wanted = min(round(texts * share / (1 - share)), len(ids))
    drawn = set(random.Random(seed).sample(ids, wanted))
    return [row for row in rows if row["id"] in drawn]
