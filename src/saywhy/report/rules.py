"""What is decided before the results are seen: which comparisons are confirmatory, and how much may be lost."""

from __future__ import annotations

from dataclasses import dataclass

from saywhy.records import NON_INFERIORITY_MARGIN, TRAINING_OPERATOR, SaywhyError
from saywhy.stats import Family

PRIMARY_FAMILY = Family(
    f"operator {TRAINING_OPERATOR}, generated and constrained readouts",
    {"operator": (TRAINING_OPERATOR,), "readout": ("generated", "constrained")},
)
"""The comparisons that are corrected together unless others are named; the rest are robustness checks."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The choices by which a report judges.

    Attributes:
        family: The confirmatory comparisons: their p-values are corrected together (Holm).
        accuracy_loss: Largest loss of accuracy that counts as none (non-inferiority margin), a share.
        agreement_loss: The same for the agreement with the start arm: below what two seeds of the start arm agree
            on.
    """

    family: Family = PRIMARY_FAMILY
    accuracy_loss: float = NON_INFERIORITY_MARGIN
    agreement_loss: float = NON_INFERIORITY_MARGIN


def rules_of(confirmatory: str | None, accuracy_loss: float | None, agreement_loss: float | None) -> Rules | None:
    """Return the rules of the given options, defaults in place of those that are None; None if all are.

    Raises:
        SaywhyError: If ``confirmatory`` names no comparisons, or a loss is no share.
    """
    for name, loss in (("accuracy-loss", accuracy_loss), ("agreement-loss", agreement_loss)):
        if loss is not None and not 0 <= loss <= 1:
            raise SaywhyError(f"--{name} {loss}: it takes a share, from 0 to 1")
    if (confirmatory, accuracy_loss, agreement_loss) == (None, None, None):
        return None
    defaults = Rules()
    return Rules(
        defaults.family if confirmatory is None else Family.parse(confirmatory),
        defaults.accuracy_loss if accuracy_loss is None else accuracy_loss,
        defaults.agreement_loss if agreement_loss is None else agreement_loss,
    )
