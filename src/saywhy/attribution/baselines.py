"""Attribution that does not look at the model: the baselines of the methods that do."""

from __future__ import annotations

import random
from collections.abc import Sequence

from saywhy.attribution import MethodOptions
from saywhy.attribution.scores import WordScores
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.records import SaywhyError
from saywhy.words import candidates


def lexical_scores(
    classifier: Classifier, items: Sequence[Item], options: MethodOptions, tick: Tick | None = None
) -> list[WordScores]:
    """Return how strongly a corpus associates each word with the predicted label (z-scores; unknown words 0).

    Plausible whatever the model does. Log-odds with an informative Dirichlet prior (``lexicon.word_associations``).

    Raises:
        SaywhyError: If ``options`` brings no associations.
    """
    if not options.associations:
        raise SaywhyError("lexical needs a corpus's associations: give labelled training texts")
    scores = []
    for item in items:
        z_scores = options.associations.get(item.prediction.label, {})
        keys = tuple(word.key for word in candidates(item.example.text))
        scores.append(WordScores(keys, tuple(z_scores.get(key, 0.0) for key in keys), "lexical"))
    if tick:
        tick(len(items))
    return scores


def random_scores(
    classifier: Classifier, items: Sequence[Item], options: MethodOptions, tick: Tick | None = None
) -> list[WordScores]:
    """Return uniform random scores in [0, 1); a text's depend on ``options.seed`` and its id alone."""
    scores = []
    for item in items:
        rng = random.Random(f"{options.seed}:{item.example.id}")
        keys = tuple(word.key for word in candidates(item.example.text))
        scores.append(WordScores(keys, tuple(rng.random() for _ in keys), "random"))
    if tick:
        tick(len(items))
    return scores
