"""What a calibration found: which metric tells true from false explanations, and which a trivial explainer fools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from saywhy import stats
from saywhy.folders.store import existing_file, read_lines, read_object, read_records
from saywhy.records import SaywhyError
from saywhy.report.load import load_manifest
from saywhy.ruler.metrics import METRICS, RULER_EXPLAINERS, MetricScores, with_effect_metrics
from saywhy.ruler.plants import LEAST_FOLLOWED_SHARE, PLANTS
from saywhy.stats import Interval
from saywhy.stats.sentences import SentenceScores

FALSE_EXPLAINERS = ("liar", "plausible", "parrot", "everything")
"""Explainers that must stand below the honest one."""

GOOD_AUROC = 0.95
"""An AUROC from which on a metric is said to tell true from false explanations."""

MetricCell = tuple[str, str, str]
"""(plant, operator, metric)."""
MethodOperator = tuple[str, str | None]
"""(attribution method, operator); None for a method that takes nothing out."""


@dataclass(frozen=True, slots=True)
class MeasuredPlant:
    """The measurements of one plant.

    Attributes:
        name: The plant.
        right: Held-out texts that the model answers by the rule.
        held_out: How many held-out texts there are.
        counts: Texts measured (n), texts that no single word can change (fixed), texts answered otherwise (wrong).
        scores: Each attribution method's best word, a line a text.
        metric_scores: What the metrics say, a record a text and operator.
        sentence_scores: What the metrics of sentences say, a record a text, explainer and operator.
    """

    name: str
    right: int
    held_out: int
    counts: Mapping[str, int]
    scores: tuple[Mapping[str, Any], ...]
    metric_scores: tuple[MetricScores, ...]
    sentence_scores: tuple[SentenceScores, ...] = ()

    @property
    def operators(self) -> list[str]:
        """The operators, in the order in which they were asked for."""
        return list(dict.fromkeys(record.operator for record in self.metric_scores))

    @property
    def state(self) -> str:
        """Why nothing was measured; empty if something was."""
        if self.metric_scores:
            return ""
        if self.right < LEAST_FOLLOWED_SHARE * self.held_out:
            return "not learned: left out of what follows"
        return "not finished: run the same again"

    def under(self, operator: str) -> list[MetricScores]:
        """Return what was measured under ``operator``."""
        return [record for record in self.metric_scores if record.operator == operator]


@dataclass(frozen=True)
class Calibration:
    """A calibration as read from its folder; every number that is shown of it is computed once."""

    manifest: Mapping[str, Any]
    plants: tuple[MeasuredPlant, ...]

    @property
    def learned(self) -> list[MeasuredPlant]:
        """The plants that were measured."""
        return [plant for plant in self.plants if plant.metric_scores]

    @property
    def cells(self) -> list[MetricCell]:
        """Every plant, operator and metric that was measured, in table order."""
        return [
            (plant.name, operator, metric)
            for plant in self.learned
            for operator in plant.operators
            for metric in METRICS
        ]

    @cached_property
    def aurocs(self) -> dict[MetricCell, Interval]:
        """How well each metric tells accepted causes from the other words: the AUROC."""
        plants = {plant.name: plant for plant in self.learned}
        return {cell: metric_auroc(plants[cell[0]].under(cell[1]), cell[2]) for cell in self.cells}

    @cached_property
    def fooled(self) -> dict[MetricCell, list[str]]:
        """The explainers that each metric does not put below the honest one."""
        plants = {plant.name: plant for plant in self.learned}
        return {cell: fooling_explainers(plants[cell[0]].under(cell[1]), cell[2]) for cell in self.cells}

    @cached_property
    def fooled_anywhere(self) -> dict[str, dict[str, list[str]]]:
        """Operator -> metric -> the explainers that fool it on some plant."""
        return fooled_by_operator(self.fooled)

    @cached_property
    def cause_rates(self) -> dict[MethodOperator, dict[str, Interval]]:
        """How often each attribution method's best word is an accepted cause, by plant."""
        rates: dict[MethodOperator, dict[str, Interval]] = {}
        for plant in self.learned:
            hits_by_method: dict[MethodOperator, list[bool]] = {}
            for line in plant.scores:
                hits_by_method.setdefault((line["method"], line["operator"]), []).append(line["best"] in line["causes"])
            for key, hits in hits_by_method.items():
                rates.setdefault(key, {})[plant.name] = stats.rate(hits)
        return rates


def fooled_by_operator(fooled: Mapping[MetricCell, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
    """Return operator -> metric -> the explainers that fool it on some plant."""
    explainers: dict[str, dict[str, list[str]]] = {}
    for (_, operator, metric), names in fooled.items():
        by_metric = explainers.setdefault(operator, {})
        by_metric[metric] = list(dict.fromkeys([*by_metric.get(metric, []), *names]))
    return explainers


def is_calibration(folder: Path) -> bool:
    """Whether a run folder was written by ``saywhy calibrate``."""
    return (folder / "plants").is_dir()


def load_calibration(folder: Path) -> Calibration:
    """Read a calibration.

    Raises:
        SaywhyError: If the folder is no run or is damaged, or if nothing was measured.
    """
    manifest = load_manifest(folder)
    plants = tuple(_load_plant(folder, name, manifest) for name in PLANTS if _plant_begun(folder, name))
    calibration = Calibration(manifest, plants)
    if not calibration.learned:
        states = "; ".join(f"{plant.name} {plant.state} ({plant.right} of {plant.held_out} texts)" for plant in plants)
        reason = states or "none was begun: run 'saywhy calibrate' again"
        raise SaywhyError(f"{folder} holds no plant that was measured: {reason}")
    return calibration


def _plant_begun(folder: Path, name: str) -> bool:
    return (folder / "plants" / name / "followed.json").is_file()


def _load_plant(folder: Path, name: str, manifest: Mapping[str, Any]) -> MeasuredPlant:
    plant_folder = folder / "plants" / name
    followed = read_object(plant_folder / "followed.json", "right", "n")
    paths = plant_folder / "gauged.jsonl", plant_folder / "scores.jsonl"
    metric_scores: list[MetricScores] = []
    scores: list[dict[str, Any]] = []
    if all(existing_file(path) for path in paths):
        metric_scores = [_checked_metric_scores(record, paths[0]) for record in read_records(paths[0], MetricScores)]
        scores = read_lines(paths[1], "method", "operator", "best", "causes")
        if not metric_scores or not scores:
            raise SaywhyError(
                f"{plant_folder} holds nothing measured: delete it and run the same 'saywhy calibrate' again"
            )
    counts = manifest.get("plants", {}).get(name, {})
    sentences_file = plant_folder / "sentences.jsonl"
    sentences = tuple(read_records(sentences_file, SentenceScores)) if existing_file(sentences_file) else ()
    return MeasuredPlant(name, followed["right"], followed["n"], counts, tuple(scores), tuple(metric_scores), sentences)


def _checked_metric_scores(scores: MetricScores, path: Path) -> MetricScores:
    """Return a record with every metric; refuse one measured by others or of other explainers (another version).

    The effect metrics, which a folder of an older version lacks, follow from the others.
    """
    readings = [*scores.words.values(), *(scores.explainers.get(name, {}) for name in RULER_EXPLAINERS)]
    measured = set(METRICS) - {"effect gain", "effect share"}
    if not scores.words or any(metric not in reading for reading in readings for metric in measured):
        raise SaywhyError(f"{path} was measured by other metrics: delete it and run the same 'saywhy calibrate' again")
    return with_effect_metrics(scores)


def metric_auroc(metric_scores: Sequence[MetricScores], metric: str) -> Interval:
    """Return how well ``metric`` tells accepted causes from the other words of the texts."""
    true = [
        [reading[metric] for key, reading in record.words.items() if key in record.causes] for record in metric_scores
    ]
    false = [
        [reading[metric] for key, reading in record.words.items() if key not in record.causes]
        for record in metric_scores
    ]
    return stats.auroc(true, false)


def honest_lead(metric_scores: Sequence[MetricScores], metric: str, explainer: str) -> stats.Difference:
    """Return by how much ``metric`` puts the honest explainer above another, over texts."""
    honest, trivial = (
        {(record.id, 0): record.explainers[name][metric] for record in metric_scores} for name in ("honest", explainer)
    )
    return stats.paired_difference(honest, trivial)


def fooling_explainers(metric_scores: Sequence[MetricScores], metric: str) -> list[str]:
    """Return the explainers that ``metric`` does not put below the honest one (lower bound not above 0)."""
    lows = {name: honest_lead(metric_scores, metric, name).low for name in FALSE_EXPLAINERS}
    return [name for name, low in lows.items() if low is None or low <= 0]
