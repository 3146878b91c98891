"""Texts with the predictions of a model, and models whose words have known weights: for the tests of attribution."""

import tiny
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest, keyword_rule
from saywhy.words import candidates

# The last labels have several tokens in the tiny vocabulary.
TASKS = [
    tiny.TASK,
    tiny.TASK.model_copy(update={"labels": {"negative": "dreadful", "positive": "splendid!"}}),
]
TEXTS = (
    "Great day, what a GREAT, great day!",
    "My awful flight is late again :(",
    "I don\u2019t love it &amp; him",
)


def setting(model, task=tiny.TASK, texts=TEXTS):
    constants = dict(zip(task.labels, (-0.3, -1.4), strict=True))
    classifier = Classifier(model, task, constants)
    examples = tiny.examples(texts)
    predictions = classifier.predict_examples(examples)
    return classifier, [Item(*pair) for pair in zip(examples, predictions, strict=True)]


def planted(text, weights=None):
    """Return a model that adds up the weights of words, and the text as an item; planted: what each word must get."""
    weights = weights or {"great": 2.0, "nice": 1.25, "awful": -3.0, ":(": -0.5}
    cues = {
        "positive": {word: weight for word, weight in weights.items() if weight > 0},
        "negative": {word: -weight for word, weight in weights.items() if weight < 0},
    }
    rule = keyword_rule(tiny.TASK, cues, default="negative")
    classifier, [item] = setting(ScriptedModel("linear", tiny.TASK, rule, honest, tiny.PINNED), texts=(text,))
    sign = 1 if item.prediction.label == "positive" else -1
    return classifier, item, [sign * weights.get(word.key, 0.0) for word in candidates(text)]


ASSOCIATED = {"negative": {"awful": 3.0, "great": -2.0}, "positive": {"great": 2.0, "awful": -3.0}}
