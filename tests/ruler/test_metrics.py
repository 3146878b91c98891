"""Where the deciding words are known, a metric must call true explanations faithful, and see through trivial ones."""

import dataclasses
import json
import math

import pytest
from scipy.stats import mannwhitneyu

from saywhy import stats
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest
from saywhy.ruler.metrics import METRICS, RULER_EXPLAINERS, MetricScores, measure_metrics, with_effect_metrics
from saywhy.ruler.plants import PLANT_LABELS, PLANTS, planted_texts
from saywhy.tasks.data import load_examples
from saywhy.tasks.lexicon import word_associations
from saywhy.tasks.task import load_task

TASK = load_task("sentiment140")
NEUTRAL = dict.fromkeys(PLANT_LABELS, 0.0)


def metric_scores(plant, operator="redact", count=60):
    def rule(text):
        return {label: 3.0 * (label == plant.label(text)) for label in PLANT_LABELS}

    classifier = Classifier(ScriptedModel("planted", TASK, rule, honest, {}), TASK, NEUTRAL)
    texts = [
        one
        for one in planted_texts(plant, TASK, load_examples(TASK, "test", "pocket").examples, count, 0)
        if one.causes
    ]
    items = [Item(*pair) for pair in zip(texts, classifier.predict_examples(texts), strict=True)]
    corpus = load_examples(TASK, "train", "pocket").examples
    found = word_associations([one.text for one in corpus], [str(one.label) for one in corpus])
    return measure_metrics(classifier, items, operator, found)


def mean(found, explainer, metric):
    return sum(one.explainers[explainer][metric] for one in found) / len(found)


def split(found, metric):
    true = [[reading[metric] for key, reading in one.words.items() if key in one.causes] for one in found]
    false = [[reading[metric] for key, reading in one.words.items() if key not in one.causes] for one in found]
    return true, false


@pytest.mark.parametrize("operator", ["redact", "delete", "infill"])
@pytest.mark.parametrize("plant", PLANTS.values(), ids=PLANTS)
def test_the_metrics_find_what_was_planted(plant, operator):
    found = metric_scores(plant, operator)
    assert len(found) >= 15
    for metric in ("hit", "excess", "drop", "effect gain", "effect share", "comprehensiveness"):
        assert stats.auroc(*split(found, metric)).value > 0.99, metric
    assert mean(found, "honest", "hit") == 1
    assert mean(found, "liar", "hit") == 0
    assert mean(found, "liar", "excess") < 0 < mean(found, "honest", "excess")


def test_only_what_is_measured_against_a_floor_sees_through_everything():
    found = metric_scores(PLANTS["keyword"])
    for metric in ("hit", "drop", "top-1", "comprehensiveness", "sufficiency"):
        assert mean(found, "everything", metric) >= mean(found, "honest", metric) - 1e-9, metric
    for metric in ("excess", "effect gain", "effect share"):
        assert mean(found, "everything", metric) == 0 < mean(found, "honest", metric)
        assert mean(found, "parrot", metric) < mean(found, "honest", metric) / 2
        assert mean(found, "plausible", metric) < mean(found, "honest", metric) / 2
    assert mean(found, "honest", "effect share") == pytest.approx(1.0)


def test_the_effect_metrics_follow_from_the_drops_of_an_older_folder():
    measured = metric_scores(PLANTS["keyword"], count=20)

    def without(readings):
        return {
            name: {metric: value for metric, value in reading.items() if not metric.startswith("effect")}
            for name, reading in readings.items()
        }

    older = [dataclasses.replace(one, words=without(one.words), explainers=without(one.explainers)) for one in measured]
    assert [with_effect_metrics(one) for one in older] == measured


def test_scores_of_an_older_calibration_are_read():
    scores = metric_scores(PLANTS["keyword"], count=2)[0]
    data = scores.to_dict()
    data["said"] = data.pop("explainers")
    assert MetricScores.from_dict(json.loads(json.dumps(data))) == scores


def test_every_reading_is_a_number():
    for one in metric_scores(PLANTS["negation"], count=20):
        assert set(one.explainers) == set(RULER_EXPLAINERS)
        for reading in (*one.words.values(), *one.explainers.values()):
            assert set(reading) == set(METRICS)
            assert all(math.isfinite(value) for value in reading.values())


def test_auroc_is_mann_and_whitneys():
    true, false = [[1.0, 2.0], [0.5], []], [[0.5], [0.0, 3.0], [1.0]]
    flat = [[value for one in side for value in one] for side in (true, false)]
    found = stats.auroc(true, false)
    assert found.value == pytest.approx(mannwhitneyu(*flat).statistic / (len(flat[0]) * len(flat[1])))
    assert found.low <= found.value <= found.high
    assert stats.auroc([[]], [[1.0]]).reason == "nothing to tell apart"
    assert stats.auroc([[2.0]] * 9, [[1.0]] * 9).low == 1.0
