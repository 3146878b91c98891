"""What each metric says of explanations in sentences: a table a style, the arms side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saywhy.records import SENTENCE_STYLES
from saywhy.report.format import NO_NUMBER, Sheet, SheetCell, estimate_cell, joined, sheet_of
from saywhy.report.load import LoadedRun
from saywhy.report.marks import FooledMetrics, shipped_fooled_metrics
from saywhy.stats import Interval
from saywhy.stats.insertions import LEAST_MOVED_ANSWERS, distinct_count, moved_count
from saywhy.stats.sentences import (
    CONTROLS,
    PREDICTORS,
    SENTENCE_METRICS,
    SentenceScores,
    inserted_words,
    insertion_interval,
    metric_mean,
    simulation_interval,
)

METRICS_NOTE = (
    "Means over the texts in which a metric exists, n in brackets (docs/definitions.md, Sentences). "
    "Excess: by hits; gain: in nats; share: of what the greedy best set has beyond random ones. What does not depend "
    "on how words are taken out stands once. Insertion: phi and lead of words put into a text, at random or to move "
    "the answer, and F-AUROC over explanations of several requested lengths; "
    f"fewer than {LEAST_MOVED_ANSWERS} moved answers say little. NSG: gain in predicting answers to edited "
    "texts over the control behind it."
)

ScoresByArm = Mapping[str, Sequence[SentenceScores]]


def sentence_metric_sheets(run: LoadedRun, seed: int = 0) -> list[Sheet]:
    """Return one table a style; none for a run whose sentences were not measured."""
    fooled = shipped_fooled_metrics()
    sheets: list[Sheet] = []
    for style in SENTENCE_STYLES:
        by_arm: dict[str, list[SentenceScores]] = {}
        for record in run.sentences:
            if record.style == style:
                by_arm.setdefault(record.arm, []).append(record)
        if by_arm:
            rows = [
                *_metric_rows(by_arm, fooled, seed),
                *_insertion_rows(by_arm, fooled, seed),
                *_simulation_rows(by_arm, fooled, seed),
            ]
            note = " ".join(filter(None, _notes(run.sentences, fooled))) if not sheets else ""
            sheets.append(sheet_of(f"{style}: metrics", ("metric", "operator", *by_arm), rows, note, texts=2))
    return sheets


def _notes(records: Sequence[SentenceScores], fooled: FooledMetrics) -> list[str]:
    """Return what stands below the first table: what it shows, and what the calibration says of it."""
    shown = [
        metric for metric in SENTENCE_METRICS if any(metric in (*record.values, *record.reasons) for record in records)
    ]
    return [METRICS_NOTE, _samples_note(records), fooled.footnote(shown, None), fooled.unknown_note(shown)]


def _samples_note(records: Sequence[SentenceScores]) -> str:
    """Say by how many explanations a word is called mentioned where mention is held against effect."""
    counts = sorted({record.samples for record in records})
    sampled = joined([str(count) for count in counts if count > 1])
    how = f"the share of k = {sampled} sampled replies that mention a word" if sampled else "the greedy reply (k = 1)"
    return f"Mention AUROC and correlation are of {how}."


def _metric_rows(by_arm: ScoresByArm, fooled: FooledMetrics, seed: int) -> list[list[SheetCell | str]]:
    """Return the metrics of one explanation each, under every operator."""
    rows: list[list[SheetCell | str]] = []
    operators = dict.fromkeys(record.operator for records in by_arm.values() for record in records)
    for metric in SENTENCE_METRICS:
        for operator in operators:
            cells = {
                arm: [record for record in records if record.operator == operator] for arm, records in by_arm.items()
            }
            if any(metric in (*record.values, *record.reasons) for records in cells.values() for record in records):
                intervals = [metric_mean(records, metric, seed) for records in cells.values()]
                rows.append([metric + fooled.sign(metric), operator, *map(_counted_cell, intervals)])
    return rows


def _counted_cell(interval: Interval) -> SheetCell:
    """Return an estimate with the number of texts behind it, or that there is none."""
    if interval.value is None:
        return SheetCell(NO_NUMBER, why=interval.reason or "")
    cell = estimate_cell(interval)
    return cell._replace(small=f"{cell.small} ({interval.n})".strip())


def _insertion_rows(by_arm: ScoresByArm, fooled: FooledMetrics, seed: int) -> list[list[SheetCell | str]]:
    """Return how mention goes with effect for inserted words: the random and the targeted arm."""
    rows: list[list[SheetCell | str]] = []
    for targeted in (False, True):
        kind = "targeted" if targeted else "random"
        words = {arm: inserted_words(records, targeted=targeted) for arm, records in by_arm.items()}
        if not any(words.values()):
            continue
        of_lengths = {
            arm: inserted_words(records, targeted=targeted, of_lengths=True) for arm, records in by_arm.items()
        }
        for statistic in ("phi", "lead", *(("F-AUROC",) if any(of_lengths.values()) else ())):
            intervals = [
                insertion_interval(records, statistic, targeted=targeted, seed=seed) for records in by_arm.values()
            ]
            sign = fooled.sign("F-AUROC" if statistic == "F-AUROC" else "insertion agreement")
            rows.append([f"insertion, {kind}: {statistic}{sign}", NO_NUMBER, *map(_counted_cell, intervals)])
        moved = [SheetCell(f"{moved_count(of_arm)} of {distinct_count(of_arm)}") for of_arm in words.values()]
        rows.append([f"insertion, {kind}: moved answers", NO_NUMBER, *moved])
        if any(of_lengths.values()):
            kept = [
                SheetCell(f"{sum(bool(each.kept_length) for each in of_arm)} of {len(of_arm)}")
                for of_arm in of_lengths.values()
            ]
            rows.append([f"insertion, {kind}: replies of the requested length", NO_NUMBER, *kept])
    return rows


def _simulation_rows(by_arm: ScoresByArm, fooled: FooledMetrics, seed: int) -> list[list[SheetCell | str]]:
    """Return the normalised simulatability gain of each predictor over each control."""
    return [
        [
            f"NSG, {predictor}: over {control}{fooled.sign('simulatability') if predictor == PREDICTORS[0] else ''}",
            NO_NUMBER,
            *(_counted_cell(simulation_interval(records, predictor, control, seed)) for records in by_arm.values()),
        ]
        for predictor in PREDICTORS
        if any(predictor in record.simulated for records in by_arm.values() for record in records)
        for control in CONTROLS
    ]
