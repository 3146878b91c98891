"""Whether two are one study: in what banks that are joined, or a bank beside a study, must agree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saywhy.bank.release import is_bank
from saywhy.config import differences
from saywhy.folders.store import read_object
from saywhy.records import SaywhyError
from saywhy.study.frozen import read_frozen, settled
from saywhy.study.plan import MACHINE

Told = Mapping[str, Any]

OWN = ("blocks", "about", "data")
"""What two plans of one study may have otherwise: blocks may be added, and data is told by hashes, not by its place."""


def read_bank(bank: Path) -> dict[str, Any]:
    """Return the ``study.json`` of a bank; under ``frozen`` the hash of its confirmatory part.

    Raises:
        SaywhyError: If it is no bank of a study in which something was frozen, or is damaged.
    """
    if not is_bank(bank) or not (bank / "study.json").is_file():
        raise SaywhyError(f"{bank} is no bank of a study: give what saywhy release wrote")
    if not (bank / "frozen.json").is_file():
        raise SaywhyError(f"{bank} has no frozen.json: nothing was audited in it yet")
    return read_objects(bank / "study.json", "plan", "arms", "seconds", "model") | {
        "frozen": settled(read_frozen(bank / "frozen.json"))
    }


def read_objects(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON object that holds objects under ``keys``.

    Raises:
        SaywhyError: If it does not.
    """
    found = read_object(path, *keys)
    if odd := [key for key in keys if not isinstance(found[key], dict)]:
        raise SaywhyError(f"{path} is damaged ('{odd[0]}' is no object): restore it")
    return found


def refuse_another(mine: Told, theirs: Told, me: object, they: object) -> None:
    """Refuse what is of another study, or of this one made otherwise; ``me`` and ``they`` are how messages call them.

    Raises:
        SaywhyError: If the two differ in what was frozen, in the model, the sentences or the form, in the plan (blocks
            aside), or in the recipe of an arm that both have.
    """
    for what, one, two in (
        ("was frozen otherwise", mine["frozen"], theirs["frozen"]),
        ("is of another model", mine["model"].get("fingerprint"), theirs["model"].get("fingerprint")),
        ("was asked with other sentences", mine.get("prompts"), theirs.get("prompts")),
        ("has another form", mine.get("schema"), theirs.get("schema")),
    ):
        if one != two:
            raise SaywhyError(f"{they} {what} than {me}: only banks of one study fit together")
    if changed := differences(_of_plan(mine), _of_plan(theirs)):
        raise SaywhyError(f"{they} has another plan than {me} ({'; '.join(changed)})")
    for name in sorted(set(mine["arms"]) & set(theirs["arms"])):
        if changed := differences(mine["arms"][name], theirs["arms"][name]):
            raise SaywhyError(f"{they} has another {name} than {me} ({'; '.join(changed)})")


def _of_plan(told: Told) -> dict[str, Any]:
    rest = {key: value for key, value in told["plan"].items() if key not in OWN}
    return rest | {"with": {key: value for key, value in (rest.get("with") or {}).items() if key not in MACHINE}}
