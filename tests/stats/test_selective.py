"""Selective prediction: areas and thresholds of planted confidences."""

import math

import numpy as np
import pytest

from saywhy.records import SaywhyError
from saywhy.stats.selective import (
    THRESHOLD_GRID,
    brier_score,
    exact_share,
    expected_calibration_error,
    risk_areas,
    risk_curve,
    threshold_for,
)


def texts(count):
    return [f"t{number:04d}" for number in range(count)]


def drawn(count, seed):
    """Calibrated confidences, and what holds by them."""
    luck = np.random.default_rng(seed)
    probabilities = luck.random(count)
    return probabilities.tolist(), (luck.random(count) < probabilities).tolist()


def test_a_confidence_that_ranks_perfectly_has_the_area_of_the_oracle():
    held = [True] * 30 + [False] * 20
    areas = risk_areas(np.linspace(1, 0, 50), held, texts(50))
    assert areas.area.value == pytest.approx(areas.oracle)
    assert areas.excess.value == pytest.approx(0.0)
    # By hand: the risk is 0 up to a coverage of 0.6, then (k - 30) / k.
    assert areas.oracle == pytest.approx(sum((k - 30) / k for k in range(31, 51)) / 50)
    assert areas.random == 0.4
    assert risk_areas(np.linspace(0, 1, 50), held, texts(50)).area.value > areas.random


def test_a_confidence_that_knows_nothing_has_the_base_rate():
    held = [True, False, False, True, True] * 8
    areas = risk_areas([0.7] * 40, held, texts(40))
    assert areas.area.value == pytest.approx(0.4)
    assert risk_curve([0.7] * 40, held).risks == pytest.approx([0.4] * 40)
    assert areas.area.low < 0.4 < areas.area.high


def test_equal_confidences_enter_in_random_order():
    """The area with ties is the mean of those with the ties broken in every way."""
    held = [True, False, False, True, False]
    tied = risk_areas([0.9, 0.5, 0.5, 0.5, 0.1], held, texts(5)).area.value
    orders = [(0, *middle, 4) for middle in ((1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1))]
    broken = [np.mean([np.mean([not held[at] for at in order[:shown]]) for shown in range(1, 6)]) for order in orders]
    assert tied == pytest.approx(np.mean(broken))


@pytest.mark.parametrize("change", [math.sqrt, lambda p: 5 * p - 2, lambda p: math.log(p + 0.01)])
def test_only_the_order_of_confidences_counts(change):
    probabilities, held = drawn(60, 0)
    changed = [change(probability) for probability in probabilities]
    assert risk_curve(probabilities, held) == risk_curve(changed, held)
    assert risk_areas(probabilities, held, texts(60)) == risk_areas(changed, held, texts(60))


def test_the_order_of_the_decisions_does_not_count():
    probabilities, held = drawn(60, 1)
    probabilities = [round(probability, 1) for probability in probabilities]  # with ties
    order = np.random.default_rng(2).permutation(60)
    moved = ([values[at] for at in order] for values in (probabilities, held, texts(60)))
    moved_probabilities, moved_held, moved_texts = moved
    assert risk_curve(probabilities, held) == risk_curve(moved_probabilities, moved_held)
    before, after = (
        risk_areas(probabilities, held, texts(60)),
        risk_areas(moved_probabilities, moved_held, moved_texts),
    )
    assert after.area.value == pytest.approx(before.area.value)
    assert (after.area.low, after.area.high) == pytest.approx((before.area.low, before.area.high))
    for measure in (expected_calibration_error, brier_score):
        assert measure(probabilities, held) == pytest.approx(measure(moved_probabilities, moved_held))


def test_an_area_is_the_mean_of_its_curve():
    for seed in range(5):
        probabilities, held = drawn(50, seed)
        probabilities = [round(probability, 1) for probability in probabilities]
        curve = risk_curve(probabilities, held)
        area = risk_areas(probabilities, held, texts(50)).area
        assert area.value == pytest.approx(np.mean(curve.risks))
        assert area.low < area.value < area.high


def test_the_bootstrap_draws_texts_with_all_their_decisions():
    """Decisions that are copies under a second seed make no interval narrower."""
    probabilities, held = drawn(50, 4)
    alone, twice = (risk_areas(probabilities * times, held * times, texts(50) * times).area for times in (1, 2))
    assert twice.high - twice.low == pytest.approx(alone.high - alone.low, rel=0.1)
    assert twice.n == alone.n == 50


def test_risk_and_coverage_are_read_off_the_curve():
    curve = risk_curve([0.9, 0.8, 0.7, 0.6], [True, True, False, True])
    assert curve.risk_at(0.5) == 0.0
    assert curve.risk_at(0.75) == curve.risk_at(0.6) == pytest.approx(1 / 3)
    assert curve.coverage_at(0.0) == 0.5
    assert curve.coverage_at(0.25) == 1.0
    assert risk_curve([0.9, 0.8], [False, False]).coverage_at(0.5) == 0


def test_calibration_error_and_brier_score_of_planted_probabilities():
    half = [True, False] * 50
    assert expected_calibration_error([0.5] * 100, half) == pytest.approx(0.0)
    assert expected_calibration_error([0.9] * 100, half) == pytest.approx(0.4)
    assert brier_score([0.5] * 100, half) == 0.25
    assert brier_score([1.0, 0.0], [True, False]) == 0.0
    # What is too high in one bin does not make up for what is too low in another.
    assert expected_calibration_error([0.8] * 50 + [0.2] * 50, half) == pytest.approx(0.3)


def test_exact_shares_are_those_of_clopper_and_pearson():
    assert exact_share(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert exact_share(10, 10) == pytest.approx((0.025**0.1, 1.0))


def test_the_lowest_threshold_with_the_wanted_share_is_chosen():
    sure, unsure = [0.95] * 200, [0.3] * 200
    held = [True] * 200 + [False] * 200
    assert threshold_for(sure + unsure, held, 0.9, 0.05) == pytest.approx(0.31)
    assert threshold_for(sure + unsure, [True] * 400, 0.9, 0.05) == 0.0
    assert threshold_for(sure + unsure, [False] * 400, 0.9, 0.05) is None
    # 28 of 28 do not show that nine of ten hold, 29 of 29 do.
    assert threshold_for([0.5] * 28, [True] * 28, 0.9, 0.05) is None
    assert threshold_for([0.5] * 29, [True] * 29, 0.9, 0.05) == 0.0
    assert threshold_for([], [], 0.9, 0.05) is None


@pytest.mark.parametrize(("share", "delta", "name"), [(1.0, 0.1, "share"), (0.0, 0.1, "share"), (0.9, 1.5, "delta"),
                                                      (0.9, float("nan"), "delta")])  # fmt: skip
def test_what_no_threshold_can_promise_is_refused(share, delta, name):
    with pytest.raises(SaywhyError, match=f"{name}=.*between 0 and 1"):
        threshold_for([0.5], [True], share, delta)


WORLDS = {
    "calibrated": lambda p: p,
    "too sure": lambda p: 0.8 * p,
    "just below": lambda p: np.full_like(p, 0.79),
    "steps": lambda p: np.where(p > 0.6, 0.82, np.where(p > 0.4, 0.75, 0.1)),
    "worst where it is surest": lambda p: np.where(p > 0.95, 0.5, 0.85),
}
"""Probability that a decision of confidence p holds."""


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("splits", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_level_is_kept(world, splits):
    """The true share above the threshold is below the wanted one in at most a share delta of the splits."""
    holds, wanted, delta = WORLDS[world], 0.8, 0.1
    luck = np.random.default_rng(len(world))
    fine = (np.arange(20000) + 0.5) / 20000
    broken = 0
    for _ in range(splits):
        confidences = luck.random(300)
        threshold = threshold_for(confidences, luck.random(300) < holds(confidences), wanted, delta)
        if threshold is not None:
            assert threshold in THRESHOLD_GRID
            broken += holds(fine[fine >= threshold]).mean() < wanted
    slack = 3 * math.sqrt(delta * (1 - delta) / splits)  # three standard errors of a simulated share
    assert broken / splits <= delta + slack


def test_the_guarantee_is_not_bought_by_showing_nothing():
    chosen = [threshold_for(*drawn(400, seed), 0.8, 0.1) for seed in range(40)]
    shown = [threshold for threshold in chosen if threshold is not None]
    assert len(shown) >= 32
    assert np.median(shown) < 0.75  # the lowest right one is 0.6: half of (1 + t) is 0.8
