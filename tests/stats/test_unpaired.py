"""Different texts in two groups: worked by hand, or looked up."""

import pytest

from saywhy import stats


def group(hits, n):
    return [True] * hits + [False] * (n - hits)


def test_newcombe_1998_method_10():
    # Table II of Newcombe (1998), 56/70 against 48/80: 0.0524 to 0.3339.
    difference = stats.unpaired_difference(group(56, 70), group(48, 80))
    assert difference.value == pytest.approx(0.2)
    assert (difference.low, difference.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference.n == 150


def test_fisher_by_hand():
    # 3 of 3 against 0 of 3: two of the 20 ways to draw 3 of 6 are as extreme.
    assert stats.unpaired_difference(group(3, 3), group(0, 3)).p == pytest.approx(0.1)


@pytest.mark.parametrize(("a", "b"), [((5, 5), (5, 5)), ((0, 4), (0, 9))])
def test_equal_extremes_have_an_interval_and_no_effect(a, b):
    difference = stats.unpaired_difference(group(*a), group(*b))
    assert (difference.value, difference.p) == (0.0, pytest.approx(1.0))
    assert difference.low < 0 < difference.high


def test_an_empty_group_has_no_difference():
    difference = stats.unpaired_difference([], group(1, 2))
    assert (difference.value, difference.p) == (None, None)
    assert difference.reason == "one of the groups is empty"


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ({"a": 1}, {"b": 5}, 1.0),
        ({"a": 2, "b": 2}, {"a": 0.5, "b": 0.5}, 0.0),
        ({"a": 3, "b": 1}, {"a": 1, "b": 1}, 0.25),
        ({}, {"a": 1}, None),
        ({"a": 0}, {"a": 1}, None),
    ],
)
def test_total_variation(first, second, distance):
    assert stats.total_variation(first, second) == distance
    assert stats.total_variation(second, first) == distance
