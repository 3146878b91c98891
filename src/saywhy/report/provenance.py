"""What a trained adapter was made from: base model, data, instruction data, by name and licence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from saywhy.folders.store import read_lines
from saywhy.report.format import joined
from saywhy.report.summary import Summary
from saywhy.tasks.task import catalog, load_task

BUILT_IN = "built-in"
"""Where the rows of saywhy's own texts are read."""


@dataclass(frozen=True, slots=True)
class Source:
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


def base_of(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the base model's id, fingerprint and note; of a folder only its name, not where it lay."""
    base = dict(told.get("base", {}))
    name = str(base.get("id", "unknown"))
    if PurePath(name).is_absolute() or name.startswith((".", "~")):
        name = PurePath(name).name
    return {"id": name, "fingerprint": str(base.get("fingerprint", "")), "note": str(base.get("note", ""))}


def source_of(summary: Summary) -> Source:
    """Return the data of a run's task: what was asked for, by name and licence, and where its rows were read."""
    manifest, task = summary.run.manifest, summary.run.task
    name, labels = str(task.get("name", "run")), joined([str(label) for label in task.get("labels") or ()])
    data = str((manifest.get("config") or {}).get("data") or "")
    if data == "pocket":
        return Source(name, "texts written by saywhy's own grammar", "Apache-2.0", None, BUILT_IN, labels)
    shipped = load_task(name) if name in catalog() else None
    title = str(manifest.get("source") or (shipped.source if shipped else "")) or "not named"
    hub = (task.get("hub") or {}).get("id")
    # A folder of the task's name, or with one in it, is taken for its data set; any other may hold anything.
    same = data == "hub" or name in (PurePath(data).stem, *(child.name for child in _folders(data)))
    rows = "the Hugging Face hub" if data == "hub" else f"`{PurePath(data).stem}`" if data else "not recorded"
    if not same:
        return Source(name, "rows of the user's own", "not known to saywhy", None, rows, labels)
    licence = str(task.get("licence") or "") or "not named"
    return Source(name, title, licence, hub, rows, labels)


def _folders(data: str) -> list[Path]:
    """Return the folders in a data folder, none where it is not at hand."""
    path = Path(data).expanduser()
    return [child for child in path.iterdir() if child.is_dir()] if data and path.is_dir() else []


def replay_of(manifest: Mapping[str, Any]) -> str:
    """Return what instruction data was mixed in, by name and hash; nothing if there was none."""
    config, data = manifest.get("config") or {}, manifest.get("data") or {}
    if not config.get("replay"):
        return ""
    name = PurePath(str(config["replay"]))
    return f"`{'/'.join(name.parts[-2:]) if not name.is_absolute() else name.name}` (sha256 {data.get('replay')})"


def _sort(row: Mapping[str, Any]) -> str:
    """Return what a training row practises."""
    told = " (words that stay)" if "copied" in row else " (own probabilities)" if "share" in row else ""
    return f"{row.get('style')}{told}"


def practised_of(path: Path) -> str:
    """Return how many rows of which kind the arm was trained on."""
    if not path.is_file():
        return ""
    found = Counter(_sort(row) for row in read_lines(path))
    return ", ".join(f"{count} {style}" for style, count in sorted(found.items()))
