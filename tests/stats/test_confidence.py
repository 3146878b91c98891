"""Confidences of planted decisions: what holds with a known probability, and what knows nothing."""

import dataclasses
import json
import math

import numpy as np
import pytest

from made_rows import row
from saywhy.records import SaywhyError
from saywhy.stats import auroc
from saywhy.stats.confidence import (
    ConfidenceFeatures,
    ConfidenceModel,
    RecheckedReason,
    cross_fitted,
    fit_confidence,
    fitting_problem,
    outcomes_of,
)
from saywhy.stats.selective import brier_score, expected_calibration_error


def truth(features):
    """The planted probability: likelier words hold more often, and words of sure answers less often."""
    return 1 / (1 + math.exp(-(2.0 + 1.5 * features.log_probability - 0.5 * features.margin)))


def steep_truth(features):
    return 0.9 if features.log_probability > -1.5 else 0.2


def planted(count, seed, holds=truth):
    luck = np.random.default_rng(seed)
    outcomes = []
    for number in range(count):
        features = ConfidenceFeatures(
            float(-3 * luck.random()), float(luck.exponential(2.0)), int(luck.integers(3, 25))
        )
        outcomes.append(RecheckedReason(f"t{number:04d}", features, bool(luck.random() < holds(features))))
    return outcomes


@pytest.mark.parametrize("holds", [truth, steep_truth])
def test_planted_probabilities_are_found(holds):
    model, new = fit_confidence(planted(1500, 0, holds)), planted(500, 1)
    errors = [abs(model.probability(outcome.features) - holds(outcome.features)) for outcome in new]
    assert np.mean(errors) < 0.05
    assert bool(model.knots) == (holds is steep_truth)  # a step is no logistic curve


def test_what_is_cross_fitted_is_calibrated_and_ranks():
    outcomes = planted(400, 2)
    probabilities, held = cross_fitted(outcomes), [outcome.held for outcome in outcomes]
    assert expected_calibration_error(probabilities, held) < 0.08
    lists = [[[p] if outcome.held is kept else [] for p, outcome in zip(probabilities, outcomes, strict=True)]
             for kept in (True, False)]  # fmt: skip
    ideal = [[[truth(outcome.features)] if outcome.held is kept else [] for outcome in outcomes]
             for kept in (True, False)]  # fmt: skip
    assert auroc(*lists).value == pytest.approx(auroc(*ideal).value, abs=0.03)
    assert brier_score(probabilities, held) < np.var(held)


def test_features_that_know_nothing_give_no_more_than_the_base_rate():
    outcomes = planted(400, 3, lambda features: 0.3)
    probabilities = cross_fitted(outcomes)
    base_rate = np.mean([outcome.held for outcome in outcomes])
    assert np.std(probabilities) < 0.1
    assert np.mean(probabilities) == pytest.approx(base_rate, abs=0.02)


def test_no_text_is_predicted_by_a_model_that_saw_it():
    """A text whose outcome is turned changes no prediction of its own fold, under any of its seeds."""
    outcomes = planted(60, 4)
    twice = outcomes + [dataclasses.replace(outcome) for outcome in outcomes]
    probabilities = cross_fitted(twice)
    assert probabilities[:60] == probabilities[60:]
    luck = np.random.default_rng(0)
    hashes = [RecheckedReason(o.text, ConfidenceFeatures(float(-luck.random()), 1.0, 5), o.held) for o in outcomes]
    many = hashes * 10  # a model that could learn texts by heart would be right
    lists = [[[p] if o.held is kept else [] for p, o in zip(cross_fitted(many)[:60], many[:60], strict=True)]
             for kept in (True, False)]  # fmt: skip
    assert auroc(*lists).value < 0.75


def test_the_order_of_decisions_does_not_count():
    outcomes = planted(80, 5)
    order = np.random.default_rng(1).permutation(80)
    moved = [outcomes[at] for at in order]
    probabilities = cross_fitted(outcomes)
    assert cross_fitted(moved) == pytest.approx([probabilities[at] for at in order])
    assert fit_confidence(outcomes).counts == fit_confidence(moved).counts


@pytest.mark.parametrize("holds", [truth, steep_truth])
def test_a_model_is_plain_numbers_and_back(holds):
    model = fit_confidence(planted(300, 6, holds))
    again = ConfidenceModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again == model
    for outcome in planted(20, 7):
        assert again.probability(outcome.features) == model.probability(outcome.features)


@pytest.mark.parametrize("change", [{"means": [1.0]}, {"scales": [0.0, 1.0, 1.0]}, {"counts": [3]}, {"knots": [0.5]},
                                    {"intercept": "high"}, {"held": None}])  # fmt: skip
def test_numbers_that_do_not_fit_together_are_no_model(change):
    with pytest.raises(TypeError):
        ConfidenceModel.from_dict({**fit_confidence(planted(100, 6)).to_dict(), **change})


def test_decisions_like_one_are_those_of_its_bin():
    outcomes = planted(400, 8)
    model = fit_confidence(outcomes)
    probabilities = np.array(cross_fitted(outcomes))
    assert sum(model.counts) == 400
    for probability in (0.0, 0.2, 0.5, 0.8, 1.0):
        at = np.searchsorted(model.edges, probability, side="right")
        alike = [o.held for o, p in zip(outcomes, probabilities, strict=True)
                 if np.searchsorted(model.edges, p, side="right") == at]  # fmt: skip
        share = model.decisions_like(probability)
        assert (share.n, share.share) == (len(alike), pytest.approx(np.mean(alike)))
        assert share.low <= share.share <= share.high
        assert share.n >= 20
    assert model.decisions_like(1.0).share > model.decisions_like(0.0).share + 0.4


def test_agreement_is_weighed_where_it_is_known():
    luck = np.random.default_rng(0)
    outcomes = [
        RecheckedReason(
            o.text, dataclasses.replace(o.features, agreement=float(agrees)), bool(luck.random() < 0.2 + 0.6 * agrees)
        )
        for o, agrees in zip(planted(400, 9), luck.integers(0, 2, 400).tolist(), strict=True)
    ]
    model = fit_confidence(outcomes)
    assert model.weighs_agreement
    agreeing, not_agreeing = (
        np.mean([model.probability(dataclasses.replace(o.features, agreement=a)) for o in outcomes]) for a in (1.0, 0.0)
    )
    assert (agreeing, not_agreeing) == (pytest.approx(0.8, abs=0.07), pytest.approx(0.2, abs=0.07))
    with pytest.raises(SaywhyError, match="weighs the agreement"):
        model.probability(ConfidenceFeatures(-1.0, 1.0, 5))
    alone = fit_confidence(
        [dataclasses.replace(o, features=dataclasses.replace(o.features, agreement=None)) for o in outcomes]
    )
    assert not alone.weighs_agreement
    assert 0 < alone.probability(ConfidenceFeatures(-1.0, 1.0, 5)) < 1


def test_far_features_overflow_nothing():
    model = fit_confidence(planted(100, 6))
    for far in (1e6, -1e6):
        assert 0.0 <= model.probability(ConfidenceFeatures(-abs(far), far, 3)) <= 1.0
    outlier = RecheckedReason("far", ConfidenceFeatures(-1e7, -1e7, 3), True)  # surely not, and yet it holds
    separable = planted(60, 0, lambda features: float(features.log_probability > -1.5))
    for probability in cross_fitted([*separable, outlier]):
        assert 0.0 <= probability <= 1.0


def test_rows_become_decisions():
    """Holds: a hit, where less than half of the words would do."""
    known = {"log_probability": -1.0, "margin": 2.0}
    rows = [
        row("a", True, 0.25, **known),
        row("b", True, 0.5, **known),
        row("c", False, 0.0, **known),
        row("d", True, 0.25),  # of an older folder
        row("a", True, 0.25, style="redaction", words=("good",), **known),
        row("b", True, 0.25, style="redaction", words=("day",), **known),
    ]
    words = dict.fromkeys("abcd", 4)
    outcomes = outcomes_of(rows, words, "attribution")
    assert [(o.text, o.held, o.features.agreement) for o in outcomes] == [
        ("a", True, 1.0), ("b", False, 0.0), ("c", False, 0.0)
    ]  # fmt: skip
    assert [(o.text, o.held, o.features.agreement) for o in outcomes_of(rows, words, "redaction")] == [
        ("a", True, 1.0), ("b", True, 0.0)
    ]  # fmt: skip
    assert outcomes[0].features == ConfidenceFeatures(-1.0, 2.0, 4, 1.0)
    alone = outcomes_of([r for r in rows if r.style == "attribution"], words, "attribution")
    assert {o.features.agreement for o in alone} == {None}


@pytest.mark.parametrize(
    ("outcomes", "problem"),
    [
        (planted(39, 0), "39 texts with a known log-probability, 40 are needed"),
        (planted(30, 0) * 2, "30 texts"),
        (planted(50, 0, lambda features: 1.0), "does not hold in 0 of 50 texts"),
        (planted(50, 0, lambda features: 0.0), "holds in 0 of 50 texts"),
        ([], "0 texts"),
    ],
)
def test_where_nothing_can_be_fitted_one_line_says_why(outcomes, problem):
    assert problem in fitting_problem(outcomes)
    with pytest.raises(SaywhyError, match=problem):
        fit_confidence(outcomes)


def test_five_of_a_kind_are_enough_wherever_they_stand():
    outcomes = planted(60, 0, lambda features: 0.0)
    few = [dataclasses.replace(o, held=number >= 55) for number, o in enumerate(outcomes)]
    assert fitting_problem(few) is None
    assert fit_confidence(few).probability(few[0].features) < 0.5
