"""TRL's side of the training benchmark, and the losses by which the sides are compared."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from peft import PeftModel, get_peft_model
from transformers import PrinterCallback
from trl import SFTConfig, SFTTrainer

from saywhy.models.chat import Chat
from saywhy.models.spec import ModelSpec
from saywhy.models.weights import load_base
from saywhy.training.encoding import Recipe, samples
from saywhy.training.train import lora, train

Rows = Sequence[Mapping[str, Any]]


def _columns(rows: Sequence[Mapping[str, Any]]) -> Dataset:
    """Return the rows as TRL takes them: the same ids, and labels where ours are supervised."""
    labels = [[-100] * row["start"] + list(row["ids"][row["start"] :]) for row in rows]
    return Dataset.from_dict({"input_ids": [list(row["ids"]) for row in rows], "labels": labels})


def _trainer(spec: ModelSpec, rows: Rows, recipe: Recipe, folder: Path, *, packing: bool) -> SFTTrainer:
    """Build TRL's trainer: its defaults, mended for a CPU."""
    disable_progress_bars()
    base, tokenizer = load_base(spec)
    chat = Chat(tokenizer, spec.name)
    torch.manual_seed(recipe.seed)
    grouped = samples(chat, rows, recipe, _context(base))
    flat = [row for group in grouped for row in group]
    steps = -(-len(grouped) // recipe.per_device_train_batch_size)
    batch = -(-len(flat) // steps)
    lengths = [len(row["ids"]) for row in flat]
    arguments = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=1 if packing else batch,
        # All rows at once: TRL evaluates the mean over batches, which is the mean over tokens of one batch only.
        per_device_eval_batch_size=1 if packing else len(flat),
        num_train_epochs=recipe.num_train_epochs,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=steps * recipe.num_train_epochs // 20,
        weight_decay=0.0,
        seed=recipe.seed,
        save_strategy="no",
        bf16=False,
        gradient_checkpointing=False,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        packing=packing,
        max_length=max(*lengths, sum(lengths) // steps) if packing else None,
    )
    trainer = SFTTrainer(
        model=get_peft_model(base, lora(recipe)),
        args=arguments,
        train_dataset=_columns(flat),
        eval_dataset=_columns(flat),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def sft(spec: ModelSpec, rows: Rows, recipe: Recipe, folder: Path, *, packing: bool) -> None:
    """Train with TRL and save the adapter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = _trainer(spec, rows, recipe, folder, packing=packing)
        trainer.train()
        trainer.save_model(str(folder))


def start_losses(spec: ModelSpec, rows: Rows, recipe: Recipe, folder: Path) -> dict[str, float]:
    """Return, for each side, its own loss of the untrained model over the loss of plain passes, on the same rows.

    Ours is what ``train`` logs for its first step, all rows in one: a mean over rows. TRL's is what it evaluates
    (packed rows for packing): a mean over tokens. Each is compared with the plain mean of its own kind.
    """
    base, tokenizer = load_base(spec)
    plain = _losses(base, Chat(tokenizer, spec.name), rows, recipe)
    by_row = sum(loss / size for loss, size in plain) / len(plain)
    by_token = sum(loss for loss, _ in plain) / sum(size for _, size in plain)
    losses = {}
    for name, packing in (("trl", False), ("packing", True)):
        losses[name] = float(_trainer(spec, rows, recipe, folder, packing=packing).evaluate()["eval_loss"]) / by_token
    one_step = dataclasses.replace(recipe, per_device_train_batch_size=len(rows), num_train_epochs=1)
    logged = json.loads((train(spec, rows, one_step, folder / "ours") / "losses.json").read_text("utf-8"))
    return {"ours": float(logged[0]["loss"]) / by_row, **losses}


def mean_losses(spec: ModelSpec, adapter: Path, rows: Rows, recipe: Recipe) -> tuple[float, float]:
    """Return a trained adapter's mean loss by token (TRL's objective) and by row (ours), from plain passes."""
    base, tokenizer = load_base(spec)
    model = PeftModel.from_pretrained(base, str(adapter)).merge_and_unload()
    row_losses = _losses(model, Chat(tokenizer, spec.name), rows, recipe)
    by_token = sum(loss for loss, _ in row_losses) / sum(size for _, size in row_losses)
    return by_token, sum(loss / size for loss, size in row_losses) / len(row_losses)


@torch.inference_mode()
def _losses(model: Any, chat: Chat, rows: Rows, recipe: Recipe) -> list[tuple[float, int]]:
    """Return the summed token loss of each row and its number of supervised tokens."""
    row_losses = []
    for row in (row for group in samples(chat, rows, recipe, _context(model)) for row in group):
        ids = torch.tensor([row["ids"]])
        logits = model.eval()(input_ids=ids, use_cache=False).logits[0, row["start"] - 1 : -1].float()
        wanted = ids[0, row["start"] :]
        row_losses.append((float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum")), len(wanted)))
    return row_losses


def _context(base: Any) -> int:
    return int(getattr(base.config, "max_position_embeddings", 2048))
