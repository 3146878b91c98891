"""A bank of the same study, made elsewhere: what it has is not done again, and ``saywhy join`` puts both together."""

from __future__ import annotations

from pathlib import Path

from saywhy.arms import task_name
from saywhy.bank import is_bank
from saywhy.grid.steps import Step
from saywhy.leaks import BUILT_IN
from saywhy.models.spec import weights_fingerprint
from saywhy.records import SaywhyError
from saywhy.run import AUDIT_FILES, DECIDED_FILES
from saywhy.store import existing, read_object


class Beside:
    """A bank beside a study.

    Attributes:
        bank: Its folder.
        adapters: Fingerprints of the adapters that it was made with, by ``ARM, seed N``.
    """

    def __init__(self, bank: Path, frozen: str) -> None:
        """Open ``bank``, which must have been frozen with the hash ``frozen``.

        Raises:
            SaywhyError: If it is no bank of a study, or of another one.
        """
        if not is_bank(bank) or not (bank / "frozen.json").is_file():
            raise SaywhyError(f"beside={bank}: no bank of a study; give what saywhy release wrote")
        if read_object(bank / "frozen.json", "hash")["hash"] != frozen:
            raise SaywhyError(f"beside={bank}: it was frozen otherwise than this study; only banks of one study fit")
        self.bank = bank
        told = read_object(bank / "study.json")
        self.adapters: dict[str, str] = {}
        for one in (told, *told.get("machines", ())):
            self.adapters = {**one.get("adapters", {}), **self.adapters}

    def has(self, step: Step) -> bool:
        """Whether the bank has what a step is for; a training it has not, adapters stay at home."""
        if step.kind == "train":
            return False
        if step.kind == "keep":
            return (self.bank / "models" / f"seed-{step.seed}" / step.arm / "retention.json").is_file()
        where = self.bank / ("tasks" if step.kind == "audit" else BUILT_IN) / task_name(step.task)
        names = (f"{name}.jsonl" for name in (*AUDIT_FILES, *DECIDED_FILES))
        return all(existing(where / f"seed-{step.seed}" / step.arm / name) for name in names)

    def otherwise(self, arm: str, seed: int, adapter: Path) -> str | None:
        """Return what to say if ``adapter`` is not the one that the bank was made with; None if it is, or none was."""
        known = self.adapters.get(f"{arm}, seed {seed}")
        if known in (None, weights_fingerprint(adapter)):
            return None
        return (
            f"{arm}, seed {seed}: trained again, it is not bit for bit the one of {self.bank} (another machine, other "
            "versions); what goes on from it here goes on from this one"
        )
