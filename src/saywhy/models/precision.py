"""Number format and device, chosen once, with the reason that the reports print."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from saywhy import processes
from saywhy.records import SaywhyError

KEPT_PRIMITIVES = 64
"""Matrix products that oneDNN, and torch before it, keep ready, one a shape; a forward pass needs fewer.

Trees have thousands of shapes. Audits of 40 and 160 texts by a tiny model take 597 and 609 MB; with a thousand products
kept, as by default, 1,052 and 1,338 MB, in the same time.
"""

for _capacity in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_capacity, str(KEPT_PRIMITIVES))  # read at the first product


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
        precision: ``mixed`` is float32 weights and sums with shorter products, where torch makes them: it does on
            cards (TF32) and on CPUs with AMX (bfloat16), and some verdicts differ from float32's
            (benchmarks/RESULTS.md, *The noise floor of number formats*); ``auto`` is the same; ``float32``;
            ``bfloat16`` is bfloat16 throughout; ``autocast``, for lessons and training, is mixed with sums that are
            rounded, too: twice as fast on bfloat16 units, while log-odds move by 0.02 nats on average.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and processes.world_size() > 1:
        torch.cuda.set_device(processes.local_rank())  # from here on "cuda" is the card of this process
    mixed = precision in ("mixed", "auto") and (device == "cuda" or shortens_products())
    torch.backends.mkldnn.matmul.fp32_precision = "bf16" if mixed else "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "tf32" if mixed else "ieee"
    if precision == "autocast" and has_bfloat16_units():
        reason = "asked for: products take and give bfloat16, weights and the head stay float32"
        return Precision(torch.float32, device, "bfloat16", reason, autocast=True)
    if precision == "bfloat16":
        return Precision(torch.bfloat16, device, "bfloat16", "asked for; some verdicts differ from float32's")
    if not mixed:
        return Precision(torch.float32, device, "float32", _WHY_FLOAT32[precision])
    if device == "cuda":
        return Precision(torch.float32, device, "TF32", "fast on this device; weights and sums stay float32")
    reason = "torch multiplies in bfloat16 on this CPU; weights and sums stay float32"
    return Precision(torch.float32, device, "bfloat16", reason)


def vllm_precision(precision: str = "auto") -> Precision:
    """Choose device and number format of a model that vLLM computes: all of it is float32, or bfloat16.

    Args:
        precision: ``auto`` is bfloat16 on a card, for which vLLM's attention is made, and float32 on a CPU.

    Raises:
        SaywhyError: For ``mixed``.
    """
    if precision == "mixed":
        raise SaywhyError("precision=mixed: vLLM computes in one number format: give float32 or bfloat16")
    card = torch.cuda.is_available()
    chosen = choose_precision("bfloat16" if precision == "bfloat16" or (precision == "auto" and card) else "float32")
    if precision != "auto":
        return chosen
    reason = "what vLLM is made for; some verdicts differ from float32's" if card else "vLLM on a CPU"
    return replace(chosen, reason=reason)


_WHY_FLOAT32 = {
    "float32": "asked for",
    "auto": "torch has no shorter products on this CPU",
    "mixed": "mixed was asked for, but torch has no shorter products on this CPU",
    "autocast": "autocast was asked for, but this CPU has no bfloat16 units",
}


@functools.cache
def shortens_products() -> bool:
    """Whether torch multiplies float32 in bfloat16 on this CPU where it may.

    It is tried: with AMX it does, with AVX-512's bfloat16 alone it multiplies in float32 all the same.
    """
    values = torch.linspace(1, 2, 256 * 256).reshape(256, 256)
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = "ieee"
        exact = torch.nn.functional.linear(values, values)
        matmul.fp32_precision = "bf16"
        shortened = torch.nn.functional.linear(values, values)
    finally:
        matmul.fp32_precision = before
    return not torch.allclose(exact, shortened, rtol=1e-5)


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
