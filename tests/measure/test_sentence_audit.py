"""Replies in sentences of models of known truth: what the audit keeps of them by each metric."""

import dataclasses

import pytest
from test_toys import BY_HAND, PINNED, TASK, classifier, examples

from saywhy.measure.audit import AuditPlan, audit
from saywhy.measure.edits import items_of, leave_one_out_tables
from saywhy.measure.sentence_audit import (
    AuditedSentences,
    SentenceAuditPlan,
    audit_sentences,
    measure_audited,
)
from saywhy.measure.sentence_replies import sample_replies
from saywhy.measure.word_sets import set_verdicts
from saywhy.models.interface import Reply
from saywhy.models.scripted import honest, liar
from saywhy.records import OPERATORS, SENTENCE_STYLES
from saywhy.stats.mentions import mention_auroc, set_excess, set_share
from saywhy.words import candidates

TEXTS = ("What a great sunny day", "An awful day with nice shoes", "It was great, just GREAT!")


def scores_of(explain, texts=TEXTS):
    toy, asked = classifier(explain), examples(texts)
    plan = AuditPlan("toy", PINNED, SENTENCE_STYLES, ("sentences",), ("generated",), OPERATORS)
    records = audit(toy, asked, plan)
    sentence_plan = SentenceAuditPlan("toy", 0, OPERATORS, PINNED, simulator=None)
    return records, audit_sentences(toy, asked, AuditedSentences(records.rows, records.tables), sentence_plan)


def test_the_metrics_of_a_reply_are_of_the_words_that_its_row_has():
    records, scores = scores_of(honest, tuple(BY_HAND))
    rows = {(row.id, row.style, row.operator): row for row in records.rows}
    sizes = {table.id: len(table.words) for table in records.tables}
    assert len(scores) == len(rows) == len(BY_HAND) * len(SENTENCE_STYLES) * len(OPERATORS)
    for record in scores:
        row = rows[record.id, record.style, record.operator]
        assert (record.mentioned, record.denied) == (row.words, row.denied)
        if 0 < len(row.words) < sizes[record.id]:
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


def test_what_the_rows_say_of_the_mentioned_words_is_what_asking_again_would():
    def explain(request):
        return request.say([word.key for word in candidates(request.text)][:3])

    records, scores = scores_of(explain)
    toy = classifier(explain)
    for operator in OPERATORS:
        tables = [table for table in records.tables if table.operator == operator]
        of_operator = [score for score in scores if score.operator == operator]
        sets = [[score.mentioned for score in of_operator if score.id == table.id] for table in tables]
        asked = set_verdicts(toy, items_of(toy, examples(TEXTS)), tables, sets, 0)
        by_id = {table.id: verdicts for table, verdicts in zip(tables, asked, strict=True)}
        for score in filter(lambda score: score.mentioned, of_operator):
            verdict = by_id[score.id][score.mentioned]
            assert score.values["necessity excess"] == set_excess(verdict.hit).value
            assert score.values["necessity gain"] == pytest.approx(set_excess(verdict.effect).value)
            assert score.values.get("necessity share") == pytest.approx(set_share(verdict.effect).value)


@pytest.mark.parametrize("keeps", [False, True])
def test_the_best_set_of_a_long_explanation_costs_no_more_than_some_passes_a_word(keeps):
    text = " ".join(["What a great day:", *(f"place{number}" for number in range(76))])
    toy = classifier(honest)
    items = items_of(toy, examples([text]))
    [table] = leave_one_out_tables(toy, items, "redact")
    long_sets = [[table.words[:size] for size in (2, 40, len(table.words) - 1)]]
    [before] = set_verdicts(toy, items, [table], [long_sets[0][:1]], 0, keeps=keeps)
    counted = []
    rule = toy.model.rule
    toy.model.rule = lambda asked: counted.append(asked) or rule(asked)
    [verdicts] = set_verdicts(toy, items, [table], long_sets, 0, keeps=keeps)
    assert len(counted) <= 14 * len(table.words)
    assert verdicts[table.words[:2]] == before[table.words[:2]]
    assert all(verdict.effect.best >= verdict.effect.random_mean for verdict in verdicts.values())


def test_controls_are_of_all_audited_texts_whoever_is_measured_at_once():
    toy, asked = classifier(honest), examples(tuple(BY_HAND))
    records = audit(toy, asked, AuditPlan("toy", PINNED, ("reasons",), ("sentences",), ("generated",)))
    audited, plan = (
        AuditedSentences(records.rows, records.tables),
        SentenceAuditPlan("toy", 0, ("redact",), PINNED, simulator=None),
    )
    at_once = audit_sentences(toy, asked, audited, plan)
    assert [audit_sentences(toy, [text], audited, plan)[0] for text in asked] == at_once
    assert all("lexical, another text" in score.simulated for score in at_once)


def test_mention_is_the_share_of_sampled_replies_that_mention_a_word():
    def wavering(request):
        """Name the deciding word, and in half of the sampled replies another one."""
        ranked = request.ranked()
        is_other = request.seed is not None and request.seed % 2
        return request.say(ranked[-1:] if is_other else ranked[:1])

    toy, asked = classifier(wavering), examples(TEXTS)
    samples = sample_replies(toy, asked, ("reasons",), 40, "toy", 0)
    assert [sample.sample for sample in samples] == list(range(40)) * len(TEXTS)
    assert samples[:40] == sample_replies(toy, asked[:1], ("reasons",), 40, "toy", 0)  # whatever is drawn beside it
    assert samples[:8] == sample_replies(toy, asked[:1], ("reasons",), 8, "toy", 0)
    plan = AuditPlan("toy", PINNED, ("reasons",), ("sentences",), ("generated",), mention_samples=40)
    records = audit(toy, asked, plan)
    scores = measure_audited(toy, asked, plan, records)
    greedy = measure_audited(toy, asked, dataclasses.replace(plan, mention_samples=1), records)
    for record, of_greedy, example in zip(scores, greedy, asked, strict=True):
        assert (record.samples, of_greedy.samples) == (40, 1)
        shares = [
            sum(word.key in sample.words for sample in samples if sample.id == record.id) / 40
            for word in candidates(example.text)
        ]
        assert 0 < min(share for share in shares if share) < 1
        [drops] = [table.drops for table in records.tables if table.id == record.id]
        assert record.values.get("mention AUROC") == mention_auroc(shares, drops).value
        assert record.mentioned == of_greedy.mentioned  # all else is of the greedy reply
        assert record.values["necessity gain"] == of_greedy.values["necessity gain"]


STEPS_FIRST = TASK.replied_by("direct", "before")
PLAIN_STEPS = '1. It has "great".\n2. So it is good.'


@pytest.mark.parametrize(
    "reply",
    [
        Reply(PLAIN_STEPS),
        Reply(f"Sure! Let me think about this awful question.\n\n{PLAIN_STEPS}"),
        Reply(f"<think>Awful? Hm.\n1. Awful.</think>\n{PLAIN_STEPS}"),
        Reply(f"```\n{PLAIN_STEPS}\n```"),
        Reply(f"{PLAIN_STEPS}\n3. An awful en", cut=True),
        Reply(f"{PLAIN_STEPS}\n3.", cut=True),
    ],
)
def test_the_answer_is_asked_for_behind_what_was_read_of_the_steps(reply):
    toy, asked = classifier(lambda request: reply, task=STEPS_FIRST), examples(TEXTS[:1])
    toy.model.generate = lambda chats, rooms, tick=None, **_: [reply] * len(chats)
    behind, choose = [], toy.model.choose
    toy.model.choose = lambda choices, tick=None: (
        behind.extend(choice.messages[-2]["content"] for choice in choices if len(choice.messages) > 2)
        or choose(choices, tick)
    )
    plan = AuditPlan("toy", PINNED, ("steps",), ("sentences",), ("generated",))
    records = audit(toy, asked, plan)
    assert behind == [PLAIN_STEPS]
    [row] = records.rows
    assert (row.words, row.steps_answer, row.cut) == (("great",), row.prediction, reply.cut)
    audited = AuditedSentences(records.rows, records.tables)
    behind.clear()
    audit_sentences(toy, asked, audited, SentenceAuditPlan("toy", 0, ("redact",), PINNED, simulator=None))
    assert PLAIN_STEPS in behind  # the metrics of steps go by the same ones
    assert not any("awful" in text.casefold() or "3." in text for text in behind)


@pytest.mark.parametrize("reply", [Reply(""), Reply("<think>1. It"), Reply("1. It is", cut=True)])
def test_behind_no_steps_there_is_no_answer(reply):
    toy, asked = classifier(lambda request: reply, task=STEPS_FIRST), examples(TEXTS[:1])
    toy.model.generate = lambda chats, rooms, tick=None, **_: [reply] * len(chats)
    [row] = audit(toy, asked, AuditPlan("toy", PINNED, ("steps",), ("sentences",), ("generated",))).rows
    assert row.steps_answer is None
    assert row.reason in ("empty reply", "cut off")
