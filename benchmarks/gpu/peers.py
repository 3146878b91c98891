"""saywhy beside captum and TRL, where they are installed."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.common import Done
from benchmarks.gpu.card import need
from benchmarks.gpu.compare import RECIPE, table, timed, training_rows
from benchmarks.gpu.subject import Subject

if TYPE_CHECKING:
    from saywhy.models.spec import ModelSpec

TEXTS = 2
"""Texts that captum is given, which computes a prompt a pass."""
TRAINED_TEXTS = 32


def beside_captum(subject: Subject) -> dict[str, Any]:
    """Return the pace of captum's ablation of every word, and ours on the same texts.

    Raises:
        LeftOutError: If captum is missing.
    """
    need("captum", "pydantic")
    from benchmarks.peers import captum_drops

    chosen = subject.examples[:TEXTS]

    def ablated() -> Done:
        drops = [captum_drops(subject.bare, subject.task, example) for example in chosen]
        return Done(drops, sum(len(of_text[0]) + 1 for of_text in drops))

    table(subject, chosen)
    (own, own_seconds, _), (theirs, seconds, _) = timed(lambda: table(subject, chosen)), timed(ablated)
    return _paces("prompts", own.units / own_seconds, theirs.units / seconds)


def beside_trl(subject: Subject, spec: ModelSpec) -> dict[str, Any]:
    """Return the pace of a training by saywhy and by TRL, both from a model's name to an adapter on disk.

    Raises:
        LeftOutError: If TRL, or what trains with it, is missing.
    """
    need("accelerate", "datasets", "peft", "pydantic", "trl")
    from benchmarks.sft import sft
    from saywhy.training.train import train

    rows = training_rows(dataclasses.replace(subject, examples=subject.examples[:TRAINED_TEXTS]))
    recipe = dataclasses.replace(RECIPE, num_train_epochs=1, per_device_train_batch_size=8)
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> Done:
            return Done(train(spec, rows, recipe, Path(folder, "ours")), len(rows))

        def trls() -> Done:
            sft(spec, rows, recipe, Path(folder, "trl"), packing=False)
            return Done(None, len(rows))

        (_, own_seconds, own_peak), (_, seconds, peak) = timed(ours), timed(trls)
    paces = _paces("rows", len(rows) / own_seconds, len(rows) / seconds)
    return paces | {"peak, GiB, ours / theirs": [own_peak, peak]}


def _paces(unit: str, own: float, theirs: float) -> dict[str, Any]:
    return {
        "their seconds / ours": round(own / theirs, 2),
        f"{unit} a second, ours / theirs": [round(own, 2), round(theirs, 2)],
    }
