"""Rows and decisions of which only what a statistic looks at matters."""

from __future__ import annotations

import dataclasses

from saywhy.records import Decision, Row

ROW = Row(
    id="a",
    task="t",
    arm="faithful",
    seed=0,
    style="attribution",
    setting="one-word",
    readout="constrained",
    operator="redact",
    gold="x",
    prediction="x",
    raw_prediction="x",
    margin=1.0,
    named=None,
    reply=None,
    words=("good",),
    inserted=(),
    edited="a [REDACTED] day",
    reason=None,
    recheck="y",
    drop=2.0,
    hit=True,
    floor=0.25,
    ceiling=True,
)


def row(text: str, hit: bool, floor: float, ceiling: bool = True, **more: object) -> Row:
    return dataclasses.replace(ROW, id=text, hit=hit, floor=floor, ceiling=ceiling, **more)


def decision(text: str, label: str, gold: str | None = "x", raw: str = "x", seed: int = 0) -> Decision:
    return Decision(text, "t", "base", seed, gold, label, raw, 1.0)
