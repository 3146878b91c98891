"""The models of a run or a study, by arm and seed: each trained once, one in memory at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from saywhy.arms import SEARCHED, UNTRAINED, kind
from saywhy.clashes import PREFERENCE_OBJECTIVES
from saywhy.config import Config
from saywhy.folders.lock import wait_to_see
from saywhy.folders.run import RunFolder
from saywhy.folders.store import write_lines
from saywhy.models.backends import counts_of, open_model, precision_of, say_counts
from saywhy.models.interface import Model
from saywhy.models.quantization import refuse_quantize
from saywhy.models.spec import explaining_model, resolve_model
from saywhy.models.weights import has_weights, refuse_damaged_weights, remove_checkpoints
from saywhy.processes import computed_parts, is_first_process, making_parts, world_size
from saywhy.progress import progress
from saywhy.records import TRAINING_OPERATOR, SaywhyError
from saywhy.settings import with_changes
from saywhy.tasks.data import read_messages


class ArmModels:
    """Owns the adapter of each (arm, seed): where it lies, whether it is trained, how it is trained and loaded.

    Attributes:
        config: The settings of the run.
        folder: Where the arms lie, as seed-N/ARM/adapter.
        settings: Of arms, by name, that are trained with settings of their own: those of a study.
        spec: The model as downloaded.
        shipping: Held by the thread that changes what travels with an adapter.
    """

    def __init__(self, config: Config, folder: Path, settings: Mapping[str, Config] | None = None) -> None:
        refuse_unfit_trainer(config)
        self.config, self.folder, self.settings = config, folder, settings or {}
        self.spec = resolve_model(config.model)
        self.spec.refuse_plan(config.plan)
        refuse_quantize(config.quantize, self.spec)
        self._replay = _conversations(config)
        self._loaded: dict[tuple[str, str], Model] = {}
        self.shipping = threading.Lock()
        self._whole: set[Path] = set()  # adapters whose files were looked at

    def adapter(self, arm: str, seed: int) -> Path | None:
        """Return where the adapter of an arm is or will be; None for the model as downloaded."""
        return None if arm in UNTRAINED else self.folder / f"seed-{seed}" / arm / "adapter"

    def settings_of(self, arm: str) -> Config:
        """Return the settings by which an arm is trained."""
        return self.settings.get(arm, self.config)

    def searched_with(self, arm: str) -> str | None:
        """Return the operators by which the words of an arm are found, joined by ``+``; None of a control.

        What goes on from an adapter is marked by that adapter's operators, whatever it practises.
        """
        if kind(arm) not in SEARCHED:
            return self.spec.extras.get("trained_with")
        settings = self.settings_of(arm)
        return TRAINING_OPERATOR if settings.objective == "word" else "+".join(settings.target_operators)

    def is_trained(self, arm: str, seed: int) -> bool:
        """Whether an arm has nothing left to learn.

        Raises:
            SaywhyError: If it was trained, and its weights were damaged since.
        """
        adapter = self.adapter(arm, seed)
        if adapter is None or adapter in self._whole:
            return True
        if not has_weights(adapter):
            return False
        refuse_damaged_weights(adapter)
        self._whole.add(adapter)
        return True

    def clear_checkpoints(self) -> None:
        """Remove the checkpoints of finished trainings, which a process that was killed then left."""
        if is_first_process():
            for adapter in self.folder.glob("seed-*/*/adapter/"):
                if has_weights(adapter):
                    remove_checkpoints(adapter)

    def train(
        self,
        arm: str,
        seed: int,
        rows: Sequence[dict[str, Any]],
        start: str | None,
        heldout: Sequence[dict[str, Any]] = (),
    ) -> Path:
        """Train an arm on ``rows``, which are kept beside it; return its adapter.

        Args:
            arm: Its name.
            seed: Of the row order and LoRA's start.
            rows: Training rows.
            start: The arm whose adapter is continued; None: the model as downloaded, with the recipe of ``adapted``.
            heldout: Rows of other texts, on which the loss is measured and the best checkpoint chosen.
        """
        adapter = self.adapter(arm, seed)
        assert adapter, f"{arm} is not trained"

        def trained(_: int) -> None:
            with making_parts(None):  # a training is one part, whose files are written by who computes it
                self._train(arm, seed, rows, start, heldout)

        for _ in computed_parts(adapter, (0,), trained):
            wait_to_see(lambda: has_weights(adapter), adapter)
        return adapter

    def _train(
        self,
        arm: str,
        seed: int,
        rows: Sequence[dict[str, Any]],
        start: str | None,
        heldout: Sequence[dict[str, Any]],
    ) -> None:
        """Train an arm in this process, as ``train``."""
        from saywhy.training.encoding import mix, recipe_of
        from saywhy.training.train import train

        adapter = self.adapter(arm, seed)
        assert adapter, f"{arm} is not trained"
        settings = self.settings_of(arm)
        if is_first_process():
            write_lines(adapter.with_name("training.jsonl"), rows)
        replay = self._replay if settings.replay == self.config.replay else _conversations(settings)
        mixed = mix(rows, replay, settings.replay_share, seed)
        spec = resolve_model(str(self.adapter(start, seed))) if start else self.spec
        self._loaded.clear()
        with progress(f"train {arm}, seed {seed}", 1, "steps") as bar:
            recipe = recipe_of(settings, seed, adapting=start is None, autocast=self._is_shortened(settings))
            train(spec, mixed, recipe, adapter, bar.update, heldout=heldout)

    def _is_shortened(self, settings: Config) -> bool:
        """Whether training multiplies in bfloat16: where that is asked for, or where audits do from kept copies."""
        if settings.practice_precision != "auto":
            return settings.practice_precision == "autocast"
        if settings.lora_r == 0 or settings.objective in PREFERENCE_OBJECTIVES:  # those round sums, too
            return False
        return precision_of(self.spec, settings.precision, settings.quantize).shortened_by == "copies"

    def load(self, arm: str, seed: int, precision: str | None = None) -> Model:
        """Return the model of an arm, which must be trained; ``precision``: not that of the settings."""
        adapter = self.adapter(arm, seed)
        if not self.is_trained(arm, seed):
            raise RuntimeError(f"{arm}, seed {seed}, is asked before it is trained")
        return self.load_named(str(adapter) if adapter else self.config.model, precision)

    def load_named(self, name: str, precision: str | None = None) -> Model:
        """Return the model that ``name`` means as ``model=``: a donor, say."""
        key = name, precision or self.config.precision
        if key not in self._loaded:
            self._loaded.clear()
            self._loaded[key] = open_model(name, self.config, key[1])
        return self._loaded[key]

    @contextmanager
    def counting(self, folder: RunFolder) -> Iterator[None]:
        """Add to ``run.json`` what a model behind an API counts meanwhile: requests, tokens, label scores."""
        try:
            yield
        finally:
            if counts := counts_of(self._loaded.get((self.config.model, self.config.precision))):
                before = folder.manifest["model"].get("counts", {})
                folder.note(model={"counts": {name: before.get(name, 0) + count for name, count in counts.items()}})
                say_counts(counts)


def in_practised_plan(config: Config) -> Config:
    """Return the settings with the plan that the weights of ``model`` have practised, unless one is given."""
    practised = resolve_model(config.model).practised_plan
    if practised in (None, config.plan) or "plan" in config.model_fields_set:
        return config
    return with_changes(config, plan=practised)


def with_explaining_model(config: Config, confidence: Path | None = None) -> Config:
    """Return the settings with the built-in model that explains their task best, if they name none.

    Args:
        config: The settings.
        confidence: The audit whose confidence is shown; where there is one, the default model is that of the audit.
    """
    if "model" in config.model_fields_set or confidence:
        return config
    return with_changes(config, model=explaining_model(config.task))


def refuse_unfit_trainer(config: Config) -> None:
    """Refuse what ``trainer`` of the settings would pass to TRL, if that does not take it, and TRL in many processes.

    Raises:
        SaywhyError: With what is wrong.
    """
    if config.objective in PREFERENCE_OBJECTIVES and world_size() > 1:
        raise SaywhyError(
            f"objective={config.objective} trains in one process: start it without accelerate or torchrun"
        )
    if config.trainer:
        from saywhy.training.arguments import refuse_trainer

        refuse_trainer(config.trainer, config.objective)


def _conversations(config: Config) -> list[list[dict[str, str]]]:
    """Return the instruction data that is mixed into the training rows."""
    return read_messages(Path(config.replay)) if config.replay else []
