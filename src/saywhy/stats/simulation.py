"""Are answers to edited texts predicted better with the explanation than without it (docs/definitions.md)?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from saywhy.stats.intervals import Interval
from saywhy.stats.pooled import pooled_interval, quotient

PredictedEdits = Sequence[tuple[bool, bool]]
"""(whether the answer to an edited text is another one, whether it was predicted to be), one an edit."""


def predicted_counts(edits: PredictedEdits) -> dict[str, int]:
    """Return how many edits change the answer or leave it, and how many of each were predicted.

    >>> predicted_counts([(True, True), (False, True), (False, False)])
    {'changed': 1, 'changed_right': 1, 'kept': 2, 'kept_right': 1}
    """
    return {
        "changed": sum(changed for changed, _ in edits),
        "changed_right": sum(changed and predicted for changed, predicted in edits),
        "kept": sum(not changed for changed, _ in edits),
        "kept_right": sum(not changed and not predicted for changed, predicted in edits),
    }


def simulatability_gain(
    explained: Mapping[str, Mapping[str, int]], control: Mapping[str, Mapping[str, int]], seed: int = 0
) -> Interval:
    """Return the normalised simulatability gain: NSG = (a_explained - a_control) / (1 - a_control).

    a is the predictor's balanced accuracy: the mean of the shares predicted of the edits that change the answer and of
    those that do not, for most edits change nothing (NSG: Mayne et al., arXiv 2602.02639; that an explanation must beat
    the label alone: LAS, Hase et al., Findings of EMNLP 2020; on counterfactual edits: Chen et al., ICML 2024). 0 is no
    help, 1 all that was missing. The interval is a bootstrap over texts, whose edits stay together.

    Args:
        explained: Text -> counts of ``predicted_counts``, of the predictor with the explanation.
        control: The same without it, or with a control in its place.
        seed: Seed of the bootstrap.
    """
    texts = [text for text in explained if text in control]
    sums = np.array(
        [[float(counts[name]) for counts in (explained[text], control[text]) for name in EDIT_COUNTS] for text in texts]
    )
    reasons = (
        "no edit changes the answer, all do, or nothing was missing",
        "no edit changes the answer in some of the resamples",
    )
    return pooled_interval(sums, _gain, reasons, seed)


EDIT_COUNTS = ("changed", "changed_right", "kept", "kept_right")
"""What ``predicted_counts`` counts."""


def balanced_accuracy(counts: Mapping[str, int]) -> float | None:
    """Return the mean of the shares predicted of both kinds of edits of one text; None if it has only one kind."""
    if not counts["changed"] or not counts["kept"]:
        return None
    return (counts["changed_right"] / counts["changed"] + counts["kept_right"] / counts["kept"]) / 2


def _gain(sums: Any) -> Any:
    explained, control = (_accuracy(sums[:, start : start + 4]) for start in (0, 4))
    return quotient(explained - control, 1 - control)


def _accuracy(sums: Any) -> Any:
    changed, changed_right, kept, kept_right = sums.T
    return (quotient(changed_right, changed) + quotient(kept_right, kept)) / 2
