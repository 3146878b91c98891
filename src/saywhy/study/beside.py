"""A bank of the same study, made elsewhere: what it has is not done again, and ``saywhy join`` puts both together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saywhy.bank.release import portable
from saywhy.folders.store import existing, read_lines
from saywhy.models.spec import weights_fingerprint
from saywhy.runs.run import AUDIT_FILES, DECIDED_FILES
from saywhy.study.expand import Asked, Audit
from saywhy.study.same import read_bank, refuse_another
from saywhy.study.steps import Step, place_of


class Beside:
    """A bank beside a study.

    Attributes:
        bank: Its folder.
        wanted: What each audit of the study asks for.
        adapters: Fingerprints of the adapters that it was made with, by ``ARM, seed N``.
    """

    def __init__(self, bank: Path, study: Mapping[str, Any], frozen: str, wanted: Mapping[Audit, Asked]) -> None:
        """Open ``bank``, which must be of the study that ``study`` (its ``study.json``) tells of.

        Raises:
            SaywhyError: If it is no bank, of another study, or of this one made otherwise.
        """
        told = read_bank(bank)
        refuse_another({**portable(study), "frozen": frozen}, told, "this study", f"beside={bank}")
        self.bank, self.wanted = bank, wanted
        self.adapters: dict[str, str] = {}
        for one in (told, *told.get("machines", ())):
            self.adapters = {**one.get("adapters", {}), **self.adapters}
        self._asked: dict[Step, set[tuple[str, str, str]]] = {}

    def has(self, step: Step) -> bool:
        """Whether the bank has all that a step is for; a training it has not, adapters stay at home."""
        if step.kind == "train":
            return False
        place = self.bank / place_of(step)
        if step.kind == "keep":
            return (place / "retention.json").is_file()
        there = all(existing(place / f"{name}.jsonl") for name in (*AUDIT_FILES, *DECIDED_FILES))
        return there and (step.kind == "show" or self._covers(step, place))

    def _covers(self, step: Step, place: Path) -> bool:
        """Whether the rows of an audit have all styles, settings and readouts that are asked for now."""
        if step not in self._asked:
            rows = read_lines(place / "rows.jsonl", "style", "setting", "readout")
            self._asked[step] = {(row["style"], row["setting"], row["readout"]) for row in rows}
        return self._asked[step] >= set(self.wanted[step.arm, step.seed, step.task].ways())

    def otherwise(self, arm: str, seed: int, adapter: Path) -> str | None:
        """Return what to say if ``adapter`` is not the one that the bank was made with; None if it is, or none was."""
        known = self.adapters.get(f"{arm}, seed {seed}")
        if known in (None, weights_fingerprint(adapter)):
            return None
        return (
            f"{arm}, seed {seed}: trained again, it is not bit for bit the one of {self.bank} (another machine, other "
            "versions); what goes on from it here goes on from this one"
        )
