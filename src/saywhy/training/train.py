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
from transformers import PreTrainedModel, TrainerCallback
from trl import SFTConfig

from saywhy.folders.store import saving, write_json
from saywhy.models.chat import Chat
from saywhy.models.forward import WAYS, Forward
from saywhy.models.precision import exact
from saywhy.models.spec import CONSTANTS_FILE, Spec, fingerprint
from saywhy.models.weights import load_base, with_adapter
from saywhy.processes import first
from saywhy.training.encoding import Recipe, samples
from saywhy.training.trainer import TreeTrainer, takes_trees, together


class _Ticker(TrainerCallback):
    """Tells the progress bar which step is done."""

    def __init__(self, tell: Callable[[int, int], None]) -> None:
        self.tell = tell

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the steps done and the steps in all."""
        self.tell(state.global_step, state.max_steps)


def train(
    spec: Spec,
    rows: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    folder: Path,
    tell: Callable[[int, int], None] | None = None,
) -> Path:
    """Train on ``rows`` from ``spec`` (an adapter is continued) and save what ships into ``folder``.

    Args:
        spec: The start: a base model, or an adapter whose LoRA goes on (merged into the base if ``recipe.rank`` is 0).
        rows: prompt/completion rows (``targets``).
        recipe: How.
        folder: Output: a PEFT adapter, or a whole model if ``recipe.rank`` is 0. A killed training goes on from
            the last checkpoint in ``folder``/checkpoints.
        tell: Called with (steps done, steps in all).

    Returns:
        The folder.
    """
    base, tokenizer = load_base(spec)
    chat = Chat(tokenizer, spec.name)
    torch.manual_seed(recipe.seed)
    forward = Forward(base, spec.name, ("rows",) if recipe.packing == "none" else WAYS)
    model = _trainable(base, spec, recipe)
    texts = samples(chat, rows, recipe, forward.context)
    work = folder / "checkpoints"
    steps = -(-len(texts) // recipe.batch) * recipe.epochs
    trainer = TreeTrainer(
        model=model,
        args=_arguments(recipe, work, steps),
        train_dataset=Dataset.from_list([{"text": json.dumps(one)} for one in texts]),
        data_collator=lambda batch: {"texts": [json.loads(one["text"]) for one in batch]},
        processing_class=tokenizer,
        callbacks=[_Ticker(tell)] if tell else None,
    )
    trainer.at_once = recipe.batch
    takes_trees(trainer.model, forward)
    _quietly(trainer)
    with exact(), warnings.catch_warnings(), together():
        warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=_last_checkpoint(work))
    if first():
        _save(trainer, tokenizer, spec, folder, recipe)
    with together():
        trainer.accelerator.wait_for_everyone()
    if first():
        shutil.rmtree(work, ignore_errors=True)  # what ships is the adapter; the checkpoints were for a killed training
    return folder


def _quietly(trainer: TreeTrainer) -> None:
    """Take away what transformers would print: our own bar tells the steps."""
    for known in list(trainer.callback_handler.callbacks):
        if type(known).__name__ in ("PrinterCallback", "ProgressCallback"):
            trainer.remove_callback(known)


def _last_checkpoint(work: Path) -> str | None:
    """Return the last whole checkpoint in ``work``, None if there is none."""
    # The state is written last: a checkpoint without it was killed half-way.
    whole = [state.parent for state in work.glob("checkpoint-*/trainer_state.json")]
    last = max(whole, key=lambda one: int(one.name.rpartition("-")[2]), default=None)
    return str(last) if last else None


def _trainable(base: PreTrainedModel, spec: Spec, recipe: Recipe) -> Any:
    if spec.adapter and recipe.rank == 0:
        return with_adapter(base, spec).merge_and_unload().requires_grad_(True)
    if spec.adapter:
        model = with_adapter(base, spec, trainable=True)
        # Where the base lies now: PEFT would look its public name up on the hub at every checkpoint.
        model.active_peft_config.base_model_name_or_path = spec.base
        return model
    if recipe.rank == 0:
        return base
    return get_peft_model(base, lora(recipe))


def lora(recipe: Recipe) -> LoraConfig:
    """Return the LoRA of a recipe: on all linear layers, alpha twice the rank."""
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=2 * recipe.rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _arguments(recipe: Recipe, work: Path, steps: int) -> SFTConfig:
    return SFTConfig(
        output_dir=str(work),
        per_device_train_batch_size=recipe.batch,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.rate,
        lr_scheduler_type="cosine",
        warmup_steps=steps // 20,
        weight_decay=0.0,
        seed=recipe.seed,
        data_seed=recipe.seed,
        logging_steps=max(1, steps // 20),
        save_strategy="steps",
        save_steps=max(1, -(-steps // 4)),
        save_total_limit=1,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        dataloader_pin_memory=False,
        use_cpu=not torch.cuda.is_available(),
    )


def _save(trainer: TreeTrainer, tokenizer: Any, spec: Spec, folder: Path, recipe: Recipe) -> None:
    """Write the standard PEFT files; the base is named by its public id, never by a cache folder."""
    model: Any = trainer.model
    with saving(folder):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    config = folder / "adapter_config.json"
    if config.is_file():
        named = json.loads(config.read_text("utf-8"))
        named["base_model_name_or_path"] = spec.public_id
        config.write_text(json.dumps(named, indent=2, sort_keys=True), "utf-8")
    write_json(folder / "losses.json", [entry for entry in trainer.state.log_history if "loss" in entry])
    told = {
        "base": {"id": spec.public_id, "fingerprint": fingerprint(spec), "note": spec.note},
        "recipe": dataclasses.asdict(recipe),
    }
    write_json(folder / CONSTANTS_FILE, told)  # last: an adapter without it is not whole
