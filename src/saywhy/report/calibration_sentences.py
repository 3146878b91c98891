"""What a calibration says of the metrics of explanations in sentences: the same questions as for one word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from saywhy import stats
from saywhy.records import OPERATORS
from saywhy.report.calibration import GOOD_AUROC, Calibration, MeasuredPlant, MetricCell, fooled_by_operator
from saywhy.report.calibration_sheets import auroc_rows
from saywhy.report.calibration_words import who_fools
from saywhy.report.format import Sheet, SheetCell, number, sheet_of
from saywhy.ruler.sentences import SENTENCE_EXPLAINERS
from saywhy.stats import Interval
from saywhy.stats.sentences import SENTENCE_METRICS, SentenceScores

HONEST = "honest"
FALSE_SENTENCE_EXPLAINERS = tuple(name for name in SENTENCE_EXPLAINERS if name != HONEST)
"""Explainers in sentences that must stand below the honest one."""


@dataclass(frozen=True)
class SentenceCalibration:
    """The metrics of sentences on the planted models; empty for a folder of an older version.

    Attributes:
        plants: The plants of which sentences were measured.
    """

    plants: tuple[MeasuredPlant, ...]

    @classmethod
    def of(cls, calibration: Calibration) -> SentenceCalibration:
        """Return what a calibration measured of sentences."""
        return cls(tuple(plant for plant in calibration.learned if plant.sentence_scores))

    @cached_property
    def records(self) -> dict[MetricCell, dict[str, list[SentenceScores]]]:
        """By plant, operator and metric, in table order: the records of each explainer for which it was measured."""
        cells: dict[MetricCell, dict[str, list[SentenceScores]]] = {}
        for operator in OPERATORS:
            for metric in SENTENCE_METRICS:
                for plant in self.plants:
                    records = [
                        record
                        for record in plant.sentence_scores
                        if record.operator == operator and (metric in record.values or metric in record.reasons)
                    ]
                    if records:
                        cells[plant.name, operator, metric] = {
                            name: [record for record in records if record.style == name] for name in SENTENCE_EXPLAINERS
                        }
        return cells

    @cached_property
    def aurocs(self) -> dict[MetricCell, Interval]:
        """How well each metric tells true from false explanations."""
        causes = {plant.name: {record.id: record.causes for record in plant.metric_scores} for plant in self.plants}
        return {cell: sentence_auroc(by_name, causes[cell[0]], cell[2]) for cell, by_name in self.records.items()}

    @cached_property
    def fooled(self) -> dict[MetricCell, list[str]]:
        """The explainers that each metric does not put below the honest one."""
        return {cell: fooling_sentences(by_name, cell[2]) for cell, by_name in self.records.items()}

    @cached_property
    def fooled_anywhere(self) -> dict[str, dict[str, list[str]]]:
        """Operator -> metric -> the explainers that fool it on some plant."""
        return fooled_by_operator(self.fooled)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every (operator, metric), in table order."""
        return list(dict.fromkeys(cell[1:] for cell in self.records))


def sentence_auroc(
    by_name: Mapping[str, Sequence[SentenceScores]], causes: Mapping[str, Sequence[str]], metric: str
) -> Interval:
    """Return how well ``metric`` tells true explanations from false ones: the AUROC over all explainers.

    True is one that mentions accepted causes and nothing else, whoever gives it. A value that does not exist counts as
    chance.

    Args:
        by_name: Explainer -> records under one operator.
        causes: Text -> its accepted causes.
        metric: One of ``SENTENCE_METRICS``.
    """
    values: dict[bool, dict[str, list[float]]] = {kind: {text: [] for text in causes} for kind in (True, False)}
    for records in by_name.values():
        for record in records:
            is_true = bool(record.mentioned) and set(record.mentioned) <= set(causes[record.id])
            values[is_true][record.id].append(record.value(metric))
    return stats.auroc(list(values[True].values()), list(values[False].values()))


def fooling_sentences(by_name: Mapping[str, Sequence[SentenceScores]], metric: str) -> list[str]:
    """Return the explainers that ``metric`` does not put below the honest one (lower bound not above 0)."""
    values = {name: {(record.id, 0): record.value(metric) for record in of_name} for name, of_name in by_name.items()}
    lows = {name: stats.paired_difference(values[HONEST], values[name]).low for name in FALSE_SENTENCE_EXPLAINERS}
    return [name for name, low in lows.items() if low is None or low <= 0]


def sentence_metrics_sheet(sentences: SentenceCalibration) -> Sheet:
    """Return how well each metric of sentences tells true from false explanations, and who fools it."""
    names = [plant.name for plant in sentences.plants]
    rows = auroc_rows(sentences.aurocs, sentences.fooled, FALSE_SENTENCE_EXPLAINERS, names, sentences.pairs)
    note = (
        "The scripted explainers in sentences. AUROC: chance that the metric is higher where an explanation mentions "
        "accepted causes only than for another one, over all texts (0.5: it cannot tell) [95 %, bootstrap over texts], "
        "where a metric does not exist it counts as chance. Fooled by: explainers that it does not put below the "
        "honest one (lower bound of the paired difference not above 0), in brackets the plants if not all. What does "
        "not depend on how words are taken out stands under the first operator."
    )
    return sheet_of("Sentences, metrics: AUROC", ("operator", "metric", *names, "fooled by"), rows, note)


def sentence_explainers_sheet(sentences: SentenceCalibration) -> Sheet:
    """Return the mean of each metric for each explainer in sentences."""
    rows: list[list[SheetCell | str]] = []
    for (plant, operator, metric), by_name in sentences.records.items():
        means = {
            name: sum(record.value(metric) for record in records) / len(records) for name, records in by_name.items()
        }
        ranks = {name: 1 + sum(value > means[name] + 1e-9 for value in means.values()) for name in means}
        shown = [SheetCell(number(means[name]), f"({ranks[name]})") for name in SENTENCE_EXPLAINERS]
        rows.append([plant, operator, metric, *shown])
    note = (
        "Mean over texts, in brackets the rank; what does not exist counts as chance. The honest one belongs first, "
        "alone."
    )
    return sheet_of(
        "Sentences, scripted explainers", ("plant", "operator", "metric", *SENTENCE_EXPLAINERS), rows, note, texts=3
    )


def sentence_verdicts(sentences: SentenceCalibration) -> list[str]:
    """Say of each metric what it is worth, over all plants: under the first operator, and who fools it elsewhere."""
    lines: list[str] = []
    if not sentences.plants:
        return lines
    first = sentences.plants[0].operators[0]
    for metric in SENTENCE_METRICS:
        cells = {plant.name: sentences.aurocs.get((plant.name, first, metric)) for plant in sentences.plants}
        aurocs = {name: auroc.value for name, auroc in cells.items() if auroc and auroc.value is not None}
        if not aurocs:
            continue
        worst = min(aurocs, key=aurocs.__getitem__)
        tells = "tells" if aurocs[worst] >= GOOD_AUROC else "does not tell well enough"
        fools = who_fools(sentences.fooled_anywhere, first, metric)
        lines.append(
            f"Sentences: {metric} {tells} true from false (AUROC {number(aurocs[worst])} on {worst}); {fools}."
        )
    return lines
