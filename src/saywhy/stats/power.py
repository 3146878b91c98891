"""How many texts a next study needs."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    if test.power(size, 2, PLANNED_ALPHA) >= PLANNED_POWER:
        return TextsNeeded(2)
    return TextsNeeded(
        math.ceil(test.solve_power(effect_size=size, alpha=PLANNED_ALPHA, power=PLANNED_POWER, alternative="two-sided"))
    )
