"""Part b: the default model, or its shape, beside plain batched transformers, in the number format of a default run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any

import torch
from transformers import LlamaConfig

from benchmarks.common import Ledger
from benchmarks.gpu.card import LeftOutError, Step, products, release
from benchmarks.gpu.compare import Comparisons
from benchmarks.gpu.peers import beside_captum, beside_trl
from benchmarks.gpu.subject import random_model, subject, tokenizer
from saywhy.explainer.decision import Effort
from saywhy.models.precision import choose_precision
from saywhy.models.spec import ModelSpec, resolve_model
from saywhy.models.weights import load_base
from saywhy.records import SaywhyError

SHAPE = {
    "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192, "tie_word_embeddings": True,
}  # fmt: skip
"""Of SmolLM2-135M, the default model."""
TINY_SHAPE: Mapping[str, Any] = {
    **SHAPE, "vocab_size": 2000, "hidden_size": 36, "intermediate_size": 64, "num_hidden_layers": 2,
}  # fmt: skip
BUDGETS = (4096, 16384, 65536)
SIZES = (32, 128)
SERVED: tuple[tuple[Effort, int], ...] = (("self", 1), ("self", 8), ("self", 32), ("search", 8))
"""Efforts, and how many requests are computed together."""


class DefaultModel:
    """The measurements of the part, which load the model when the first of them is made."""

    def __init__(self, name: str, here: torch.device, ledger: Ledger, texts: int, *, tiny: bool) -> None:
        self.name, self.here, self.ledger, self.texts, self.tiny = name, here, ledger, texts, tiny

    def steps(self) -> dict[str, Step]:
        """Return the steps by name."""
        comparing = self._comparisons
        serving = {
            f"serving, {effort}, {count} together": partial(lambda e, n: comparing().serving(e, n), effort, count)
            for effort, count in (SERVED[:2] if self.tiny else SERVED)
        }
        return {
            "weights": lambda: self._loaded[1],
            "table": lambda: comparing().table(),
            "explanations": lambda: comparing().explanations((4,) if self.tiny else SIZES),
            "training": lambda: comparing().training(2 if self.tiny else 8),
            **serving,
            "table beside captum": lambda: beside_captum(comparing().subject),
            "training beside TRL": lambda: beside_trl(comparing().subject, self._spec()),
        }

    def _spec(self) -> ModelSpec:
        if self.tiny or self._loaded[1].startswith("random"):
            raise LeftOutError("TRL's trainer is given a model's name, and the default model is not at hand")
        return resolve_model(self.name)

    def _comparisons(self) -> Comparisons:
        return self._loaded[0]

    @cached_property
    def _loaded(self) -> tuple[Comparisons, str]:
        release()
        words: Any
        shape = LlamaConfig(**(TINY_SHAPE if self.tiny else SHAPE), pad_token_id=0)
        try:
            if self.tiny:
                raise LeftOutError("--tiny")
            spec = resolve_model(self.name)
            model, words = load_base(spec, torch.float32, str(self.here))
            made_of = spec.public_id
        except SaywhyError as reason:
            model, words = random_model(shape, self.here, torch.float32), tokenizer(2000)
            made_of = f"random, in the shape of SmolLM2-135M, so that replies go on to their end ({reason})"
        budgets = (512,) if self.tiny else BUDGETS
        measured = subject(model, words, self.texts)
        return Comparisons(measured, self.ledger, "default model", 1 if self.tiny else 2, budgets), made_of


@contextmanager
def default_products(here: torch.device) -> Iterator[None]:
    """Multiply as a default run does within: in TF32 on a card that has it; a processor's products stay exact."""
    with products("ieee"):
        if here.type == "cuda":
            choose_precision()
        yield
