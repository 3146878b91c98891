"""What a manifest says of the machine that made it, left out: names of data files, and where models lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from saywhy.models.api.address import API_PREFIX, is_api_name, parse_api_name
from saywhy.paths import VLLM_PREFIX, is_vllm_name

LOCAL_DATA = "local data"
"""Stands for a file or folder of the user's own, whose name may tell of its texts."""

_PUBLIC_DATA = (None, "pocket", "hub")


def portable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``run.json`` or ``study.json`` without paths: data is ``local data``, of a model's the last part stays.

    Only settings that hold paths are looked at: a label such as ``/r/science`` is none.
    """
    portable_manifest = dict(manifest)
    for key in ("config", "plan"):
        if isinstance(manifest.get(key), dict):
            portable_manifest[key] = portable_settings(manifest[key])
    if isinstance(manifest.get("arms"), dict):
        portable_manifest["arms"] = {
            arm: {**entry, "with": portable_settings(entry.get("with") or {})}
            for arm, entry in manifest["arms"].items()
        }
    if isinstance(manifest.get("seconds"), dict):
        tasks = [*(manifest.get("plan") or {}).get("tasks", ()), *(manifest.get("plan") or {}).get("unseen", ())]
        portable_manifest["seconds"] = {
            _portable_step(name, tasks): spent for name, spent in manifest["seconds"].items()
        }
    if isinstance(manifest.get("task"), dict):
        portable_manifest["task"] = _portable_task(manifest["task"])
    for key in ("model", "donor"):
        if isinstance(manifest.get(key), dict):
            portable_manifest[key] = {
                name: portable_model(value) if name in ("name", "public_id", "model") else value
                for name, value in manifest[key].items()
            }
    return portable_manifest


def portable_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run, a study or a block without paths."""
    return {key: _portable_setting(key, value) for key, value in settings.items()}


def _portable_setting(key: str, value: Any) -> Any:
    if key in ("data", "replay"):
        return value if value in _PUBLIC_DATA else LOCAL_DATA
    if key in ("model", "donor"):
        return portable_model(value)
    if key in ("task", "tasks", "unseen", "train_tasks", "test_tasks"):
        return _portable_tasks(value)
    if key == "texts" and isinstance(value, dict):
        return {_last_part(task): settings for task, settings in value.items()}
    if key == "trainer" and isinstance(value, dict):
        return {name: portable_model(given) for name, given in value.items()}
    if key == "with":
        return portable_settings(value or {})
    if key == "blocks":
        return [portable_settings(block) for block in value]
    return value


def _portable_task(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a task's file says, without the folder that its ``hub.id`` may be."""
    hub = task.get("hub")
    if not isinstance(hub, dict) or not _is_path(str(hub.get("id"))):
        return dict(task)
    return {**task, "hub": {**hub, "id": LOCAL_DATA}}


def _portable_tasks(tasks: Any) -> Any:
    """Return a task, or tasks in however many lists, each by the last part of its path."""
    return [_portable_tasks(task) for task in tasks] if isinstance(tasks, (list, tuple)) else _last_part(tasks)


def _portable_step(name: str, tasks: Iterable[str]) -> str:
    """Return the name of a step, which ends in its task and seed, with the task by the last part of its path."""
    for task in tasks:
        name = name.replace(f" on {task}, seed ", f" on {_last_part(task)}, seed ")
    return name


def portable_model(name: Any) -> Any:
    """Return the name of a model; of a path only the last part. ``owner/name`` is taken for a hub id.

    Where a model behind an API is asked is left out.
    """
    if isinstance(name, str) and is_vllm_name(name):
        return f"{VLLM_PREFIX}{portable_model(name.removeprefix(VLLM_PREFIX))}"
    if isinstance(name, str) and is_api_name(name):
        return f"{API_PREFIX}{parse_api_name(name).model}"
    return _last_part(name) if isinstance(name, str) and _is_path(name) else name


def _is_path(name: str) -> bool:
    return name.startswith(("/", "~", ".", "file:")) or "\\" in name or name.count("/") > 1 or name.endswith(".gguf")


def _last_part(path: Any) -> Any:
    if not isinstance(path, str):
        return path
    kind = PureWindowsPath if "\\" in path else PurePosixPath
    return kind(path).name or path
