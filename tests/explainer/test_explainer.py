"""Decisions over models of known truth: a reason that holds is one, and what does not hold is said not to."""

import dataclasses
import json
from itertools import combinations

import pytest

from measure.test_toys import EVEN, PINNED, RULE, TASK
from saywhy.explainer.confidence import read_confidence
from saywhy.explainer.decision import BUDGETS, ExplainRequest
from saywhy.explainer.explainer import Explainer
from saywhy.explainer.inquiry import SAMPLE, Inquiry
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest, liar, name_everything, parrot
from saywhy.records import STYLES, Example, SaywhyError
from saywhy.stats.confidence import ConfidenceFeatures, RecheckedReason, fit_confidence
from saywhy.words import candidates, take_out

ONE_CAUSE = "What a great sunny day"
TWO_CAUSES = "I love this great day"
NO_CAUSE = "nothing to see #here"


class CountingModel(ScriptedModel):
    """A toy that counts what it is asked for at once, and how many texts it classified."""

    calls = 0
    classified = 0

    def choose(self, choices, tick=None):
        self.calls += 1
        self.classified += sum(choice.prefix == TASK.lead_in for choice in choices)
        return super().choose(choices, tick)


def explainer(explain=honest, rule=RULE, task=TASK):
    return Explainer(
        Classifier(CountingModel("toy", task, rule, explain, PINNED), task, EVEN), PINNED, {"weights": "x"}
    )


def nearly(text):
    """Positive by a hair, which any word that is taken out ends: the mark itself speaks against it."""
    return {"bad": 1.0 if "[redacted]" in text.lower() else 0.0, "good": 0.5}


@pytest.mark.parametrize("effort", BUDGETS)
def test_an_honest_reason_holds(effort):
    decision = explainer().decide(ONE_CAUSE, effort=effort, styles=STYLES)
    assert (decision.label, decision.reason.words, decision.reason.rank) == ("good", ("great",), 1)
    assert decision.reason.spans == ((7, 12),)
    check = decision.check
    assert (check.status, check.possible, check.label_without) == ("holds", True, "bad")
    assert (check.chance, check.chance_of) == (1 / 5, 5)
    assert check.text_without == "What a [REDACTED] sunny day"
    assert decision.redaction.text == check.text_without
    assert decision.counterfactual.check.status == "too_close"  # any word will do: each insertion is a cue
    assert decision.fallback is None
    assert decision.message == '"great" decides: without it the answer is negative, not positive'
    assert decision.probability == pytest.approx(decision.probabilities["good"])


@pytest.mark.parametrize("blanks", ["  ", "\n\t", "\u3000"])
def test_blanks_in_front_are_not_put_to_the_model(blanks):
    def blank_sensitive(text):
        return {"bad": 9.0, "good": 0.0} if text[0].isspace() else RULE(text)

    plain = explainer(rule=blank_sensitive).decide(ONE_CAUSE, styles=STYLES)
    indented = explainer(rule=blank_sensitive).decide(blanks + ONE_CAUSE, styles=STYLES)
    assert (indented.label, indented.probability, indented.check) == (plain.label, plain.probability, plain.check)
    assert indented.text == blanks + ONE_CAUSE
    (start, end), *_ = indented.reason.spans
    assert indented.text[start:end] == "great"
    assert explainer(rule=blank_sensitive).answer(ExplainRequest(blanks + ONE_CAUSE)).label == plain.label


def test_a_lie_is_found_out_repaired_and_searched_for():
    said = explainer(liar).decide(ONE_CAUSE, effort="self")
    assert said.check.status == "does_not_hold"
    assert (said.rechecks, said.fallback) == (1, None)
    repaired = explainer(liar).decide(ONE_CAUSE, effort="repair")
    assert (repaired.reason.words, repaired.check.status) == (("great",), "holds")
    assert repaired.reason.rank > 1
    assert repaired.reason.reply is None


def test_what_the_ruler_finds_is_not_called_the_models():
    text = "What a great day " + " ".join(f"word{number}" for number in range(40))

    def first_words(request):
        return request.say([candidates(request.text)[-1].key])

    model = explainer(first_words)
    model.classifier.model.answers = frozenset({"choose", "generate"})  # it does not tell what it finds likely
    decision = model.decide(text, effort="search")
    assert decision.check.status == "does_not_hold"
    assert decision.reason.words == ("word39",)
    assert (decision.fallback.words, decision.fallback.check.status) == (("great",), "holds")
    assert "found by the ruler, not said by the model" in decision.message


def test_two_words_that_decide_together_are_found():
    decision = explainer().decide(TWO_CAUSES, effort="search")
    assert decision.check.status == "no_single_word"
    assert set(decision.fallback.words) == {"love", "great"}
    assert decision.fallback.check.status == "holds"
    assert "together decide" in decision.message


def test_where_nothing_decides_that_is_said():
    decision = explainer().decide(NO_CAUSE, effort="search")
    assert decision.check.status == "no_single_word"
    assert decision.check.possible is False
    assert decision.fallback is None
    assert decision.message.endswith("no reason of up to two words holds")


@pytest.mark.parametrize("effort", BUDGETS)
def test_a_word_that_is_no_better_than_another_is_no_reason(effort):
    decision = explainer(rule=nearly).decide("any word at all will do here", effort=effort)
    assert decision.check.status == "too_close"
    assert decision.check.chance == 1.0
    assert "100 % of" in decision.message
    assert decision.fallback is None


@pytest.mark.parametrize("text", ["great", "great , ...", "great great"])
def test_one_word_is_an_answer_without_a_reason(text):
    decision = explainer().decide(text)
    assert (decision.label, decision.check.status, decision.reason) == ("good", "not_explainable", None)


def test_a_decision_taken_elsewhere():
    decided = explainer().decide(ONE_CAUSE, answer="good")
    assert decided == dataclasses.replace(explainer().decide(ONE_CAUSE), seconds=decided.seconds)
    other = explainer().decide(ONE_CAUSE, answer="bad")
    assert (other.label, other.check.status) == ("bad", "not_explainable")
    assert other.margin == -decided.margin
    assert "answers good" in other.message


def test_a_reply_that_cannot_be_read_is_no_reason():
    model = explainer(name_everything)
    model.classifier.model.answers = frozenset({"choose", "generate"})
    decision = model.decide(ONE_CAUSE, effort="self")
    assert (decision.reason, decision.check.status) == (None, "invalid")
    assert decision.check.problem


def test_repair_needs_to_know_what_a_model_finds_likely():
    model = explainer()
    model.classifier.model.answers = frozenset({"choose", "generate"})
    with pytest.raises(SaywhyError, match="take self or search"):
        model.decide(ONE_CAUSE)


@pytest.mark.parametrize("effort", BUDGETS)
def test_texts_together_are_decided_as_one_by_one(effort):
    texts = [ONE_CAUSE, TWO_CAUSES, NO_CAUSE, "great", "An awful day with nice shoes"]
    together, single = explainer(parrot), explainer(parrot)
    rows = [{"text": text, "effort": effort, "styles": STYLES} for text in texts]
    decisions = together.decide_many(rows)
    alone = [single.decide(text, effort=effort, styles=STYLES) for text in texts]
    plain = [dataclasses.replace(decision, seconds=0.0) for decision in (*decisions, *alone)]
    assert plain[: len(texts)] == plain[len(texts) :]
    assert together.classifier.model.calls < single.classifier.model.calls / 2


@pytest.mark.parametrize("budget", [1, 2, 5, 30])
@pytest.mark.parametrize("effort", BUDGETS)
def test_a_budget_is_kept_and_what_it_left_out_is_said(budget, effort):
    text = "it " + " ".join(f"word{number}" for number in range(60)) + " awful"
    model = explainer(parrot)
    decision = model.decide(text, effort=effort, budget=budget)
    assert decision.rechecks <= budget
    assert model.classifier.model.classified == 1 + decision.rechecks
    assert decision.check.status == "does_not_hold"
    assert decision.check.possible is None
    if effort == "search":
        assert f"of {len(candidates(text))} words were tried within the budget" in decision.message


def test_a_reason_needs_to_know_what_other_words_would_do():
    decision = explainer().decide(ONE_CAUSE, effort="self", budget=1)
    assert decision.check.status == "too_close"
    assert "was not rechecked" in decision.message


def test_a_limit_of_time_ends_the_search():
    text = "it " + " ".join(f"word{number}" for number in range(200))
    decision = explainer(parrot).decide(text, effort="search", seconds=1e-9)
    assert decision.rechecks == 0
    assert decision.check.problem


def test_an_end_by_time_is_not_called_one_by_budget():
    decision = explainer(parrot).decide(ONE_CAUSE, effort="search", seconds=1e-9)
    assert "the time left nothing to recheck it with" in decision.message
    assert "budget" not in decision.message


def test_a_small_budget_is_for_the_reason():
    decision = explainer().decide(ONE_CAUSE, effort="self", budget=1, styles=("counterfactual", "attribution"))
    assert decision.check.label_without == "bad"


def brittle_to(pairs):
    """Return a rule by which the answer changes without both words of a pair."""

    def rule(text):
        words = set(text.split())
        return {"bad": 1.0 if any(words.isdisjoint(pair) for pair in pairs) else 0.0, "good": 0.5}

    return rule


@pytest.mark.parametrize(("deciding", "holds"), [(1, True), (2, False)])
def test_a_pair_is_put_beside_different_pairs(deciding, holds):
    """Of three pairs: one that decides is a reason, two that do are chance."""
    for number in range(20):
        words = [f"w{number}x{at}" for at in range(3)]
        rule = brittle_to(list(combinations(words, 2))[:deciding])
        decision = explainer(parrot, rule).decide(" ".join(words), effort="search")
        assert (decision.fallback is not None) == holds
        if holds:
            check = decision.fallback.check
            assert (check.status, check.chance, check.chance_of) == ("holds", 1 / 3, 3)


def test_pairs_by_chance_are_different_ones():
    text = " ".join(f"word{number}" for number in range(30))
    inquiry = Inquiry(ExplainRequest(text), Item(Example("t", text), None))
    pairs = inquiry.sampled_sets(2)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == SAMPLE
    assert all(len(set(pair)) == 2 for pair in pairs)
    assert inquiry.sampled_sets(2) == pairs


@pytest.mark.parametrize("budget", [39, 40, 60])
def test_a_search_that_ends_early_knows_what_it_has_found(budget):
    words = [f"word{number}" for number in range(40)]
    words[20] = "great"
    decision = explainer(parrot).decide(" ".join(words), effort="search", budget=budget)
    assert decision.fallback.words == ("great",)
    assert decision.fallback.check.status == "holds"


def test_a_search_without_room_for_other_words_says_so():
    words = ["great", *(f"word{number}" for number in range(40))]
    decision = explainer(parrot).decide(" ".join(words), effort="search", budget=5, styles=("redaction",))
    assert "none holds" not in decision.message


def test_what_holds_of_a_sample_only_is_no_repaired_reason():
    """Half of all words would do; of the words drawn by chance it may be fewer."""
    for number in range(30):
        words = [f"w{number}x{at}" for at in range(40)]
        rule = brittle_to([(word,) for word in words[1::2]])
        decision = explainer(parrot, rule).decide(" ".join(words), effort="search")
        assert decision.reason.rank == 1
        assert decision.check.status == "does_not_hold"
        assert decision.fallback is None


def test_by_chance_is_told_from_a_sample_of_long_texts():
    text = "great " + " ".join(f"word{number}" for number in range(60))
    decision = explainer().decide(text, effort="self")
    assert decision.check.status == "holds"
    assert decision.check.chance_of == SAMPLE
    assert decision.rechecks <= 1 + SAMPLE


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"text": "  "}, "the text is empty"),
        ({"text": "a day", "context": {"premise": "x"}}, "takes these other fields: none; got: premise"),
        ({"text": "a day", "effort": "all"}, "effort=all: it takes self, repair, search"),
        ({"text": "a day", "styles": ()}, "styles="),
        ({"text": "a day", "styles": ("attributoin",)}, "give some of attribution"),
        ({"text": "a day", "budget": 0}, "budget=0"),
        ({"text": "a day", "seconds": float("nan")}, "seconds"),
        ({"text": "a day", "answer": "positive"}, "no label 'positive'"),
        ({"text": "a \udcff day"}, "the text holds broken characters"),
        (None, "a text, or a dict with one, is wanted, not a NoneType"),
    ],
)
def test_what_cannot_be_asked_is_one_line(asked, problem):
    model = explainer()
    with pytest.raises(SaywhyError, match=problem):
        model.decide_many([{"text": "a fine day"}, asked])
    assert model.classifier.model.calls == 0


def test_an_unknown_field_of_a_request_is_named():
    with pytest.raises(SaywhyError, match="no field 'txet', did you mean 'text'"):
        explainer().decide_many([{"txet": "a day"}])
    with pytest.raises(SaywhyError, match="no field 'efort', did you mean 'effort'"):
        explainer().decide("a day", efort="self")


@pytest.mark.parametrize("asked", [{"budget": 2.5}, {"seconds": "x"}, {"context": None}, {"answer": 3}, {"text": None}])
def test_a_value_of_another_type_is_one_line(asked):
    with pytest.raises(SaywhyError, match=f"its {next(iter(asked))} is '"):
        explainer().decide(**{"text": "a fine day", **asked})


@pytest.mark.parametrize("rows", ["a fine day", {"text": "a fine day"}, ExplainRequest("a fine day")])
def test_one_text_is_not_taken_for_many(rows):
    """A text is a sequence, too: of letters."""
    with pytest.raises(SaywhyError, match="decide_many takes a list"):
        explainer().decide_many(rows)


def test_a_decision_is_json_and_back():
    decision = explainer().decide(ONE_CAUSE, styles=STYLES, effort="search")
    content = json.loads(json.dumps(decision.to_dict()))
    assert content["reason"]["words"] == ["great"]
    assert content["made_with"] == {"weights": "x"}
    assert content["schema"] == 1
    assert ExplainRequest.from_dict(ExplainRequest(ONE_CAUSE).to_dict()) == ExplainRequest(ONE_CAUSE)


def test_effects_are_those_of_the_rule():
    decision = explainer().decide("An awful day with nice shoes", effort="search")
    drops = {effect.word: effect.drop for effect in decision.effects}
    assert drops == {
        word.core: pytest.approx({"awful": 2.0, "nice": -1.0}.get(word.key, 0.0)) for word in candidates(decision.text)
    }
    for effect in decision.effects:
        assert effect.label_without == ("good" if effect.word == "awful" else "bad")
    assert take_out(decision.text, {"awful"}) == "An [REDACTED] day with nice shoes"


def test_a_confidence_is_that_of_the_word_named_first(tmp_path):
    """Planted: a word holds where the model is sure of it."""
    outcomes = [
        RecheckedReason(f"t{n}", ConfidenceFeatures(-0.1 if n % 2 else -2.5, 2.0, 5), bool(n % 2) ^ (n % 20 < 2))
        for n in range(200)
    ]
    content = {"schema": 1, "belongs": {"weights": "x"}, "threshold": 0.8, "model": fit_confidence(outcomes).to_dict()}
    (tmp_path / "confidence.json").write_text(json.dumps(content))
    fitted = read_confidence(tmp_path, {"weights": "x"})
    model = explainer()
    model.confidence = fitted
    sure = model.decide(ONE_CAUSE).confidence
    assert sure == model.decide(ONE_CAUSE, effort="search", styles=STYLES).confidence
    assert sure.low <= sure.share <= sure.high
    assert sure.shown == (sure.probability >= 0.8)
    assert model.decide("great").confidence is None
    tied = dataclasses.replace(fitted, constants={"good": -0.1, "bad": 0.2})
    assert tied.tied_to({"good": -0.1, "bad": 0.205}, tmp_path) is tied
    for others in ({"good": -0.1, "bad": 0.3}, {"good": -0.1, "worse": 0.2}):
        assert tied.tied_to(others, tmp_path) == dataclasses.replace(tied, threshold=None)
    assert fitted.tied_to({"good": -0.1, "bad": 0.2}, tmp_path).threshold is None  # an older version noted none
    with pytest.raises(SaywhyError, match="was fitted for other weights"):
        read_confidence(tmp_path, {"weights": "y"})
    fit = content["model"]
    damaged_fits = ({}, None, {**fit, "held": [999] * len(fit["held"])}, {**fit, "counts": [], "held": [], "edges": []})
    damage_of_others = (
        {"schema": 0},
        {"threshold": "high"},
        {"threshold": []},
        {"threshold": True},
        {"belongs": ["x"]},
        {"constants": ["x"]},
        {"constants": {"good": "x"}},
        {"constants": {"good": float("inf")}},
    )
    for damage in (*({"model": of_model} for of_model in damaged_fits), *damage_of_others):
        (tmp_path / "confidence.json").write_text(json.dumps({**content, **damage}))
        with pytest.raises(SaywhyError, match=r"confidence\.json is (damaged|of another version)"):
            read_confidence(tmp_path, {"weights": "x"})
    with pytest.raises(SaywhyError, match="saywhy confidence"):
        read_confidence(tmp_path / "none", {})
