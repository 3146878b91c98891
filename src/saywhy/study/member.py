"""One task of a study: a run folder whose models come from the study."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.arms import HALF, REFRESHED, Trained
from saywhy.config import Config
from saywhy.folders.store import read_lines
from saywhy.measure.audit import Plan
from saywhy.measure.edits import Item
from saywhy.runs.run import Run
from saywhy.study.expand import Asked, Audit
from saywhy.tasks.corpus import refuse_empty
from saywhy.training.curriculum import Explained
from saywhy.training.shelf import Shelf
from saywhy.training.targets import Picks

SEARCH = ("target_method", "infill_words")
"""Settings by which the words of ``faithful`` are found: a block that has its own makes its own targets."""


class Member(Run):
    """A task of a study: its texts, its audits, and what arms learn from its texts.

    Attributes:
        made: Makes the adapter of an arm, wherever in the study it is trained.
        asked: What each audit of the study asks for.
        pieces: Where the stretches end in which the arms' texts are explained: an arm of few rows needs only the
            first. A stretch that was begun keeps its end, whatever blocks are added later.
    """

    # Each audit has readouts of its own, and nothing is trained on them; of data and replay the hashes are compared.
    unbound = ("readouts", "data", "replay")

    def __init__(
        self,
        config: Config,
        out: Path,
        shelf: Shelf,
        made: Callable[[str, int], Path | None],
        asked: Mapping[Audit, Asked],
        pieces: Sequence[int],
    ) -> None:
        self.made, self.asked = made, asked
        super().__init__(config, out, arms=sorted({arm for arm, _, task in asked if task == config.task}), shelf=shelf)
        self.pieces = sorted({min(piece, len(self.corpus.arms)) for piece in pieces})

    def make(self, arm: str, seed: int) -> Path | None:
        """Return the adapter of ``arm``, trained by the study if it is not there."""
        return self.made(arm, seed)

    def practised(self) -> tuple[str, ...]:
        """Return no pool: an arm may be audited on a task on which it was not trained."""
        return ()

    def plan(self, arm: str, seed: int) -> Plan:
        """Return what the study asks of ``arm`` on this task."""
        wanted = self.asked[arm, seed, self.config.task]
        return dataclasses.replace(
            super().plan(arm, seed), styles=wanted.styles, settings=wanted.settings, readouts=wanted.readouts
        )

    def lesson(self, arm: Trained, seed: int, config: Config) -> list[dict[str, Any]]:
        """Return the rows of this task on which ``arm`` is trained, with the settings of its block."""
        refuse_empty(self.corpus, config, "arms")
        practised = config.model_copy(update={"train_styles": arm.styles})
        return self.lessons.rows(arm.kind, seed, practised, *self._explained_for(arm, seed, config))

    def _explained_for(self, arm: Trained, seed: int, config: Config) -> Explained:
        """Return the texts of an arm; a refreshed one gets the second half of them from the model half-way."""
        half = min(config.train_rows, len(self.corpus.arms)) // 2
        if arm.variant == REFRESHED:
            first = dataclasses.replace(arm, variant=HALF)
            later = self.corpus.arms[half : 2 * half]
            return self.lessons.explained(first.name, seed, later, f"seed-{seed}/{arm.name}", "targets", config)
        return self._first(seed, half if arm.variant == HALF else config.train_rows, config)

    def _first(self, seed: int, count: int, config: Config) -> Explained:
        """Return the first ``count`` texts, explained by adapted stretch by stretch as ``config`` says."""
        stem = "-".join(("targets", *(str(getattr(config, key)) for key in SEARCH if self._differs(config, key))))
        items: list[Item] = []
        picks: list[Picks] = []
        where = f"seed-{seed}"
        while (begin := len(items)) < min(count, len(self.corpus.arms)):
            name = stem if begin == 0 else f"{stem}-from-{begin}"
            end = self._end(where, name, begin)
            found = self.lessons.explained("adapted", seed, self.corpus.arms[begin:end], where, name, config)
            items += found[0]
            picks += found[1]
        return items[:count], picks[:count]

    def _differs(self, config: Config, key: str) -> bool:
        return bool(getattr(config, key) != getattr(self.config, key))

    def _end(self, where: str, name: str, begin: int) -> int:
        """Return where the stretch ``name`` ends: as when it was begun, else at the next piece of today's plan."""

        def planned() -> int:
            if self.folder.done(where, (name,)):  # by a version that kept no ends
                return begin + len(read_lines(self.folder.path / where / f"{name}.jsonl"))
            return next(piece for piece in self.pieces if piece > begin)

        return int(self.folder.json(f"{where}/{name}-end.json", lambda: {"end": planned()})["end"])
