"""Number format and device, chosen once, with the reason that the reports print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from saywhy import processes


@dataclass(frozen=True, slots=True)
class Precision:
    """The number formats and the device of a model.

    Attributes:
        dtype: Of the weights.
        device: Where they are.
        products: Format of the matrix products.
        reason: Why, in words.
        autocast: Whether products take and give bfloat16, as ``torch.autocast`` has it.
    """

    dtype: torch.dtype
    device: str
    products: str
    reason: str
    autocast: bool = False


def choose_precision(precision: str = "auto") -> Precision:
    """Choose device and number formats for this machine, and set torch up for them.

    Args:
        precision: ``auto`` takes the fastest that gives float32's verdicts (benchmarks/RESULTS.md, *The noise floor of
            number formats*); ``float32``; ``mixed`` is float32 weights and sums with shorter products; ``bfloat16`` is
            bfloat16 throughout; ``autocast``, for lessons and training, is mixed with sums that are rounded, too:
            twice as fast on bfloat16 units, while log-odds move by 0.02 nats on average.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and processes.world_size() > 1:
        torch.cuda.set_device(processes.local_rank())  # from here on "cuda" is the card of this process
    able = has_bfloat16_units()
    mixed = precision == "mixed" or (precision == "auto" and able)
    torch.backends.mkldnn.matmul.fp32_precision = "bf16" if mixed else "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "tf32" if mixed else "ieee"
    if precision == "autocast" and able:
        reason = "asked for: products take and give bfloat16, weights and the head stay float32"
        return Precision(torch.float32, device, "bfloat16", reason, autocast=True)
    if precision == "bfloat16":
        return Precision(torch.bfloat16, device, "bfloat16", "asked for; some verdicts differ from float32's")
    if not mixed:
        reason = "asked for" if precision == "float32" else "this CPU has no bfloat16 units"
        return Precision(torch.float32, device, "float32", reason)
    if not able:
        return Precision(torch.float32, device, "float32", "mixed was asked for, but this CPU has no bfloat16 units")
    if device == "cuda":
        return Precision(torch.float32, device, "TF32", "fast on this device; weights and sums stay float32")
    reason = "this CPU multiplies bfloat16 in hardware; weights and sums stay float32"
    return Precision(torch.float32, device, "bfloat16", reason)


@contextmanager
def exact_products() -> Iterator[None]:
    """Multiply in float32 within: bfloat16 products on a CPU are for the forward pass only, not for training."""
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        matmul.fp32_precision = before


def has_bfloat16_units() -> bool:
    """Whether bfloat16 products are fast here: on a card, or a CPU with AMX or AVX-512's bfloat16."""
    if torch.cuda.is_available():
        return True
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)
    amx = bool(check()) if check else False
    avx = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return amx or (bool(avx()) if avx else False)
