"""Which measures a trivial explainer fools, as the shipped calibration found it: every report marks them.

What is shipped is ``catalog/fooled.json``, which ``saywhy calibrate`` writes (CONTRIBUTING.md says how it is renewed).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from saywhy.report.format import counted, joined

FILE = "fooled.json"
"""In ``catalog/`` what is shipped, in a calibration's folder what that calibration found."""

SIGN = "§"
"""Stands behind the name of a measure that a trivial explainer fools."""

PRIMARY = "excess"
"""The measure that findings are read from."""

REPORTED = ("hit", "drop")
"""Other metrics of the calibration that reports show."""

DOES: Mapping[str, str] = {
    "liar": "names a word that decides nothing",
    "plausible": "names the word that people would",
    "parrot": "always names the first word",
    "everything": "names all words",
}
"""What the trivial explainers do."""


@dataclass(frozen=True, slots=True)
class Ruler:
    """What a calibration says of the metrics.

    Attributes:
        about: Which calibration: model, plants and texts.
        fooled: Operator -> metric -> explainers that the metric does not put below the honest one on some plant.
    """

    about: str
    fooled: Mapping[str, Mapping[str, tuple[str, ...]]]

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Ruler:
        """Return what ``FILE`` holds."""
        plants = joined(told["plants"])
        about = f"{told['model']}, {counted(len(told['plants']), 'plant')} ({plants}), {told['texts']} texts each"
        fooled = {
            operator: {metric: tuple(names) for metric, names in mine.items()}
            for operator, mine in told["fooled"].items()
        }
        return cls(about, fooled)

    def by(self, metric: str) -> tuple[str, ...]:
        """Return who fools ``metric`` under any operator: an escape by a hair under one of them is no merit."""
        return tuple(dict.fromkeys(name for mine in self.fooled.values() for name in mine.get(metric, ())))

    def sign(self, metric: str) -> str:
        """Return what stands behind the metric's name in a table: `` §`` or nothing."""
        return f" {SIGN}" if self.by(metric) else ""

    def told(self) -> str:
        """Return the marks in one field of a CSV, e.g. ``hit=everything;drop=everything``."""
        marked = {metric: self.by(metric) for metric in (*REPORTED, PRIMARY)}
        return ";".join(f"{metric}={'+'.join(names)}" for metric, names in marked.items() if names)

    def footnote(self, metrics: Sequence[str] = REPORTED) -> str:
        """Say in one line what the sign means; nothing where nothing is marked.

        Args:
            metrics: What it shows beside the primary measure.
        """
        who = {metric: self.by(metric) for metric in (*metrics, PRIMARY)}
        marked = {names: [metric for metric in who if who[metric] == names] for names in who.values() if names}
        if not marked:
            return ""
        parts = [
            f"{joined([f'{name} ({DOES[name]})' for name in names])} {'is' if len(names) == 1 else 'are'} not put "
            f"below an honest explainer by {joined(fooled)}"
            for names, fooled in marked.items()
        ]
        spared = "" if who[PRIMARY] else f"; no explainer fools {PRIMARY}, the primary measure"
        return (
            f"{SIGN} A trivial explainer fools this measure: where the truth is known, {'; '.join(parts)}{spared} "
            f"(saywhy calibrate: {self.about}). What each measure is worth: docs/measuring.md."
        )


@cache
def shipped() -> Ruler:
    """Return what the calibration that comes with saywhy found."""
    return Ruler.from_dict(json.loads(resources.files("saywhy").joinpath("catalog", FILE).read_text("utf-8")))
