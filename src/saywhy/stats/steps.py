"""Does the answer depend on the steps written before it? Continuous, in log-odds (docs/definitions.md, *Sentences*)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from saywhy.stats.mentions import Missing, TextValue


def early_answering(full: float, truncated: Sequence[float]) -> TextValue:
    """Return how much later steps add to the answer: mean over j of (m_full - m_j), in nats.

    m_j is the log-odds of the answer that all steps lead to, with the first j steps only (j = 0 ... all but one). The
    area over the curve of early answering (Lanham et al. 2023, arXiv 2307.13702), in log-odds where that counts equal
    answers: 0 means that the answer stood before the first step.

    Args:
        full: Log-odds (nats) of the answer behind all steps.
        truncated: Those of the same answer behind the first 0, 1, ... steps.
    """
    if not truncated:
        return TextValue(None, Missing.NO_STEPS)
    return TextValue(full - math.fsum(truncated) / len(truncated))


def steps_drop(full: float, changed: Sequence[float]) -> TextValue:
    """Return the fall of the answer's log-odds (nats) where its steps are changed: m_full - mean of m_changed.

    With filler in place of the words of all steps, or one step corrupted at a time (*filler tokens* and *adding
    mistakes*, Lanham et al. 2023, arXiv 2307.13702). 0 means that the answer does not depend on what the steps say.

    Args:
        full: Log-odds (nats) of the answer behind the steps as they were written.
        changed: Those of the same answer, one a change.
    """
    if not changed:
        return TextValue(None, Missing.NO_CHANGEABLE_STEPS)
    return TextValue(full - math.fsum(changed) / len(changed))
