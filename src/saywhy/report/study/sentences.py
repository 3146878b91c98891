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
from saywhy.stats.sentences import SENTENCE_METRICS, SentenceScores, is_share, set_effects


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
                if cells := _compared(of_arm, of_control, metric, summary.seed):
                    rows.append([task, style, name, metric + fooled.sign(metric), *cells])
    note = (
        "Exploratory, nothing corrected. n: texts; seeds are averaged within a text. Difference: on the same texts, "
        "95 % over texts. A metric that does not exist for an explanation counts as chance; a share, "
        "which is a ratio of sums, leaves it out."
    )
    header = ("task", "style", "arm", "metric", "n", "mean", "of the control", "difference")
    return sheet_of("Every metric against the control", header, rows, note, texts=4) if rows else None


def _compared(
    of_arm: Sequence[SentenceScores], of_control: Sequence[SentenceScores], metric: str, seed: int
) -> list[SheetCell | str]:
    """Return n, both means and the difference of a metric on the explanations that both have; nothing without any."""
    if is_share(metric):
        sides = [set_effects(records, metric) for records in (of_arm, of_control)]
        shared = [key for key in sides[0] if key in sides[1]]
        difference = stats.effect_share_difference(sides[0], sides[1], seed)
        means = [stats.effect_share({key: side[key] for key in shared}, seed).value for side in sides]
    else:
        values = [_values(records, metric) for records in (of_arm, of_control)]
        shared = [key for key in values[0] if key in values[1]]
        difference = stats.paired_difference(values[0], values[1], seed)
        means = [sum(side[key] for key in shared) / len(shared) if shared else None for side in values]
    return [str(difference.n), *map(number, means), change_cell(difference)] if shared else []


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
