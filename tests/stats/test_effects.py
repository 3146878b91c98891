"""Effect share: cases worked by hand, planted shares, and input that has no answer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from made_rows import row
from saywhy import stats
from saywhy.records import CounterfactualGrid, Row, Table

TABLE = Table("a", "redact", "x", 1.0, ("a", "good", "day", "too"), ("x", "y", "x", "x"), (0.0, 2.0, 0.4, 0.0))
GRID = CounterfactualGrid(
    "a",
    "y",
    ("good", "good", "day", "day"),
    ("bad", "sad", "bad", "sad"),
    ("y", "x", "x", "x"),
    (9.0,) * 4,
    (2.0, 1.0, 0.0, 1.0),
)


def valued(text: str, effect: float | None, floor: float | None, ceiling: float | None, **more: object) -> Row:
    return row(text, True, 0.25, effect=effect, effect_floor=floor, effect_ceiling=ceiling, **more)


def own_share(rows: list[Row]) -> stats.Interval:
    return stats.effect_share(stats.own_effects(rows))


def test_it_is_a_ratio_of_sums_not_a_mean_of_ratios() -> None:
    rows = [valued("a", 2.0, 0.5, 2.0), valued("b", 0.1, 0.0, 0.5)]
    assert own_share(rows).value == pytest.approx((1.5 + 0.1) / (1.5 + 0.5))


def test_the_best_word_gets_one_a_random_word_none() -> None:
    best = [valued(str(at), 1.0 + at, 0.2, 1.0 + at) for at in range(4)]
    assert own_share(best).value == pytest.approx(1.0)
    every = [valued(f"{at}", effect, 0.6, 2.0, seed=at) for at in range(1) for effect in (0.6,)]
    assert own_share(every).value == pytest.approx(0.0)


def test_an_invalid_reply_moves_nothing() -> None:
    invalid = valued("a", None, 0.5, 2.0, words=(), reason="empty reply", recheck=None)
    assert own_share([invalid]).value == pytest.approx(-0.5 / 1.5)


def test_what_is_unknown_is_left_out_and_said() -> None:
    known, unknown = valued("a", 2.0, 0.5, 2.0), row("b", True, 0.25)
    assert own_share([known, unknown]) == own_share([known])
    assert own_share([unknown]) == stats.Interval(None, None, None, 0, "no explanation of known effect")


def test_a_text_in_which_no_word_matters_adds_nothing() -> None:
    rows = [valued("a", 0.0, 0.0, 0.0), valued("b", 1.0, 0.0, 2.0)]
    assert own_share(rows).value == pytest.approx(0.5)
    lost = own_share(rows[:1])
    assert lost.value is None
    assert "hardly any word" in str(lost.reason)


def test_few_texts_behind_the_spread_are_doubted() -> None:
    luck = np.random.default_rng(0)
    rows = [valued(f"{at:03}", float(luck.random()), 0.0, 1.0) for at in range(100)]
    assert own_share(rows).doubt is None
    heavy = [dataclasses.replace(r, effect=1000.0, effect_ceiling=2000.0) if r.id == "000" else r for r in rows]
    assert own_share(heavy).doubt
    perfect = [dataclasses.replace(r, effect=1.0) for r in rows]
    assert own_share(perfect).doubt


def test_seeds_are_averaged_within_a_text() -> None:
    once = [valued("a", 1.0, 0.0, 1.0), valued("b", 0.0, 0.0, 1.0), valued("c", 0.5, 0.0, 1.0)]
    twice = [dataclasses.replace(r, seed=seed) for r in once for seed in (0, 1)]
    assert own_share(twice) == own_share(once)
    assert own_share(once[::-1]) == own_share(once)


def test_scaling_every_effect_changes_nothing() -> None:
    luck = np.random.default_rng(1)
    rows = [valued(f"{at:03}", float(luck.normal()), 0.1, 3.0) for at in range(40)]
    tripled = [dataclasses.replace(r, effect=3 * (r.effect or 0), effect_floor=0.3, effect_ceiling=9.0) for r in rows]
    first, second = own_share(rows), own_share(tripled)
    assert (first.value, first.low, first.high) == pytest.approx((second.value, second.low, second.high))


def start_share(*rows: Row, grid: CounterfactualGrid = GRID) -> stats.Interval:
    return stats.effect_share(stats.start_effects(rows, {("a", 0): TABLE}, {("a", 0): grid}))


def test_the_start_models_table_grades_a_word() -> None:
    assert start_share(valued("a", 9.0, 0.0, 9.0)).value == pytest.approx(1.0)
    assert start_share(valued("a", 9.0, 0.0, 9.0, words=("day",))).value == pytest.approx((0.4 - 0.6) / (2.0 - 0.6))
    elsewhere = start_share(valued("a", 9.0, 0.0, 9.0, words=("night",)))
    invalid = start_share(row("a", False, 0.0, words=(), reason="empty reply", recheck=None))
    assert elsewhere.value == invalid.value == pytest.approx(-0.6 / 1.4)


def test_the_start_models_grid_grades_a_counterfactual() -> None:
    def graded(grid: CounterfactualGrid = GRID, **changes: object) -> stats.Interval:
        named = {"words": ("good",), "inserted": ("bad",), "named": "y", **changes}
        return start_share(row("a", True, 0.0, style="counterfactual", **named), grid=grid)

    assert graded().value == pytest.approx(1.0)
    assert graded(inserted=("sad",)).value == pytest.approx(0.0)
    assert graded(words=(), inserted=(), reason="empty reply", recheck=None).value == pytest.approx(-1.0)
    assert graded(named="z").n == 0, "the start model would be asked for another label"
    assert graded(inserted=("mad",)).n == 0, "nobody tried this word"
    assert graded(dataclasses.replace(GRID, rises=())).n == 0, "the rises are unknown"


def test_free_explanations_are_not_graded_by_the_start_model() -> None:
    assert start_share(valued("a", 9.0, 0.0, 9.0, setting="free")).n == 0


def arm(skill: float, n: int = 200, scale: float = 1.0) -> stats.Effects:
    """Return the effects of an arm that names the best word with ``skill``, else a random one."""
    texts = np.random.default_rng(5)
    rooms, luck = texts.gamma(2.0, 1.0, n), texts.random(n)
    return {
        (f"{at:03}", 0): stats.Effect(float(scale * room * (luck[at] < skill)), float(scale * room))
        for at, room in enumerate(rooms)
    }


def test_a_difference_of_shares_is_the_planted_one() -> None:
    gained = stats.effect_share_difference(arm(0.7), arm(0.3))
    assert gained.value == pytest.approx(0.4, abs=0.08)
    assert gained.low is not None
    assert gained.low > 0
    assert (gained.p, gained.n) == (pytest.approx(0.0002), 200)
    lost = stats.effect_share_difference(arm(0.3), arm(0.7))
    assert (lost.value, lost.low, lost.high) == pytest.approx((-gained.value, -gained.high, -gained.low))  # type: ignore[operator]


def test_equal_arms_do_not_differ() -> None:
    same = stats.effect_share_difference(arm(0.5), arm(0.5))
    assert (same.value, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_model_whose_answers_are_only_larger_gains_no_share() -> None:
    assert stats.effect_share_difference(arm(0.5, scale=4.0), arm(0.5)).value == pytest.approx(0.0)


def test_only_shared_texts_count() -> None:
    first, second = arm(0.7), arm(0.3)
    part = {key: effect for key, effect in second.items() if key[0] < "100"}
    assert stats.effect_share_difference(first, part).n == 100
    apart = {(f"z{text}", seed): effect for (text, seed), effect in second.items()}
    assert stats.effect_share_difference(first, apart).reason == "no shared texts"
    assert stats.effect_share_difference(first, {}).reason == "no explanation of known effect"
