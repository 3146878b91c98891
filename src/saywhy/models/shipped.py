"""What travels beside trained weights in ``saywhy.json``: how they were made, and what each task was calibrated to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saywhy.folders.checksums import checksum
from saywhy.folders.store import json_text, read_object, write_json
from saywhy.progress import say
from saywhy.records import SaywhyError

ADAPTER_MANIFEST = "saywhy.json"
"""What an adapter folder holds beside the standard PEFT files: calibration constants and provenance."""

_OWN_CHECKSUM = "checksum"
"""The last entry of ``saywhy.json``: of what stands before it. Files of older versions have none."""

CalibrationKey = Mapping[str, str]
"""What constants belong to, by name: the weights, how they are quantised (where they are), the chat template, the
prompts, the task's text."""


@dataclass(frozen=True, slots=True)
class SavedCalibration:
    """Calibration constants and pinned words of a task, saved beside trained weights.

    Attributes:
        constants: Calibration constants by label.
        pinned: The words that a counterfactual may insert, by named label.
    """

    constants: dict[str, float]
    pinned: dict[str, tuple[str, ...]]


def read_shipped(folder: Path) -> dict[str, Any]:
    """Return the content of ``saywhy.json`` in ``folder``, without its checksum; {} if there is none.

    Raises:
        SaywhyError: If it is damaged.
    """
    file = folder / ADAPTER_MANIFEST
    if not file.is_file():
        return {}
    shipped = read_object(file)
    if not shipped:
        raise SaywhyError(f"{file} is damaged (it is empty): restore it, or delete it")
    noted = shipped.pop(_OWN_CHECKSUM, None)
    changed = noted not in (None, _checksum_of(shipped))
    if problem := "other content than when it was written" if changed else _problem(shipped):
        raise SaywhyError(f"{file} is damaged ({problem}): delete it, and the model is calibrated anew")
    return shipped


def write_shipped(folder: Path, shipped: Mapping[str, Any]) -> None:
    """Write ``saywhy.json`` in ``folder``, with the checksum of its own content."""
    write_json(folder / ADAPTER_MANIFEST, {**shipped, _OWN_CHECKSUM: _checksum_of(shipped)})


def _checksum_of(shipped: Mapping[str, Any]) -> str:
    return checksum(json_text(shipped).encode())


def saved_calibration(folder: Path, task: str, key: Callable[[], CalibrationKey]) -> SavedCalibration | None:
    """Return what was saved in ``folder`` for a task; None if the weights were never calibrated for it as it is asked.

    Constants of an older version do not say what they belong to, and are taken by the task's name.

    Args:
        folder: The folder of an adapter, or of a model that was trained whole.
        task: The task's name.
        key: Returns what constants must belong to; called if there are some that say so.

    Raises:
        SaywhyError: If the file is damaged.
    """
    shipped = read_shipped(folder)
    belongs = (shipped.get("tasks", {}).get(task) or {}).get("belongs")
    if belongs:
        asked = key()
        changed = [name for name in {**asked, **belongs} if belongs.get(name) != asked.get(name)]
        if changed:
            say(f"constants of task {task} in {folder} are of other {' and '.join(changed)}: measured anew")
            return None
    return shipped_calibration(shipped, task)


def shipped_calibration(shipped: Mapping[str, Any], task: str) -> SavedCalibration | None:
    """Return what the content of ``saywhy.json`` holds of a task, whatever it belongs to; None if nothing."""
    saved = shipped.get("tasks", {}).get(task)
    if not saved:
        return None
    pinned = {label: tuple(words) for label, words in saved["pinned"].items()}
    return SavedCalibration(dict(saved["constants"]), pinned)


def finite_constants(constants: Mapping[str, float]) -> dict[str, float]:
    """Return calibration constants by label as finite numbers; else ValueError, TypeError or AttributeError."""
    finite = {label: float(constant) for label, constant in constants.items()}
    if not all(map(math.isfinite, finite.values())):
        raise ValueError("a constant is no number")
    return finite


def calibration_entry(saved: SavedCalibration, key: CalibrationKey) -> dict[str, Any]:
    """Return what ``saywhy.json`` holds of a task: the inverse of ``saved_calibration``."""
    pinned = {label: list(words) for label, words in saved.pinned.items()}
    return {"constants": dict(saved.constants), "pinned": pinned, "belongs": dict(key)}


def of_other_weights(shipped: Mapping[str, Any], fingerprint: str) -> dict[str, Any]:
    """Return the content of ``saywhy.json`` for the same weights in another number format."""
    tasks = {
        name: {**saved, "belongs": {**saved["belongs"], "weights": fingerprint}} if "belongs" in saved else saved
        for name, saved in shipped.get("tasks", {}).items()
    }
    return {**shipped, "tasks": tasks} if tasks else dict(shipped)


def _problem(shipped: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the content of ``saywhy.json``, None if nothing is."""
    for name in ("base", "recipe", "tasks", "files"):
        if not isinstance(shipped.get(name, {}), dict):
            return f"{name} is no JSON object"
    texts = {
        **{f"base.{name}": value for name, value in shipped.get("base", {}).items()},
        "recipe.plan": shipped.get("recipe", {}).get("plan", ""),
        "trained_with": shipped.get("trained_with") or "",
    }
    for name, value in texts.items():
        if not isinstance(value, str):
            return f"{name} is no text"
    damaged = [name for name, saved in shipped.get("tasks", {}).items() if saved and not _is_calibration(saved)]
    return f"constants and pinned words of task {damaged[0]}" if damaged else None


def _is_calibration(saved: Any) -> bool:
    """Whether ``saved`` is what ``calibration_entry`` makes."""
    if not isinstance(saved, dict):
        return False
    parts = [saved.get("constants"), saved.get("pinned"), saved.get("belongs", {})]
    if not all(isinstance(part, dict) for part in parts):
        return False
    constants, pinned, belongs = parts
    return (
        all(type(value) in (int, float) and math.isfinite(value) for value in constants.values())
        and all(isinstance(words, list) and all(isinstance(word, str) for word in words) for words in pinned.values())
        and all(isinstance(value, str) for value in belongs.values())
    )
