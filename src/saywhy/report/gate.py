"""The gate: whether an arm lost so much that it should not be released; pages and model cards use the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from saywhy.report.format import in_points, number
from saywhy.report.retention import Retention
from saywhy.report.rules import Rules
from saywhy.stats import Difference, Interval, LossAnswer

GateState = Literal["passes", "fails", "open"]


@dataclass(frozen=True, slots=True)
class Gate:
    """The verdict on whether an arm may be released, from its retention on one task.

    Attributes:
        state: ``passes``, ``fails``, or ``open`` if something that it takes was not measured.
        reasons: Why it fails or is open.
    """

    state: GateState
    reasons: tuple[str, ...] = ()


def gate_of(retention: Retention, yardstick: Interval | None, rules: Rules) -> Gate:
    """Judge an arm: accuracy kept (lower bound), and agreement not too far below that of two seeds of the start arm.

    Args:
        retention: What the arm kept.
        yardstick: Agreement of two seeds of the start arm: the noise in any agreement.
        rules: How much may be lost.
    """
    losses, unknowns = [], []
    change, agreement = retention.accuracy_change, retention.agreement.value
    if change is None or change.value is None or retention.accuracy_kept is None:
        unknowns.append("no accuracy to compare")
    elif retention.accuracy_kept != "yes":
        losses.append(
            f"change of accuracy {in_points(change)}{_accuracy_shortfall(retention.accuracy_kept, change, rules)}"
        )
    if agreement is None or yardstick is None or yardstick.value is None:
        unknowns.append("no yardstick of agreement (it takes two seeds of the start arm)")
    elif agreement < yardstick.value - rules.agreement_loss:
        losses.append(
            f"agreement {number(agreement)} is below that of two seeds of the start arm, {number(yardstick.value)}"
        )
    if losses:
        return Gate("fails", tuple(losses))
    return Gate("open", tuple(unknowns)) if unknowns else Gate("passes")


def _accuracy_shortfall(answer: LossAnswer, change: Difference, rules: Rules) -> str:
    """Say why a change of accuracy does not pass."""
    if answer == "no":
        return ", lost"
    too_few = change.low is not None and change.low > -rules.accuracy_loss
    reason = "too few texts" if too_few else "too uncertain"
    return f", {reason} to exclude a loss of {100 * rules.accuracy_loss:g} points"
