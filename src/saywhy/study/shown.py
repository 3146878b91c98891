"""What a released bank shows in place of its texts: what the arms of the answer say about built-in ones."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from pathlib import Path

from saywhy.records import Readout
from saywhy.study.member import Member
from saywhy.tasks.lexicon import Pinned

READOUTS: tuple[Readout, ...] = ("constrained", "generated")


class Shown(Member):
    """A task of a study on built-in texts, with the calibration and the inserted words of the task itself."""

    def __init__(self, of: Member, out: Path, rows: int) -> None:
        """Take ``rows`` built-in test texts of the task ``of``; what is there is kept."""
        self.of = of
        config = of.config.model_copy(update={"data": "pocket", "rows": rows, "decide_rows": rows})
        asked = {
            audit: dataclasses.replace(wanted, settings=("one-word",), readouts=READOUTS)
            for audit, wanted in of.asked.items()
        }
        super().__init__(config, out, of.shelf, of.made, asked, of.pieces)

    def constants(self, arm: str, seed: int) -> dict[str, float]:
        """Return the constants of ``arm`` on the task's own texts."""
        return self.of.constants(arm, seed)

    @cached_property
    def pinned(self) -> Pinned:
        """The counterfactual's words: those of the task's own texts."""
        return self.of.pinned
