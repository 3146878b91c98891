"""How many texts a next study needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

PLANNED_POWER = 0.8
"""Chance of detecting a difference that exists."""

PLANNED_ALPHA = 0.05
"""Two-sided level of the test that is planned for; it is not corrected for the number of comparisons."""

MOST_PLANNED_TEXTS = 100_000
"""Above so many texts no number is planned: reports say that more are needed, not how many."""


@dataclass(frozen=True, slots=True)
class TextsNeeded:
    """A number of texts, or why there is none.

    Attributes:
        texts: How many; None if there is no number.
        reason: Why there is no number.
    """

    texts: int | None
    reason: str | None = None

    @property
    def too_many(self) -> bool:
        """Whether there is no number because it is above ``MOST_PLANNED_TEXTS``."""
        return self.reason == _TOO_MANY


_TOO_MANY = f"more than {MOST_PLANNED_TEXTS:,}"


def texts_needed(effect: float | None) -> TextsNeeded:
    """Return how many paired texts give ``PLANNED_POWER`` if the true effect is ``effect``.

    By the paired t-test (statsmodels' ``TTestPower``), which for so many texts has the power of the sign-flip
    test. An effect that was only just seen is usually an overestimate, and the number then too small.

    Args:
        effect: d_z of ``Difference``; its sign does not matter.
    """
    if effect is None:
        return TextsNeeded(None, "no effect size")
    from statsmodels.stats.power import TTestPower

    test, size = TTestPower(), abs(effect)
    if not size or test.power(size, MOST_PLANNED_TEXTS, PLANNED_ALPHA) < PLANNED_POWER:
        return TextsNeeded(None, _TOO_MANY)
    # A normal test needs fewest texts, and the t-test a few more. (solve_power does not converge for some sizes, since
    # scipy's noncentral t is NaN here and there; that counts as not enough.)
    quantiles = NormalDist().inv_cdf(PLANNED_POWER) + NormalDist().inv_cdf(1 - PLANNED_ALPHA / 2)
    fewest = max(2, math.floor((quantiles / size) ** 2))
    texts = range(fewest, MOST_PLANNED_TEXTS + 1)
    needed = next((n for n in texts if test.power(size, n, PLANNED_ALPHA) >= PLANNED_POWER), None)
    return TextsNeeded(needed, None if needed else _TOO_MANY)
