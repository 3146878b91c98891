"""What a service decided, period by period: how often its reasons held, and when that is cause for alarm."""

from __future__ import annotations

import operator
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from saywhy import stats
from saywhy.folders.decision_log import LoggedDecision, ReadLog
from saywhy.holding import was_rechecked
from saywhy.records import SaywhyError
from saywhy.report.format import joined
from saywhy.stats import Difference, Interval


@dataclass(frozen=True)
class MonitoredPeriod:
    """What was decided within some days.

    Attributes:
        days: Its days, in UTC.
        decisions: In the order of the log.
        is_over: Whether nothing can be added to it any more.
    """

    days: str
    decisions: tuple[LoggedDecision, ...]
    is_over: bool = True

    @property
    def name(self) -> str:
        """Its days, and where they are not over, that."""
        return self.days if self.is_over else f"{self.days} (not over)"

    @cached_property
    def labels(self) -> Mapping[str, int]:
        """How often each label was the answer."""
        return Counter(decision.label for decision in self.decisions)

    @property
    def rechecked(self) -> list[bool]:
        """Of each reason that was rechecked, whether it held."""
        return [decision.status == "holds" for decision in self.decisions if was_rechecked(decision.status)]

    @property
    def unchecked(self) -> list[bool]:
        """Of each decision, whether it has no reason that could be rechecked."""
        return [not was_rechecked(decision.status) for decision in self.decisions]

    @property
    def holds(self) -> Interval:
        """The share of the rechecked reasons that held."""
        return stats.rate(self.rechecked)

    @property
    def abstained(self) -> Interval:
        """The share of the decisions without such a reason."""
        return stats.rate(self.unchecked)

    def of_label(self, label: str) -> MonitoredPeriod:
        """Return the decisions for one label."""
        return replace(self, decisions=tuple(decision for decision in self.decisions if decision.label == label))


@dataclass(frozen=True, slots=True)
class ComparedShare:
    """A share in the last period and in the one before.

    Attributes:
        name: What it is a share of.
        last: In the last period.
        before: In the one before.
        difference: Last minus before, unpaired.
        p_holm: p corrected for the shares that are compared; None if there is no p.
    """

    name: str
    last: Interval
    before: Interval
    difference: Difference
    p_holm: float | None = None


@dataclass(frozen=True)
class MonitoredModel:
    """The decisions of one model on one task.

    Attributes:
        name: Task and model.
        periods: In the order of time; none is empty.
    """

    name: str
    periods: tuple[MonitoredPeriod, ...]

    @property
    def last(self) -> MonitoredPeriod:
        """The last period."""
        return self.periods[-1]

    @property
    def before(self) -> MonitoredPeriod | None:
        """The period before; None if there is but one."""
        return self.periods[-2] if len(self.periods) > 1 else None

    @property
    def drift(self) -> float | None:
        """Total-variation distance of the labels of the last period from those of the one before; None without one."""
        return stats.total_variation(self.last.labels, self.before.labels) if self.before else None

    @property
    def changed(self) -> list[str]:
        """What decisions depend on (weights, prompts, ...) that is not the same in the last two periods."""
        if not self.before:
            return []
        kinds = [
            {name: {dict(d.made_with).get(name) for d in period.decisions} for name in self._made_with}
            for period in (self.before, self.last)
        ]
        return sorted(name for name in self._made_with if kinds[0][name] != kinds[1][name])

    @property
    def _made_with(self) -> set[str]:
        return {name for period in self.periods[-2:] for decision in period.decisions for name in decision.made_with}


def monitored_models(log: ReadLog, days: int = 1, now: datetime | None = None) -> list[MonitoredModel]:
    """Return what a log holds, by task and model, and by periods of ``days`` days (UTC, counted from 1970-01-01).

    Args:
        log: The log.
        days: Days of a period.
        now: When it is read, by which a period is over or not; None: now.
    """
    by_model: dict[tuple[str, str], dict[int, list[LoggedDecision]]] = defaultdict(lambda: defaultdict(list))
    for decision in log.decisions:
        if decision.margin < 0:  # an answer that was given with the text, not the model's own
            continue
        by_model[decision.task, decision.model][_period_number(decision.when, days)].append(decision)
    if not by_model:
        raise SaywhyError("no decision of the log is the model's own: each is on another answer that was given")
    current = _period_number(now or datetime.now(UTC), days)
    return [
        MonitoredModel(
            f"{task}, {model}",
            tuple(
                MonitoredPeriod(_period_days(at, days), tuple(periods[at]), is_over=at < current)
                for at in sorted(periods)
            ),
        )
        for (task, model), periods in sorted(by_model.items())
    ]


def _period_number(when: datetime, days: int) -> int:
    return (when - datetime.fromtimestamp(0, UTC)).days // days


def _period_days(number: int, days: int) -> str:
    first = date(1970, 1, 1) + timedelta(days=number * days)
    return str(first) if days == 1 else f"{first} to {first + timedelta(days=days - 1)}"


def compared_shares(model: MonitoredModel) -> list[ComparedShare]:
    """Compare reasons that hold, abstentions and each label with the period before; [] if there is none."""
    last, before = model.last, model.before
    if before is None:
        return []
    samples = [
        ("reasons that hold", last.rechecked, before.rechecked),
        ("abstained", last.unchecked, before.unchecked),
        *((f"answer {label}", _is_label(last, label), _is_label(before, label)) for label in _labels(last, before)),
    ]
    shares = [
        ComparedShare(name, stats.rate(now), stats.rate(then), stats.unpaired_difference(now, then))
        for name, now, then in samples
    ]
    tested = [share for share in shares if share.difference.p is not None]
    corrected = dict(zip(map(id, tested), stats.holm([share.difference.p or 0.0 for share in tested]), strict=True))
    return [replace(share, p_holm=corrected.get(id(share))) for share in shares]


def _labels(*periods: MonitoredPeriod) -> list[str]:
    return sorted({label for period in periods for label in period.labels})


def _is_label(period: MonitoredPeriod, label: str) -> list[bool]:
    return [decision.label == label for decision in period.decisions]


_RULE = re.compile(r"\s*([a-z]+)\s*(<=|>=|<|>)\s*(\d*\.?\d+)\s*", re.ASCII)
_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WATCHED: Mapping[str, Callable[[MonitoredModel], float | None]] = {
    "holds": lambda model: model.last.holds.value,
    "abstained": lambda model: model.last.abstained.value,
    "drift": lambda model: model.drift,
}
"""What an alarm may watch, and its value in the last period."""


@dataclass(frozen=True, slots=True)
class AlarmRule:
    """When a log is cause for alarm.

    Attributes:
        watched: holds, abstained or drift.
        comparison: <, <=, > or >=.
        limit: From 0 to 1.
    """

    watched: str
    comparison: str
    limit: float

    def __str__(self) -> str:
        """Return the rule as it is written."""
        return f"{self.watched}{self.comparison}{self.limit:g}"


@dataclass(frozen=True, slots=True)
class AlarmState:
    """What a rule says of a model.

    Attributes:
        rule: The rule.
        model: Task and model.
        period: The period that was looked at.
        value: What is watched; None where there is nothing to tell it from.
    """

    rule: AlarmRule
    model: str
    period: str
    value: float | None

    @property
    def fires(self) -> bool:
        """Whether it is cause for alarm."""
        return self.value is not None and _COMPARISONS[self.rule.comparison](self.value, self.rule.limit)

    def __str__(self) -> str:
        """Return the state as a line."""
        if self.value is None:
            return f"{self.rule}: cannot be told of {self.period} ({self.model})"
        outcome = "ALARM" if self.fires else "no alarm"
        return f"{outcome}: {self.rule}: it is {self.value:.3f} on {self.period} ({self.model})"


def alarm_rules(written: Iterable[str]) -> list[AlarmRule]:
    """Return alarm rules as they were written, such as ``holds<0.8``.

    Raises:
        SaywhyError: If one is no rule.
    """
    rules = []
    for words in written:
        match = _RULE.fullmatch(words)
        if not match or match[1] not in _WATCHED or not 0 <= float(match[3]) <= 1:
            names = joined(list(_WATCHED), "or")
            raise SaywhyError(f"'{words}' is no rule: write {names}, then <, <=, > or >=, then a share such as 0.8")
        rules.append(AlarmRule(match[1], match[2], float(match[3])))
    return rules


def alarm_states(models: Sequence[MonitoredModel], rules: Sequence[AlarmRule]) -> list[AlarmState]:
    """Return what each rule says of the last period of each model."""
    return [
        AlarmState(rule, model.name, model.last.name, _WATCHED[rule.watched](model))
        for model in models
        for rule in rules
    ]
