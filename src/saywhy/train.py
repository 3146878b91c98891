"""Training: TRL's SFTTrainer with PEFT LoRA or full fine-tuning, the rows of a text in one prefix tree.

TRL stays the trainer (optimizer, schedule, checkpoints, random state, accelerate). What is ours is a collator
and a forward: the rows of one text share their chat's first half, so they are computed as one tree, and logits
are made only where there is a target (DESIGN.md section 5).
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
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
from saywhy.models.local import TREE_TOKENS, body, pack
from saywhy.models.spec import CONSTANTS_FILE, Spec, fingerprint, load_base
from saywhy.models.tree import grow, plots
from saywhy.records import SaywhyError


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """How an arm is trained.

    Attributes:
        rate: Peak learning rate.
        epochs: Passes over the rows.
        batch: Texts a step; the rows of a text stay together.
        rank: LoRA rank; 0 trains all weights.
        decision_weight: How much more a token counts in which the word is decided on than a copied one.
        label_weight: How much the label turn counts, against 1 for an explanation.
        packing: "tree" computes the rows of a text as one tree; "none" leaves them to TRL, one by one.
        seed: Of the row order and the LoRA initialisation.
    """

    rate: float = 1e-3
    epochs: int = 2
    batch: int = 4
    rank: int = 16
    decision_weight: float = 10.0
    label_weight: float = 1.0
    packing: str = "tree"
    seed: int = 0


Sequences = list[dict[str, Any]]
"""The rows of one text: ids, the first supervised token, one weight a supervised token."""


def encode(chat: Chat, row: Mapping[str, Any], recipe: Recipe) -> dict[str, Any]:
    """Turn a prompt/completion row into ids, the start of what is supervised, and its weights (they sum to one).

    Raises:
        SaywhyError: If the prompt's ids are no prefix of the whole, or if nothing would be supervised.
    """
    prompt = chat.open(row["prompt"])
    said = row["completion"][0]["content"]
    whole = chat.close([*row["prompt"], *row["completion"]])
    ids, offsets = chat.ids_and_offsets([whole])[0]
    head = chat.ids([prompt])[0]
    if ids[: len(head)] != head:
        raise SaywhyError(f"row {row.get('id')}: the prompt's ids are no prefix: the tokenizer merges across the seam")
    end = ids.index(chat.ender[0], len(head)) if chat.ender[0] in ids[len(head) :] else -1
    if end <= len(head):
        raise SaywhyError(f"row {row.get('id')}: the completion is empty or its end of turn is not supervised")
    spans = [(len(prompt) + a, len(prompt) + b) for a, b in row.get("decision") or [[0, len(said)]]]
    weights = [
        recipe.decision_weight if any(a < stop and start < b for a, b in spans) else 1.0
        for start, stop in offsets[len(head) : end + 1]
    ]
    scale = (recipe.label_weight if row.get("style") == "label" else 1.0) / sum(weights)
    return {
        "ids": list(ids[: end + 1]),
        "start": len(head),
        "weights": [weight * scale for weight in weights],
    }


def samples(chat: Chat, rows: Sequence[Mapping[str, Any]], recipe: Recipe, longest: int) -> list[Sequences]:
    """Return the encoded rows, those of one text together.

    Raises:
        SaywhyError: If a row is longer than the model's context: nothing is truncated silently.
    """
    by_text: dict[str, Sequences] = {}
    for row in rows:
        encoded = encode(chat, row, recipe)
        if len(encoded["ids"]) > longest:
            raise SaywhyError(f"training row {row['id']}: {len(encoded['ids'])} tokens, the model takes {longest}")
        by_text.setdefault(str(row["id"]), []).append(encoded)
    return list(by_text.values())


def mix(
    rows: Sequence[dict[str, Any]], replay: Sequence[list[dict[str, str]]], share: float, seed: int
) -> list[dict[str, Any]]:
    """Add instruction data so that it makes ``share`` of the samples (texts and instructions)."""
    texts = len({row["id"] for row in rows})
    wanted = round(texts * share / (1 - share)) if replay else 0
    drawn = random.Random(seed).sample(list(replay), min(wanted, len(replay)))
    return [
        *rows,
        *(
            {
                "id": f"replay-{i}",
                "style": "replay",
                "setting": None,
                "prompt": chat[:-1],
                "completion": chat[-1:],
                "decision": None,
            }
            for i, chat in enumerate(drawn)
        ),
    ]


class TreeTrainer(SFTTrainer):
    """SFTTrainer whose batch is a list of texts, each a tree of rows; the loss is the mean over rows."""

    pad = 0
    packing = "tree"

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the weighted completion-only loss of a batch of texts."""
        del num_items_in_batch
        texts = inputs["texts"]
        if self.packing == "none":
            texts = [[row] for rows in texts for row in rows]
        limit = 2 * TREE_TOKENS if self.packing == "tree" else 0
        return tree_loss(self.accelerator.unwrap_model(model), texts, self.pad, limit)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log without TRL's token metrics, which its own loss would have counted."""
        self._metrics["train"].clear()
        super().log(logs, start_time)


def tree_loss(model: Any, texts: Sequence[Sequences], pad: int, limit: int = 2 * TREE_TOKENS) -> torch.Tensor:
    """Return the mean over rows of each row's weighted negative log-likelihood (nats).

    Rows of a text, and texts that follow each other up to ``limit`` tokens, share a tree: the same loss and
    gradients as row by row.
    """
    groups = [[tuple(row["ids"][:-1]) for row in rows] for rows in texts]
    merged = plots(groups, limit)
    trees = [grow([ids for i in plot for ids in groups[i]]) for plot in merged]
    ids, positions, mask = pack(trees, 0, pad, model.dtype)
    device = model.device
    hidden = body(model)(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        position_ids=positions.to(device),
        use_cache=False,
    ).last_hidden_state
    at: list[tuple[int, int]] = []
    tokens: list[int] = []
    weights: list[float] = []
    for number, (plot, tree) in enumerate(zip(merged, trees, strict=True)):
        rows = [row for i in plot for row in texts[i]]
        for row, path in zip(rows, tree.paths, strict=True):
            at += [(number, node) for node in path[row["start"] - 1 :]]
            tokens += row["ids"][row["start"] :]
            weights += row["weights"]
    trees_at, nodes = zip(*at, strict=True)
    logits = model.get_output_embeddings()(hidden[list(trees_at), list(nodes)]).float()
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(tokens, device=device), reduction="none")
    return (loss * torch.tensor(weights, device=device)).sum() / sum(len(rows) for rows in texts)


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
    model = _trainable(base, spec, recipe)
    texts = samples(chat, rows, recipe, int(getattr(base.config, "max_position_embeddings", 2048)))
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
    trainer.pad, trainer.packing = chat.ender[0], recipe.packing
    for callback in ("PrinterCallback", "ProgressCallback"):
        for known in [c for c in trainer.callback_handler.callbacks if type(c).__name__ == callback]:
            trainer.remove_callback(known)
    started = any(work.glob("checkpoint-*/trainer_state.json"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train(resume_from_checkpoint=True if started else None)
    _save(trainer.model, tokenizer, spec, folder, recipe)
    history = [entry for entry in trainer.state.log_history if "loss" in entry]
    (folder / "losses.json").write_text(json.dumps(history, indent=1), "utf-8")
    return folder


def _trainable(base: PreTrainedModel, spec: Spec, recipe: Recipe) -> Any:
    if spec.adapter:
        return PeftModel.from_pretrained(base, str(spec.adapter), is_trainable=True)
    if recipe.rank == 0:
        return base
    lora = LoraConfig(
        r=recipe.rank,
        lora_alpha=2 * recipe.rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base, lora)


def _arguments(recipe: Recipe, work: Path, steps: int) -> SFTConfig:
    return SFTConfig(
        output_dir=str(work),
        per_device_train_batch_size=recipe.batch,
        num_train_epochs=recipe.epochs,
        learning_rate=recipe.rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 20),
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
