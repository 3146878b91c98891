"""What a trained arm kept of classifier and instructions, in sentences of its model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saywhy import stats
from saywhy.folders.store import read_object
from saywhy.report.format import estimate_cell, number
from saywhy.report.gate import gate_of
from saywhy.report.retention import Retention
from saywhy.report.summary import Summary
from saywhy.report.tables import escaped_markdown

INSTRUCTION_RETENTION_FILE = "retention.json"
"""What an arm kept of its instructions (``saywhy.measure.retention``), beside its adapter's folder."""


def retention_sentences(summary: Summary, arm: str) -> list[str]:
    """Return sentences on what an arm kept of the classifier, and whether it passes the gate."""
    retention = next((retention for retention in summary.retention if retention.arm == arm), None)
    if retention is None:
        return []
    start = escaped_markdown(str(summary.start))
    sentences = [f"Accuracy {estimate_cell(retention.accuracy)} on {retention.accuracy.n} texts."]
    if retention.accuracy_change is not None:
        sentences.append(f"Change of accuracy against {start}: {estimate_cell(retention.accuracy_change)}.")
        sentences.append(f"Agreement with {start}: {estimate_cell(retention.agreement)}.")
    if summary.yardstick is not None:
        sentences.append(f"Two seeds of {start} agree on {estimate_cell(summary.yardstick)}.")
    return [*sentences, _gate_sentence(summary, retention)]


def _gate_sentence(summary: Summary, retention: Retention) -> str:
    """Say whether an arm passes the gate."""
    if retention.accuracy_change is None:
        return "The gate compares with the start arm, which this is." if summary.start == retention.arm else "No gate."
    rules, gate = summary.rules, gate_of(retention, summary.yardstick, summary.rules)
    verdict = {"passes": "passed", "fails": "not passed", "open": "open"}[gate.state]
    reasons = f" ({escaped_markdown('; '.join(gate.reasons))})" if gate.reasons else ""
    return (
        f"Gate (lower bound of the change of accuracy above -{rules.accuracy_loss:g}; agreement not more than "
        f"{rules.agreement_loss:g} below that of two seeds of the start arm): **{verdict}**{reasons}."
    )


def instruction_sentences(arm_folder: Path, start: str | None) -> list[str]:
    """Return sentences on an arm's retention of instructions, against its start arm; empty if it was not measured.

    Args:
        arm_folder: The folder of the arm, in which its adapter's folder lies.
        start: Name of the arm that it started from; its folder lies beside.
    """
    after = _read_instruction_retention(arm_folder / INSTRUCTION_RETENTION_FILE)
    if after is None:
        return []
    before = (
        _read_instruction_retention(arm_folder.parent / start / INSTRUCTION_RETENTION_FILE)
        if start and start != arm_folder.name
        else None
    )
    losses = dict(zip(after["replay"]["ids"], after["replay"]["losses"], strict=True))
    sentences = []
    if losses:
        loss = _mean_loss_text(list(losses.values()))
        sentences.append(f"Loss on held-out instruction data: {loss} nats a token ({len(losses)} rows).")
    plain = after["plain"]["plain"]
    sentences.append(f"Plain replies to plain instructions: {sum(plain)} of {len(plain)}.")
    if before is not None:
        losses_before = dict(zip(before["replay"]["ids"], before["replay"]["losses"], strict=True))
        shared = [row_id for row_id in losses if row_id in losses_before]
        if shared:
            change = stats.mean_interval([losses[row_id] - losses_before[row_id] for row_id in shared])
            sentences[0] += f" Change against {escaped_markdown(str(start))}: {estimate_cell(change)}."
        plain_before = before["plain"]["plain"]
        sentences[-1] += f" {escaped_markdown(str(start))}: {sum(plain_before)} of {len(plain_before)}."
    return sentences


def _read_instruction_retention(path: Path) -> dict[str, Any] | None:
    return read_object(path, "replay", "plain") if path.is_file() else None


def _mean_loss_text(values: Sequence[float]) -> str:
    return number(sum(values) / len(values))
