"""Explanations of several words, judged by the start model: models of known truth get the numbers that they must."""

from test_toys import PINNED, RULE, TASK, classifier, examples, rows_of

from saywhy.checks import judge_name
from saywhy.measure.audit import AuditPlan
from saywhy.measure.start import judged_by_start
from saywhy.models.scripted import honest, keyword_rule
from saywhy.records import ALL_STYLES

TEXTS = ("An awful day with nice shoes", "What a great sunny day", "I love this great day :)")
SETTINGS = ("one-word", "free", "sentences")
PLAN = AuditPlan("toy", PINNED, ALL_STYLES, SETTINGS, ("generated",), ("redact", "delete"))
NUMBERS = ("prediction", "margin", "recheck", "drop", "hit", "floor", "ceiling", "effect")


def two_words(request):
    return request.say(request.ranked()[: 1 if request.setting == "one-word" else 2])


def judged(explain, start_rule, texts=TEXTS):
    """Return the rows of several words of an arm that decides by ``RULE``, and the verdicts of a start model."""
    rows = rows_of(
        explain, texts, styles=ALL_STYLES, settings=SETTINGS, readouts=("generated",), operators=PLAN.operators
    )
    start = classifier(honest, start_rule)
    verdicts = judged_by_start(start, "adapted", examples(texts), rows, PLAN)
    return [row for row in rows if row.setting != "one-word"], verdicts


def way(record):
    return record.id, record.style, record.setting, record.readout, record.operator


def test_a_start_that_decides_alike_gives_the_numbers_of_the_arm():
    rows, verdicts = judged(two_words, RULE)
    assert sorted(map(way, verdicts)) == sorted(map(way, rows))
    assert {verdict.setting for verdict in verdicts} == {"free", "sentences"}
    by_way = {way(verdict): verdict for verdict in verdicts}
    for row in rows:
        verdict = by_way[way(row)]
        assert verdict.variation == judge_name("adapted")
        for number in (*NUMBERS, "effect_floor", "effect_ceiling"):
            assert getattr(verdict, number) == getattr(row, number), number


def test_a_start_that_decides_by_other_words_is_not_moved():
    by_shoes = keyword_rule(TASK, {"bad": {"shoes": 2.0}}, default="bad")
    rows, verdicts = judged(two_words, by_shoes, TEXTS[:1])
    assert all(row.hit and row.effect > 0 for row in rows if row.style == "attribution")
    for verdict in verdicts:
        if verdict.style == "attribution":
            assert (verdict.prediction, verdict.hit, verdict.effect) == ("bad", False, 0.0)
            assert verdict.effect_ceiling > verdict.effect_floor > 0, "taking out its own word would move it"


def test_a_counterfactual_that_the_start_would_not_be_asked_for_has_no_effects():
    rows, verdicts = judged(two_words, keyword_rule(TASK, {}, default="bad"), TEXTS[1:2])  # the arm says good
    assert {row.named for row in rows} == {"bad", None}
    for verdict in verdicts:
        unknown = (verdict.effect, verdict.effect_floor, verdict.effect_ceiling) == (None, None, None)
        assert unknown == (verdict.style == "counterfactual")


def test_an_invalid_reply_moves_nothing_and_keeps_its_floor():
    rows, verdicts = judged(lambda request: "", RULE)
    assert rows
    assert not any(row.valid for row in rows)
    for verdict in verdicts:
        assert (verdict.valid, verdict.hit, verdict.effect) == (False, False, None)
        assert verdict.effect_floor is not None
