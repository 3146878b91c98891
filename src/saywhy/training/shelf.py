"""The models of a run: loaded one at a time, and trained from one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from saywhy.config import Config
from saywhy.models.interface import Model
from saywhy.models.spec import resolve
from saywhy.models.weights import load
from saywhy.tasks.data import read_messages


class Shelf:
    """Loads the model that is asked for, and trains further ones; one is in memory at a time.

    Attributes:
        config: The settings of the run.
        spec: The model as downloaded.
        replay: Conversations that are mixed into the training rows.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.spec = resolve(config.model)
        self.replay = _replay(config)
        self._loaded: dict[Path | str | None, Model] = {}

    def model(self, adapter: Path | str | None) -> Model:
        """Return the model with ``adapter``, None for it as downloaded; any other model by its name."""
        if adapter not in self._loaded:
            self._loaded.clear()
            name = str(adapter) if adapter else self.config.model
            self._loaded[adapter] = load(name, self.config.token_budget, self.config.precision)
        return self._loaded[adapter]

    def train(
        self,
        rows: Sequence[dict[str, Any]],
        start: Path | None,
        adapter: Path,
        seed: int,
        tell: Callable[[int, int], None],
        config: Config | None = None,
    ) -> None:
        """Train on ``rows`` from ``start`` (None: the model as downloaded, with the recipe of ``adapted``).

        Args:
            rows: Training rows.
            start: The adapter that is continued.
            adapter: Where the new one goes.
            seed: Of the row order and LoRA's start.
            tell: Called with (steps done, steps in all).
            config: The settings of the recipe, if they are not those of the run.
        """
        from saywhy.training.encoding import Recipe, mix
        from saywhy.training.train import train

        told, first = config or self.config, start is None
        recipe = Recipe(
            rate=told.adapt_rate if first else told.rate,
            epochs=told.adapt_epochs if first else told.epochs,
            batch=told.batch,
            rank=told.rank,
            decision_weight=told.decision_weight,
            label_weight=1.0 if first else told.label_weight or 1.0,
            packing=told.packing,
            seed=seed,
        )
        replay = self.replay if told.replay == self.config.replay else _replay(told)
        self._loaded.clear()
        spec = resolve(str(start)) if start else self.spec
        train(spec, mix(rows, replay, told.replay_share, seed), recipe, adapter, tell)


def _replay(config: Config) -> list[list[dict[str, str]]]:
    return read_messages(Path(config.replay)) if config.replay else []
