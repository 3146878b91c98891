"""Which metric of sentences tells honest ones from lies, chatter and denials, on planted rules."""

import dataclasses
import math

import pytest

from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest
from saywhy.report import sentence_metrics
from saywhy.report.calibration import MeasuredPlant
from saywhy.report.calibration_sentences import (
    FALSE_SENTENCE_EXPLAINERS,
    SentenceCalibration,
    fooling_sentences,
    sentence_auroc,
    sentence_verdicts,
)
from saywhy.report.load import load_run
from saywhy.report.marks import FOOLED_SIGN, FooledMetrics
from saywhy.ruler.metrics import MetricScores
from saywhy.ruler.plants import PLANT_LABELS, PLANTS, planted_texts
from saywhy.ruler.sentences import SCRIPTED_LENGTHS, SENTENCE_EXPLAINERS, measure_sentence_explainers, reason_sentence
from saywhy.stats.sentences import SENTENCE_METRICS, insertion_interval
from saywhy.tasks.data import load_examples
from saywhy.tasks.lexicon import word_associations
from saywhy.tasks.task import load_task
from written_runs import write_run

TASK = load_task("sentiment140")
LEARNED = ("keyword", "trigger")
ONCE = ("consistency", "insertion agreement", "F-AUROC", "simulatability")


def measured(plant, count=60):
    def rule(text):
        return {label: 3.0 * (label == plant.label(text)) for label in PLANT_LABELS}

    neutral = dict.fromkeys(PLANT_LABELS, 0.0)
    classifier = Classifier(ScriptedModel("planted", TASK, rule, honest, {}), TASK, neutral)
    drawn = planted_texts(plant, TASK, load_examples(TASK, "test", "pocket").examples, count, 0)
    texts = [example for example in drawn if example.causes]
    items = [Item(*pair) for pair in zip(texts, classifier.predict_examples(texts), strict=True)]
    corpus = load_examples(TASK, "train", "pocket").examples
    associations = word_associations([text.text for text in corpus], [str(text.label) for text in corpus])
    return texts, measure_sentence_explainers(classifier, items, plant, ("redact",), associations, 0)


@pytest.fixture(scope="module", params=LEARNED)
def plant(request):
    texts, records = measured(PLANTS[request.param])
    return texts, {name: [record for record in records if record.style == name] for name in SENTENCE_EXPLAINERS}


def test_every_explainer_says_what_its_name_promises(plant):
    texts, by_name = plant
    for number, example in enumerate(texts):
        said = {name: set(records[number].mentioned) for name, records in by_name.items()}
        assert said["honest"] == set(example.causes)
        assert not said["liar"] & set(example.causes)
        assert len(said["parrot"]) <= 1
        assert said["denier"] == set()
        assert set(by_name["denier"][number].denied) == set(example.causes)
        assert len(said["chatty"]) <= math.ceil(len(said["everything"]) / 2) + 1


def test_metrics_of_sentences_are_not_fooled_where_one_word_decides(plant):
    texts, by_name = plant
    causes = {example.id: example.causes for example in texts}
    for metric in (*SENTENCE_METRICS[:8], *ONCE):
        # What is left of a text may be negative by default, whatever stays: sufficiency and consistency tell less.
        assert sentence_auroc(by_name, causes, metric).value > 0.75, metric
    for metric in ("mention AUROC", "mention correlation", "necessity excess", "necessity gain", "simulatability"):
        assert sentence_auroc(by_name, causes, metric).value > 0.95, metric
    for metric in (
        "mention AUROC",
        "necessity gain",
        "necessity share",
        "simulatability",
        "insertion agreement",
        "F-AUROC",
    ):
        assert fooling_sentences(by_name, metric) == [], metric


def test_everyone_else_fools_a_metric_that_does_not_exist(plant):
    _, by_name = plant
    assert fooling_sentences(by_name, "early answering") == list(FALSE_SENTENCE_EXPLAINERS)


def test_a_reason_of_no_word_mentions_nothing():
    assert reason_sentence(("teal",)) == "The answer was decided by “teal”."
    assert "“" not in reason_sentence(())


def test_who_fools_a_metric_under_another_operator_alone_is_named(plant):
    texts, by_name = plant
    records = [record for of_name in by_name.values() for record in of_name]
    fooled = [
        dataclasses.replace(record, operator="delete", values={"necessity gain": 1.0}, reasons={}) for record in records
    ]
    causes = [
        MetricScores(text.id, operator, text.causes, {}, {}) for text in texts for operator in ("redact", "delete")
    ]
    made = MeasuredPlant("keyword", 1, 1, {}, (), tuple(causes), (*records, *fooled))
    lines = sentence_verdicts(SentenceCalibration((made,)))
    by_metric = {metric: line for line in lines for metric in SENTENCE_METRICS if f": {metric} " in line}
    names = ", ".join(FALSE_SENTENCE_EXPLAINERS[:-1])
    assert "no scripted explainer fools it under redact; under delete, " + names in by_metric["necessity gain"]
    assert by_metric["mention AUROC"].endswith("no scripted explainer fools it.")


def test_scripted_explainers_of_a_requested_length_are_measured(plant):
    _, by_name = plant
    for name, records in by_name.items():
        lengths = [insertion["length"] for record in records for insertion in record.insertions]
        assert set(lengths) == {None, *SCRIPTED_LENGTHS}, name
    pooled = {name: insertion_interval(records, "F-AUROC", targeted=None).value for name, records in by_name.items()}
    assert pooled["honest"] == 1.0
    assert pooled["everything"] == pooled["denier"] == 0.5
    assert all(pooled["honest"] > pooled[name] + 0.2 for name in FALSE_SENTENCE_EXPLAINERS)
    kept = [insertion["kept_length"] for record in by_name["everything"] for insertion in record.insertions]
    assert True not in kept


def test_what_a_calibration_finds_fooled_in_sentences_is_marked_in_reports(plant, tmp_path, monkeypatch):
    texts, by_name = plant
    fooling = [
        dataclasses.replace(record, operator="delete", values={"necessity gain": 9.0}) for record in by_name["chatty"]
    ]
    records = [record for of_name in by_name.values() for record in of_name]
    honest_ones = [
        dataclasses.replace(record, operator="delete", values={"necessity gain": 1.0}) for record in by_name["honest"]
    ]
    causes = [MetricScores(text.id, "redact", text.causes, {}, {}) for text in texts]
    made = MeasuredPlant("trigger", 1, 1, {}, (), tuple(causes), (*records, *honest_ones, *fooling))
    fooled = SentenceCalibration((made,)).fooled_anywhere
    assert "chatty" in fooled["delete"]["necessity gain"]
    about = {"model": "some-model", "plants": ["trigger"], "texts": len(texts), "fooled": {"redact": {}, "delete": {}}}
    calibrated = FooledMetrics.from_dict({**about, "fooled_sentences": fooled})
    marked = {metric for metrics in fooled.values() for metric, names in metrics.items() if names}
    spoken = tuple(dataclasses.replace(record, style="reasons") for record in by_name["honest"])
    run = dataclasses.replace(load_run(write_run(tmp_path / "audit", arms=("base",), n=4)), sentences=spoken)
    for marks in (calibrated, FooledMetrics.from_dict(about)):
        monkeypatch.setattr(sentence_metrics, "shipped_fooled_metrics", lambda marks=marks: marks)
        [sheet] = sentence_metrics.sentence_metric_sheets(run)
        titles = [str(row[0]) for row in sheet.rows]
        signs = {title.removesuffix(f" {FOOLED_SIGN}"): title.endswith(FOOLED_SIGN) for title in titles}
        shown = {metric: signs[metric] for metric in SENTENCE_METRICS if metric in signs}
        expected = marked & set(shown) if marks is calibrated else set()
        assert {metric for metric, is_marked in shown.items() if is_marked} == expected
        assert signs["insertion, targeted: F-AUROC"] == shown["F-AUROC"]
        assert ("is not known" in sheet.note) == (marks is not calibrated)
        assert ("chatty (mentions half of the text)" in sheet.note) == (marks is calibrated)
        assert "the primary measure" not in sheet.note
    assert calibrated.csv_field("sentences") == ""
