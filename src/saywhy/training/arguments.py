"""What TRL's configurations are told: by saywhy, by the settings, by ``trainer.NAME=VALUE``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from transformers import Trainer, TrainingArguments, get_scheduler
from trl import DPOConfig, GRPOConfig, SFTConfig

from saywhy.hints import did_you_mean
from saywhy.models.copies import recompute_alike
from saywhy.models.precision import has_bfloat16_units
from saywhy.models.reading import error_line
from saywhy.records import SaywhyError
from saywhy.training.encoding import Recipe

EVALUATIONS = 10
"""So often, or a little less, the loss of held-out texts is measured in a training."""


def refuse_trainer(trainer: Mapping[str, Any], objective: str = "word") -> None:
    """Refuse what TRL's configuration of an objective would not take, before anything is computed.

    Raises:
        SaywhyError: For an argument that it has not, or a value that it refuses.
    """
    config: type[SFTConfig] | type[DPOConfig] | type[GRPOConfig]
    config = {"dpo": DPOConfig, "grpo": GRPOConfig}.get(objective, SFTConfig)
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for key, value in trainer.items():
        if key not in defaults:
            hint = did_you_mean(key, defaults, ", ")
            raise SaywhyError(f"trainer.{key}: {config.__name__} of this version of TRL has no such argument{hint}")
        if isinstance(defaults[key], (int, float)) and not isinstance(value, (int, float)):
            raise SaywhyError(f"trainer.{key}={value}: it takes a number, such as {defaults[key]}")
    if trainer.get("save_strategy") == "best":
        raise SaywhyError("trainer.save_strategy=best: which checkpoint is best, heldout_rows= measures: give that")
    recipe, work = Recipe(trainer=trainer, objective=objective), Path("unused")
    try:
        if objective == "dpo":
            _try_optimizer(dpo_arguments(recipe, work, 1, 1))
        elif objective == "grpo":
            _try_optimizer(grpo_arguments(recipe, work, 1, 1, 1))
        else:
            _try_optimizer(sft_arguments(recipe, work, 1))
    except (TypeError, ValueError, NotImplementedError, ImportError) as error:
        raise SaywhyError(f"trainer: {config.__name__} does not take {dict(trainer)}: {error_line(error)}") from error


def _try_optimizer(arguments: TrainingArguments) -> None:
    """Make the optimizer and the schedule of arguments, which are checked only then."""
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    optimizer = kind([torch.nn.Parameter(torch.zeros(1))], **options)
    settings = cast("dict[str, Any] | None", arguments.lr_scheduler_kwargs)
    get_scheduler(arguments.lr_scheduler_type, optimizer, 1, 10, scheduler_specific_kwargs=settings)


def _own(recipe: Recipe, work: Path) -> dict[str, Any]:
    """Return what the recipe and saywhy set."""
    return {
        "output_dir": str(work),
        "num_train_epochs": recipe.num_train_epochs,
        "learning_rate": recipe.learning_rate,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
        "use_cpu": not torch.cuda.is_available(),
    }


def _usual(steps: int) -> dict[str, Any]:
    """Return what ``trainer`` may set otherwise."""
    return {
        "gradient_checkpointing": False,
        "lr_scheduler_type": "cosine",
        "warmup_steps": steps // 20,
        "weight_decay": 0.0,
        "logging_steps": max(1, steps // 20),
        "save_strategy": "steps",
        "save_steps": max(1, -(-steps // 4)),
        "save_total_limit": 2,  # one more, should the last be damaged
    }


def sft_arguments(recipe: Recipe, work: Path, steps: int, *, evaluated: bool = False) -> SFTConfig:
    """Return the arguments of a training of ``steps`` steps on trees of rows; ``evaluated``: on held-out texts, too."""
    own = {
        **_own(recipe, work),
        "per_device_train_batch_size": recipe.per_device_train_batch_size,
        "bf16": False,
        # Layers that are computed again in the backward pass attend along the tree of the forward pass.
        "gradient_checkpointing_kwargs": {"use_reentrant": False, "context_fn": recompute_alike},
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "max_length": None,
    }
    every = -(-steps // EVALUATIONS)
    evaluating = {
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "restore_callback_states_from_checkpoint": True,  # how long the loss has not fallen
    }
    return _on_one_card(SFTConfig(**{**_usual(steps), **recipe.trainer, **own, **(evaluating if evaluated else {})}))


def dpo_arguments(recipe: Recipe, work: Path, pairs: int, styles: int) -> DPOConfig:
    """Return the arguments of DPO: a step has the pairs of as many texts as any other objective's.

    Args:
        recipe: The recipe; ``word_share`` weighs TRL's loss of the chosen reply beside that of the pair, as in RPO
            (arXiv 2404.19733), ``beta`` is TRL's if it is None.
        work: Where checkpoints go.
        pairs: How many there are.
        styles: How many a text has.
    """
    given = {"loss_type": "sigmoid", **recipe.trainer}
    losses = [given["loss_type"]] if isinstance(given["loss_type"], str) else list(given["loss_type"])
    weights = [1.0] * len(losses)
    if recipe.word_share:
        losses, weights = [*losses, "sft"], [*weights, recipe.word_share]
    own = {
        **_own(recipe, work),
        "per_device_train_batch_size": recipe.per_device_train_batch_size,
        "gradient_accumulation_steps": styles,
        "bf16": recipe.autocast and has_bfloat16_units(),
        "max_length": None,
        "loss_type": losses,
        "loss_weights": weights,
    }
    steps = -(-pairs // (recipe.per_device_train_batch_size * styles)) * recipe.num_train_epochs
    return _on_one_card(DPOConfig(**{**_usual(steps), **given, **own, **_beta(recipe)}))


def grpo_arguments(recipe: Recipe, work: Path, prompts: int, styles: int, room: int) -> GRPOConfig:
    """Return the arguments of GRPO: a step samples ``num_generations`` replies to the prompts of a step's texts.

    TRL leaves out prompts that do not fill a step, others in each epoch.

    Args:
        recipe: The recipe; ``beta`` is TRL's if it is None, no divergence.
        work: Where checkpoints go.
        prompts: How many there are.
        styles: How many a text has.
        room: How many tokens a reply may have.
    """
    of_step = min(recipe.per_device_train_batch_size * styles, prompts)
    steps = prompts // of_step * recipe.num_train_epochs
    usual = {"num_generations": 8, "max_completion_length": room}
    given = {**_usual(steps), **usual, **recipe.trainer}
    own = {
        **_own(recipe, work),
        "per_device_train_batch_size": given["num_generations"],  # the replies to a prompt are computed at once
        "gradient_accumulation_steps": of_step,
        "bf16": recipe.autocast and has_bfloat16_units(),
    }
    return _on_one_card(GRPOConfig(**{**given, **own, **_beta(recipe)}))


TrlConfig = TypeVar("TrlConfig", SFTConfig, DPOConfig, GRPOConfig)


def _on_one_card(arguments: TrlConfig) -> TrlConfig:
    """Let a process use the first card that it sees.

    With several in one process transformers would copy the model to each and multiply the batch, and TRL refuses that;
    ours are shared by processes (``accelerate launch``).
    """
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


def _beta(recipe: Recipe) -> dict[str, float]:
    return {} if recipe.beta is None else {"beta": recipe.beta}
