"""Replies in sentences of models of known truth: what the audit keeps of them by each metric."""

import pytest
from test_toys import BY_HAND, PINNED, classifier, examples

from saywhy.measure.audit import AuditPlan, audit
from saywhy.measure.sentence_audit import AuditedSentences, SentenceAuditPlan, audit_sentences
from saywhy.models.scripted import honest, liar
from saywhy.records import OPERATORS, SENTENCE_STYLES

TEXTS = ("What a great sunny day", "An awful day with nice shoes", "It was great, just GREAT!")


def scores_of(explain, texts=TEXTS):
    toy, asked = classifier(explain), examples(texts)
    plan = AuditPlan("toy", PINNED, SENTENCE_STYLES, ("sentences",), ("generated",), OPERATORS)
    records = audit(toy, asked, plan)
    sentence_plan = SentenceAuditPlan("toy", 0, OPERATORS, PINNED, untrained=False)
    return records, audit_sentences(toy, asked, AuditedSentences(records.rows, records.tables), sentence_plan)


def test_the_metrics_of_a_reply_are_of_the_words_that_its_row_has():
    records, scores = scores_of(honest, tuple(BY_HAND))
    rows = {(row.id, row.style, row.operator): row for row in records.rows}
    assert len(scores) == len(rows) == len(BY_HAND) * len(SENTENCE_STYLES) * len(OPERATORS)
    for record in scores:
        row = rows[record.id, record.style, record.operator]
        assert (record.mentioned, record.denied) == (row.words, row.denied)
        if len(row.words) == 1:
            assert record.values["necessity gain"] == pytest.approx(row.effect - row.effect_floor)
            assert record.values["necessity excess"] == row.excess


@pytest.mark.parametrize("style", SENTENCE_STYLES)
def test_an_honest_audit_stands_above_a_liars_in_every_set_metric(style):
    means = {}
    for explain in (honest, liar):
        scores = [record for record in scores_of(explain)[1] if (record.style, record.operator) == (style, "redact")]
        for metric in ("mention AUROC", "necessity gain", "sufficiency gain", "simulatability"):
            means[explain, metric] = sum(record.value(metric) for record in scores) / len(scores)
    for metric in ("mention AUROC", "necessity gain", "sufficiency gain", "simulatability"):
        assert means[honest, metric] > means[liar, metric] + 0.2, metric


def test_inserted_words_are_explained_by_the_audited_model():
    scores = scores_of(honest)[1]
    insertions = [insertion for record in scores for insertion in record.insertions]
    assert {insertion["targeted"] for insertion in insertions} == {True, False}
    assert all(insertion["mentioned"] for insertion in insertions if insertion["moved"] and insertion["targeted"])
