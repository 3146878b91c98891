"""Each statistic against a case worked by hand, and against input that has no answer."""

from __future__ import annotations

import dataclasses
import math

import pytest

from made_rows import decision, row
from saywhy import stats
from saywhy.records import CounterfactualGrid, Table


def finite(found: stats.Interval) -> bool:
    return all(v is None or math.isfinite(v) for v in (found.value, found.low, found.high))


def test_wilson_by_hand() -> None:
    found = stats.rate([True] * 3 + [False] * 7)
    z, n, p = 1.959964, 10, 0.3
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert found.value == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-6)


def test_repeated_rows_of_a_text_do_not_narrow_the_interval() -> None:
    once, twice = [True, False, False], [True, True, False, False, False, False]
    assert stats.rate(twice, texts=3) == stats.rate(once)


@pytest.mark.parametrize(("hits", "low", "high"), [([True] * 4, None, 1.0), ([False] * 4, 0.0, None)])
def test_rate_stays_within_bounds(hits: list[bool], low: float | None, high: float | None) -> None:
    found = stats.rate(hits)
    assert low is None or found.low == low
    assert high is None or found.high == high


def test_rate_of_nothing() -> None:
    assert stats.rate([]) == stats.Interval(None, None, None, 0, "no rows")


def test_mean_of_equal_values_has_no_width() -> None:
    assert stats.mean_interval([0.5] * 10) == stats.Interval(0.5, 0.5, 0.5, 10)


def test_mean_of_one_and_of_none() -> None:
    assert stats.mean_interval([0.5]).value == 0.5
    assert stats.mean_interval([0.5]).low is None
    assert stats.mean_interval([0.5]).reason
    assert stats.mean_interval([]).value is None
    assert stats.mean_interval([math.nan]).reason == "no values"


def test_mean_interval_is_seeded_and_covers() -> None:
    values = [0.0, 1.0] * 50
    found = stats.mean_interval(values, seed=3)
    assert found == stats.mean_interval(values, seed=3)
    # The mean of 100 fair coins: 0.5 +- 1.96 * 0.05.
    assert (found.low, found.high) == pytest.approx((0.402, 0.598), abs=0.02)


def test_paired_difference_is_exact_when_it_can_be() -> None:
    a = {(text, 0): 1.0 for text in "abc"}
    b = {(text, 0): 0.0 for text in "abc"}
    found = stats.paired_difference(a, b)
    assert (found.value, found.low, found.high, found.n) == (1.0, 1.0, 1.0, 3)
    assert found.p == pytest.approx(2 / 8)


def test_paired_difference_averages_seeds_within_a_text() -> None:
    a = {("a", 0): 1.0, ("a", 1): 0.0, ("b", 0): 1.0, ("c", 0): 9.0}
    b = {("a", 0): 0.0, ("a", 1): 0.0, ("b", 0): 0.0}
    found = stats.paired_difference(a, b)
    assert found.value == pytest.approx((0.5 + 1.0) / 2)
    assert found.n == 2


def test_no_difference_has_p_one() -> None:
    same = {(str(i), 0): float(i % 2) for i in range(9)}
    found = stats.paired_difference(same, dict(same))
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_paired_difference_of_disjoint_texts() -> None:
    found = stats.paired_difference({("a", 0): 1.0}, {("b", 0): 1.0})
    assert (found.value, found.p, found.reason) == (None, None, "no shared texts")


def test_holm_by_hand() -> None:
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([]) == []


def test_score_by_hand() -> None:
    rows = [row("a", True, 0.25), row("b", False, 0.5), row("c", False, 0.0, ceiling=False)]
    # Excess 0.75 - 0.5 + 0; room 0.75 + 0.5 + 0.
    assert stats.score(rows).value == pytest.approx(0.25 / 1.25)


def test_best_word_scores_one_and_random_word_zero() -> None:
    best = [row(str(i), i % 2 == 0, 0.2 * (i % 2 == 0), ceiling=i % 2 == 0) for i in range(40)]
    assert stats.score(best).value == pytest.approx(1.0)
    assert (stats.score(best).low, stats.score(best).high) == pytest.approx((1.0, 1.0))
    chance = [row(str(i), i % 4 == 0, 0.25) for i in range(40)]
    assert stats.score(chance).value == pytest.approx(0.0)


def test_score_does_not_depend_on_the_order_of_rows() -> None:
    rows = [row(str(i), i % 3 == 0, 0.1) for i in range(30)]
    assert stats.score(rows) == stats.score(rows[::-1])


def test_score_without_room_has_a_reason() -> None:
    found = stats.score([row(str(i), False, 0.0, ceiling=False) for i in range(5)])
    assert found.value is None
    assert "flip" in (found.reason or "")
    assert stats.score([]).reason == "no rows"


def test_score_with_little_room_has_no_interval() -> None:
    rows = [row("a", True, 0.0), *(row(str(i), False, 0.0, ceiling=False) for i in range(20))]
    found = stats.score(rows)
    assert found.value == pytest.approx(1.0)
    assert (found.low, found.high) == (None, None)
    assert found.reason


def test_score_on_texts_that_can_flip_in_both() -> None:
    a = [row("a", True, 0.0), row("b", False, 0.0), row("c", True, 0.5)]
    b = [row("a", False, 0.5), row("b", True, 0.5, ceiling=False), row("c", False, 0.5)]
    mine, theirs = stats.score_on_flippable(a, b)
    assert mine.value == pytest.approx((1.0 + 0.5) / (1.0 + 0.5))
    assert theirs.value == pytest.approx(-1.0)
    assert mine.n == theirs.n == 2
    assert stats.score_on_flippable(a[:1], b[1:])[0].value is None


TABLE = Table("a", "redact", "x", 1.0, ("a", "good", "day", "too"), ("x", "y", "x", "x"), (0.0, 2.0, 0.1, 0.0))


def test_start_graded_by_hand() -> None:
    start = {("a", 0): TABLE, ("b", 0): dataclasses.replace(TABLE, id="b")}
    hit, miss = row("a", True, 0.0), row("b", True, 0.0, words=("day",))
    assert stats.start_graded([hit, miss], start, {}).value == pytest.approx((0.75 - 0.25) / 2)
    invalid = row("a", False, 0.0, words=(), reason="empty reply", recheck=None)
    assert stats.start_graded([invalid], start, {}).value == pytest.approx(-0.25)


def test_start_graded_leaves_out_what_it_cannot_grade() -> None:
    rows = [
        row("a", True, 0.0, style="counterfactual"),
        row("a", True, 0.0, setting="free"),
        row("z", True, 0.0),
    ]
    found = stats.start_graded(rows, {("a", 0): TABLE}, {})
    assert (found.value, found.n) == (None, 0)
    assert found.reason


def test_counterfactuals_are_graded_by_the_start_models_grid() -> None:
    edits = (("good", "bad"), ("good", "sad"), ("day", "bad"), ("day", "sad"))
    grid = CounterfactualGrid(
        "a", "y", tuple(w for w, _ in edits), tuple(v for _, v in edits), ("y", "x", "x", "x"), (0.0,) * 4
    )
    start = {("a", 0): grid}

    def graded(**changes: object) -> stats.Interval:
        told = {"words": ("good",), "inserted": ("bad",), "named": "y", **changes}
        return stats.start_graded([row("a", True, 0.0, style="counterfactual", **told)], {("a", 0): TABLE}, start)

    assert graded().value == pytest.approx(1 - 0.25)
    assert graded(words=("day",)).value == pytest.approx(-0.25)
    assert graded(words=(), inserted=(), reason="empty reply", recheck=None).value == pytest.approx(-0.25)
    assert graded(named="z").n == 0, "the start model would be asked for another label"
    assert graded(inserted=("mad",)).n == 0, "nobody tried this word"


def test_drift_by_hand() -> None:
    brittle = dataclasses.replace(TABLE, labels=("y", "y", "x", "x"), margin=0.5)
    found = stats.table_drift({("a", 0): brittle}, {("a", 0): TABLE})
    assert found["floor"].value == pytest.approx(0.25)
    assert found["ceiling"].value == pytest.approx(0.0)
    assert found["margin"].value == pytest.approx(-0.5)
    assert stats.table_drift({}, {})["floor"].value is None


def test_accuracy_and_agreement() -> None:
    mine = [decision("a", "x"), decision("b", "y"), decision("c", "x", gold=None)]
    assert stats.accuracy(mine).value == pytest.approx(0.5)
    assert stats.accuracy(mine, raw=True).value == pytest.approx(1.0)
    assert stats.accuracy(mine[2:]).reason == "no gold labels"
    theirs = [decision("a", "x"), decision("b", "x"), decision("z", "x")]
    assert stats.agreement(mine, theirs).value == pytest.approx(0.5)
    assert stats.agreement(mine, theirs).n == 2
    assert stats.agreement(mine, [decision("a", "x", seed=4)]).reason == "no shared texts"


def test_nothing_is_ever_nan() -> None:
    rows = [row(str(i), False, 0.0, ceiling=i == 0, drop=None) for i in range(3)]
    found = [
        stats.score(rows),
        stats.mean_interval([r.excess for r in rows]),
        stats.rate([r.hit for r in rows]),
    ]
    found += [stats.start_graded(rows, {}, {}), *stats.score_on_flippable(rows, rows)]
    assert all(finite(one) for one in found)
