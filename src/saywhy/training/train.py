"""Training: TRL's SFTTrainer with PEFT LoRA or full fine-tuning, the rows of a text in one prefix tree.

TRL stays the trainer (optimizer, schedule, checkpoints, random state, accelerate). What is ours is a collator
and a forward: the rows of one text share their chat's first half, so they are computed as one tree, and logits
are made only where there is a target (ARCHITECTURE.md, *The engine*).

Several processes (``accelerate launch``) share the texts of each batch: a recipe means the same for any number of
them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import EarlyStoppingCallback, PreTrainedModel, TrainerCallback
from trl import SFTConfig

from saywhy.folders.store import readable_save_errors, write_json
from saywhy.hints import did_you_mean
from saywhy.models.chat import Chat
from saywhy.models.forward import FORWARD_WAYS, Forward, ForwardWay
from saywhy.models.precision import exact_products, has_bfloat16_units
from saywhy.models.spec import ADAPTER_MANIFEST, ModelSpec, base_weights_fingerprint, error_line
from saywhy.models.weights import load_base, with_adapter
from saywhy.processes import is_first_process
from saywhy.records import SaywhyError
from saywhy.training.encoding import Encoded, Recipe, samples
from saywhy.training.objectives import Objective, objective_of
from saywhy.training.trainer import TreeTrainer, accept_batches, readable_peer_errors

EVALUATIONS = 10
"""So often the loss of held-out texts is measured in a training."""
PATIENCE = 3
"""So many measurements in a row may show no lower loss before training ends."""


class _Ticker(TrainerCallback):
    """Tells the progress bar which step is done."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self.tell = tell

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the steps done and the steps in all."""
        self.tell(state.global_step, state.max_steps)


def train(
    spec: ModelSpec,
    rows: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    folder: Path,
    tell: Callable[[int, int], None] | None = None,
    objective: Objective | None = None,
    heldout: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Train on ``rows`` from ``spec`` (an adapter is continued) and save what ships into ``folder``.

    Args:
        spec: The start: a base model, or an adapter whose LoRA goes on; merged into the base if ``recipe.lora_r`` is 0.
        rows: prompt/completion rows (``training.rows``).
        recipe: How.
        folder: Output: a PEFT adapter, or a whole model if ``recipe.lora_r`` is 0. A killed training goes on from
            the last checkpoint in ``folder``/checkpoints.
        tell: Called with (steps done, steps in all).
        objective: What a step minimises; None: what the recipe names.
        heldout: Rows of other texts. Their loss is measured ``EVALUATIONS`` times; training ends when it falls no more,
            and what ships is the checkpoint of least loss.

    Returns:
        The folder.
    """
    base, tokenizer = load_base(spec)
    torch.manual_seed(recipe.seed)
    ways: Sequence[ForwardWay] = ("rows",) if recipe.packing == "none" else FORWARD_WAYS
    forward = Forward(base, spec.name, ways, autocast=recipe.autocast and has_bfloat16_units())
    chat, work = Chat(tokenizer, spec.name), folder / "checkpoints"
    texts = samples(chat, rows, recipe, forward.context)
    heldout_texts = samples(chat, heldout, recipe, forward.context) if heldout else []
    trainer = _trainer(_trainable(base, spec, recipe), tokenizer, texts, heldout_texts, recipe, work)
    if tell:
        trainer.add_callback(_Ticker(tell))
    accept_batches(trainer.model, forward, objective or objective_of(recipe))
    with exact_products(), warnings.catch_warnings(), readable_peer_errors():
        warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=_last_checkpoint(work))
    if is_first_process():
        _save(trainer, tokenizer, spec, folder, recipe)
    with readable_peer_errors():
        trainer.accelerator.wait_for_everyone()
    if is_first_process():
        shutil.rmtree(work, ignore_errors=True)  # what ships is the adapter; the checkpoints were for a killed training
    return folder


def _trainer(
    model: Any, tokenizer: Any, texts: Sequence[Encoded], heldout: Sequence[Encoded], recipe: Recipe, work: Path
) -> TreeTrainer:
    steps = -(-len(texts) // recipe.per_device_train_batch_size) * recipe.num_train_epochs
    trainer = TreeTrainer(
        model=model,
        args=_arguments(recipe, work, steps, evaluated=bool(heldout)),
        train_dataset=_dataset(texts),
        eval_dataset=_dataset(heldout) if heldout else None,
        data_collator=lambda batch: {"texts": [json.loads(line["text"]) for line in batch]},
        processing_class=tokenizer,
        callbacks=[EarlyStoppingCallback(PATIENCE)] if heldout else None,
    )
    trainer.at_once = recipe.per_device_train_batch_size
    _quietly(trainer)
    return trainer


def _dataset(texts: Sequence[Encoded]) -> Dataset:
    return Dataset.from_list([{"text": json.dumps(rows_of_text)} for rows_of_text in texts])


def _quietly(trainer: TreeTrainer) -> None:
    """Take away what transformers would print: our own bar tells the steps."""
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ in ("PrinterCallback", "ProgressCallback"):
            trainer.remove_callback(callback)


def _last_checkpoint(work: Path) -> str | None:
    """Return the last whole checkpoint in ``work``, None if there is none."""
    # The state is written last: a checkpoint without it was killed half-way.
    whole = [state.parent for state in work.glob("checkpoint-*/trainer_state.json")]
    last = max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]), default=None)
    return str(last) if last else None


def _trainable(base: PreTrainedModel, spec: ModelSpec, recipe: Recipe) -> Any:
    if spec.adapter and recipe.lora_r == 0:
        return with_adapter(base, spec).merge_and_unload().requires_grad_(True)
    if spec.adapter:
        model = with_adapter(base, spec, trainable=True)
        # Where the base lies now: PEFT would look its public name up on the hub at every checkpoint.
        model.active_peft_config.base_model_name_or_path = spec.base
        return model
    if recipe.lora_r == 0:
        return base
    return get_peft_model(base, lora(recipe))


def lora(recipe: Recipe) -> LoraConfig:
    """Return the LoRA of a recipe: on all linear layers, alpha twice the rank."""
    return LoraConfig(
        r=recipe.lora_r,
        lora_alpha=2 * recipe.lora_r,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def refuse_trainer(trainer: Mapping[str, Any]) -> None:
    """Refuse what ``SFTConfig`` would not take, before anything is computed.

    Raises:
        SaywhyError: For an argument that it has not, or a value that it refuses.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(SFTConfig)}
    for key, value in trainer.items():
        if key not in defaults:
            hint = did_you_mean(key, defaults, ", ")
            raise SaywhyError(f"trainer.{key}: SFTConfig of this version of TRL has no such argument{hint}")
        if isinstance(defaults[key], (int, float)) and not isinstance(value, (int, float)):
            raise SaywhyError(f"trainer.{key}={value}: it takes a number, such as {defaults[key]}")
    try:
        _arguments(Recipe(trainer=trainer), Path("unused"), 1)
    except (TypeError, ValueError) as error:
        raise SaywhyError(f"trainer: SFTConfig does not take {dict(trainer)}: {error_line(error)}") from error


def _arguments(recipe: Recipe, work: Path, steps: int, *, evaluated: bool = False) -> SFTConfig:
    own = {
        "output_dir": str(work),
        "per_device_train_batch_size": recipe.per_device_train_batch_size,
        "num_train_epochs": recipe.num_train_epochs,
        "learning_rate": recipe.learning_rate,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "max_length": None,
        "dataloader_pin_memory": False,
        "use_cpu": not torch.cuda.is_available(),
    }
    usual = {
        "lr_scheduler_type": "cosine",
        "warmup_steps": steps // 20,
        "weight_decay": 0.0,
        "logging_steps": max(1, steps // 20),
        "save_strategy": "steps",
        "save_steps": max(1, -(-steps // 4)),
        "save_total_limit": 1,
    }
    every = max(1, steps // EVALUATIONS)
    evaluating = {
        "eval_strategy": "steps",
        "eval_steps": every,
        "per_device_eval_batch_size": recipe.per_device_train_batch_size,
        "save_strategy": "steps",
        "save_steps": every,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
    }
    return SFTConfig(**{**usual, **recipe.trainer, **own, **(evaluating if evaluated else {})})


def _save(trainer: TreeTrainer, tokenizer: Any, spec: ModelSpec, folder: Path, recipe: Recipe) -> None:
    """Write the standard PEFT files; the base is named by its public id, never by a cache folder."""
    model: Any = trainer.model
    with readable_save_errors(folder):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    config = folder / "adapter_config.json"
    if config.is_file():
        settings = json.loads(config.read_text("utf-8"))
        settings["base_model_name_or_path"] = spec.public_id
        config.write_text(json.dumps(settings, indent=2, sort_keys=True), "utf-8")
    history = trainer.state.log_history
    write_json(folder / "losses.json", [entry for entry in history if "loss" in entry])
    if any("eval_loss" in entry for entry in history):
        write_json(folder / "heldout.json", [entry for entry in history if "eval_loss" in entry])
    about = {
        "base": {"id": spec.public_id, "fingerprint": base_weights_fingerprint(spec), "note": spec.note},
        "recipe": dataclasses.asdict(recipe),
    }
    write_json(folder / ADAPTER_MANIFEST, about)  # last: an adapter without it is not whole
