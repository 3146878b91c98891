"""What a trained adapter was made from: base model, data, instruction data, by name and licence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from saywhy.folders.store import read_lines, read_object
from saywhy.models.spec import ADAPTER_CONFIG
from saywhy.paths import user_path
from saywhy.records import SaywhyError
from saywhy.report.format import joined
from saywhy.report.summary import Summary
from saywhy.report.tables import code_span, escaped_markdown
from saywhy.tasks.task import catalog, load_task

BUILT_IN_ROWS = "built-in"
"""In place of a data folder: the rows come from saywhy's own grammar."""


@dataclass(frozen=True, slots=True)
class TaskDataSource:
    """Data of a task.

    Attributes:
        task: Name of the task.
        name: Name of the data set.
        licence: Its licence.
        hub: Its id on the hub; None if that is not where the rows come from.
        rows: Where the rows were read.
        labels: Its labels, as a sentence lists them.
    """

    task: str
    name: str
    licence: str
    hub: str | None
    rows: str
    labels: str


def base_model_of(extras: Mapping[str, Any]) -> dict[str, str]:
    """Return the base model's id, fingerprint and note; of a base model in a folder only the folder's name."""
    base = dict(extras.get("base", {}))
    name = str(base.get("id", "unknown"))
    return {
        "id": PurePath(name).name if _is_folder(name) else name,
        "fingerprint": str(base.get("fingerprint", "")),
        "note": str(base.get("note", "")),
    }


def _is_folder(name: str) -> bool:
    return PurePath(name).is_absolute() or name.startswith((".", "~")) or user_path(name).is_dir()


def model_parts(adapter: Path) -> list[str]:
    """Return what an adapter is put on, as code may name it: the base model, then the adapters on it, in their order.

    Of what lies in a folder only its name is told, as in ``path/to/NAME``.
    """
    parts: list[str] = []
    folder, passed = adapter, {adapter.resolve()}
    while (folder / ADAPTER_CONFIG).is_file():
        name = str(read_object(folder / ADAPTER_CONFIG).get("base_model_name_or_path") or "unknown")
        parts.insert(0, f"path/to/{PurePath(name).name}" if _is_folder(name) else name)
        folder = user_path(name)
        if folder.resolve() in passed:  # adapters that name each other: no model loads them
            break
        passed.add(folder.resolve())
    return parts


def data_source_of(summary: Summary) -> TaskDataSource:
    """Return the data of a run's task: name and licence of the data set, and where its rows were read."""
    manifest, task = summary.run.manifest, summary.run.task
    name, labels = str(task.get("name", "run")), joined([str(label) for label in task.get("labels") or ()])
    data = str((manifest.get("config") or {}).get("data") or "")
    if data == "pocket":
        return TaskDataSource(name, "texts written by saywhy's own grammar", "Apache-2.0", None, BUILT_IN_ROWS, labels)
    catalog_task = load_task(name) if name in catalog() else None
    title = str(manifest.get("source") or (catalog_task.source if catalog_task else "")) or "not named"
    hub = (task.get("hub") or {}).get("id")
    # A folder with the task's name, or with such a folder in it, holds its data set; any other may hold anything.
    is_task_data = data == "hub" or name in (PurePath(data).stem, *(child.name for child in _subfolders(data)))
    rows = "the Hugging Face hub" if data == "hub" else code_span(PurePath(data).stem) if data else "not recorded"
    if not is_task_data:
        return TaskDataSource(name, "rows of the user's own", "not known to saywhy", None, rows, labels)
    licence = str(task.get("licence") or "") or "not named"
    return TaskDataSource(name, title, licence, hub, rows, labels)


def _subfolders(data: str) -> list[Path]:
    """Return the folders in a data folder; empty where there is no such folder."""
    try:
        path = user_path(data)
    except SaywhyError:  # a run of another machine
        return []
    return [child for child in path.iterdir() if child.is_dir()] if data and path.is_dir() else []


def replay_data_of(manifest: Mapping[str, Any]) -> str:
    """Return name and hash of the instruction data that was mixed in; empty if there was none."""
    config, data = manifest.get("config") or {}, manifest.get("data") or {}
    if not config.get("replay"):
        return ""
    path = PurePath(str(config["replay"]))
    name = path.name if path.is_absolute() else "/".join(path.parts[-2:])
    return f"{code_span(name)} (sha256 {escaped_markdown(str(data.get('replay')))})"


def _training_row_kind(row: Mapping[str, Any]) -> str:
    """Return the kind of a training row: its style, with what is special about it."""
    detail = " (words that stay)" if "copied" in row else " (own probabilities)" if "share" in row else ""
    return f"{row.get('style')}{detail}"


def training_row_counts(path: Path) -> str:
    """Return the number of rows of each kind that an arm was trained on, as a sentence lists them."""
    if not path.is_file():
        return ""
    counts = Counter(_training_row_kind(row) for row in read_lines(path))
    return ", ".join(f"{count} {row_kind}" for row_kind, count in sorted(counts.items()))
