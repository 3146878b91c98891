"""The robustness checks on models of known truth, and how a task is asked another way."""

import re

import pytest

import made_rows
import tiny
from moods import PINNED, TASK, TEXTS, Ranked, Wordy, audited_toy, honest_to_the_pinned
from saywhy import checks
from saywhy.measure.audit import AuditPlan, audit
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest, liar
from saywhy.records import Example, Prediction, SaywhyError
from saywhy.robustness.audited import AuditedText
from saywhy.robustness.rejudge import asked_anew, judged_by, rechecked
from saywhy.robustness.sets import curves, spares
from saywhy.robustness.variants import variant_sentences, variants
from saywhy.settings import parse
from saywhy.tasks.task import Task, catalog, load_task


def other(toy, name):
    return Classifier(toy.model, variants(TASK, ["all"])[name], toy.constants)


@pytest.mark.parametrize("name", ["paraphrase-1", "paraphrase-2", "labels-reversed", "verbaliser"])
@pytest.mark.parametrize("explain", [honest, liar])
def test_a_rule_that_reads_the_text_only_gets_the_same_verdicts_however_it_is_asked(name, explain):
    toy, texts = audited_toy(explain)
    again = judged_by(other(toy, name), texts, name, "redact", PINNED)
    rows = [row for one in texts for row in one.rows]
    assert len(again) == len(rows) == len(TEXTS) * 3 * 2
    for line, row in zip(again, rows, strict=True):
        assert (line.prediction, line.recheck, line.hit, line.ceiling) == (
            row.prediction,
            row.recheck,
            row.hit,
            row.ceiling,
        )
        assert line.floor == pytest.approx(row.floor)
        assert line.drop == (None if row.drop is None else pytest.approx(row.drop))
        effects = [(of.effect, of.effect_floor, of.effect_ceiling) for of in (line, row)]
        assert effects[0] == (pytest.approx(effects[1]) if row.valid else (None, *map(pytest.approx, effects[1][1:])))
        assert line.valid == row.valid


def test_a_model_that_hangs_on_the_wording_of_the_question_loses_its_verdicts():
    toy, texts = audited_toy(honest, kind=Wordy)
    again = judged_by(other(toy, "paraphrase-1"), texts, "paraphrase-1", "redact", PINNED)
    rows = [row for one in texts for row in one.rows]
    assert any(row.hit for row in rows if not row.named)
    assert not any(line.hit for line in again if line.style != "counterfactual")
    assert {line.prediction for line in again} == {"bad"}
    assert all(line.floor == 0 for line in again if line.style != "counterfactual")


@pytest.mark.parametrize("explain", [honest, liar])
def test_who_explains_alike_in_every_wording_keeps_the_verdicts(explain):
    toy, texts = audited_toy(explain)
    lines = asked_anew(toy, texts, "redact", PINNED)
    rows = [row for text in texts for row in text.rows if row.readout == "constrained"]
    assert len(lines) == 2 * len(rows)
    for variation in ("unseen-wording-1", "unseen-wording-2"):
        again = [line for line in lines if line.variation == variation]
        for line, row in zip(again, rows, strict=True):
            judged = (line.id, line.style, line.readout, line.prediction, line.margin, line.recheck, line.hit)
            assert judged == (row.id, row.style, row.readout, row.prediction, row.margin, row.recheck, row.hit)
            assert (line.drop, line.floor, line.ceiling) == (pytest.approx(row.drop), row.floor, row.ceiling)


def test_who_is_honest_in_one_wording_only_is_found_out():
    toy, texts = audited_toy(honest_to_the_pinned)
    rows, of_liar = (
        [row for text in audited for row in text.rows if row.readout == "constrained"]
        for audited in (texts, audited_toy(liar)[1])
    )
    lines = asked_anew(toy, texts, "redact", PINNED)
    for variation in ("unseen-wording-1", "unseen-wording-2"):
        again = [line for line in lines if line.variation == variation]
        assert [(line.id, line.style, line.hit) for line in again] == [(row.id, row.style, row.hit) for row in of_liar]
    assert sum(row.hit for row in rows) > 2 * sum(row.hit for row in of_liar)


def test_an_unseen_wording_needs_no_new_classification():
    toy, texts = audited_toy(honest)
    counted = []
    choose = toy.model.choose
    toy.model.choose = lambda choices, tick=None: (
        counted.extend(c for c in choices if c.prefix) or choose(choices, tick)
    )
    assert asked_anew(toy, texts, "redact", PINNED)
    assert asked_anew(toy, [], "redact", PINNED) == []
    assert counted == []


def test_what_is_rechecked_in_other_batches_is_the_same():
    toy, texts = audited_toy(honest)
    for line, row in zip(rechecked(toy, texts), [row for one in texts for row in one.rows], strict=True):
        assert (line.prediction, line.margin, line.recheck, line.drop, line.hit) == (
            row.prediction,
            row.margin,
            row.recheck,
            row.drop,
            row.hit,
        )


def test_a_real_model_has_a_noise_floor_of_rounding(tiny_model):
    examples = tiny.examples()
    toy = Classifier(tiny_model, tiny.TASK, dict.fromkeys(tiny.TASK.labels, 0.0))
    found = audit(toy, examples, AuditPlan("m", tiny.PINNED, ("attribution",), ("one-word",), ("constrained",)))
    texts = [AuditedText(Item(one, before), (row,), table) for one, before, row, table in
             zip(examples, toy.predict_examples(examples), found.rows, found.tables, strict=True)]  # fmt: skip
    for line, row in zip(rechecked(toy, texts), found.rows, strict=True):
        assert (line.prediction, line.hit) == (row.prediction, row.hit)
        assert line.margin == pytest.approx(row.margin, abs=1e-4)


def test_the_curve_of_a_rule_of_two_words_rises_at_two():
    toy, texts = audited_toy(honest, ["we love this great day at sea", "the love of great films is old"], kind=Ranked)
    for found in curves(toy, texts, "redact", 0, {"love": 7}):
        assert found.sizes == (1, 2, 3, 5)
        assert found.named == found.best == (False, True, True, True)
        assert found.random[0] == 0
        assert 0 <= found.random[1] < 1
        assert found.counts[found.words.index("love")] == 7


def test_a_word_that_a_hit_does_not_need_is_spare():
    def with_company(asked):
        return asked.say(asked.ranked()[:2] if asked.setting == "free" else asked.ranked()[:1])

    toy, texts = audited_toy(with_company, ["the food at noon was great", "we love this great day"], settings=("free",))
    found = {(one.id, one.style): one for one in spares(toy, texts, "redact")}
    alone, pair = found["t0", "attribution"], found["t1", "redaction"]
    assert dict(zip(alone.words, alone.spare, strict=True)) == {"great": False, alone.words[1]: True}
    assert sorted(pair.words) == ["great", "love"]
    assert not any(pair.spare)


@pytest.mark.parametrize("name", catalog())
def test_variants_that_ship(name, snapshot):
    task = load_task(name)
    made = variants(task, ["all"])
    assert list(made) == ["paraphrase-1", "paraphrase-2", "paraphrase-3", "labels-reversed", "verbaliser"]
    assert variant_sentences(made) == snapshot
    for kind, one in made.items():
        words = one.labels.values() if kind == "verbaliser" else task.labels.values()
        assert all(one.question.count(word) == 1 for word in words)
        assert list(one.labels) == list(task.labels)
        assert one.question != task.question
    assert len({one.question for one in made.values()}) == 5


def test_what_a_task_lacks_is_said_and_all_goes_without_it():
    bare = TASK.model_copy(update={"paraphrases": (), "verbaliser": {}, "question": "What is the mood?"})
    assert variants(bare, ["all"]) == {}
    for name in checks.REPHRASED_CHECKS:
        with pytest.raises(SaywhyError, match=f"robustness={name}: task 'toys'"):
            variants(bare, [name])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("robustness=paraphrase", "did you mean 'paraphrases'"),
        ("robustness=noise,magic", "no check 'magic'"),
        ("robustness=minimality", "add free to settings"),
        ("robustness=unseen-wording readouts=generated", "add constrained to readouts"),
    ],
)
def test_a_bad_name_is_one_line(words, told):
    with pytest.raises(SaywhyError, match=re.escape(told)) as caught:
        parse(words.split())
    assert "\n" not in str(caught.value)


def test_none_is_no_check():
    assert parse(["robustness=none"]).robustness == parse([]).robustness == ()


def test_label_words_are_swapped_in_any_case():
    new_words = {"positive": "glad", "negative": "sad"}
    question = "Positive or negative? Say POSITIVE or Negative, not negatively."
    verbaliser = {label: new_words[word] for label, word in TASK.labels.items()}
    task = TASK.model_copy(update={"question": question, "verbaliser": verbaliser})
    assert variants(task, ["verbaliser"])["verbaliser"].question == "Glad or sad? Say GLAD or Sad, not negatively."
    once = task.model_copy(update={"question": "Positive or negative?"})
    assert variants(once, ["labels-reversed"])["labels-reversed"].question == "Negative or positive?"


def test_noise_judges_the_label_that_a_counterfactual_named():
    """Of two labels that are nearly tied, another one may be second in another batch."""
    task = Task(name="three", question="Which?", lead_in="It is", labels=["a", "b", "c"])
    scores = {"it was dull": {"a": 2.0, "b": 0.999, "c": 1.0}, "it was odd": {"a": 0.0, "b": 5.0, "c": 0.0}}
    toy = ScriptedModel("toy", task, lambda text: scores[text], honest, {})
    classifier = Classifier(toy, task, dict.fromkeys(task.labels, 0.0))
    item = Item(Example("t", "it was dull"), Prediction("a", "a", {"a": 2.0, "b": 1.0, "c": 0.999}, 1.0, "b"))
    explained = made_rows.row(
        "t", True, 0.5, style="counterfactual", prediction="a", named="b", words=("dull",), inserted=("odd",),
        edited="it was odd",
    )  # fmt: skip
    [line] = rechecked(classifier, [AuditedText(item, (explained,), None)])
    assert (line.recheck, line.hit) == ("b", True)
    assert line.effect == pytest.approx(5.0 - (0.999 - 2.0))
