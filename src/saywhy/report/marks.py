"""Which metrics a trivial explainer fools, by the shipped calibration: every report marks them.

Shipped is ``catalog/fooled.json``, which ``saywhy calibrate`` writes (CONTRIBUTING.md says how it is renewed).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from saywhy.report.format import counted, joined

FOOLED_FILE = "fooled.json"
"""File name of the fooled metrics: in ``catalog/`` the shipped ones, in a calibration's folder its own."""

FOOLED_SIGN = "§"
"""Stands behind the name of a metric that a trivial explainer fools."""

PRIMARY_METRIC = "excess"
"""The metric that findings are read from."""

REPORTED_METRICS = ("hit", "drop", "effect share")
"""Metrics of the calibration that reports show beside ``excess``."""

SENTENCE_NAMES: Mapping[str, str] = {"excess": "necessity excess", "effect share": "necessity share"}
"""What measures of rows are called among the metrics of sentences."""

EXPLAINER_HABITS: Mapping[str, str] = {
    "liar": "names a word that decides nothing",
    "plausible": "names the word that people would",
    "parrot": "always names the first word",
    "everything": "names all words",
    "chatty": "mentions half of the text",
    "denier": "denies what decides",
}
"""What the trivial explainers do."""


@dataclass(frozen=True, slots=True)
class FooledMetrics:
    """The result of a calibration: which trivial explainers fool which metrics.

    Attributes:
        about: Which calibration: model, plants and texts.
        fooled: Operator -> metric -> explainers that the metric does not put below the honest one on some plant.
    """

    about: str
    fooled: Mapping[str, Mapping[str, tuple[str, ...]]]

    @classmethod
    def from_dict(cls, calibration: Mapping[str, Any]) -> FooledMetrics:
        """Build it from the content of ``fooled.json``."""
        plants = joined(calibration["plants"])
        about = (
            f"{calibration['model']}, {counted(len(calibration['plants']), 'plant')} ({plants}), "
            f"{calibration['texts']} texts each"
        )
        sentences = calibration.get("fooled_sentences", {})  # older calibrations measured none
        fooled = {
            operator: {metric: tuple(names) for metric, names in {**metrics, **sentences.get(operator, {})}.items()}
            for operator, metrics in calibration["fooled"].items()
        }
        return cls(about, fooled)

    def fooled_by(self, metric: str) -> tuple[str, ...]:
        """Return the explainers that fool ``metric`` under at least one operator."""
        return tuple(dict.fromkeys(name for metrics in self.fooled.values() for name in metrics.get(metric, ())))

    def sign(self, metric: str) -> str:
        """Return what stands behind the metric's name in a table: `` §`` or nothing."""
        return f" {FOOLED_SIGN}" if self.fooled_by(metric) else ""

    def knows(self, metric: str) -> bool:
        """Whether the calibration measured a metric: one that it did not is not vetted, and has no sign either."""
        return any(metric in metrics for metrics in self.fooled.values())

    def csv_field(self, setting: str = "one-word") -> str:
        """Return the marks in one field of a CSV, e.g. ``hit=everything;drop=everything``.

        Args:
            setting: That of the explanations; excess and effect share of sentences are those of necessity.
        """
        names = SENTENCE_NAMES if setting == "sentences" else {}
        fooled_by = {
            metric: self.fooled_by(names.get(metric, metric)) for metric in (*REPORTED_METRICS, PRIMARY_METRIC)
        }
        return ";".join(f"{metric}={'+'.join(names)}" for metric, names in fooled_by.items() if names)

    def footnote(self, metrics: Sequence[str] = REPORTED_METRICS, primary: str | None = PRIMARY_METRIC) -> str:
        """Say in one line what the sign means; nothing where nothing is marked.

        Args:
            metrics: The metrics that the table shows beside the primary one.
            primary: The primary one; None: the table has none.
        """
        shown = (*metrics, *((primary,) if primary else ()))
        fooled_by = {metric: self.fooled_by(metric) for metric in shown}
        by_explainers = {
            names: [metric for metric in fooled_by if fooled_by[metric] == names]
            for names in fooled_by.values()
            if names
        }
        if not by_explainers:
            return ""
        parts = [
            f"{joined([f'{name} ({EXPLAINER_HABITS[name]})' for name in names])} {'is' if len(names) == 1 else 'are'} "
            f"not put below an honest explainer by {joined(fooled)}"
            for names, fooled in by_explainers.items()
        ]
        is_spared = primary and not fooled_by[primary]
        primary_note = f"; no explainer fools {primary}, the primary measure" if is_spared else ""
        return (
            f"{FOOLED_SIGN} A trivial explainer fools this measure: where the truth is known, {'; '.join(parts)}"
            f"{primary_note} (saywhy calibrate: {self.about}). What each measure is worth: docs/measuring.md."
        )

    def unknown_note(self, metrics: Sequence[str]) -> str:
        """Say which metrics the calibration did not measure; nothing where it measured all."""
        unknown = [metric for metric in metrics if not self.knows(metric)]
        if not unknown:
            return ""
        return (
            f"Whether a trivial explainer fools {joined(unknown)} is not known: the calibration behind the sign "
            f"{FOOLED_SIGN} did not measure {'them' if len(unknown) > 1 else 'it'} (saywhy calibrate: {self.about})."
        )


@cache
def shipped_fooled_metrics() -> FooledMetrics:
    """Return the result of the calibration that comes with saywhy."""
    return FooledMetrics.from_dict(
        json.loads(resources.files("saywhy").joinpath("catalog", FOOLED_FILE).read_text("utf-8"))
    )
