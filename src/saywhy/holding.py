"""When a reason holds: what a recheck says of an explanation, beside what other words of the text would have done.

A word without which the answer changes is no reason where most other words would have changed it as well.
"""

from __future__ import annotations

from typing import Literal

CheckStatus = Literal["holds", "too_close", "does_not_hold", "no_single_word", "invalid", "not_explainable"]
"""What a recheck says of an explanation; the last two are of explanations and texts that could not be rechecked."""

MOST_CHANCE = 0.5
"""Share of a text's words from which on a word that changes the answer is no better than another."""


def check_status(*, hit: bool, chance: float, possible: bool) -> CheckStatus:
    """Return what the recheck of a valid explanation says.

    Args:
        hit: Whether acting on the explanation changes the answer (``records.is_hit``).
        chance: Share of the explanations of its size that would: its floor.
        possible: Whether any of them would: its ceiling.
    """
    if hit:
        return "holds" if chance < MOST_CHANCE else "too_close"
    return "does_not_hold" if possible else "no_single_word"


def was_rechecked(status: CheckStatus) -> bool:
    """Whether a reason was given that could be rechecked; of the others no share that holds can be told."""
    return status not in ("invalid", "not_explainable")
