"""Attribution that does not look at the model: what a method has to be better than."""

from __future__ import annotations

import random
from collections.abc import Sequence

from saywhy.attribution import Options
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.records import SaywhyError, WordScores
from saywhy.words import candidates


def lexical(
    classifier: Classifier, items: Sequence[Item], options: Options, tick: Tick | None = None
) -> list[WordScores]:
    """Return how strongly a corpus associates each word with the predicted label (z-scores; unknown words 0).

    Plausible whatever the model does. Log-odds with an informative Dirichlet prior (``lexicon.associations``).

    Raises:
        SaywhyError: If ``options`` brings no associations.
    """
    if not options.associations:
        raise SaywhyError("lexical needs a corpus's associations: give labelled training texts")
    found = []
    for item in items:
        known = options.associations.get(item.prediction.label, {})
        keys = tuple(word.key for word in candidates(item.example.text))
        found.append(WordScores(keys, tuple(known.get(key, 0.0) for key in keys), "lexical"))
    if tick:
        tick(len(items))
    return found


def at_random(
    classifier: Classifier, items: Sequence[Item], options: Options, tick: Tick | None = None
) -> list[WordScores]:
    """Return uniform random scores in [0, 1); a text's hang on ``options.seed`` and its id alone."""
    found = []
    for item in items:
        rng = random.Random(f"{options.seed}:{item.example.id}")
        keys = tuple(word.key for word in candidates(item.example.text))
        found.append(WordScores(keys, tuple(rng.random() for _ in keys), "random"))
    if tick:
        tick(len(items))
    return found
