"""Explanations in sentences in a study: every metric of every arm, and each arm against its control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from saywhy import stats
from saywhy.records import SENTENCE_STYLES
from saywhy.report.format import Sheet, SheetCell, change_cell, number, sheet_of
from saywhy.report.marks import shipped_fooled_metrics
from saywhy.report.sentence_metrics import sentence_metric_sheets
from saywhy.report.study.summary import StudySummary
from saywhy.stats.sentences import SENTENCE_METRICS, SentenceScores


def sentences_sheets(summary: StudySummary) -> list[Sheet]:
    """Return what each metric says of each arm against its control, then of all arms, a table a task and style."""
    against_controls = _control_sheet(summary)
    sheets = [against_controls] if against_controls else []
    for task, run in summary.study.runs.items():
        sheets += [
            replace(sheet, title=f"{sheet.title}, {task}") for sheet in sentence_metric_sheets(run, summary.seed)
        ]
    return sheets


def _control_sheet(summary: StudySummary) -> Sheet | None:
    """Return every metric of the trained arms beside that of their controls, under the primary operator."""
    fooled = shipped_fooled_metrics()
    rows: list[list[SheetCell | str]] = []
    for task, run in summary.study.runs.items():
        records = _by_style_and_arm([record for record in run.sentences if record.operator == summary.operator])
        for (style, name), of_arm in records.items():
            arm = summary.study.arm(name)
            control = summary.study.control(arm)
            of_control = records.get((style, control.name), []) if control and control.name != name else []
            for metric in SENTENCE_METRICS:
                values, control_values = _values(of_arm, metric), _values(of_control, metric)
                if shared := [key for key in values if key in control_values]:
                    difference = stats.paired_difference(values, control_values, seed=summary.seed)
                    means = [sum(side[key] for key in shared) / len(shared) for side in (values, control_values)]
                    cells = [str(difference.n), *map(number, means)]
                    rows.append([task, style, name, metric + fooled.sign(metric), *cells, change_cell(difference)])
    note = (
        "Exploratory, nothing corrected. n: texts; seeds are averaged within a text. Difference: on the same texts, "
        "95 % over texts. A metric that does not exist for an explanation counts as chance."
    )
    header = ("task", "style", "arm", "metric", "n", "mean", "of the control", "difference")
    return sheet_of("Every metric against the control", header, rows, note, texts=4) if rows else None


def _by_style_and_arm(records: Sequence[SentenceScores]) -> dict[tuple[str, str], list[SentenceScores]]:
    """Return the records of each arm in each style, styles in their order."""
    by_place: dict[tuple[str, str], list[SentenceScores]] = {}
    for style in SENTENCE_STYLES:
        for record in records:
            if record.style == style:
                by_place.setdefault((style, record.arm), []).append(record)
    return by_place


def _values(records: Sequence[SentenceScores], metric: str) -> Mapping[tuple[str, int], float]:
    """Return a metric by text and seed; none if it was not measured."""
    return {
        (record.id, record.seed): record.value(metric)
        for record in records
        if metric in record.values or metric in record.reasons
    }
