"""What is decided before the first audit, and its hash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saywhy.arms import task_name
from saywhy.folders.store import read_object, write_json
from saywhy.processes import first
from saywhy.records import SaywhyError
from saywhy.report.study.frozen import digest
from saywhy.study.expand import cells, settings
from saywhy.study.plan import MACHINE, Plan

TESTS = {
    "difference": "mean excess of the arm minus that of its control, paired on the same texts, averaged over seeds",
    "interval": "95 %, bootstrap over texts",
    "p": "sign-flip permutation over texts, two-sided",
    "correction": "Holm over the cells",
    "alpha": 0.05,
    "accuracy_loss": 0.02,
    "agreement_loss": 0.02,
}
"""How the confirmatory cells are tested, and how much a trained model may lose."""


def confirmatory(plan: Plan) -> dict[str, Any]:
    """Return the confirmatory part of a plan: cells, exclusions, tests, texts, and the hash of all that."""
    config = settings(plan)
    by_task = {task_name(task): settings(plan, task) for task in plan.known}
    part: dict[str, Any] = {
        "cells": cells(plan),
        "exclusions": {
            "most_words": {task: one.most_words for task, one in by_task.items()},
            "set_aside": "texts that do not fit the context or have fewer than two words; the same in every arm",
        },
        "model": plan.model,
        "settings": {key: value for key, value in plan.with_.items() if key not in MACHINE},
        "texts": {
            "split": config.split,
            "rows": {task: one.rows for task, one in by_task.items()},
            "decide_rows": {task: one.decide_rows for task, one in by_task.items()},
            "data_seed": config.data_seed,
        },
        "tests": TESTS,
        "bars": [one.model_dump(mode="json") for one in plan.bars],
    }
    return {"hash": digest(part), **part}


def settled(frozen: Mapping[str, Any]) -> str:
    """Return the hash of what is frozen but for how a machine computes, which a part of before may hold."""
    rest = {key: value for key, value in (frozen.get("settings") or {}).items() if key not in MACHINE}
    return digest({**frozen, "settings": rest} if "settings" in frozen else frozen)


def read_frozen(path: Path) -> dict[str, Any]:
    """Read ``frozen.json``.

    Raises:
        SaywhyError: If it was edited.
    """
    kept = read_object(path, "hash")
    if kept["hash"] != digest(kept):
        raise SaywhyError(f"{path} was edited after it was frozen: restore it, or begin anew with out=FOLDER")
    return kept


def freeze(plan: Plan, out: Path) -> str:
    """Write ``frozen.json``, once; return its hash.

    Raises:
        SaywhyError: If the folder holds another confirmatory part, or one that was edited.
    """
    now = confirmatory(plan)
    path = out / "frozen.json"
    if not path.is_file() and first():
        write_json(path, now)
    kept = read_frozen(path) if path.is_file() else now
    if settled(kept) != now["hash"]:
        changed = [key for key in now if kept.get(key) != now[key] and key != "hash"]
        raise SaywhyError(
            f"the confirmatory part of study {plan.name} was changed after its start ({', '.join(changed)}): "
            "restore the file, or begin anew with out=FOLDER"
        )
    return str(kept["hash"])
