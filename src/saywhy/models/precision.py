"""Number format and device, chosen once, with the reason that the reports print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Precision:
    """The choice.

    Attributes:
        dtype: Of the weights.
        device: Where they are.
        products: Format of the matrix products.
        reason: Why, in words.
    """

    dtype: torch.dtype
    device: str
    products: str
    reason: str


def choose() -> Precision:
    """Choose for this machine, and set torch up for it."""
    if torch.cuda.is_available():
        return Precision(torch.bfloat16, "cuda", "bfloat16", "a CUDA device is there")
    if _has_bfloat16_units():
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
        return Precision(
            torch.float32,
            "cpu",
            "bfloat16",
            "this CPU multiplies bfloat16 in hardware; weights and sums stay float32",
        )
    return Precision(torch.float32, "cpu", "float32", "this CPU has no bfloat16 units")


@contextmanager
def exact() -> Iterator[None]:
    """Multiply in float32 within: bfloat16 products on a CPU are for the forward pass only, not for training."""
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def _has_bfloat16_units() -> bool:
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)
    amx = bool(check()) if check else False
    avx = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return amx or (bool(avx()) if avx else False)
