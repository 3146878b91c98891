"""Training rows of a few texts: what the tests of training share."""

import tiny
from saywhy.measure.edits import Item
from saywhy.records import STYLES, Prediction
from saywhy.training import targets, turns
from saywhy.training.encoding import Recipe

RECIPE = Recipe(rate=1e-2, epochs=2, batch=2, rank=4)
TEXTS = (*tiny.TEXTS, "so sad, so sad :(", "I love @you", "cold day, great food")


def made_rows(texts=TEXTS):
    prediction = Prediction("positive", "positive", {"negative": -2.0, "positive": -0.1}, 1.9, "negative")
    items = [Item(example, prediction) for example in tiny.examples(texts)]
    picks = targets.at_random(items, tiny.PINNED, seed=0)
    return turns.rows(tiny.TASK, items, picks, STYLES, labels=["positive"] * len(items))
