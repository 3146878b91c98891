"""The plain side: every prompt in full, as a skilled user of transformers would batch them.

Sorted by length, left padding, logits at the last position only, no cache, inference mode, the batch size found by
trial on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from benchmarks.common import fastest
from benchmarks.work import Bare
from saywhy.models.chat import Chat
from saywhy.protocol import prompts
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from saywhy.tasks.task import Task

Ids = tuple[int, ...]
BUDGETS = (768, 1536, 3072, 6144)
"""Tokens a batch that are tried."""


def batched(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Return batches of like lengths, the longest first, each of at most ``budget`` padded tokens."""
    made: list[list[int]] = []
    for item in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if made and lengths[made[-1][0]] * (len(made[-1]) + 1) <= budget:
            made[-1].append(item)
        else:
            made.append([item])
    return made


def left_padded(rows: Sequence[Ids], model: Bare) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and attention mask, padded on the left, on the device of ``model``."""
    longest, pad, device = max(len(row) for row in rows), model.chat.end_of_turn[0], model.model.device
    ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows], device=device)
    seen = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, seen


@torch.inference_mode()
def log_probs(model: Bare, rows: Sequence[Ids], wanted: Sequence[int], budget: int) -> list[list[float]]:
    """Return log P of the ``wanted`` tokens behind each row."""
    scores: list[list[float]] = [[] for _ in rows]
    for batch in batched([len(row) for row in rows], budget):
        ids, seen = left_padded([rows[i] for i in batch], model)
        logits = model.model(
            input_ids=ids,
            attention_mask=seen,
            position_ids=(seen.cumsum(-1) - 1).clamp(min=0),
            logits_to_keep=1,
            use_cache=False,
        ).logits
        values = torch.log_softmax(logits[:, -1].float(), -1)[:, list(wanted)].tolist()
        for i, of_row in zip(batch, values, strict=True):
            scores[i] = of_row
    return scores


def label_tokens(chat: Chat, task: Task) -> list[int]:
    """Return the token of each label word.

    Raises:
        SaywhyError: If a label word is more than one token: the plain side reads the last position only.
    """
    ids = chat.ids([f" {word}" for word in task.labels.values()])
    if any(len(of_label) != 1 for of_label in ids):
        raise SaywhyError(f"benchmark: a label word of '{task.name}' is several tokens in this model: choose another")
    return [of_label[0] for of_label in ids]


def rendered(chat: Chat, task: Task, text: str, context: dict[str, str]) -> str:
    """Return the prompt that the label word follows."""
    return chat.open(prompts.question_chat(task, text, context)) + task.lead_in


def best_budget(model: Bare, rows: Sequence[Ids], wanted: Sequence[int]) -> int:
    """Return the tokens a batch with which plain prompts are fastest here."""
    return fastest(BUDGETS, lambda budget: log_probs(model, rows, wanted, budget), "plain prompts, tokens a batch")[0]
