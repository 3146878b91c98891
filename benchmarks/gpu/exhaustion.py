"""Part d: memory that runs out: torch's allocator is given little, and the answers must be those of enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import LlamaConfig

from benchmarks.asking import ours
from benchmarks.gpu.card import Step, release
from benchmarks.gpu.compare import explanations, most_apart, table
from benchmarks.gpu.small import SHAPE, TINY_SHAPE
from benchmarks.gpu.subject import Subject, random_model, subject, tokenizer
from saywhy.models.memory import TokenBudget

FEW = 512
"""Tokens at once for which there is enough memory."""
MANY = 1 << 16
"""Tokens at once for which there is not."""
SLACK = 1 << 26
"""Bytes beyond the need of ``FEW``."""
PROCESSOR_TOKENS = 600
"""Tokens at once that a processor is made to refuse: it has no allocator that could be given less."""


def steps(here: torch.device, texts: int, *, tiny: bool) -> dict[str, Step]:
    """Return the steps by name."""

    def made() -> Subject:
        release()
        shape = LlamaConfig(**(TINY_SHAPE if tiny else SHAPE), pad_token_id=0)
        return subject(random_model(shape, here, torch.float32), tokenizer(2000), texts, FEW)

    return {"table": lambda: _tables(made()), "explanations": lambda: _replies(made())}


def _tables(measured: Subject) -> dict[str, Any]:
    """Return how far (nats) tables are apart that ran out of memory and that did not, and what became of the budget."""
    enough, few = _with_enough_and_with_few(measured, lambda: table(measured, measured.examples).answer)
    return {"most apart, nats": most_apart(enough, few), **_budget(measured)}


def _replies(measured: Subject) -> dict[str, Any]:
    """Return how many replies differ of those that ran out of memory and that did not."""
    chats = explanations(measured)
    enough, few = _with_enough_and_with_few(measured, lambda: ours(measured.local, chats).answer)
    return {"different replies": sum(a != b for a, b in zip(enough, few, strict=True)), **_budget(measured)}


def _budget(measured: Subject) -> dict[str, Any]:
    return {"tokens at once, begun with": MANY, "in the end": measured.local.budget.tokens}


def _with_enough_and_with_few(measured: Subject, ask: Callable[[], Any]) -> tuple[Any, Any]:
    enough = ask()
    local = measured.local
    with _little_memory(measured):
        local.budget = TokenBudget(local.model, MANY)
        local._prefixes.clear()
        return enough, ask()


@contextmanager
def _little_memory(measured: Subject) -> Iterator[None]:
    """Let no more memory be taken within than was until now, and a little: what asks for more gets the real error."""
    if measured.local.model.device.type != "cuda":
        with _refusing(measured.local.model.base_model):
            yield
        return
    torch.cuda.synchronize()
    most = torch.cuda.max_memory_reserved() + SLACK
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, most / torch.cuda.mem_get_info()[1]))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@contextmanager
def _refusing(body: Any) -> Iterator[None]:
    """Let every pass of more than ``PROCESSOR_TOKENS`` run out of memory within."""
    real = body.forward

    def forward(*args: Any, **inputs: Any) -> Any:
        if inputs["input_ids"].numel() > PROCESSOR_TOKENS:
            raise torch.OutOfMemoryError("out of memory, as the benchmark has it")
        return real(*args, **inputs)

    body.forward = forward
    try:
        yield
    finally:
        body.forward = real
