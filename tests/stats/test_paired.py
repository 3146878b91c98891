"""Comparisons on the same texts, worked by hand or looked up in a table; and what has no answer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import pytest

from made_rows import decision, row
from saywhy import stats
from saywhy.records import SaywhyError
from saywhy.stats.intervals import resampled_sums
from saywhy.stats.paired import _sign_flip


def texts(values: Iterable[float], seed: int = 0) -> dict[stats.TextSeed, float]:
    return {(f"t{at:03}", seed): value for at, value in enumerate(values)}


def test_the_resamples_are_those_of_scipy() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(5).normal(size=37)
    theirs = bootstrap((values,), np.mean, n_resamples=2000, batch=100, method="percentile", rng=7)
    assert resampled_sums(values, 7) / 37 == pytest.approx(theirs.bootstrap_distribution)
    found = stats.mean_interval(values, 7)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval))


def test_drawn_and_listed_sign_flips_agree() -> None:
    from scipy.stats import permutation_test

    values = np.random.default_rng(1).normal(0.4, 1, size=14)
    every = permutation_test((values,), np.sum, permutation_type="samples", n_resamples=2**14)
    # Drawn 9999 times, p = 0.2 has a standard error of 0.004.
    assert _sign_flip(values, 0) == pytest.approx(every.pvalue, abs=0.016)
    assert _sign_flip(values, 0) == _sign_flip(values, 0)


def test_sign_flips_of_equal_differences_are_those_of_a_coin() -> None:
    # 20 texts of which 16 gain and 4 lose: 2 * P(a fair coin shows at most 4 of 20) = 0.0118.
    values = np.array([1.0] * 16 + [-1.0] * 4)
    assert _sign_flip(values, 0) == pytest.approx(0.0118, abs=0.004)


def test_every_seed_is_shown_beside_the_mean() -> None:
    a = texts([1, 1, 0], 0) | texts([1, 0, 0], 1)
    b = texts([0, 0, 0], 0) | texts([0, 0, 1], 1)
    found = stats.paired_difference(a, b)
    # By text: 1, 1/2, -1/2; by seed: 2/3 and 0.
    assert found.value == pytest.approx(1 / 3)
    assert dict(found.seeds) == pytest.approx({0: 2 / 3, 1: 0.0})
    assert found.n == 3


def test_seeds_do_not_count_as_more_texts() -> None:
    once = texts(np.random.default_rng(0).normal(0.3, 1, size=40))
    thrice = {(text, seed): value for (text, _), value in once.items() for seed in range(3)}
    zero = dict.fromkeys(thrice, 0.0)
    one, three = stats.paired_difference(once, zero), stats.paired_difference(thrice, zero)
    for name in ("value", "low", "high", "n", "effect"):
        assert getattr(three, name) == pytest.approx(getattr(one, name))
    assert three.p == one.p


def test_effect_size_by_hand() -> None:
    found = stats.paired_difference(texts([1, 0, 1, 0]), texts([0, 0, 0, 0]))
    # Mean 1/2; standard deviation with n - 1: sqrt(4 * 0.25 / 3).
    assert found.effect == pytest.approx(0.5 / math.sqrt(1 / 3))
    assert stats.paired_difference(texts([1, 1]), texts([0, 0])).effect is None
    assert stats.paired_difference(texts([1]), texts([0])).effect is None
    assert stats.paired_difference({}, {}).effect is None


@pytest.mark.parametrize(
    ("won", "lost", "p"),
    [(8, 1, 2 * (1 + 9) / 2**9), (5, 0, 2 / 2**5), (3, 3, 1.0), (0, 0, 1.0), (1, 0, 1.0)],
)
def test_mcnemar_by_hand(won: int, lost: int, p: float) -> None:
    a = texts([1] * won + [0] * lost + [1, 0])
    b = texts([0] * won + [1] * lost + [1, 0])
    found = stats.discordant(a, b)
    assert found is not None
    assert (found.won, found.lost) == (won, lost)
    assert found.p == pytest.approx(p)


def test_mcnemar_counts_texts_and_not_seeds() -> None:
    a = texts([1, 1, 0], 0) | texts([1, 0, 1], 1)
    b = texts([0, 0, 1], 0) | texts([0, 1, 0], 1)
    # The first text is won under both seeds, the others once each way: one discordant text.
    assert stats.discordant(a, b) == stats.Discordant(1, 0, 1.0)
    assert stats.discordant(a, {("elsewhere", 0): 1.0}) is None


@pytest.mark.parametrize(("effect", "needed"), [(0.2, 199), (0.5, 34), (-0.5, 34), (0.8, 15)])
def test_texts_for_power_are_those_of_the_tables(effect: float, needed: int) -> None:
    # Paired t-test, two-sided 0.05, power 0.8: G*Power and Cohen (1988).
    assert stats.texts_needed(effect).texts == needed


def test_texts_for_power_without_a_number() -> None:
    for effect in (0.0, 1e-5, -0.008):
        found = stats.texts_needed(effect)
        assert found.texts is None
        assert found.too_many
        assert found.reason == "more than 100,000"
    assert stats.texts_needed(0.009).texts == 96902
    assert stats.texts_needed(1e6).texts == 2
    # Sizes for which statsmodels' own solver finds nothing: a page must not be lost to one.
    assert [stats.texts_needed(size).texts for size in (8, 20, 50, 1e3)] == [3, 3, 3, 2]
    assert all(stats.texts_needed(size / 50).texts for size in range(1, 500, 7))
    assert stats.texts_needed(None) == stats.TextsNeeded(None, "no effect size")


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(-0.02, 0.01, "yes"), (-0.05, 0.01, "unclear"), (-0.09, -0.04, "no"), (-0.03, 0.0, "unclear")],
)
def test_not_worse_by_the_bound(low: float, high: float, answer: str) -> None:
    assert stats.not_worse(stats.Interval((low + high) / 2, low, high, 500), 0.03) == answer


def test_not_worse_needs_an_interval() -> None:
    assert stats.not_worse(stats.Interval(0.0, None, None, 1, "one text has no interval"), 0.03) is None


def test_nothing_seen_to_change_is_no_proof_with_few_texts() -> None:
    # None of n texts changed: the upper Wilson bound of a share of 0 is z^2 / (n + z^2), 0.037 for 100 texts.
    same = stats.Interval(0.0, 0.0, 0.0, 100)
    none = stats.Discordant(0, 0, 1.0)
    assert stats.not_worse(same, 0.03, none) == "unclear"
    assert stats.not_worse(same, 0.04, none) == "yes"
    assert stats.not_worse(dataclasses.replace(same, n=1000), 0.03, none) == "yes"


def test_agreeing_by_text_and_seed() -> None:
    mine = [decision("a", "x"), decision("b", "y"), decision("c", "x")]
    theirs = [decision("a", "x"), decision("b", "x")]
    assert stats.label_agreement(mine, theirs) == {("a", 0): 1.0, ("b", 0): 0.0}


def able(hits: int, misses: int, rest: int = 0) -> stats.Interval:
    rows = [row(f"h{at}", True, 0.1) for at in range(hits)] + [row(f"m{at}", False, 0.1) for at in range(misses)]
    return stats.score([*rows, *(row(f"r{at}", False, 0.0, ceiling=False) for at in range(rest))])


def test_score_of_few_texts_is_not_to_be_trusted() -> None:
    assert able(15, 15, rest=60).doubt is None
    assert able(15, 14).doubt == "29 texts can flip, 30 are needed"
    assert able(4, 60).doubt == "4 hits among the 64 texts that can flip, 5 are needed"
    assert able(60, 4).doubt == "4 misses among the 64 texts that can flip, 5 are needed"
    assert able(5, 60).doubt is None


def test_family_by_words() -> None:
    family = stats.Family.parse("style=attribution,redaction  against=random")
    place = {"style": ("redaction",), "against": ("random-redaction", "random")}
    assert family.name == "style=attribution,redaction against=random"
    assert family.holds(place)
    assert not family.holds(place | {"style": ("counterfactual",)})
    assert not family.holds(place | {"against": ("lexical",)})
    assert stats.Family.parse("against=random against=base").accepted == {"against": ("random", "base")}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("style=atribution", "no style 'atribution': choose from attribution, redaction, counterfactual"),
        ("styles=attribution", "'styles=attribution' names no comparisons"),
        ("attribution", "'attribution' names no comparisons"),
        ("style=", "'style=' names no comparisons"),
        ("", "no comparisons are named"),
    ],
)
def test_a_family_that_is_none_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(SaywhyError) as caught:
        stats.Family.parse(text)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
