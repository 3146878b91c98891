"""Training rows of a few texts: what the tests of training share."""

import tiny
from saywhy.measure.edits import Item
from saywhy.records import STYLES, Prediction
from saywhy.training import rows, targets
from saywhy.training.encoding import Recipe

RECIPE = Recipe(learning_rate=1e-2, num_train_epochs=2, per_device_train_batch_size=2, lora_r=4)
TEXTS = (*tiny.TEXTS, "so sad, so sad :(", "I love @you", "cold day, great food")


def made_rows(texts=TEXTS):
    prediction = Prediction("positive", "positive", {"negative": -2.0, "positive": -0.1}, 1.9, "negative")
    items = [Item(example, prediction) for example in tiny.examples(texts)]
    picks = targets.random_targets(items, tiny.PINNED, seed=0)
    return rows.text_rows(tiny.TASK, items, picks, STYLES, labels=["positive"] * len(items))
