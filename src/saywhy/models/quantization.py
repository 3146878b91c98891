"""Base weights in four bits, for models and LoRA trainings that one card holds only so (QLoRA, arXiv 2305.14314)."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import torch

from saywhy.models.spec import ModelSpec
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig


def refuse_quantize(quantize: str | None, spec: ModelSpec) -> None:
    """Refuse four-bit weights where nothing computes them, before any are loaded.

    Raises:
        SaywhyError: With what to install, or the reason.
    """
    if quantize is None:
        return
    if spec.gguf or spec.inner or spec.api or spec.vllm:
        raise SaywhyError(
            f"quantize={quantize}: model='{spec.name}' is not read by transformers from weights as they are (GGUF, an "
            "adapter on an adapter, an API, vLLM): leave quantize out"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise SaywhyError(f"quantize={quantize} needs bitsandbytes: pip install 'saywhy[quantize]'")
    if not torch.cuda.is_available():
        raise SaywhyError(
            f"quantize={quantize}: four-bit weights are computed on a card, and here is none: leave it out"
        )


def four_bits() -> BitsAndBytesConfig:
    """Return how weights are put in four bits: NF4 with quantised scales, products in bfloat16."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def computes_in_bfloat16(model: torch.nn.Module) -> bool:
    """Return whether the products of a model are bfloat16's, whatever the format of its other weights."""
    return bool(getattr(model, "is_loaded_in_4bit", False))
