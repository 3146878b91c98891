"""What the arms kept, as tables: accuracy, agreement, the gate, classes, instruction data, plain answers."""

from __future__ import annotations

from saywhy.report.format import NO_NUMBER, Sheet, SheetCell, change_cell, estimate_cell, joined, sheet_of
from saywhy.report.study.frozen import accepted_losses
from saywhy.report.study.gate import ArmKept, instruction_retentions_of
from saywhy.report.study.summary import StudySummary


def gate_sheet(summary: StudySummary) -> Sheet | None:
    """Return accuracy and agreement of every arm on every task, and the gate."""
    accuracy, agreement = accepted_losses(summary.study)
    header = (
        "task", "arm", "n", "accuracy", "raw", "change", "agreement", "of two seeds", "gate", "floor", "ceiling",
        "margin",
    )  # fmt: skip
    note = (
        f"On the texts of the split that were decided (n). Gate, on the tasks that an arm practised: the "
        f"lower bound of the change of accuracy is above -{accuracy:g}, and agreement with the start arm is at most "
        f"{agreement:g} below that of two seeds of the start arm; an arm that fails is not releasable; open: not told "
        "yet. Where fewer than 10 texts changed, the lower bound is that of their number (Wilson). Floor, ceiling, "
        "margin (nats): drift of the leave-one-word-out tables against the start arm."
    )
    rows = [_gate_row(arm_kept) for arm_kept in summary.kept]
    return sheet_of("Accuracy, agreement, gate", header, rows, note, texts=2) if rows else None


def _gate_row(arm_kept: ArmKept) -> list[SheetCell | str]:
    retention, gate = arm_kept.kept, arm_kept.gate
    drifts = [
        SheetCell(change_cell(retention.drift[name]).main) if name in retention.drift else SheetCell(NO_NUMBER)
        for name in DRIFT_MEASURES
    ]
    state = {"passes": "passes", "fails": "NOT RELEASABLE", "open": "open"}[gate.state] if gate else NO_NUMBER
    yardstick = (
        estimate_cell(arm_kept.yardstick)
        if arm_kept.yardstick is not None and retention.accuracy_change is not None
        else None
    )
    return [
        arm_kept.task,
        arm_kept.arm.name,
        str(max(retention.accuracy.n, retention.agreement.n)),
        estimate_cell(retention.accuracy),
        SheetCell(estimate_cell(retention.accuracy_raw).main),
        change_cell(retention.accuracy_change) if retention.accuracy_change is not None else SheetCell(NO_NUMBER),
        estimate_cell(retention.agreement),
        yardstick or SheetCell(NO_NUMBER),
        SheetCell(state, "", joined(gate.reasons) if gate else ""),
        *drifts,
    ]


DRIFT_MEASURES = ("floor", "ceiling", "margin")


def class_sheets(summary: StudySummary) -> list[Sheet]:
    """Return accuracy by gold label, a table a task, since tasks have labels of their own."""
    sheets: list[Sheet] = []
    for task in summary.tasks:
        measured = [arm_kept for arm_kept in summary.kept if arm_kept.task == task and arm_kept.classes]
        labels = list(dict.fromkeys(label for arm_kept in measured for label in arm_kept.classes))
        rows: list[list[SheetCell | str]] = []
        for arm_kept in measured:
            cells = [_class_cell(arm_kept, label) for label in labels]
            rows.append([arm_kept.arm.name, *cells])
        counts = [
            max((arm_kept.classes[label].n for arm_kept in measured if label in arm_kept.classes), default=0)
            for label in labels
        ]
        header = ("arm", *(f"{label} (n {n})" for label, n in zip(labels, counts, strict=True)))
        note = "Share classified right; in brackets the paired change against the start arm with its 95 % interval."
        if rows:
            sheets.append(sheet_of(f"Accuracy by class, {task}", header, rows, note * (not sheets), texts=1))
    return sheets


def _class_cell(arm_kept: ArmKept, label: str) -> SheetCell:
    if label not in arm_kept.classes:
        return SheetCell(NO_NUMBER)
    difference = arm_kept.class_changes.get(label)
    return SheetCell(
        estimate_cell(arm_kept.classes[label]).main, f"({change_cell(difference)})" if difference is not None else ""
    )


def instruction_sheet(summary: StudySummary) -> Sheet | None:
    """Return loss on held-out instruction data and plain answers of every arm."""
    rows: list[list[SheetCell | str]] = []
    for instruction_retention in instruction_retentions_of(summary.study, summary.seed):
        reasons = ", ".join(f"{reason} ({count})" for reason, count in sorted(instruction_retention.reasons.items()))
        rows.append(
            [
                instruction_retention.arm.name,
                str(instruction_retention.loss.n),
                estimate_cell(instruction_retention.loss),
                change_cell(instruction_retention.change)
                if instruction_retention.change is not None
                else SheetCell(NO_NUMBER),
                str(instruction_retention.plain.n),
                estimate_cell(instruction_retention.plain),
                SheetCell(reasons),
            ]
        )
    header = ("arm", "n", "loss", "change", "asked", "still plain", "why not (answers)")
    note = (
        f"Loss on held-out instruction data{_instruction_source(summary)}, nats a token, mean over rows; "
        "change: against the start arm, same rows and seeds. Still plain: share of plain instructions whose answer is "
        "an answer, not an explanation format."
    )
    return sheet_of("Instruction data", header, rows, note, texts=1) if rows else None


def _instruction_source(summary: StudySummary) -> str:
    """Say where the instruction data is from, and how many of its rows were set aside, for what reason."""
    models_kept = list(summary.study.kept.values())
    sources = list(dict.fromkeys(model_kept.source for model_kept in models_kept if model_kept.source))
    set_aside = next((model_kept.set_aside for model_kept in models_kept if model_kept.set_aside), {})
    notes = [f"{count} rows set aside: {reason}" for reason, count in set_aside.items()]
    return f" ({'; '.join([*sources, *notes])})" if sources or notes else ""
