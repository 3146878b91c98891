"""Do intervals that say 95 % hold the truth in 95 % of experiments? 2,000 simulated experiments each.

The allowed 93-97 % leaves room for what is known: a Wilson interval of a discrete share covers 93.3 % at its worst
place for n = 100. Nothing is loosened for a method that misses.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from made_rows import row
from saywhy import stats

EXPERIMENTS = 2000
RATES = (0.1, 0.3, 0.5, 0.7, 0.9)
FLOORS = np.array([1 / 5, 1 / 8, 1 / 12, 1 / 16])

pytestmark = pytest.mark.slow


def covered(intervals: list[stats.Interval], truth: float) -> float:
    """Return the share of intervals that hold the truth; one without bounds does not."""
    held = [
        found.low is not None and found.high is not None and found.low <= truth <= found.high for found in intervals
    ]
    return sum(held) / len(held)


@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("rate", RATES)
def test_wilson_covers(n: int, rate: float) -> None:
    """One experiment from each 2,000th of the distribution of the hits.

    Freely drawn experiments tell a coverage to +-1 % only, and that of n = 100 at a rate of 0.1 is 93.6 %.
    """
    from scipy.stats import binom

    luck = np.random.default_rng([n, round(10 * rate)])
    hits = binom.ppf((np.arange(EXPERIMENTS) + luck.random(EXPERIMENTS)) / EXPERIMENTS, n, rate)
    found = [stats.rate([at < many for at in range(n)]) for many in hits]
    assert 0.93 <= covered(found, rate) <= 0.97


@pytest.mark.parametrize("n", [100, 150, 200, 300, 1000])
def test_wilson_covers_between_the_rates_too(n: int) -> None:
    """Not simulated: the exact coverage at 161 rates, by the binomial distribution."""
    from scipy.stats import binom

    found = [stats.rate([at < hits for at in range(n)]) for hits in range(n + 1)]
    low, high = (np.array([getattr(one, name) for one in found]) for name in ("low", "high"))
    for rate in np.linspace(0.1, 0.9, 161):
        held = (low <= rate) & (rate <= high)
        assert 0.93 <= binom.pmf(np.arange(n + 1), n, rate)[held].sum() <= 0.97


def excess(luck: np.random.Generator, hit: Any) -> Any:
    """Return hits minus floors: four in five texts have a floor, of one word in 5 to 16."""
    return hit - luck.choice(FLOORS, hit.shape) * (luck.random(hit.shape) < 0.8)


@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("rate", RATES)
def test_the_paired_bootstrap_covers(n: int, rate: float) -> None:
    """Two arms whose hits go together on half of the texts; the other hits at ``rate``, the first a tenth above."""
    luck = np.random.default_rng([7, n, round(10 * rate)])
    mine = min(rate + 0.1, 0.95)
    first = luck.random((EXPERIMENTS, n))
    second = np.where(luck.random(first.shape) < 0.5, first, luck.random(first.shape))
    differences = excess(luck, first < mine) - excess(luck, second < rate)
    # What paired_difference does with one seed, without its p (the slow part).
    found = [stats.mean_interval(one) for one in differences]
    assert 0.93 <= covered(found, mine - rate) <= 0.97


@pytest.mark.parametrize("n", [100, 300])
@pytest.mark.parametrize("rate", RATES)
def test_the_bootstrap_of_one_arm_covers(n: int, rate: float) -> None:
    luck = np.random.default_rng([8, n, round(10 * rate)])
    found = [stats.mean_interval(one) for one in excess(luck, luck.random((EXPERIMENTS, n)) < rate)]
    assert 0.93 <= covered(found, rate - 0.8 * FLOORS.mean()) <= 0.97


@pytest.mark.parametrize(("n", "least"), [(20, 0.82), (30, 0.89), (50, 0.92)])
def test_with_few_texts_it_covers_as_little_as_the_definitions_say(n: int, least: float) -> None:
    found = []
    for rate in RATES:
        luck = np.random.default_rng([8, n, round(10 * rate)])
        one = excess(luck, luck.random((EXPERIMENTS, n)) < rate)
        found.append(covered([stats.mean_interval(values) for values in one], rate - 0.8 * FLOORS.mean()))
    assert least <= min(found) < 0.94


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_averaging_seeds_covers(rate: float) -> None:
    """Three seeds of a text go together: the text is the unit, and the interval must not shrink by them."""
    luck, n = np.random.default_rng([9, round(10 * rate)]), 100
    found = []
    for _ in range(EXPERIMENTS):
        ease = luck.random(n) < 0.6  # texts on which all seeds do the same
        text, seeds = luck.random(n), luck.random((3, n))
        hits = np.where(ease, text, seeds) < rate
        found.append(stats.mean_interval(hits.mean(axis=0)))
    assert 0.93 <= covered(found, rate) <= 0.97


def test_no_difference_is_found_in_one_of_twenty() -> None:
    """The sign-flip test keeps its level; McNemar's exact test stays below it."""
    luck, n = np.random.default_rng(10), 60
    flips, raw = [], []
    for _ in range(EXPERIMENTS // 2):
        a, b = ({(str(at), 0): float(hit) for at, hit in enumerate(luck.random(n) < 0.4)} for _ in range(2))
        flips.append((stats.paired_difference(a, b).p or 0) < 0.05)
        raw.append((stats.discordant(a, b) or stats.Discordant(0, 0, 1.0)).p < 0.05)
    assert 0.02 <= np.mean(flips) <= 0.065
    assert np.mean(raw) <= 0.065


def scores(able: float, skill: float, n: int, seed: int, experiments: int = 400) -> list[stats.Interval]:
    """Return the scores of experiments: a text can flip with chance ``able``, the best word is named with ``skill``.

    One word of 5 to 16 hits; who does not name it names a random word, so that the true score is ``skill``.
    """
    luck = np.random.default_rng(seed)
    found = []
    for _ in range(experiments):
        can, floor = luck.random(n) < able, luck.choice(FLOORS, n)
        hit = (luck.random(n) < skill + (1 - skill) * floor) & can
        rows = [
            row(f"{at:03}", bool(h), f * c, bool(c)) for at, (h, f, c) in enumerate(zip(hit, floor, can, strict=True))
        ]
        found.append(stats.score(rows))
    return found


@pytest.mark.parametrize(("able", "skill"), [(0.45, 0.2), (0.45, 0.5), (0.45, 0.8), (0.8, 0.1), (0.8, 0.9)])
def test_scores_that_are_trusted_cover(able: float, skill: float) -> None:
    """400 experiments tell a coverage to +-2.5 %: below 0.92 a 95 % interval would be found out."""
    found = scores(able, skill, 100, seed=11)
    trusted = [one for one in found if one.doubt is None]
    assert len(trusted) > len(found) / 2
    assert covered(trusted, skill) >= 0.92


@pytest.mark.parametrize(("able", "skill"), [(0.08, 0.5), (0.2, 0.95), (0.12, 0.0)])
def test_scores_that_do_not_cover_are_doubted(able: float, skill: float) -> None:
    found = scores(able, skill, 100, seed=12)
    assert covered(found, skill) < 0.9
    assert all(one.doubt or one.reason for one in found if one.low is None or not one.low <= skill <= one.high)


def effects(skill: float, n: int, luck: np.random.Generator, other: float | None = None) -> list[stats.Effects]:
    """Return the effects of one experiment: an arm names the best word with ``skill``, else a random one.

    A text has 5 to 16 words, of which every fourth speaks for another answer; its answer is firm or wavers. With
    ``other``, a second arm of that skill names words of the same texts, and both know the best word of the same ones.
    """
    arms: list[dict[stats.TextSeed, stats.Effect]] = [{} for _ in ((skill,) if other is None else (skill, other))]
    for at in range(n):
        words = np.exp(0.3 * luck.standard_normal()) * luck.standard_exponential(int(luck.choice([5, 8, 12, 16])))
        words *= np.where(luck.random(len(words)) < 0.25, -0.3, 1.0)
        ease, mean = luck.random(), words.mean()
        for arm, able in zip(arms, (skill, other), strict=False):
            named = words.max() if able is not None and ease < able else luck.choice(words)
            arm[f"{at:03}", 0] = stats.Effect(float(named - mean), float(words.max() - mean))
    return list(arms)


@pytest.mark.parametrize(("n", "skill"), [(100, 0.0), (100, 0.3), (100, 0.7), (300, 0.3), (300, 0.9)])
def test_effect_shares_that_are_trusted_cover(n: int, skill: float) -> None:
    """400 experiments tell a coverage to +-2.5 %: below 0.92 a 95 % interval would be found out."""
    luck = np.random.default_rng([13, n, round(10 * skill)])
    found = [stats.effect_share(effects(skill, n, luck)[0]) for _ in range(400)]
    trusted = [one for one in found if one.doubt is None]
    assert len(trusted) > len(found) / 2
    assert covered(trusted, skill) >= 0.92


@pytest.mark.parametrize(("n", "skill"), [(30, 0.9), (100, 0.95)])
def test_effect_shares_that_do_not_cover_are_doubted(n: int, skill: float) -> None:
    luck = np.random.default_rng([14, n, round(100 * skill)])
    found = [stats.effect_share(effects(skill, n, luck)[0]) for _ in range(400)]
    assert covered(found, skill) < 0.93
    assert sum(one.doubt is not None for one in found) > 0.9 * len(found)


@pytest.mark.parametrize(("skill", "other"), [(0.3, 0.3), (0.6, 0.3), (0.7, 0.6)])
def test_differences_of_effect_shares_cover(skill: float, other: float) -> None:
    luck = np.random.default_rng([15, round(10 * skill), round(10 * other)])
    found = [stats.effect_share_difference(*effects(skill, 100, luck, other)) for _ in range(400)]
    assert covered(list(found), skill - other) >= 0.92
