"""Explainers of known truth for the page: a rule, explained by one who is honest about it and by one who lies."""

from saywhy.explainer.explainer import Explainer
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest, keyword_rule, liar
from saywhy.tasks.task import Task

TWEETS = Task(
    name="toys",
    question="Is this tweet good or bad?",
    lead_in="The tweet is",
    noun="tweet",
    labels={"bad": "negative", "good": "positive"},
)
CUES = {"bad": {"awful": 2.0, "sad": 2.0}, "good": {"great": 2.0, "love": 2.0, "nice": 1.0}}
PINNED = {"bad": ("awful", "sad"), "good": ("great", "love")}

HOLDS = "What a great sunny day, the weather is nice but sad"
"""The removal of one word changes the answer, and few others do."""
PAIR = "I love this great day :)"
"""No single word decides, two do."""
ALONE = "Superb"


def toy_explainer(explain, task=TWEETS):
    """Return an explainer over a scripted model."""
    model = ScriptedModel("toy", task, keyword_rule(task, CUES, default="bad"), explain, PINNED)
    return Explainer(Classifier(model, task, dict.fromkeys(task.labels, 0.0)), PINNED)


def toy_explainers():
    """Return what a service over both has: the honest one as the trained model, the liar as the base."""
    return {"trained": toy_explainer(honest), "base": toy_explainer(liar)}
