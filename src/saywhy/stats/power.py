"""How many texts a next study needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

POWER = 0.8
"""Chance of finding a difference that is there."""

ALPHA = 0.05
"""Two-sided level of the test that is planned for; it is not corrected for the number of comparisons."""

MOST = 100_000
"""Above so many texts a plan is none: it is said that more are needed, not how many."""


@dataclass(frozen=True, slots=True)
class Needed:
    """A number of texts, or why there is none.

    Attributes:
        texts: How many; None if there is no number.
        reason: Why there is no number.
    """

    texts: int | None
    reason: str | None = None

    @property
    def too_many(self) -> bool:
        """Whether there is no number because it is above ``MOST``."""
        return self.reason == _TOO_MANY


_TOO_MANY = f"more than {MOST:,}"


def texts_needed(effect: float | None) -> Needed:
    """Return how many paired texts give ``POWER`` if the true effect is ``effect``.

    By the paired t-test (statsmodels' ``TTestPower``), which for so many texts has the power of the sign-flip
    test. An effect that was only just seen is usually an overestimate, and the number then too small.

    Args:
        effect: d_z of ``Difference``; its sign does not matter.
    """
    if effect is None:
        return Needed(None, "no effect size")
    from statsmodels.stats.power import TTestPower

    test, size = TTestPower(), abs(effect)
    if not size or test.power(size, MOST, ALPHA) < POWER:
        return Needed(None, _TOO_MANY)
    if test.power(size, 2, ALPHA) >= POWER:
        return Needed(2)
    return Needed(math.ceil(test.solve_power(effect_size=size, alpha=ALPHA, power=POWER, alternative="two-sided")))
