"""Part c: random weights in the shape of Llama 2 7B, bfloat16, made on the card; speed does not depend on values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from unittest import mock

import torch
from torch.nn.attention import SDPBackend
from transformers import LlamaConfig

from benchmarks.asking import ours
from benchmarks.common import Done, Ledger
from benchmarks.gpu.card import LeftOutError, Step, peak, release
from benchmarks.gpu.compare import Comparisons, explanations, table, timed
from benchmarks.gpu.subject import random_model, subject, tokenizer
from benchmarks.work import Counter
from saywhy.models import branches
from saywhy.models.memory import TokenBudget, free_memory

SHAPE = {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096,
}  # fmt: skip
"""Of Llama 2 7B."""
LEAST_MEMORY = 24 << 30
"""Bytes that the weights take, and what is computed with them."""
TINY_SHAPE: Mapping[str, Any] = {
    **SHAPE, "vocab_size": 2000, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 4,
}  # fmt: skip
BUDGETS: tuple[int | None, ...] = (None, 2048, 8192, 32768)
"""Tokens at once; None: what saywhy finds by itself."""
TINY_BUDGETS: tuple[int | None, ...] = (None, 256)
PLAIN_BUDGETS = (8192, 32768)
SIZES = (64,)
KERNELS = {
    "as saywhy chooses": branches.CARD_KERNELS,
    "torch's own choice": [
        SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH,
    ],
    "cuDNN first": [SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH],
    "written out": [SDPBackend.MATH],
}  # fmt: skip
"""Kernels of a card's attention that are tried."""


class LargeModel:
    """The measurements of the part, which make the weights when the first of them is made."""

    def __init__(self, here: torch.device, ledger: Ledger, texts: int, *, tiny: bool) -> None:
        self.here, self.ledger, self.texts, self.tiny = here, ledger, texts, tiny

    def steps(self) -> dict[str, Step]:
        """Return the steps by name: those that were asked for first, then what they are compared with."""
        budgets = TINY_BUDGETS if self.tiny else BUDGETS
        tables = {f"table, {_named(tokens)}": lambda tokens=tokens: self._table(tokens) for tokens in budgets}
        replies = {
            f"explanations, {_named(tokens)}": lambda tokens=tokens: self._explanations(tokens)
            for tokens in budgets[: 2 if self.tiny else 3]
        }
        return {
            "weights": lambda: self._made[1],
            **tables,
            "training": lambda: self._made[0].training(2 if self.tiny else 4),
            **replies,
            "table beside plain": lambda: self._made[0].table(),
            "explanations beside plain": lambda: self._made[0].explanations((4,) if self.tiny else SIZES),
            "attention": self._attention,
        }

    @cached_property
    def _made(self) -> tuple[Comparisons, dict[str, Any]]:
        release()
        if not self.tiny and (self.here.type != "cuda" or free_memory(self.here) < LEAST_MEMORY):
            raise LeftOutError(f"a card with {LEAST_MEMORY >> 30} GiB free is needed, or --tiny")
        shape = LlamaConfig(**(TINY_SHAPE if self.tiny else SHAPE), pad_token_id=0)
        model = random_model(shape, self.here, torch.bfloat16)
        measured = subject(model, tokenizer(2000), self.texts)
        about = {
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "memory of the weights, GiB": peak(),
            "way": measured.local.forward.way,
            "tokens at once, found": measured.local.budget.tokens,
            "longest text that is tried, tokens": measured.local.budget.longest,
        }
        plain_budgets = (512,) if self.tiny else PLAIN_BUDGETS
        return Comparisons(measured, self.ledger, "7B", 1, plain_budgets), about

    def _set_budget(self, tokens: int | None) -> None:
        local = self._made[0].subject.local
        local._prefixes.clear()
        release()
        local.budget = TokenBudget(local.model, tokens)

    def _table(self, tokens: int | None) -> dict[str, Any]:
        """Return the pace of the tables at a budget, and the most memory."""
        measured = self._made[0].subject
        table(measured, measured.examples[:4])
        self._set_budget(tokens)
        return self._pace(lambda: table(measured, measured.examples), "prompts")

    def _explanations(self, tokens: int | None) -> dict[str, Any]:
        """Return the pace of six explanations of each text at a budget, and the most memory."""
        measured = self._made[0].subject
        chats = explanations(measured)
        ours(measured.local, chats[:6])
        self._set_budget(tokens)
        return self._pace(lambda: ours(measured.local, chats), "replies")

    def _pace(self, run: Any, unit: str) -> dict[str, Any]:
        machine, local = self._made[0].machine, self._made[0].subject.local
        done: Done
        with Counter(machine.vocabulary) as count:
            done, seconds, most = timed(run)
        tokens, heads = count.so_far()
        flops = 2 * (machine.body * tokens + machine.head * heads)
        return {
            f"{unit} a second": round(done.units / seconds, 2),
            unit: done.units,
            "tokens": tokens,
            "seconds": round(seconds, 2),
            "share of GEMM rate": round(flops / seconds / machine.rate, 4),
            "GEMM rate, TFLOP/s": round(machine.rate / 1e12, 3),
            "peak, GiB": most,
            "tokens at once, in the end": local.budget.tokens,
        }

    def _attention(self) -> dict[str, Any]:
        """Return the seconds of some tables by each choice of kernels, the first time and when shapes are known."""
        if self.here.type != "cuda":
            raise LeftOutError("kernels are a card's")
        measured = self._made[0].subject
        self._set_budget(None)
        seconds: dict[str, list[float]] = {}
        for name, kernels in KERNELS.items():
            with mock.patch.object(branches, "CARD_KERNELS", kernels):
                runs = [timed(lambda: table(measured, measured.examples[:16])) for _ in range(2)]
            seconds[name] = [round(taken, 3) for _, taken, _ in runs]
        return seconds


def _named(tokens: int | None) -> str:
    return f"{tokens} tokens at once" if tokens else "tokens at once as found"
