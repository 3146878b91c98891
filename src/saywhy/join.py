"""Join the banks of a study that was spread over machines, seed by seed (docs/study.md, *Spread over machines*)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.bank import is_bank
from saywhy.config import differences, told
from saywhy.grid.plan import MACHINE
from saywhy.records import SaywhyError
from saywhy.store import existing, placed, read_lines, read_object, write_json

Told = Mapping[str, Any]

MAY_DIFFER = ("readouts", "data", *MACHINE)
"""Settings of a task's run that a bank may have otherwise: each audit says what it asks, hashes say which data."""

MACHINE_FACTS = ("git", "versions", "model", "adapters")
"""What ``study.json`` says of the machine and the code that made it."""


def join(banks: Sequence[Path], out: Path) -> Path:
    """Write one bank with all that ``banks`` have; of what several have, the first one's counts.

    Args:
        banks: Released banks of one study, two or more; the joint plan is the first one's.
        out: Where the joint bank goes: nothing, an empty folder, or a bank (one of ``banks``, too), which is replaced.

    Returns:
        ``out``, made absolute.

    Raises:
        SaywhyError: If they are no banks of one study: if what was frozen differs, or the plan (blocks aside), the
            model, the sentences, the recipe of an arm, the settings or the texts of a task. Nothing is written then.
    """
    if len(banks) < 2:
        raise SaywhyError("give two banks or more, and behind them where the joint one goes")
    manifests = {bank: _manifest(bank) for bank in banks}
    for bank in banks[1:]:
        _refuse_another(banks[0], bank, manifests)
    out = out.resolve()  # so that '.' has a name, also when its folder was replaced
    with placed(out, "bank", is_bank) as part:
        write_json(part / "study.json", _joint(banks, manifests))
        shutil.copyfile(banks[0] / "frozen.json", part / "frozen.json")
        for task in sorted({place.parent.name for bank in banks for place in bank.glob("tasks/*/run.json")}):
            runs = [bank / "tasks" / task for bank in banks]
            _join_runs([run for run in runs if (run / "run.json").is_file()], part / "tasks" / task)
        for bank in banks:
            _take_over(sorted(bank.glob("models/seed-*/*/*.json")), bank, part)
        if examples := next((bank / "examples" for bank in banks if (bank / "examples").is_dir()), None):
            shutil.copytree(examples, part / "examples")
    return out


def _manifest(bank: Path) -> Told:
    if not is_bank(bank) or not (bank / "study.json").is_file():
        raise SaywhyError(f"{bank} is no bank of a study: join what saywhy release wrote")
    if not (bank / "frozen.json").is_file():
        raise SaywhyError(f"{bank} has no frozen.json: nothing was audited in it yet")
    return read_object(bank / "study.json", "plan", "arms", "seconds", "model")


def _refuse_another(first: Path, other: Path, manifests: Mapping[Path, Told]) -> None:
    """Refuse a bank of another study, or of this one made otherwise."""
    mine, theirs = manifests[first], manifests[other]
    for what, one, two in (
        ("was frozen otherwise", *(read_object(bank / "frozen.json", "hash")["hash"] for bank in (first, other))),
        ("is of another model", *(found["model"].get("fingerprint") for found in (mine, theirs))),
        ("was asked with other sentences", mine.get("prompts"), theirs.get("prompts")),
        ("has another form", *((found.get("bank"), found.get("schema")) for found in (mine, theirs))),
    ):
        if one != two:
            raise SaywhyError(f"{other} {what} than {first}: only banks of one study can be joined")
    if changed := differences(_of_plan(mine), _of_plan(theirs)):
        raise SaywhyError(f"{other} has another plan than {first} ({'; '.join(changed)})")
    for name in sorted(set(mine["arms"]) & set(theirs["arms"])):
        if changed := differences(mine["arms"][name], theirs["arms"][name]):
            raise SaywhyError(f"{other} has another {name} than {first} ({'; '.join(changed)})")


def _of_plan(manifest: Told) -> dict[str, Any]:
    """Return what banks of one plan share: blocks may have been added, and each machine computes in its own way."""
    rest = {key: value for key, value in manifest["plan"].items() if key not in ("blocks", "about", "data")}
    return rest | {"with": {key: value for key, value in rest.get("with", {}).items() if key not in MACHINE}}


def _joint(banks: Sequence[Path], manifests: Mapping[Path, Told]) -> dict[str, Any]:
    """Return the joint ``study.json``: which machine did what stands under ``machines``."""
    every = [manifests[bank] for bank in banks]
    machines = [one for bank in banks for one in manifests[bank].get("machines") or [_machine(bank, manifests[bank])]]
    joint = {key: _first_of(key, every) for key in ("arms", "seconds")}
    told = {key: value for key, value in every[0].items() if key != "adapters"}
    return {**told, **joint, "machines": machines}


def _machine(bank: Path, manifest: Told) -> dict[str, Any]:
    audited = {place.parent for place in bank.glob("tasks/*/seed-*/*/rows.jsonl*")}
    arms: dict[str, set[str]] = {}
    for place in audited:
        arms.setdefault(place.parent.name.removeprefix("seed-"), set()).add(place.name)
    facts = {key: manifest[key] for key in MACHINE_FACTS if key in manifest}
    return {"audited": {seed: sorted(names) for seed, names in sorted(arms.items())}, **facts}


def _first_of(key: str, every: Iterable[Told]) -> dict[str, Any]:
    """Return the union of the entries under ``key``, the first one's where several have one."""
    found: dict[str, Any] = {}
    for one in every:
        found = {**one.get(key, {}), **found}
    return found


def _join_runs(runs: Sequence[Path], part: Path) -> None:
    """Join the runs of one task."""
    manifests = [read_object(run / "run.json", "config") for run in runs]
    for run, manifest in zip(runs[1:], manifests[1:], strict=True):
        if changed := differences(told(manifests[0]["config"]), told(manifest["config"]), MAY_DIFFER):
            raise SaywhyError(f"{run} has other settings than {runs[0]} ({'; '.join(changed)})")
        if changed := differences(manifests[0].get("data", {}), manifest.get("data", {})):
            raise SaywhyError(f"{run} is of other data than {runs[0]} ({'; '.join(changed)})")
        for name in ("texts.jsonl", "set_aside.jsonl"):
            if _lines(run / name) != _lines(runs[0] / name):
                raise SaywhyError(f"{run} has other texts than {runs[0]}: {name} differs")
    seconds: dict[str, float] = {}
    for stage, spent in (item for manifest in manifests for item in manifest.get("seconds", {}).items()):
        seconds[stage] = round(seconds.get(stage, 0.0) + spent, 1)
    arms = list(dict.fromkeys(arm for manifest in manifests for arm in manifest.get("arms", ())))
    pinned = {label: sorted(words) for label, words in _unions("pinned", manifests)}
    write_json(part / "run.json", {**manifests[0], "arms": arms, "seconds": seconds, "pinned": pinned})
    _take_over(
        (file for name in ("texts.jsonl", "set_aside.jsonl") if (file := existing(runs[0] / name))), runs[0], part
    )
    for place in sorted({arm.relative_to(run).as_posix() for run in runs for arm in run.glob("seed-*/*/")}):
        there = [run / place for run in runs if (run / place).is_dir()]
        fullest = max(there, key=lambda arm: len(list(arm.iterdir())))  # an arm may be calibrated only, or half audited
        shutil.copytree(fullest, part / place)
    for run in runs:
        _take_over((file for file in sorted(run.glob("seed-*/*")) if file.is_file()), run, part)


def _lines(path: Path) -> list[dict[str, Any]]:
    return read_lines(path, "id") if existing(path) else []


def _unions(key: str, manifests: Sequence[Told]) -> Iterator[tuple[str, set[str]]]:
    for name in sorted({name for one in manifests for name in one.get(key, {})}):
        yield name, {word for one in manifests for word in one.get(key, {}).get(name, ())}


def _take_over(files: Iterable[Path], base: Path, part: Path) -> None:
    """Copy what is not there yet."""
    for file in files:
        to = part / file.relative_to(base)
        if not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
