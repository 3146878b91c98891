"""A released bank: a run or a study without anyone's text, from which every table can be rebuilt (``docs/rows.md``).

Labels, verdicts and scores stay. Words become indices into their text's candidates; ids, edited texts and replies
become hashes, keyed with a secret that stays at home. Adapters (but the losses of
their training) and training rows are not copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saywhy.bank.leaks import EXAMPLES_SUBFOLDER, leaks
from saywhy.bank.mask import BankKey
from saywhy.bank.paths import portable, portable_settings
from saywhy.bank.runs import BANK_VERSION, copy_examples, release_losses, release_run, training_texts
from saywhy.folders.checksums import refuse_damage, seal
from saywhy.folders.entries import refuse_links
from saywhy.folders.store import (
    read_lines,
    read_object,
    replacing_folder,
    write_json,
)
from saywhy.models.fingerprints import weights_fingerprint
from saywhy.models.shipped import ADAPTER_MANIFEST
from saywhy.records import (
    SaywhyError,
)
from saywhy.report.study.frozen import frozen_digest

_HASH = re.compile(r"[0-9a-f]{8,}")

KEY_FILE = ".bank-key"
"""The secret of a folder's bank, in that folder: it is never released."""


def release_bank(folder: Path, out: Path, key: Path | None = None) -> Path:
    """Write the bank of a run or a study; the same folder and key give the same bytes.

    Args:
        folder: A run folder or a study folder.
        out: The folder of the bank: it does not exist, is empty, or is a bank, which is replaced.
        key: File with the secret of its hashes, made if missing; banks that are to be joined or compared share one.
            None: the one in ``folder`` (``KEY_FILE``).

    Returns:
        ``out``.

    Raises:
        SaywhyError: If ``folder`` is neither, or holds a link, ``out`` holds something else, or a sequence of words of
            a text would be in the bank: nothing is written then.
    """
    refuse_links(folder)
    writers: dict[str, Callable[[Path, Path, BankKey], list[str]]] = {
        "study.json": _release_study,
        "run.json": release_run,
    }
    write_bank = next((write for name, write in writers.items() if (folder / name).is_file()), None)
    if write_bank is None:
        raise SaywhyError(f"{folder} is no run and no study: it has no run.json or study.json")
    if is_bank(folder):
        raise SaywhyError(f"{folder} is a bank already: give the run or study folder that it was made from")
    if (folder / "plants").is_dir():
        raise SaywhyError(f"{folder} is a calibration on built-in texts: nobody's text is in it, share it as it is")
    out = out.resolve()  # so that '.' has a name, also when its folder was replaced
    bank_key = BankKey.at(key or folder / KEY_FILE)
    with replacing_folder(out, "bank", is_bank) as part:
        texts = write_bank(folder, part, bank_key)
        seal(part)
        if leaked := leaks(part, texts, _plain_ids(folder)):
            more = f" (and {len(leaked) - 1} more)" if len(leaked) > 1 else ""
            raise SaywhyError(f"words of a text would be in the bank, nothing was released: {leaked[0]!r}{more}")
    return out


def _plain_ids(folder: Path) -> set[str]:
    """Return the ids of all texts behind a folder: plain hashes, which who guesses a text can compute."""
    files = (path for path in folder.rglob("*.jsonl") if EXAMPLES_SUBFOLDER not in path.relative_to(folder).parts)
    ids = {str(line["id"]) for path in files for line in read_lines(path) if "id" in line}
    for path in folder.glob("models/seed-*/*/retention.json"):
        ids.update((read_object(path).get("replay") or {}).get("ids", ()))
    return {name for name in ids if _HASH.fullmatch(name)}


def is_bank(folder: Path) -> bool:
    """Whether a folder holds a released bank, of a run or of a study."""
    files = (folder / name for name in ("run.json", "study.json"))
    return any(file.is_file() and read_object(file).get("bank") for file in files)


def _release_study(folder: Path, out: Path, key: BankKey) -> list[str]:
    """Release a study: its plan, the runs of its tasks, and the retention of its models; return all texts behind it."""
    refuse_damage(folder / "study.json")
    adapter_folders = [path.parent for path in sorted(folder.glob(f"models/seed-*/*/adapter/{ADAPTER_MANIFEST}"))]
    adapters = {
        f"{adapter.parent.name}, {adapter.parent.parent.name.replace('-', ' ')}": weights_fingerprint(adapter)
        for adapter in adapter_folders
    }
    manifest = portable(read_object(folder / "study.json"))
    if (folder / "frozen.json").is_file():
        frozen, released = read_object(folder / "frozen.json", "hash"), _release_frozen(folder / "frozen.json")
        write_json(out / "frozen.json", released)
        if manifest.get("frozen") == frozen["hash"]:
            manifest["frozen"] = released["hash"]
    write_json(out / "study.json", {"bank": BANK_VERSION, **manifest, "adapters": adapters})
    texts: list[str] = []
    task_manifests = sorted(folder.glob("tasks/*/run.json"))
    tasks = [read_object(task_manifest).get("task") or {} for task_manifest in task_manifests]
    for task_manifest in task_manifests:
        texts += release_run(task_manifest.parent, out / "tasks" / task_manifest.parent.name, key)
    for model_folder in sorted(folder.glob("models/seed-*/*/")):
        texts += training_texts(model_folder / "training.jsonl", tasks).values()
        retention = model_folder / "retention.json"
        if retention.is_file():
            write_json(out / retention.relative_to(folder), _released_retention(retention, key))
        release_losses(model_folder, out / model_folder.relative_to(folder))
    copy_examples(folder, out)
    return texts


def _release_frozen(path: Path) -> dict[str, Any]:
    """Return the frozen part of a study without paths, which older versions froze, and with its hash."""
    frozen = read_object(path, "hash")
    named = {**frozen, **portable_settings({key: frozen[key] for key in ("model",) if key in frozen})}
    if frozen.get("settings"):
        named["settings"] = portable_settings(frozen["settings"])
    is_edited = frozen_digest(frozen) != frozen["hash"]  # that must show
    return {**named, "hash": frozen["hash"] if is_edited else frozen_digest(named)}


def _released_retention(path: Path, key: BankKey) -> dict[str, Any]:
    """Return what a model kept, without the hashes of the user's instructions; those of the built-in ones stay."""
    retention = read_object(path)
    replay = retention.get("replay") or {}
    ids = [key.id(name) for name in replay.get("ids", ())]
    return {**retention, "replay": {**replay, "ids": ids}} if ids else retention
