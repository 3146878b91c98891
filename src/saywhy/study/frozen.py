"""The frozen part of a study: what is decided before the first audit, and its hash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saywhy.arms import task_name
from saywhy.bank.paths import portable_model, portable_settings
from saywhy.folders.store import read_object, write_json
from saywhy.processes import is_first_process
from saywhy.records import NON_INFERIORITY_MARGIN, SaywhyError
from saywhy.report.study.frozen import CONFIRMATORY_ALPHA, frozen_digest
from saywhy.setting_names import current_names
from saywhy.study.expand import confirmatory_cells, task_settings
from saywhy.study.plan import MACHINE_SETTINGS, StudyPlan

CONFIRMATORY_TESTS = {
    "difference": "mean excess of the arm minus that of its control, paired on the same texts, averaged over seeds",
    "interval": "95 %, bootstrap over texts",
    "p": "sign-flip permutation over texts, two-sided",
    "correction": "Holm over the cells",
    "alpha": CONFIRMATORY_ALPHA,
    "accuracy_loss": NON_INFERIORITY_MARGIN,
    "agreement_loss": NON_INFERIORITY_MARGIN,
}
"""How the confirmatory cells are tested, and how much accuracy and agreement a trained model may lose."""


def frozen_part(plan: StudyPlan) -> dict[str, Any]:
    """Return the frozen part of a plan: confirmatory cells, exclusions, settings, texts, tests, bars, and its hash."""
    config = task_settings(plan)
    config_of_task = {task_name(task): task_settings(plan, task) for task in plan.all_tasks}
    part: dict[str, Any] = {
        "cells": confirmatory_cells(plan),
        "exclusions": {
            "most_words": {task: task_config.most_words for task, task_config in config_of_task.items()},
            "set_aside": "texts that do not fit the context or have fewer than two words; the same in every arm",
        },
        "model": portable_model(plan.model),
        "settings": portable_settings({key: plan.with_[key] for key in plan.with_ if key not in MACHINE_SETTINGS}),
        "texts": {
            "split": config.split,
            "rows": {task: task_config.rows for task, task_config in config_of_task.items()},
            "decide_rows": {task: task_config.decide_rows for task, task_config in config_of_task.items()},
            "data_seed": config.data_seed,
        },
        "tests": CONFIRMATORY_TESTS,
        "bars": [bar.model_dump(mode="json") for bar in plan.bars],
    }
    return {"hash": frozen_digest(part), **part}


def settled_hash(frozen: Mapping[str, Any]) -> str:
    """Return the hash of a frozen part with its settings under the names of today.

    Settings of how a machine computes, and paths, which an older version froze too, are left out.
    """
    settings = current_names(frozen.get("settings") or {})
    hashed = {key: value for key, value in settings.items() if key not in MACHINE_SETTINGS}
    named = {**frozen, "model": portable_model(frozen["model"])} if "model" in frozen else frozen
    return frozen_digest({**named, "settings": portable_settings(hashed)} if "settings" in frozen else named)


def read_frozen(path: Path) -> dict[str, Any]:
    """Read ``frozen.json``.

    Raises:
        SaywhyError: If it was edited.
    """
    frozen = read_object(path, "hash")
    if frozen["hash"] != frozen_digest(frozen):
        raise SaywhyError(f"{path} was edited after it was frozen: restore it, or begin anew with out=FOLDER")
    return frozen


def freeze_plan(plan: StudyPlan, out: Path) -> str:
    """Write ``frozen.json``, once; return its hash.

    Raises:
        SaywhyError: If the folder holds another confirmatory part, or one that was edited.
    """
    planned = frozen_part(plan)
    path = out / "frozen.json"
    if not path.is_file() and is_first_process():
        write_json(path, planned)
    frozen = read_frozen(path) if path.is_file() else planned
    if settled_hash(frozen) != planned["hash"]:
        frozen = {**frozen, "settings": portable_settings(current_names(frozen.get("settings") or {}))}
        changed = [key for key in planned if frozen.get(key) != planned[key] and key != "hash"]
        raise SaywhyError(
            f"the confirmatory part of study {plan.name} was changed after its start ({', '.join(changed)}): "
            "restore the file, or begin anew with out=FOLDER"
        )
    return str(frozen["hash"])
