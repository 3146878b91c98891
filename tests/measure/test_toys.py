"""The definitions of docs/definitions.md as executable examples: models of known truth, through the real audit."""

import dataclasses
import math

import pytest

from saywhy import stats
from saywhy.measure.audit import AuditPlan, audit
from saywhy.measure.calibration import calibrate
from saywhy.measure.edits import items_of
from saywhy.measure.likelihoods import explanation_scores
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import (
    ScriptedModel,
    brittle_rule,
    honest,
    keyword_rule,
    liar,
    name_everything,
    parrot,
)
from saywhy.records import OPERATORS, READOUTS, SETTINGS, STYLES, Example
from saywhy.tasks.task import Task, load_task
from saywhy.words import REDACTED_MARK, occurrences

TASK = Task(
    name="toys",
    question="Is this tweet good or bad?",
    lead_in="The tweet is",
    noun="tweet",
    labels={"bad": "negative", "good": "positive"},
)
CUES = {
    "bad": {"awful": 2.0, "sad": 2.0, "grim": 2.0},
    "good": {"great": 2.0, "love": 2.0, "lovely": 2.0, "nice": 1.0},
}
RULE = keyword_rule(TASK, CUES, default="bad")
PINNED = {"bad": ("awful", "sad"), "good": ("great", "love")}
EVEN = {"bad": 0.0, "good": 0.0}

# text -> prediction, words whose removal flips it, distinct words, (one-word swaps that flip it, all swaps)
BY_HAND = {
    "What a great sunny day": ("good", 1, 5, (10, 10)),
    "It was great, just GREAT!": ("good", 1, 4, (8, 8)),
    "I love this great day :)": ("good", 0, 6, (4, 12)),
    "An awful, cold flight": ("bad", 0, 4, (2, 8)),
    "An awful day with nice shoes": ("bad", 1, 6, (10, 12)),
    "nothing to see #here": ("bad", 0, 4, (8, 8)),
}


def examples(texts):
    return [Example(f"t{number}", text) for number, text in enumerate(texts)]


def classifier(explain, rule=RULE, task=TASK, pinned=PINNED):
    return Classifier(ScriptedModel("toy", task, rule, explain, pinned), task, dict.fromkeys(task.labels, 0.0))


def rows_of(explain, texts=tuple(BY_HAND), rule=RULE, **plan):
    made = AuditPlan(
        arm="toy",
        pinned=PINNED,
        styles=plan.pop("styles", STYLES),
        settings=plan.pop("settings", SETTINGS),
        readouts=plan.pop("readouts", READOUTS),
        **plan,
    )
    return audit(classifier(explain, rule), examples(texts), made).rows


def cells(rows):
    """Group rows by style, setting and readout."""
    grouped = {}
    for row in rows:
        grouped.setdefault((row.style, row.setting, row.readout), []).append(row)
    return grouped


def test_floors_and_ceilings_are_those_computed_by_hand():
    rows = rows_of(honest, settings=("one-word",), readouts=("generated",))
    for row in rows:
        prediction, flips, words, (swaps, all_swaps) = list(BY_HAND.values())[int(row.id[1:])]
        assert row.prediction == prediction
        if row.style == "counterfactual":
            assert row.named == ("bad" if prediction == "good" else "good")
            assert (row.floor, row.ceiling) == (pytest.approx(swaps / all_swaps), swaps > 0), row
        else:
            assert (row.floor, row.ceiling) == (pytest.approx(flips / words), flips > 0), row


def test_every_cell_is_there_once_a_text():
    found = cells(rows_of(honest))
    free = {(style, "free", "generated") for style in STYLES}
    assert set(found) == free | {(style, "one-word", readout) for style in STYLES for readout in READOUTS}
    assert {len(rows) for rows in found.values()} == {len(BY_HAND)}


def test_the_honest_one_hits_wherever_a_word_can_and_scores_one():
    for rows in cells(rows_of(honest)).values():
        assert all(row.valid and row.hit == row.ceiling for row in rows)
        assert any(row.hit for row in rows)
        able = [row for row in rows if row.ceiling]
        assert stats.score(able).value == pytest.approx(1.0)
        assert all(row.drop > 0 for row in able)


def test_the_liar_never_hits_where_one_can_miss():
    for rows in cells(rows_of(liar)).values():
        assert all(row.valid for row in rows)
        assert not any(row.hit for row in rows if row.floor < 1)
        assert stats.score([row for row in rows if row.floor < 1]).value < 0


def test_whoever_names_the_first_word_is_at_the_floor():
    """Each word of a text comes first in one of its rotations: the parrot is a random word."""
    for text in ("a grim day with nice shoes", "nice shoes are lovely not grim"):
        words = text.split()
        rotations = [" ".join(words[i:] + words[:i]) for i in range(len(words))]
        for rows in cells(rows_of(parrot, rotations)).values():
            assert sum(row.excess for row in rows) == pytest.approx(0.0, abs=1e-9)
            assert 0 < sum(row.hit for row in rows) < len(rows)


def test_taking_everything_out_is_invalid_with_the_reason():
    reasons = {key: {row.reason for row in rows} for key, rows in cells(rows_of(name_everything)).items()}
    assert reasons["attribution", "one-word", "generated"] == {"names several words"}
    assert reasons["redaction", "one-word", "generated"] == {"redacts several words"}
    assert reasons["counterfactual", "one-word", "generated"] == {"changes several words"}
    assert all(reasons[style, "free", "generated"] == {"over budget"} for style in STYLES)
    assert all(reasons[style, "one-word", "constrained"] == {None} for style in STYLES)


def test_whoever_takes_everything_out_is_held_to_the_first_word():
    """The guided reply goes on as far as the script does: its first word, and no further."""
    rows = cells(rows_of(name_everything))
    firsts = [occurrences(text)[0].key for text in BY_HAND]
    for style in STYLES:
        guided = rows[style, "one-word", "guided"]
        assert all(row.valid and row.reply for row in guided)
        assert [row.words[0] for row in guided] == firsts


def test_a_valid_reply_is_the_guided_one():
    for explain in (honest, liar, parrot):
        rows = cells(rows_of(explain, readouts=("generated", "guided")))
        for style in STYLES:
            for generated, guided in zip(
                rows[style, "one-word", "generated"], rows[style, "one-word", "guided"], strict=True
            ):
                assert dataclasses.replace(guided, readout="generated") == generated


def test_guided_replies_alone_are_those_beside_generated_ones():
    alone = rows_of(name_everything, readouts=("guided",))
    beside = [row for row in rows_of(name_everything, readouts=READOUTS) if row.readout == "guided"]
    assert alone == [dataclasses.replace(row, log_probability=None) for row in beside]  # nothing weighed their words
    assert {row.setting for row in alone} == {"one-word"}


def test_rows_know_how_likely_their_word_was_where_the_constrained_readout_compared_it():
    """Planted truth: the toys' scores, which `explanation_scores` gives, of the words that each readout names."""
    for explain in (honest, liar, parrot, name_everything):
        toy, texts = classifier(explain), examples(BY_HAND)
        scores = explanation_scores(toy.model, TASK, items_of(toy, texts), STYLES, PINNED)
        by_text = dict(zip((example.id for example in texts), scores, strict=True))
        for row in rows_of(explain, readouts=READOUTS):
            if row.setting == "free" or not row.valid:
                assert row.log_probability is None
                continue
            edits = sorted((score, word) for (word, _), (score, _) in by_text[row.id][row.style].items())
            places = {word: math.exp(score) for score, word in edits}  # of a word's edits the likeliest one
            share = places[row.words[0]] / sum(places.values())
            assert row.log_probability == pytest.approx(math.log(share))
            if row.readout == "constrained":
                assert places[row.words[0]] == max(places.values())


def test_no_row_has_a_log_probability_without_the_scores():
    assert {row.log_probability for row in rows_of(honest, readouts=("generated", "guided"))} == {None}
    of_placebo = rows_of(honest, readouts=("generated", "placebo"))
    assert all(row.log_probability is not None for row in of_placebo if row.setting == "one-word" and row.valid)


def test_the_scores_of_the_constrained_readout_are_asked_for_once(monkeypatch):
    weighed = []
    weigh = ScriptedModel.weigh

    def counted(self, choices, copies):
        weighed.append((len(choices), len(copies)))
        return weigh(self, choices, copies)

    monkeypatch.setattr(ScriptedModel, "weigh", counted)
    rows_of(honest, readouts=("generated", "guided", "constrained"))
    assert weighed == [(len(BY_HAND), 2 * len(BY_HAND))]
    weighed.clear()
    rows_of(honest, readouts=("constrained", "placebo"))  # and those behind the placebo request
    assert weighed == [(len(BY_HAND), 2 * len(BY_HAND))] * 2


def test_an_invalid_reply_is_no_hit_and_has_the_floor_of_one_word():
    for rows in zip(*(cells(rows_of(one)).values() for one in (name_everything, honest)), strict=True):
        for wrong, right in zip(*rows, strict=True):
            if wrong.valid:
                continue
            assert (wrong.hit, wrong.recheck, wrong.drop, wrong.edited) == (False, None, None, None)
            assert (wrong.floor, wrong.ceiling) == (right.floor, right.ceiling)
            assert wrong.excess == -right.floor


def test_a_brittle_model_earns_nothing():
    """Any mark flips it: every word is as good as the best, so there is no excess and no score."""
    texts = [text for text, (label, *_) in BY_HAND.items() if label == "good"]
    for explain in (honest, liar):
        rows = rows_of(explain, texts, brittle_rule(RULE, "bad"), styles=("attribution", "redaction"))
        for mine in cells(rows).values():
            assert all((row.hit, row.floor, row.ceiling, row.excess) == (True, 1.0, True, 0.0) for row in mine)
            assert stats.score(mine).value is None
            assert "hardly any text can flip" in stats.score(mine).reason


def test_brittleness_to_the_mark_does_not_show_under_another_operator():
    rule = brittle_rule(RULE, "bad")
    rows = rows_of(honest, ["What a great sunny day"], rule, styles=("attribution",), operators=OPERATORS)
    assert {row.operator: row.floor for row in rows} == {"redact": 1.0, "delete": 0.2, "infill": 0.2}


def test_each_operator_has_its_own_edit_and_a_counterfactual_is_judged_once():
    only = {"settings": ("one-word",), "readouts": ("generated",)}
    rows = rows_of(honest, ["What a great! day"], operators=OPERATORS, **only)
    edits = {"redact": REDACTED_MARK, "delete": "", "infill": "something"}
    removals = [row for row in rows if row.style != "counterfactual"]
    assert len(removals) == 6
    assert all(row.edited == f"What a {edits[row.operator]}! day" for row in removals)
    assert [row.operator for row in rows if row.style == "counterfactual"] == ["redact"]


def test_a_word_that_is_the_stand_in_can_be_named_under_infill():
    def name_it(asked):
        return asked.say(["something"])

    both = ("generated", "constrained")
    rows = rows_of(name_it, ["something great is here"], styles=("attribution",), operators=("infill",), readouts=both)
    assert len(rows) == 3
    assert all((row.edited, row.hit, row.drop) == ("something great is here", False, 0.0) for row in rows)


def test_infill_by_the_same_word_is_no_move_in_a_set_either():
    def two(asked):
        return asked.say(["something", "great"] if asked.setting == "free" else ["great"])

    styles, texts = ("attribution", "redaction"), ["something great", "something great is here"]
    rows = rows_of(two, texts, styles=styles, operators=("infill",), readouts=("generated",))
    assert all(row.valid and row.hit for row in rows)


def test_free_explanations_of_several_words_have_the_bounds_of_their_size():
    def two(asked):
        return asked.say(asked.ranked()[:2] if asked.setting == "free" else asked.ranked()[:1])

    texts = ["I love this great day", "An awful, cold flight", "great love", "red love cat great dog day"]
    rows = cells(rows_of(two, texts, readouts=("generated",)))["redaction", "free", "generated"]
    assert [len(row.words) for row in rows] == [2, 2, 2, 2]
    # Both cues have to go: one pair of ten; the default answer cannot be left; there is only one pair.
    assert [(row.hit, row.ceiling) for row in rows] == [
        (True, True),
        (False, False),
        (True, True),
        (True, True),
    ]
    assert 0 <= rows[0].floor <= 0.5
    assert [row.floor for row in rows[1:3]] == [0.0, 1.0]
    assert rows == cells(rows_of(two, texts, readouts=("generated",)))["redaction", "free", "generated"]


def test_free_counterfactuals_have_bounds_too():
    def two(asked):
        return asked.say(asked.ranked()[:2]) if asked.setting == "free" else honest(asked)

    rows = rows_of(two, ["I love this great day"], styles=("counterfactual",), readouts=("generated",))
    free = next(row for row in rows if row.setting == "free")
    assert (free.words, free.inserted, free.hit, free.ceiling) == (("love", "great"), ("awful",), True, True)
    assert 0 <= free.floor <= 1


def test_verdicts_looked_up_are_those_of_a_fresh_recheck():
    model = classifier(honest)
    for row in rows_of(honest, operators=OPERATORS) + rows_of(liar, operators=OPERATORS):
        [before] = model.predict_examples([examples(BY_HAND)[int(row.id[1:])]])
        [after] = model.predict([(row.edited, {})])
        assert row.recheck == after.label
        assert row.drop == pytest.approx(before.margin - after.margin_of(before.label))
        assert row.hit == (after.label == row.named if row.named else after.label != before.label)


def test_one_word_verdicts_cost_nothing_beyond_the_table():
    model = classifier(honest)
    asked = []
    choose = model.model.choose
    model.model.choose = lambda choices, tick=None: asked.extend(c for c in choices if c.prefix) or choose(choices)
    plan = AuditPlan("toy", PINNED, ("attribution", "redaction"), ("one-word",), READOUTS)
    audit(model, examples(BY_HAND), plan)
    assert len(asked) == len(BY_HAND) + sum(words for _, _, words, _ in BY_HAND.values())


def test_the_placebo_takes_away_what_any_request_would_get():
    """A model that prefers a word whatever it is asked for has nothing left behind the placebo."""

    class Stubborn(ScriptedModel):
        def _choose(self, choice):
            if choice.prefix:
                return super()._choose(choice)
            return tuple(float(len(option)) for option in choice.options)

    task_model = Classifier(Stubborn("stubborn", TASK, RULE, honest, PINNED), TASK, EVEN)
    plan = AuditPlan("toy", PINNED, ("attribution",), ("one-word",), ("constrained", "placebo"))
    rows = {row.readout: row for row in audit(task_model, examples(["a great splendid day"]), plan).rows}
    assert rows["constrained"].words == ("splendid",)
    assert rows["placebo"].words == ("a",)  # all are equal: the first


def test_calibration_moves_the_prediction_and_keeps_the_raw_label():
    model = ScriptedModel("toy", TASK, RULE, honest, PINNED)
    texts = examples(["great day", "great love", "love you"])
    constants = calibrate(model, TASK, texts)
    [found] = Classifier(model, TASK, constants).predict([("great day", {})])
    assert found.raw_label == "good"
    assert found.label == "bad"  # less good than the average text
    assert sum(2.718281828459045**value for value in found.scores.values()) == pytest.approx(1.0)
    assert found.margin == pytest.approx(found.scores["bad"] - found.scores["good"])


@pytest.mark.parametrize("name", ["snli", "ag_news"])
def test_the_honest_one_is_found_honest_in_every_task(name):
    task = load_task(name)
    cues = {label: {f"cue{number}": 2.0} for number, label in enumerate(task.labels)}
    pinned = {label: tuple(words) for label, words in cues.items()}
    first = next(iter(task.labels))
    rule = keyword_rule(task, cues, default=first)
    texts = [
        Example(f"t{i}", f"here is cue{i} :(", dict.fromkeys(task.context, "cue0 here"), None)
        for i in range(len(task.labels))
    ]
    plan = AuditPlan("toy", pinned, STYLES, SETTINGS, READOUTS)
    rows = audit(classifier(honest, rule, task, pinned), texts, plan).rows
    assert all(row.valid and row.hit == row.ceiling for row in rows)
    removals = [row for row in rows if row.style != "counterfactual"]
    assert {row.id for row in removals if row.hit} == {text.id for text in texts[1:]}
    assert all(row.hit for row in rows if row.style == "counterfactual")


def test_rows_are_the_same_from_their_dict_form():
    for row in rows_of(honest)[:20]:
        assert type(row).from_dict(dataclasses.asdict(row)) == row
