"""The tables of a calibration: what was planted, attribution methods, metrics, scripted explainers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from saywhy import stats
from saywhy.records import OPERATORS
from saywhy.report.calibration import FALSE_EXPLAINERS, Calibration, MetricCell
from saywhy.report.format import NO_NUMBER, Sheet, SheetCell, estimate_cell, joined, number, sheet_of
from saywhy.ruler.metrics import METRICS, RULER_EXPLAINERS
from saywhy.ruler.plants import PLANTS


def plants_sheet(calibration: Calibration) -> Sheet:
    """Return what was planted, and how well the models follow it."""
    rows: list[list[SheetCell | str]] = []
    for plant in calibration.plants:
        follows = stats.rate([True] * plant.right + [False] * (plant.held_out - plant.right))
        counts = [
            SheetCell(str(plant.counts[key]) if key in plant.counts else NO_NUMBER) for key in ("n", "fixed", "wrong")
        ]
        rows.append(
            [plant.name, PLANTS[plant.name].about, estimate_cell(follows), *counts, SheetCell(plant.state or NO_NUMBER)]
        )
    note = (
        "Follows: share of held-out texts answered by the rule. n: texts measured, all with an accepted cause and "
        "answered by the rule. Fixed: texts of the same draw that no single word can change. Wrong: texts with a cause "
        "that are answered otherwise."
    )
    return sheet_of("Plants", ("plant", "the answer is", "follows", "n", "fixed", "wrong", "state"), rows, note)


def methods_sheet(calibration: Calibration) -> Sheet:
    """Return how often each attribution method's top word is an accepted cause."""
    plant_names = [plant.name for plant in calibration.learned]
    rows: list[list[SheetCell | str]] = [
        [
            method,
            operator or NO_NUMBER,
            *(estimate_cell(rates[name]) if name in rates else SheetCell(NO_NUMBER) for name in plant_names),
        ]
        for (method, operator), rates in calibration.cause_rates.items()
    ]
    note = "Share of texts in which the word with the highest score is an accepted cause [95 %, Wilson]."
    return sheet_of("Attribution methods", ("method", "operator", *plant_names), rows, note)


def metrics_sheet(calibration: Calibration) -> Sheet:
    """Return how well each metric tells true from false one-word explanations, and who fools it."""
    plant_names = [plant.name for plant in calibration.learned]
    pairs = sorted(
        {cell[1:] for cell in calibration.cells}, key=lambda pair: (OPERATORS.index(pair[0]), METRICS.index(pair[1]))
    )
    rows = auroc_rows(calibration.aurocs, calibration.fooled, FALSE_EXPLAINERS, plant_names, pairs)
    note = (
        "AUROC: chance that the metric is higher for an accepted cause than for another word, over all texts (0.5: it "
        "cannot tell) [95 %, bootstrap over texts]. Fooled by: explainers that it does not put below the honest one "
        "(lower bound of the paired difference not above 0), in brackets the plants if not all."
    )
    return sheet_of("Metrics: AUROC", ("operator", "metric", *plant_names, "fooled by"), rows, note)


def auroc_rows(
    aurocs: Mapping[MetricCell, stats.Interval],
    fooled: Mapping[MetricCell, Sequence[str]],
    explainers: Sequence[str],
    plant_names: Sequence[str],
    pairs: Iterable[tuple[str, str]],
) -> list[list[SheetCell | str]]:
    """Return a row for each (operator, metric): its AUROC on each plant, and which of ``explainers`` fool it."""
    rows: list[list[SheetCell | str]] = []
    for operator, metric in pairs:
        of_plants = [aurocs.get((name, operator, metric)) for name in plant_names]
        cells = [SheetCell(NO_NUMBER) if auroc is None else estimate_cell(auroc) for auroc in of_plants]
        rows.append([operator, metric, *cells, SheetCell(fooling_with_plants(fooled, explainers, operator, metric))])
    return rows


def fooling_with_plants(
    fooled_by_cell: Mapping[MetricCell, Sequence[str]], explainers: Sequence[str], operator: str, metric: str
) -> str:
    """Return which of ``explainers`` fool a metric, with the plants if it is not on all of them."""
    fooled = {cell[0]: names for cell, names in fooled_by_cell.items() if cell[1:] == (operator, metric)}
    fooling = []
    for explainer in explainers:
        plants = [plant for plant, names in fooled.items() if explainer in names]
        if plants:
            fooling.append(explainer if len(plants) == len(fooled) else f"{explainer} ({', '.join(plants)})")
    return joined(fooling) or "no one"


def explainers_sheet(calibration: Calibration) -> Sheet:
    """Return the mean of each metric for each scripted explainer, and its rank."""
    rows: list[list[SheetCell | str]] = []
    metric_scores = {
        (plant.name, operator): plant.under(operator) for plant in calibration.learned for operator in plant.operators
    }
    for plant_name, operator, metric in calibration.cells:
        records = metric_scores[plant_name, operator]
        means = {
            name: sum(record.explainers[name][metric] for record in records) / len(records) for name in RULER_EXPLAINERS
        }
        ranks = {name: 1 + sum(value > means[name] + 1e-9 for value in means.values()) for name in means}
        shown = [SheetCell(number(means[name]), f"({ranks[name]})") for name in RULER_EXPLAINERS]
        rows.append([plant_name, operator, metric, *shown])
    note = "Mean over texts, in brackets the rank. The honest one belongs first, alone."
    return sheet_of("Scripted explainers", ("plant", "operator", "metric", *RULER_EXPLAINERS), rows, note, texts=3)
