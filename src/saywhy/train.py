"""Training: TRL's SFTTrainer with PEFT LoRA or full fine-tuning, the rows of a text in one prefix tree.

TRL stays the trainer (optimizer, schedule, checkpoints, random state, accelerate). What is ours is a collator
and a forward: the rows of one text share their chat's first half, so they are computed as one tree, and logits
are made only where there is a target (ARCHITECTURE.md, *The engine*).
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
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel, TrainerCallback
from trl import SFTConfig, SFTTrainer

from saywhy.models.chat import Chat
from saywhy.models.forward import WAYS, Forward, logits
from saywhy.models.memory import ran_out
from saywhy.models.precision import exact
from saywhy.models.spec import CONSTANTS_FILE, Spec, fingerprint, load_base
from saywhy.models.tree import grow
from saywhy.progress import say
from saywhy.records import SaywhyError
from saywhy.supervision import Recipe, Sequences, samples


class TreeTrainer(SFTTrainer):
    """SFTTrainer whose batch is a list of texts, each a tree of rows; the loss is the mean over rows.

    Attributes:
        forward: How the model computes trees.
        at_once: Texts of a step that are computed at once; halved when memory runs out, which changes no step.
    """

    forward: Forward | None = None
    at_once: int = 1

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """Take a step: gradients of its parts are added up."""
        texts = inputs["texts"]
        rows = sum(map(len, texts))
        while True:
            size, loss = min(self.at_once, len(texts)), torch.zeros(())
            try:
                for first in range(0, len(texts), size):
                    part = {"texts": texts[first : first + size], "rows": rows}
                    loss = loss + super().training_step(model, part, num_items_in_batch).cpu()  # type: ignore[no-untyped-call]
                return loss
            except (MemoryError, RuntimeError) as error:
                self.at_once = _fewer(size, error)
                model.zero_grad()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the weighted completion-only loss of a batch of texts."""
        del model, num_items_in_batch  # the same weights, wrapped for their own loss
        assert self.forward
        return tree_loss(self.forward, inputs["texts"], inputs["rows"])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log without TRL's token metrics, which its own loss would have counted."""
        self._metrics["train"].clear()
        super().log(logs, start_time)


def _fewer(texts: int, error: BaseException) -> int:
    """Return how many texts to compute at once after ``error``; raise it again if it was not for want of memory."""
    if not ran_out(error):
        raise error
    if texts == 1:
        raise SaywhyError("the memory does not hold the training rows of one text: free some, or take a smaller model")
    say(f"out of memory: going on with {texts // 2} texts at once")
    return texts // 2


def tree_loss(forward: Forward, texts: Sequence[Sequences], of: int | None = None) -> torch.Tensor:
    """Return the mean over rows of each row's weighted negative log-likelihood (nats).

    The rows of all texts are one tree: the same loss and gradients as row by row.

    Args:
        forward: The model that is trained.
        texts: The rows of each text.
        of: How many rows there are in all, where these are only a part; None: these are all.
    """
    rows = [row for text in texts for row in text]
    tree = grow([tuple(row["ids"][:-1]) for row in rows])
    hidden = forward.states(tree)
    nodes = [node for row, path in zip(rows, tree.paths, strict=True) for node in path[row["start"] - 1 :]]
    tokens = torch.tensor([token for row in rows for token in row["ids"][row["start"] :]], device=hidden.device)
    weights = torch.tensor([weight for row in rows for weight in row["weights"]], device=hidden.device)
    loss = torch.nn.functional.cross_entropy(logits(forward.model, hidden[nodes]), tokens, reduction="none")
    return (loss * weights).sum() / (of or len(rows))


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
        spec: The start: a base model, or an adapter whose LoRA goes on.
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
    trainer.forward, trainer.at_once = forward, recipe.batch
    for callback in ("PrinterCallback", "ProgressCallback"):
        for known in [c for c in trainer.callback_handler.callbacks if type(c).__name__ == callback]:
            trainer.remove_callback(known)
    # The state is written last: a checkpoint without it was killed half-way.
    whole = [state.parent for state in work.glob("checkpoint-*/trainer_state.json")]
    last = max(whole, key=lambda one: int(one.name.rpartition("-")[2]), default=None)
    with exact(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    _save(trainer.model, tokenizer, spec, folder, recipe)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    (folder / "losses.json").write_text(json.dumps(history, indent=1), "utf-8")
    shutil.rmtree(work, ignore_errors=True)  # what ships is the adapter; the checkpoints were for a killed training
    return folder


def _trainable(base: PreTrainedModel, spec: Spec, recipe: Recipe) -> Any:
    if spec.adapter:
        model = PeftModel.from_pretrained(base, str(spec.adapter), is_trainable=True)
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


def _save(model: Any, tokenizer: Any, spec: Spec, folder: Path, recipe: Recipe) -> None:
    """Write the standard PEFT files; the base is named by its public id, never by a cache folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = folder / "adapter_config.json"
    if config.is_file():
        named = json.loads(config.read_text("utf-8"))
        named["base_model_name_or_path"] = spec.public_id
        config.write_text(json.dumps(named, indent=2, sort_keys=True), "utf-8")
    told = {
        "base": {"id": spec.public_id, "fingerprint": fingerprint(spec), "note": spec.note},
        "recipe": dataclasses.asdict(recipe),
    }
    (folder / CONSTANTS_FILE).write_text(json.dumps(told, indent=2) + "\n", "utf-8")
