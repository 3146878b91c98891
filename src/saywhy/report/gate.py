"""The gate: whether an arm lost so much that it should not be released. Pages and model cards ask the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from saywhy.report.format import in_points, number
from saywhy.report.retention import Retention
from saywhy.report.rules import Rules
from saywhy.stats import Answer, Difference, Interval

State = Literal["passes", "fails", "open"]


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether an arm may be released as far as a task is concerned.

    Attributes:
        state: ``open`` if it cannot be told yet.
        reasons: Why it fails or is open.
    """

    state: State
    reasons: tuple[str, ...] = ()


def gate_of(found: Retention, usual: Interval | None, rules: Rules) -> Gate:
    """Judge an arm: nothing lost in accuracy (lower bound), agreement not below that of two seeds by more than may be.

    Args:
        found: What the arm kept.
        usual: Agreement of two seeds of the start arm: the noise in any agreement.
        rules: How much may be lost.
    """
    lost, unknown = [], []
    change, agreed = found.accuracy_change, found.agreement.value
    if change is None or change.value is None or found.accuracy_kept is None:
        unknown.append("no accuracy to compare")
    elif found.accuracy_kept != "yes":
        lost.append(f"change of accuracy {in_points(change)}{_shortfall(found.accuracy_kept, change, rules)}")
    if agreed is None or usual is None or usual.value is None:
        unknown.append("no yardstick of agreement (it takes two seeds of the start arm)")
    elif agreed < usual.value - rules.agreement_loss:
        lost.append(f"agreement {number(agreed)} is below that of two seeds of the start arm, {number(usual.value)}")
    if lost:
        return Gate("fails", tuple(lost))
    return Gate("open", tuple(unknown)) if unknown else Gate("passes")


def _shortfall(kept: Answer, change: Difference, rules: Rules) -> str:
    """Say why a change of accuracy does not pass."""
    if kept == "no":
        return ", lost"
    few = change.low is not None and change.low > -rules.accuracy_loss
    why = "too few texts changed" if few else "too uncertain"
    return f", {why} to exclude a loss of {100 * rules.accuracy_loss:g}"
