"""What the arms kept, as tables: accuracy, agreement, the gate, classes, instruction data, plain answers."""

from __future__ import annotations

from saywhy.report.format import NOTHING, Sheet, Shown, change, estimate, joined, sheet
from saywhy.report.study.frozen import losses
from saywhy.report.study.gate import ArmKept, instructed
from saywhy.report.study.summary import StudySummary


def gate_sheet(summary: StudySummary) -> Sheet | None:
    """Return accuracy and agreement of every arm on every task, and the gate."""
    accuracy, agreement = losses(summary.study)
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
    rows = [_gate_row(one) for one in summary.kept]
    return sheet("Accuracy, agreement, gate", header, rows, note, texts=2) if rows else None


def _gate_row(one: ArmKept) -> list[Shown | str]:
    kept, gate = one.kept, one.gate
    drifts = [Shown(change(kept.drift[name]).main) if name in kept.drift else Shown(NOTHING) for name in DRIFTS]
    state = {"passes": "passes", "fails": "NOT RELEASABLE", "open": "open"}[gate.state] if gate else NOTHING
    usual = estimate(one.yardstick) if one.yardstick is not None and kept.accuracy_change is not None else None
    return [
        one.task,
        one.arm.name,
        str(max(kept.accuracy.n, kept.agreement.n)),
        estimate(kept.accuracy),
        Shown(estimate(kept.accuracy_raw).main),
        change(kept.accuracy_change) if kept.accuracy_change is not None else Shown(NOTHING),
        estimate(kept.agreement),
        usual or Shown(NOTHING),
        Shown(state, "", joined(gate.reasons) if gate else ""),
        *drifts,
    ]


DRIFTS = ("floor", "ceiling", "margin")


def class_sheets(summary: StudySummary) -> list[Sheet]:
    """Return accuracy by gold label, a table a task, since tasks have labels of their own."""
    made: list[Sheet] = []
    for task in summary.tasks:
        mine = [one for one in summary.kept if one.task == task and one.classes]
        labels = list(dict.fromkeys(label for one in mine for label in one.classes))
        rows: list[list[Shown | str]] = []
        for one in mine:
            cells = [_class(one, label) for label in labels]
            rows.append([one.arm.name, *cells])
        counts = [max((one.classes[label].n for one in mine if label in one.classes), default=0) for label in labels]
        header = ("arm", *(f"{label} (n {n})" for label, n in zip(labels, counts, strict=True)))
        note = "Share classified right; in brackets the paired change against the start arm with its 95 % interval."
        if rows:
            made.append(sheet(f"Accuracy by class, {task}", header, rows, note * (not made), texts=1))
    return made


def _class(one: ArmKept, label: str) -> Shown:
    if label not in one.classes:
        return Shown(NOTHING)
    moved = one.class_changes.get(label)
    return Shown(estimate(one.classes[label]).main, f"({change(moved)})" if moved is not None else "")


def instruction_sheet(summary: StudySummary) -> Sheet | None:
    """Return loss on held-out instruction data and plain answers of every arm."""
    rows: list[list[Shown | str]] = []
    for one in instructed(summary.study, summary.seed):
        reasons = ", ".join(f"{why} ({count})" for why, count in sorted(one.reasons.items()))
        rows.append(
            [
                one.arm.name,
                str(one.loss.n),
                estimate(one.loss),
                change(one.change) if one.change is not None else Shown(NOTHING),
                str(one.plain.n),
                estimate(one.plain),
                Shown(reasons),
            ]
        )
    header = ("arm", "n", "loss", "change", "asked", "still plain", "why not (answers)")
    note = (
        f"Loss on held-out instruction data{_source(summary)}, nats a token, mean over rows; change: against the start "
        "arm, same rows and seeds. Still plain: share of plain instructions whose answer is an answer, not an "
        "explanation format."
    )
    return sheet("Instruction data", header, rows, note, texts=1) if rows else None


def _source(summary: StudySummary) -> str:
    """Say where the instruction data is from, and which rows of it could not be used."""
    kept = list(summary.study.kept.values())
    sources = list(dict.fromkeys(one.source for one in kept if one.source))
    aside = next((one.aside for one in kept if one.aside), {})
    told = [f"{count} rows set aside: {why}" for why, count in aside.items()]
    return f" ({'; '.join([*sources, *told])})" if sources or told else ""
