"""What the service tells Prometheus of itself; no text, and no word of one."""

from __future__ import annotations

import threading
from collections import Counter as CountOf
from collections import deque
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from saywhy.explainer.decision import ExplainedDecision
from saywhy.holding import CheckStatus, was_rechecked
from saywhy.stats import total_variation

RECENT = 500
"""Decisions of which shares and drift are told."""
_LATENCIES = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
_TENTHS = tuple(tenth / 10 for tenth in range(1, 11))
_NO_NUMBER = float("nan")
"""What Prometheus has for a gauge of nothing."""


class ServiceMetrics:
    """Counters, histograms and gauges on a registry of their own."""

    def __init__(self, model: str, expected_labels: Mapping[str, float] | None, queued: Callable[[], int]) -> None:
        """Make them.

        Args:
            model: Name of the usual model, whose shares and drift are told.
            expected_labels: Share of each label among the calibration texts; None: not known, and no drift told.
            queued: Returns how many texts wait.
        """
        self.registry = CollectorRegistry()
        self._model, self._expected = model, expected_labels
        self._recent: deque[tuple[str, CheckStatus]] = deque(maxlen=RECENT)
        self._lock = threading.Lock()
        self.requests = Counter(
            "saywhy_requests", "Requests by route and status.", ("route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "saywhy_request_seconds", "Seconds of a request.", ("route",), buckets=_LATENCIES, registry=self.registry
        )
        self.decisions = Counter(
            "saywhy_decisions",
            "Decisions by model, label, what the recheck says of the reason, and effort.",
            ("model", "label", "status", "effort"),
            registry=self.registry,
        )
        self.probability = Histogram(
            "saywhy_probability", "Calibrated probability of the label.", buckets=_TENTHS, registry=self.registry
        )
        self.confidence = Histogram(
            "saywhy_confidence", "Probability that the reason holds.", buckets=_TENTHS, registry=self.registry
        )
        self.rechecks = Histogram(
            "saywhy_rechecks", "Edited texts of a decision.", buckets=(1, 5, 10, 20, 40, 80, 160, 320, 640),
            registry=self.registry,
        )  # fmt: skip
        self.batch = Histogram(
            "saywhy_batch_texts", "Texts computed together.", buckets=(1, 2, 4, 8, 16, 32, 64), registry=self.registry
        )
        self.dropped = Counter(
            "saywhy_dropped_texts", "Texts that nobody waited for any more, not computed.", registry=self.registry
        )
        self.unlogged = Counter(
            "saywhy_unlogged_decisions", "Decisions that could not be logged.", registry=self.registry
        )
        for name, of_what, value in (
            ("saywhy_queued_texts", "Texts that wait.", queued),
            ("saywhy_holds_share", f"Share of rechecked reasons that hold, last {RECENT} decisions.", self._holds),
            ("saywhy_abstained_share", f"Share of the last {RECENT} decisions without such a reason.", self._abstained),
            ("saywhy_label_drift", "Total-variation distance of recent labels from the expected ones.", self._drift),
        ):
            if value != self._drift or expected_labels:  # a gauge that is never known would be watched in vain
                Gauge(name, of_what, registry=self.registry).set_function(value)

    def observe(self, model: str, decision: ExplainedDecision) -> None:
        """Count a decision."""
        self.decisions.labels(model, decision.label, decision.check.status, decision.effort).inc()
        self.probability.observe(decision.probability)
        self.rechecks.observe(decision.rechecks)
        if decision.confidence:
            self.confidence.observe(decision.confidence.probability)
        # An answer that was given with the text, and is not the model's own, says nothing of the model.
        is_own = decision.margin >= 0
        with self._lock:
            self._recent.extend([(decision.label, decision.check.status)] if is_own and model == self._model else [])

    def page(self) -> bytes:
        """Return all of them, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _last(self) -> list[tuple[str, CheckStatus]]:
        """Return the labels of the last decisions, and what the recheck says of their reasons."""
        with self._lock:
            return list(self._recent)

    def _holds(self) -> float:
        return _share([status == "holds" for _, status in self._last() if was_rechecked(status)])

    def _abstained(self) -> float:
        return _share([not was_rechecked(status) for _, status in self._last()])

    def _drift(self) -> float:
        labels = CountOf(label for label, _ in self._last())
        distance = total_variation(labels, self._expected) if self._expected else None
        return _NO_NUMBER if distance is None else distance


def _share(values: list[bool]) -> float:
    return sum(values) / len(values) if values else _NO_NUMBER
