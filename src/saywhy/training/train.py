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
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from accelerate import PartialState
from datasets import Dataset
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import EarlyStoppingCallback, PreTrainedModel, Trainer, TrainerCallback

from saywhy.clashes import PREFERENCE_OBJECTIVES
from saywhy.folders.checksums import first_damage, read_checksums, seal
from saywhy.folders.store import readable_save_errors, write_json, write_text
from saywhy.models.chat import Chat
from saywhy.models.copies import shortened_products
from saywhy.models.fingerprints import base_weights_fingerprint
from saywhy.models.forward import FORWARD_WAYS, Forward, ForwardWay
from saywhy.models.precision import Shortening, exact_products, has_bfloat16_units
from saywhy.models.shipped import write_shipped
from saywhy.models.spec import ModelSpec
from saywhy.models.weights import CHECKPOINTS, load_base, merged, remove_checkpoints, weight_checksums, with_adapter
from saywhy.processes import is_first_process
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.training.arguments import sft_arguments
from saywhy.training.encoding import Encoded, Recipe, samples
from saywhy.training.objectives import Objective, objective_of
from saywhy.training.preference import preference_trainer, readable_refusals
from saywhy.training.trainer import (
    TreeTrainer,
    accept_batches,
    connections_closed_at_exit,
    readable_peer_errors,
    refuse_other_shards,
    whole_weights,
)

START_COPY = "ref"
"""What TRL calls the copy of the start's LoRA that it compares with."""
PATIENCE = 3
"""So many measurements in a row may show no lower loss before training ends."""


class _Ticker(TrainerCallback):
    """Tells the progress bar which step is done."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self.tell = tell

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the steps done and the steps in all."""
        self.tell(state.global_step, state.max_steps)


@connections_closed_at_exit()
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
        heldout: Rows of other texts. Their loss is measured some times (``arguments.EVALUATIONS``); training ends when
            it falls no more, and what ships is the checkpoint of least loss.

    Returns: The folder.
    """
    base, tokenizer = load_base(spec, quantize=recipe.quantize)
    torch.manual_seed(recipe.seed)
    trl_alone = recipe.objective in PREFERENCE_OBJECTIVES
    forward = _forward(base, spec, recipe, trl_alone)
    chat, work = Chat(tokenizer, spec.name), folder / CHECKPOINTS
    model = _trainable(base, spec, recipe)
    if spec.adapter and recipe.lora_r:
        recipe = dataclasses.replace(recipe, lora_r=model.active_peft_config.r)
    trainer: Trainer
    if trl_alone:
        trainer = preference_trainer(model, chat, rows, recipe, work, forward.context)
    else:
        trainer = _tree_trainer(model, chat, forward.context, rows, heldout, recipe, work)
        accept_batches(model, forward, objective or objective_of(recipe))
    refuse_other_shards(trainer)
    _quietly(trainer)
    trainer.add_callback(_CheckpointSealer())
    if tell:
        trainer.add_callback(_Ticker(tell))
    with exact_products(), warnings.catch_warnings(), readable_peer_errors(), readable_refusals(recipe):
        warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=_last_checkpoint(work))
    _ship(trainer, tokenizer, spec, folder, recipe)
    return folder


def _ship(trainer: Trainer, tokenizer: Any, spec: ModelSpec, folder: Path, recipe: Recipe) -> None:
    """Save what was trained, whole, and remove the checkpoints when all processes are done."""
    with readable_peer_errors():
        weights = whole_weights(trainer)
    if is_first_process():
        _save(trainer, tokenizer, spec, folder, recipe, weights)
    with readable_peer_errors():
        trainer.accelerator.wait_for_everyone()
    if is_first_process():
        remove_checkpoints(folder)


def _forward(base: Any, spec: ModelSpec, recipe: Recipe, trl_alone: bool) -> Forward:
    ways: Sequence[ForwardWay] = ("rows",) if recipe.packing == "none" or trl_alone else FORWARD_WAYS
    shortening: Shortening | None = None
    if recipe.autocast and has_bfloat16_units() and not trl_alone:  # TRL's own trainers autocast by themselves
        is_frozen = recipe.lora_r > 0
        shortening = "copies" if is_frozen and not torch.cuda.is_available() else "autocast"
    return Forward(base, spec.name, ways, shortened=shortened_products(base, shortening))


def _tree_trainer(
    model: Any,
    chat: Chat,
    longest: int,
    rows: Sequence[Mapping[str, Any]],
    heldout: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    work: Path,
) -> TreeTrainer:
    texts = samples(chat, rows, recipe, longest)
    heldout_texts = samples(chat, heldout, recipe, longest) if heldout else []
    steps = -(-len(texts) // recipe.per_device_train_batch_size) * recipe.num_train_epochs
    trainer = TreeTrainer(
        model=model,
        args=sft_arguments(recipe, work, steps, evaluated=bool(heldout)),
        train_dataset=_dataset(texts),
        eval_dataset=_dataset(heldout_texts) if heldout else None,
        data_collator=lambda batch: {"texts": [json.loads(line["text"]) for line in batch]},
        processing_class=chat.tokenizer,
        callbacks=[EarlyStoppingCallback(PATIENCE)] if heldout else None,
    )
    trainer.at_once = recipe.per_device_train_batch_size
    return trainer


def _dataset(texts: Sequence[Encoded]) -> Dataset:
    return Dataset.from_list([{"text": json.dumps(rows_of_text)} for rows_of_text in texts])


def _quietly(trainer: Trainer) -> None:
    """Take away what transformers would print: our own bar tells the steps."""
    for callback in list(trainer.callback_handler.callbacks):
        if type(callback).__name__ in ("PrinterCallback", "ProgressCallback"):
            trainer.remove_callback(callback)


class _CheckpointSealer(TrainerCallback):
    """Keeps the checksums of each checkpoint, and logs the loss up to it: a resumed training logs the same numbers."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log where a checkpoint is saved."""
        control.should_log = control.should_log or control.should_save

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Log where a checkpoint is saved."""
        control.should_log = control.should_log or control.should_save

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Seal the checkpoint, to which every process adds its random state."""
        PartialState().wait_for_everyone()
        if is_first_process():
            seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")


def _last_checkpoint(work: Path) -> str | None:
    """Return the last whole checkpoint in ``work``, None if there is none; say which ones are passed over."""
    checkpoints = [path for path in work.glob("checkpoint-*") if path.name.rpartition("-")[2].isdigit()]
    for checkpoint in sorted(checkpoints, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        try:
            finished = read_checksums(checkpoint)
            damage = first_damage(checkpoint, finished) if finished else f"{checkpoint} is half-written"
        except SaywhyError as error:
            damage = str(error)
        if damage is None:
            return str(checkpoint)
        say(f"{damage}: the checkpoint is passed over")
    return None


def _trainable(base: PreTrainedModel, spec: ModelSpec, recipe: Recipe) -> Any:
    if recipe.quantize:
        # Norms and embeddings in float32; layers are computed again only where trainer.gradient_checkpointing says so.
        base = prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    if spec.adapter and recipe.lora_r == 0:
        return merged(base, spec).requires_grad_(True)
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


def _save(
    trainer: Trainer,
    tokenizer: Any,
    spec: ModelSpec,
    folder: Path,
    recipe: Recipe,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write the standard PEFT files, of ``weights`` where the model's own are shards.

    The base is named by its public id, never by a cache folder; a folder by a path that holds from anywhere.
    """
    model: Any = trainer.model
    base = str(Path(spec.public_id).resolve()) if Path(spec.public_id).is_dir() else spec.public_id
    if START_COPY in getattr(model, "peft_config", {}):
        model.delete_adapter(START_COPY)
    with readable_save_errors(folder):
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)
    config = folder / "adapter_config.json"
    if config.is_file():
        settings = json.loads(config.read_text("utf-8"))
        settings["base_model_name_or_path"] = base
        for name, value in settings.items():  # PEFT keeps names of modules as sets, in any order
            if isinstance(value, list) and all(isinstance(module, str) for module in value):
                settings[name] = sorted(value)
        write_text(config, json.dumps(settings, indent=2, sort_keys=True))
    # A checkpoint keeps its entries with sorted keys: so a training that went on from one writes the same.
    history = [dict(sorted(entry.items())) for entry in trainer.state.log_history]
    write_json(folder / "losses.json", [entry for entry in history if "loss" in entry])
    measured = [{key: entry[key] for key in ("step", "eval_loss")} for entry in history if "eval_loss" in entry]
    if measured:
        write_json(folder / "heldout.json", measured)
    about = {
        "base": {"id": base, "fingerprint": base_weights_fingerprint(spec), "note": spec.note},
        "recipe": dataclasses.asdict(recipe),
        "files": weight_checksums(folder),
    }
    write_shipped(folder, about)  # last: an adapter without it is not whole
