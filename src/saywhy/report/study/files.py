"""A study's numbers as files: ``cells.csv``, ``confirmatory.csv``, ``retention.csv`` and ``report.md``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from saywhy.report.format import interval_columns
from saywhy.report.plots import Picture
from saywhy.report.study.answer import answer_sentences
from saywhy.report.study.examples import study_samples
from saywhy.report.study.gains import Gain
from saywhy.report.study.gate import instruction_retentions_of
from saywhy.report.study.made import plan_yaml, repeat_commands
from saywhy.report.study.parts import ReportPart
from saywhy.report.study.sheets import gain_result
from saywhy.report.study.summary import StudySummary, missing_from_study
from saywhy.report.tables import (
    cell_row,
    code_span,
    contrast_row,
    csv_text,
    effect_columns,
    escaped_markdown,
    fenced_block,
    markdown_table,
)
from saywhy.stats import Difference, Interval

UNMEASURED_INTERVAL = Interval(None, None, None, 0)
"""The estimate of what was not measured: its columns stay empty."""


def cells_csv(summary: StudySummary) -> str:
    """Return every cell of every task, one row each, with its control, the drift and the gate beside it."""
    gains = {(gain.task, gain.key): gain for gain in summary.gains if gain.axis != "other arm"}
    rows = []
    for task, task_summary in summary.tasks.items():
        for cell in task_summary.cells:
            arm, gain = summary.study.arm(cell.key.arm), gains.get((task, cell.key))
            drift = summary.drifts.get((task, cell.key))
            arm_kept = summary.gate(arm.name, task)
            row = cell_row(task_summary, cell) | {"task": task}
            row |= {"kind": arm.kind, "variant": arm.variant, "practised_styles": "+".join(arm.styles)}
            is_frozen = any((frozen.task, frozen.key) == (task, cell.key) for frozen in summary.frozen)
            row |= {"practised_tasks": "+".join(arm.tasks), **_gain_columns(summary, gain)}
            row |= {"confirmatory": int(is_frozen)}
            row |= interval_columns("floor_drift", drift.floor if drift else UNMEASURED_INTERVAL)
            row |= interval_columns("ceiling_drift", drift.ceiling if drift else UNMEASURED_INTERVAL)
            row |= {"gate": arm_kept.gate.state if arm_kept and arm_kept.gate else None}
            rows.append(
                row | {"reasons": ";".join(f"{reason}={count}" for reason, count in sorted(cell.reasons.items()))}
            )
    return csv_text(rows)


def _gain_columns(summary: StudySummary, gain: Gain | None) -> dict[str, object]:
    empty = Difference(None, None, None, 0)
    contrast = gain.contrast if gain else None
    return {
        "control": contrast.rival if contrast else None,
        **interval_columns("difference", contrast.difference if contrast else empty),
        "p": contrast.difference.p if contrast else None,
        "p_holm": contrast.p_holm if contrast else None,
        **effect_columns(contrast),
        "axis": gain.axis if gain else None,
        "result": gain_result(summary, gain) if gain else None,
    }


def confirmatory_csv(summary: StudySummary) -> str:
    """Return the frozen cells in their order, one row each; the numbers of those not measured are empty."""
    gains = {gain.frozen: gain for gain in summary.confirmatory}
    rows: list[dict[str, object]] = []
    for cell in summary.frozen:
        gain = gains.get(cell)
        place: dict[str, object] = {"task": cell.task, "direction": cell.direction}
        if gain is not None:
            run = summary.study.runs[cell.task]
            rows.append(place | contrast_row(run, gain.contrast) | {"result": gain_result(summary, gain)})
        else:
            cell_columns = {"arm": cell.key.arm, "other": cell.against, "style": cell.key.style}
            cell_columns |= {
                "setting": cell.key.setting,
                "readout": cell.key.readout,
                "operator": cell.key.operator,
                "result": "not measured",
            }
            rows.append(place | cell_columns)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return csv_text([{name: row.get(name) for name in names} for row in rows])


def retention_csv(summary: StudySummary) -> str:
    """Return what every arm kept on every task, one row each; the columns on instruction data repeat for each task."""
    instruction_retentions = {
        instruction_retention.arm.name: instruction_retention
        for instruction_retention in instruction_retentions_of(summary.study, summary.seed)
    }
    rows: list[dict[str, object]] = []
    for arm_kept in summary.kept:
        retention, instruction_retention = arm_kept.kept, instruction_retentions.get(arm_kept.arm.name)
        row: dict[str, object] = {"task": arm_kept.task, "arm": arm_kept.arm.name}
        row |= interval_columns("accuracy", retention.accuracy) | interval_columns(
            "accuracy_raw", retention.accuracy_raw
        )
        row |= interval_columns("accuracy_change", retention.accuracy_change or UNMEASURED_INTERVAL)
        row |= {"accuracy_kept": retention.accuracy_kept}
        row |= interval_columns("agreement", retention.agreement) | interval_columns(
            "two_seeds_agree", arm_kept.yardstick or UNMEASURED_INTERVAL
        )
        row |= {"agreement_kept": retention.agreement_kept, "gate": arm_kept.gate.state if arm_kept.gate else None}
        row |= {"gate_reasons": "; ".join(arm_kept.gate.reasons) if arm_kept.gate else None}
        for name in ("floor", "ceiling", "margin"):
            row |= interval_columns(f"{name}_drift", retention.drift.get(name, UNMEASURED_INTERVAL))
        row |= interval_columns("loss", instruction_retention.loss if instruction_retention else UNMEASURED_INTERVAL)
        row |= interval_columns(
            "loss_change", (instruction_retention.change if instruction_retention else None) or UNMEASURED_INTERVAL
        )
        row |= interval_columns("plain", instruction_retention.plain if instruction_retention else UNMEASURED_INTERVAL)
        rows.append(row | {"accuracy_by_class": _class_accuracies_in_words(arm_kept.classes)})
    return csv_text(rows)


def _class_accuracies_in_words(classes: Mapping[str, Interval]) -> str:
    return ";".join(
        f"{label}={accuracy.value:.6g}" for label, accuracy in classes.items() if accuracy.value is not None
    )


def study_markdown(summary: StudySummary, parts: Sequence[ReportPart], drawn: Sequence[Picture] = ()) -> str:
    """Return the report as Markdown, with the pictures of ``pictures/`` that were drawn."""
    titles = {picture.name: picture.title for picture in drawn}
    study = summary.study
    paragraphs = [
        f"# saywhy study: {escaped_markdown(study.name)}",
        escaped_markdown(str(study.plan.get("about") or "")),
    ]
    paragraphs += [
        f"{at}. {escaped_markdown(sentence)}" for at, sentence in enumerate(answer_sentences(summary), start=1)
    ]
    lacking = missing_from_study(summary)
    paragraphs += ["## What is missing", *(f"- {escaped_markdown(line)}" for line in lacking)] if lacking else []
    for part in parts:
        paragraphs += [f"## {escaped_markdown(part.title)}", *(escaped_markdown(text) for text in part.words)]
        paragraphs += [
            f"![{escaped_markdown(titles[name])}](pictures/{quote(name)}.svg)"
            for name in part.pictures
            if name in titles
        ]
        for sheet in part.sheets:
            paragraphs += [f"### {escaped_markdown(sheet.title)}"] * (sheet.title != part.title) + [
                markdown_table(sheet)
            ]
            paragraphs += [f"_{escaped_markdown(sheet.note)}_"] * bool(sheet.note)
    paragraphs += (
        ["## Examples", "Twenty texts, and what was said about them: `report.html`."]
        if study_samples(summary).cards
        else []
    )
    paragraphs += [
        "## The plan",
        *map(code_span, repeat_commands(study)),
        fenced_block(plan_yaml(study), "yaml"),
    ]
    return "\n\n".join(line for line in paragraphs if line) + "\n"
