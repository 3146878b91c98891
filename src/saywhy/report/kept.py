"""What a trained arm kept of classifier and instructions, in sentences of its model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saywhy import stats
from saywhy.folders.store import read_object
from saywhy.report.format import estimate, number
from saywhy.report.gate import gate_of
from saywhy.report.retention import Retention
from saywhy.report.summary import Summary

RETENTION = "retention.json"
"""What an arm kept of its instructions (``saywhy.measure.retention``), beside its adapter's folder."""


def kept_sentences(summary: Summary, arm: str) -> list[str]:
    """Say in sentences what an arm kept of the classifier, and whether it passes the gate."""
    found = next((kept for kept in summary.retention if kept.arm == arm), None)
    if found is None:
        return []
    said = [f"Accuracy {estimate(found.accuracy)} on {found.accuracy.n} texts."]
    if found.accuracy_change is not None:
        said.append(f"Change of accuracy against {summary.start}: {estimate(found.accuracy_change)}.")
        said.append(f"Agreement with {summary.start}: {estimate(found.agreement)}.")
    if summary.yardstick is not None:
        said.append(f"Two seeds of {summary.start} agree on {estimate(summary.yardstick)}.")
    return [*said, _gate_sentence(summary, found)]


def _gate_sentence(summary: Summary, found: Retention) -> str:
    """Say whether an arm lost no more than it may."""
    if found.accuracy_change is None:
        return "The gate compares with the start arm, which this is." if summary.start == found.arm else "No gate."
    rules, judged = summary.rules, gate_of(found, summary.yardstick, summary.rules)
    verdict = {"passes": "passed", "fails": "not passed", "open": "open"}[judged.state]
    why = f" ({'; '.join(judged.reasons)})" if judged.reasons else ""
    return (
        f"Gate (lower bound of the change of accuracy above -{rules.accuracy_loss:g}; agreement not more than "
        f"{rules.agreement_loss:g} below that of two seeds of the start arm): **{verdict}**{why}."
    )


def instruction_sentences(place: Path, start: str | None) -> list[str]:
    """Say what an arm kept of its instructions, beside the arm that it started from; nothing if it was not measured.

    Args:
        place: The folder of the arm, in which its adapter's folder lies.
        start: Name of the arm that it started from; its folder lies beside.
    """
    mine = _retained(place / RETENTION)
    if mine is None:
        return []
    before = _retained(place.parent / start / RETENTION) if start and start != place.name else None
    losses = dict(zip(mine["replay"]["ids"], mine["replay"]["losses"], strict=True))
    said = []
    if losses:
        said.append(
            f"Loss on held-out instruction data: {_mean(list(losses.values()))} nats a token ({len(losses)} rows)."
        )
    plain = mine["plain"]["plain"]
    said.append(f"Plain replies to plain instructions: {sum(plain)} of {len(plain)}.")
    if before is not None:
        old = dict(zip(before["replay"]["ids"], before["replay"]["losses"], strict=True))
        shared = [name for name in losses if name in old]
        if shared:
            changes = stats.mean_interval([losses[name] - old[name] for name in shared])
            said[0] += f" Change against {start}: {estimate(changes)}."
        said[-1] += f" {start}: {sum(before['plain']['plain'])} of {len(before['plain']['plain'])}."
    return said


def _retained(path: Path) -> dict[str, Any] | None:
    return read_object(path, "replay", "plain") if path.is_file() else None


def _mean(values: Sequence[float]) -> str:
    return number(sum(values) / len(values))
