"""Join the banks of a study that was spread over machines, seed by seed (docs/study.md, *Spread over machines*)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.bank.release import is_bank
from saywhy.config import differences, told
from saywhy.folders.store import existing, placed, read_lines, write_json
from saywhy.records import SaywhyError
from saywhy.study.plan import MACHINE
from saywhy.study.same import Told, read_bank, read_objects, refuse_another

MAY_DIFFER = ("readouts", "data", "replay", *MACHINE)
"""Settings of a task's run that a bank may have otherwise: each audit says what it asks, hashes say which data."""

MACHINE_FACTS = ("git", "versions", "model")
"""What ``study.json`` says of the machine and the code that made it."""


def join(banks: Sequence[Path], out: Path) -> Path:
    """Write one bank with all that ``banks`` have.

    Of an arm that several have, the fullest counts, of equals the first; the joint plan is the first one's.

    Args:
        banks: Released banks of one study, two or more.
        out: Where the joint bank goes: nothing, an empty folder, or a bank (one of ``banks``, too), which is replaced.

    Returns:
        ``out``, made absolute.

    Raises:
        SaywhyError: If they are no banks of one study (``grid.same``), or if the settings, the question, the data or
            the texts of a task differ. Nothing is written then.
    """
    banks, out = [bank.resolve() for bank in banks], out.resolve()
    _refuse_places(banks, out)
    manifests = [read_bank(bank) for bank in banks]
    for bank, manifest in zip(banks[1:], manifests[1:], strict=True):
        refuse_another(manifests[0], manifest, banks[0], bank)
    with placed(out, "bank", is_bank) as part:
        write_json(part / "study.json", _joint(banks, manifests))
        shutil.copyfile(banks[0] / "frozen.json", part / "frozen.json")
        for run in sorted({found.parent.relative_to(bank) for bank in banks for found in bank.rglob("run.json")}):
            _join_runs([bank / run for bank in banks if (bank / run / "run.json").is_file()], part / run)
        for bank in banks:
            _take_over(bank.glob("models/seed-*/*/*.json"), bank, part)
    return out


def _refuse_places(banks: Sequence[Path], out: Path) -> None:
    """Refuse folders within each other, one bank given twice, or only one."""
    if len(set(banks)) < 2 or len(set(banks)) < len(banks):
        raise SaywhyError("give two banks or more, each once, and behind them where the joint one goes")
    for bank in banks:
        if out in bank.parents or bank in out.parents:
            raise SaywhyError(f"{out} and {bank} lie within each other: give another folder for the joint bank")


def _joint(banks: Sequence[Path], manifests: Sequence[Told]) -> dict[str, Any]:
    """Return the joint ``study.json``: which machine did what stands under ``machines``."""
    machines: list[dict[str, Any]] = []
    for bank, manifest in zip(banks, manifests, strict=True):
        for one in manifest.get("machines") or [_machine(bank, manifest)]:
            known = [other for other in machines if _facts(other) == _facts(one)]
            if known:  # the same machine at another time, or one like it
                known[0].update(_machines_work(known[0], one))
            else:
                machines.append(dict(one))
    rest = {key: value for key, value in manifests[0].items() if key not in ("adapters", "frozen")}
    joint = {key: _union(manifest[key] for manifest in manifests) for key in ("arms", "seconds")}
    return {**rest, **joint, "machines": machines}


def _machine(bank: Path, manifest: Told) -> dict[str, Any]:
    """Return what a bank that was not joined says of the machine that made it."""
    arms: dict[str, set[str]] = {}
    for rows in bank.glob("tasks/*/seed-*/*/rows.jsonl*"):
        arms.setdefault(rows.parent.parent.name.removeprefix("seed-"), set()).add(rows.parent.name)
    audited = {seed: sorted(names) for seed, names in sorted(arms.items())}
    return {"audited": audited, **_facts(manifest), "adapters": manifest.get("adapters", {})}


def _facts(told: Told) -> dict[str, Any]:
    return {key: told[key] for key in MACHINE_FACTS if key in told}


def _machines_work(one: Told, two: Told) -> dict[str, Any]:
    seeds = sorted({*one["audited"], *two["audited"]})
    return {
        "audited": {seed: sorted({*one["audited"].get(seed, ()), *two["audited"].get(seed, ())}) for seed in seeds},
        "adapters": _union((one["adapters"], two["adapters"])),
    }


def _union(every: Iterable[Told]) -> dict[str, Any]:
    """Return all entries, the first one's where several have one."""
    found: dict[str, Any] = {}
    for one in every:
        found = {**one, **found}
    return found


def _join_runs(runs: Sequence[Path], part: Path) -> None:
    """Join the runs of one task."""
    manifests = [read_objects(run / "run.json", "config") for run in runs]
    for run, manifest in zip(runs[1:], manifests[1:], strict=True):
        _refuse_other_run(runs[0], manifests[0], run, manifest)
    # Seconds here are of stages over all seeds: study.json has those of each step.
    joint = {key: value for key, value in manifests[0].items() if key != "seconds"}
    for key in ("donor", "counts"):
        if any(key in one for one in manifests):
            joint[key] = _union(one.get(key) or {} for one in manifests)
    arms = list(dict.fromkeys(arm for manifest in manifests for arm in manifest.get("arms", ())))
    write_json(part / "run.json", {**joint, "arms": arms, "pinned": _pinned(manifests)})
    for name in ("texts.jsonl", "set_aside.jsonl"):
        if file := existing(runs[0] / name):
            _take_over([file], runs[0], part)
    for place in sorted({arm.relative_to(run) for run in runs for arm in run.glob("seed-*/*/")}):
        there = [run / place for run in runs if (run / place).is_dir()]
        shutil.copytree(max(there, key=_fullness), part / place)
    for run in runs:
        _take_over((file for file in run.glob("seed-*/*") if file.is_file()), run, part)


def _refuse_other_run(first: Path, mine: Told, run: Path, theirs: Told) -> None:
    """Refuse a run of other settings, another question or other texts."""
    if changed := differences(told(mine["config"]), told(theirs["config"]), MAY_DIFFER):
        raise SaywhyError(f"{run} has other settings than {first} ({'; '.join(changed)})")
    for what in ("task", "data"):
        if changed := differences(mine.get(what) or {}, theirs.get(what) or {}):
            raise SaywhyError(f"{run} is of other {what} than {first} ({'; '.join(changed)})")
    for name in ("texts.jsonl", "set_aside.jsonl"):
        if _lines(run / name) != _lines(first / name):
            raise SaywhyError(f"{run} has other texts than {first}: {name} differs")


def _pinned(manifests: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the words that counterfactuals may insert: a bank knows those that its grids tried."""
    labels = sorted({label for one in manifests for label in one.get("pinned", {})})
    return {
        label: sorted({word for one in manifests for word in one.get("pinned", {}).get(label, ())}) for label in labels
    }


def _fullness(arm: Path) -> tuple[int, int]:
    """Return how much there is of an arm: it may be calibrated only, half audited, or asked for less."""
    return len(_lines(arm / "rows.jsonl")), len(list(arm.iterdir()))


def _lines(path: Path) -> list[dict[str, Any]]:
    return read_lines(path, "id") if existing(path) else []


def _take_over(files: Iterable[Path], base: Path, part: Path) -> None:
    """Copy what is not there yet."""
    for file in sorted(files):
        to = part / file.relative_to(base)
        if not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
