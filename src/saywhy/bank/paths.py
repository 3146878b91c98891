"""What a manifest says of the machine that made it, left out: names of data files, and where models lie."""

from __future__ import annotations

from collections.abc import Mapping
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
            portable_manifest[key] = _portable_settings(manifest[key])
    if isinstance(manifest.get("arms"), dict):
        portable_manifest["arms"] = {
            arm: {**entry, "with": _portable_settings(entry.get("with") or {})}
            for arm, entry in manifest["arms"].items()
        }
    for key in ("model", "donor"):
        if isinstance(manifest.get(key), dict):
            portable_manifest[key] = {
                name: portable_model(value) if name in ("name", "public_id", "model") else value
                for name, value in manifest[key].items()
            }
    return portable_manifest


def _portable_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run, a study or a block without paths."""
    portable_settings = dict(settings)
    for key, value in settings.items():
        if key in ("data", "replay"):
            portable_settings[key] = value if value in _PUBLIC_DATA else LOCAL_DATA
        elif key in ("model", "donor"):
            portable_settings[key] = portable_model(value)
        elif key == "task":
            portable_settings[key] = _last_part(value)
        elif key in ("tasks", "unseen"):
            portable_settings[key] = [_last_part(task) for task in value]
        elif key == "with":
            portable_settings[key] = _portable_settings(value or {})
        elif key == "blocks":
            portable_settings[key] = [_portable_settings(block) for block in value]
    return portable_settings


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
