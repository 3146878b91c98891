"""What is said of a decision in one line is true of what was tried, whatever the style and the budget."""

from explainer.test_explainer import ONE_CAUSE, explainer
from measure.test_toys import TASK
from saywhy.explainer.explainer import Explainer
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, parrot


def test_a_replacement_that_brings_another_answer_than_the_named_one_is_said_to():
    """Of three answers the changed one may be neither the old one nor the one that was asked for."""
    task = TASK.model_copy(update={"labels": {**TASK.labels, "odd": "strange"}})

    def rule(text):
        return {"bad": 0.2, "good": 1.0 if "great" in text else 0.0, "odd": 3.0 if "storm" in text else 0.0}

    def storm(request):
        return request.text.replace("great", "storm")

    model = Explainer(
        Classifier(ScriptedModel("toy", task, rule, storm, {}), task, dict.fromkeys(task.labels, 0.0)), {}
    )
    model.classifier.model.answers = frozenset({"choose", "generate"})
    decision = model.decide(ONE_CAUSE, effort="search", styles=("counterfactual",))
    assert (decision.check.status, decision.check.label_without) == ("does_not_hold", "odd")
    assert decision.message.startswith('the model replaces "great", but the answer is then strange, not negative; ')
    assert decision.fallback.words == ("great",)


def test_a_replacement_is_never_said_to_be_a_removal():
    decision = explainer().decide(ONE_CAUSE, styles=("counterfactual",))
    assert decision.check.status == "too_close"
    assert decision.message == (
        'with another word in place of "What" the answer is negative, but so it is with 100 % of 10 other '
        "replacements that were tried: this one tells nothing"
    )


def test_what_was_not_tried_is_not_said_to_fail():
    words = [f"word{number}" for number in range(12)]
    limited = explainer(parrot).decide(" ".join(words), effort="repair", budget=3)
    assert limited.message.endswith("its next words were not all tried within the budget")
    assert explainer(parrot).decide(" ".join(words)).message.endswith("nor do its next words hold")
    decision = explainer(parrot).decide(" ".join(words), effort="search")
    assert decision.rechecks < len(words) * len(words) / 2  # not every pair
    assert decision.message.endswith("no single word holds, nor do two of the 6 strongest together")
    limited = explainer(parrot).decide(" ".join(words), effort="search", budget=14)
    assert limited.message.endswith("2 of 15 pairs were tried within the budget, none holds")
