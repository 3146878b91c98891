"""Join the banks of a study that was spread over machines, seed by seed (docs/study.md, *Spread over machines*)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.bank.release import is_bank
from saywhy.bank.runs import arm_files, loss_files
from saywhy.folders.checksums import seal
from saywhy.folders.store import existing_file, read_lines, replacing_folder, restore_replaced, write_json
from saywhy.records import SaywhyError
from saywhy.report.load import target_count_files
from saywhy.settings import differences, with_defaults
from saywhy.study.beside import StudyManifest, read_bank, read_objects, refuse_other_study
from saywhy.study.plan import MACHINE_SETTINGS

FREE_RUN_SETTINGS = ("readouts", "data", "replay", *MACHINE_SETTINGS)
"""Settings of a task's run that may differ between banks: audits have readouts of their own, hashes tell the data."""

MACHINE_FACTS = ("git", "versions", "model")
"""Keys of ``study.json`` on the machine and the code that made it."""


def join_banks(banks: Sequence[Path], out: Path) -> Path:
    """Write one bank with all that ``banks`` have.

    Of an arm that several have, the fullest is taken, of equals the first; the joint plan is that of the first bank.
    Only the files of a bank are copied, whatever else lies beside them.

    Args:
        banks: Released banks of one study, two or more.
        out: Where the joint bank goes: nothing, an empty folder, or a bank (one of ``banks``, too), which is replaced.

    Returns:
        ``out``, made absolute.

    Raises:
        SaywhyError: If they are no banks of one study (``refuse_other_study``), or if the settings, the question, the
            data or the texts of a task differ. Nothing is written then.
    """
    banks, out = [bank.resolve() for bank in banks], out.resolve()
    _refuse_bank_folders(banks, out)
    for bank in banks:
        restore_replaced(bank)
    manifests = [read_bank(bank) for bank in banks]
    for bank, manifest in zip(banks[1:], manifests[1:], strict=True):
        refuse_other_study(manifests[0], manifest, banks[0], bank)
    with replacing_folder(out, "bank", is_bank) as folder:
        write_json(folder / "study.json", _joint_manifest(banks, manifests))
        shutil.copyfile(banks[0] / "frozen.json", folder / "frozen.json")
        for run in sorted({file.parent.relative_to(bank) for bank in banks for file in bank.rglob("run.json")}):
            _join_runs([bank / run for bank in banks if (bank / run / "run.json").is_file()], folder / run)
        for bank in banks:
            _copy_missing_files(bank.glob("models/seed-*/*/retention.json"), bank, folder)
            for model in bank.glob("models/seed-*/*/"):  # both files of one training, not one of each
                if not loss_files(folder / model.relative_to(bank)):
                    _copy_missing_files(loss_files(model), bank, folder)
        for finished in (*(run.parent for run in folder.glob("tasks/*/run.json")), folder):
            seal(finished)
    return out


def _refuse_bank_folders(banks: Sequence[Path], out: Path) -> None:
    """Refuse folders within each other, a bank given twice, or only one bank."""
    if len(set(banks)) < 2 or len(set(banks)) < len(banks):
        raise SaywhyError("give two banks or more, each once, and behind them where the joint one goes")
    for bank in banks:
        if out in bank.parents or bank in out.parents:
            raise SaywhyError(f"{out} and {bank} lie within each other: give another folder for the joint bank")


def _joint_manifest(banks: Sequence[Path], manifests: Sequence[StudyManifest]) -> dict[str, Any]:
    """Return the joint ``study.json``, with what each machine did under ``machines``."""
    machines: list[dict[str, Any]] = []
    for bank, manifest in zip(banks, manifests, strict=True):
        for machine in manifest.get("machines") or [_machine_entry(bank, manifest)]:
            alike = [listed for listed in machines if _facts_of_machine(listed) == _facts_of_machine(machine)]
            if alike:  # the same machine at another time, or one like it
                alike[0].update(_joint_machine_work(alike[0], machine))
            else:
                machines.append(dict(machine))
    kept = {key: value for key, value in manifests[0].items() if key not in ("adapters", "frozen")}
    joint = {key: _merged_objects(manifest[key] for manifest in manifests) for key in ("arms", "seconds")}
    return {**kept, **joint, "machines": machines}


def _machine_entry(bank: Path, manifest: StudyManifest) -> dict[str, Any]:
    """Return the entry of ``machines`` for a bank that was not joined: it was made on one."""
    arms: dict[str, set[str]] = {}
    for rows in bank.glob("tasks/*/seed-*/*/rows.jsonl*"):
        arms.setdefault(rows.parent.parent.name.removeprefix("seed-"), set()).add(rows.parent.name)
    audited = {seed: sorted(names) for seed, names in sorted(arms.items())}
    return {"audited": audited, **_facts_of_machine(manifest), "adapters": manifest.get("adapters", {})}


def _facts_of_machine(manifest: StudyManifest) -> dict[str, Any]:
    """Return the facts on the machine."""
    return {key: manifest[key] for key in MACHINE_FACTS if key in manifest}


def _joint_machine_work(first: StudyManifest, second: StudyManifest) -> dict[str, Any]:
    """Return the audited arms by seed and the adapters of two entries of one machine."""
    seeds = sorted({*first["audited"], *second["audited"]})
    return {
        "audited": {
            seed: sorted({*first["audited"].get(seed, ()), *second["audited"].get(seed, ())}) for seed in seeds
        },
        "adapters": _merged_objects((first["adapters"], second["adapters"])),
    }


def _merged_objects(objects: Iterable[StudyManifest]) -> dict[str, Any]:
    """Merge objects; of a key that several have, the first value is taken."""
    merged: dict[str, Any] = {}
    for entries in objects:
        merged = {**entries, **merged}
    return merged


def _join_runs(runs: Sequence[Path], out: Path) -> None:
    """Join the runs of one task, one of each bank that has it, into the folder ``out``."""
    manifests = [read_objects(run / "run.json", "config") for run in runs]
    for run, manifest in zip(runs[1:], manifests[1:], strict=True):
        _refuse_other_run(runs[0], manifests[0], run, manifest)
    # The seconds in run.json are of stages over all seeds: those of each step stand in study.json.
    joint = {key: value for key, value in manifests[0].items() if key != "seconds"}
    for key in ("donor", "counts"):
        if any(key in manifest for manifest in manifests):
            joint[key] = _merged_objects(manifest.get(key) or {} for manifest in manifests)
    arms = list(dict.fromkeys(arm for manifest in manifests for arm in manifest.get("arms", ())))
    write_json(out / "run.json", {**joint, "arms": arms, "pinned": _joint_pinned_words(manifests)})
    for name in ("texts.jsonl", "set_aside.jsonl"):
        if file := existing_file(runs[0] / name):
            _copy_missing_files([file], runs[0], out)
    for arm in sorted({folder.relative_to(run) for run in runs for folder in run.glob("seed-*/*/")}):
        arm_folders = [run / arm for run in runs if (run / arm).is_dir()]
        fullest = max(arm_folders, key=_arm_fullness)
        _copy_missing_files(arm_files(fullest), fullest, out / arm)
    for run in runs:
        for seed_folder in run.glob("seed-*/"):
            counts = (file for file in target_count_files(seed_folder) if file.parent == seed_folder)
            targets = existing_file(seed_folder / "targets.jsonl")
            _copy_missing_files([*counts, *([targets] if targets else ())], run, out)


def _refuse_other_run(first_run: Path, first_manifest: StudyManifest, run: Path, manifest: StudyManifest) -> None:
    """Refuse a run of other settings, another question or other texts."""
    if changed := differences(
        with_defaults(first_manifest["config"]), with_defaults(manifest["config"]), FREE_RUN_SETTINGS
    ):
        raise SaywhyError(f"{run} has other settings than {first_run} ({'; '.join(changed)})")
    for key in ("task", "data"):
        if changed := differences(first_manifest.get(key) or {}, manifest.get(key) or {}):
            raise SaywhyError(f"{run} is of other {key} than {first_run} ({'; '.join(changed)})")
    for name in ("texts.jsonl", "set_aside.jsonl"):
        if _lines_if_any(run / name) != _lines_if_any(first_run / name):
            raise SaywhyError(f"{run} has other texts than {first_run}: {name} differs")


def _joint_pinned_words(manifests: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the pinned words of each label, of which a bank has those that its grids tried."""
    labels = sorted({label for manifest in manifests for label in manifest.get("pinned", {})})
    return {
        label: sorted({word for manifest in manifests for word in manifest.get("pinned", {}).get(label, ())})
        for label in labels
    }


def _arm_fullness(arm: Path) -> tuple[int, int]:
    """Return how many rows and files an arm has: it may be calibrated only, half audited, or asked for less."""
    return len(_lines_if_any(arm / "rows.jsonl")), len(list(arm.iterdir()))


def _lines_if_any(path: Path) -> list[dict[str, Any]]:
    return read_lines(path, "id") if existing_file(path) else []


def _copy_missing_files(files: Iterable[Path], base: Path, out: Path) -> None:
    """Copy those of ``files``, which lie below ``base``, that ``out`` does not have; banks hold no links."""
    for file in sorted(files):
        to = out / file.relative_to(base)
        if not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
