"""What is asked of the arms of a study: the request of every audit."""

from __future__ import annotations

from dataclasses import dataclass

from saywhy.records import (
    ALL_SETTINGS,
    ALL_STYLES,
    READOUTS,
    Readout,
    SaywhyError,
    Setting,
    StepsOrder,
    StyleName,
    is_asked_in,
)
from saywhy.study.expand import plan_units
from saywhy.study.plan import StudyPlan, has_readout

AuditKey = tuple[str, int, str]
"""(arm, seed, task) of an audit."""


@dataclass(frozen=True, slots=True)
class AuditRequest:
    """The explanations that an audit asks for.

    Attributes:
        styles: Their styles.
        settings: Their settings: one-word, free, sentences.
        readouts: Their readouts.
        steps_order: Whether steps are asked for after the answer, or before it.
    """

    styles: tuple[StyleName, ...]
    settings: tuple[Setting, ...]
    readouts: tuple[Readout, ...]
    steps_order: StepsOrder = "after"

    def __or__(self, other: AuditRequest) -> AuditRequest:
        """Return a request for all that either asks for."""
        return AuditRequest(
            tuple(style for style in ALL_STYLES if style in (*self.styles, *other.styles)),
            tuple(setting for setting in ALL_SETTINGS if setting in (*self.settings, *other.settings)),
            tuple(readout for readout in READOUTS if readout in (*self.readouts, *other.readouts)),
            self.steps_order if "steps" in self.styles else other.steps_order,
        )

    def contradicts(self, other: AuditRequest) -> bool:
        """Whether both ask for steps, in another order."""
        return "steps" in self.styles and "steps" in other.styles and self.steps_order != other.steps_order

    def combinations(self) -> list[tuple[str, str, str]]:
        """Return the (style, setting, readout) of the rows of a text; free explanations are generated only."""
        return [
            (style, setting, readout)
            for style in self.styles
            for setting in self.settings
            for readout in self.readouts
            if has_readout(setting, readout) and is_asked_in(style, setting)
        ]

    def covers(self, other: AuditRequest) -> bool:
        """Whether this asks for all that ``other`` does."""
        return set(other.combinations()) <= set(self.combinations()) and not self.contradicts(other)


def audit_seed(plan: StudyPlan, arm: str, seed: int) -> int:
    """Return the seed under which an arm is audited: nothing in ``base`` depends on it."""
    return plan.seeds[0] if arm == "base" else seed


def audit_requests(plan: StudyPlan) -> dict[AuditKey, AuditRequest]:
    """Return the request of every audit of a plan: all that any block asks of that arm, seed and task."""
    requests: dict[AuditKey, AuditRequest] = {}
    for unit in plan_units(plan):
        block = plan.block(unit.block)
        request = AuditRequest(block.styles, block.settings, block.readouts, plan.steps_order(block))
        for arm in unit.arms:
            audit = arm, audit_seed(plan, arm, unit.seed), unit.task
            if audit in requests and requests[audit].contradicts(request):
                raise SaywhyError(
                    f"study {plan.name}: block {block.name} asks {arm} for steps in another order than a block before: "
                    "leave steps or this arm out of one of them"
                )
            requests[audit] = requests[audit] | request if audit in requests else request
    return requests
