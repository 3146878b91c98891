"""Number format and device, chosen once, with the reason that the reports print."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import thread_time
from timeit import timeit
from typing import Any, Literal

import torch
from torch.nn.functional import linear

from saywhy import processes
from saywhy.records import SaywhyError

KEPT_PRIMITIVES = 64
"""Matrix products that oneDNN, and torch before it, keep ready, one a shape; a forward pass needs fewer.

Trees have thousands of shapes. Audits of 40 and 160 texts by a tiny model take 597 and 609 MB; with a thousand products
kept, as by default, 1,052 and 1,338 MB, in the same time.
"""

LEAST_WIDTH = 256
"""In narrower layers converting the states takes as long as the products."""
LEAST_GAIN = 1.25
"""So many times faster products from bfloat16 copies must be for ``auto`` to take them."""
WIDEST_TIMED, TIMED_TOKENS, TIMED_ROUNDS = 768, 128, 6
"""What is timed: layers of at most this width, so many tokens, so often."""

for _capacity in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    os.environ.setdefault(_capacity, str(KEPT_PRIMITIVES))  # read at the first product


Shortening = Literal["copies", "autocast"]
"""How products get shorter than the weights: from kept copies (``models.copies``), or as ``torch.autocast`` has it."""


@dataclass(frozen=True, slots=True)
class Precision:
    """The number formats and the device of a model.

    Attributes:
        dtype: Of the weights.
        device: Where they are.
        products: Format of the matrix products.
        reason: Why, in words.
        shortened_by: How products get shorter than the weights; None: not at all, or by torch itself.
    """

    dtype: torch.dtype
    device: str
    products: str
    reason: str
    shortened_by: Shortening | None = None


def choose_precision(precision: str = "auto", width: int | None = None) -> Precision:
    """Choose device and number formats for this machine and a model, and set torch up for them.

    Args:
        precision: ``mixed`` is float32 weights and sums with shorter products: TF32 on cards, bfloat16 on CPUs with
            units for it, where some verdicts differ from float32's (benchmarks/RESULTS.md, *The noise floor of number
            formats*); ``auto`` is the same where it is faster; ``float32``; ``bfloat16`` is bfloat16 throughout;
            ``autocast``, for lessons and training, is mixed on CPUs, on cards with sums that are rounded, too.
        width: Of the model's hidden states; None: as wide as it takes for shorter products to be faster.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and processes.world_size() > 1:
        _take_own_card()
    is_mixed = precision in ("mixed", "auto")
    by_torch = is_mixed and (multiplies_in_tf32() if device == "cuda" else shortens_products())
    torch.backends.mkldnn.matmul.fp32_precision = "bf16" if by_torch else "ieee"  # type: ignore[attr-defined]
    torch.backends.cuda.matmul.fp32_precision = "tf32" if by_torch else "ieee"
    if precision == "bfloat16":
        return Precision(torch.bfloat16, device, "bfloat16", "asked for; some verdicts differ from float32's")
    if precision == "autocast" and device == "cuda" and has_bfloat16_units():
        reason = "asked for: products take and give bfloat16, weights and the head stay float32"
        return Precision(torch.float32, device, "bfloat16", reason, "autocast")
    if by_torch and device == "cuda":
        return Precision(torch.float32, device, "TF32", "fast on this device; weights and sums stay float32")
    with_copies = device == "cpu" and precision in ("mixed", "autocast", "auto") and has_bfloat16_units()
    if with_copies and (precision != "auto" or copies_are_faster(width or LEAST_WIDTH)):
        reason = "asked for" if precision != "auto" else "faster on this CPU"
        reason += ": a bfloat16 copy of the layers' weights is kept; weights, sums and the head stay float32"
        return Precision(torch.float32, device, "bfloat16", reason, "copies")
    if by_torch:
        reason = "torch multiplies in bfloat16 on this CPU; weights and sums stay float32"
        return Precision(torch.float32, device, "bfloat16", reason)
    reason = _WHY_FLOAT32[precision].format("card" if device == "cuda" else "CPU")
    if precision == "auto" and with_copies:
        reason = "shorter products are no faster with layers this narrow on this CPU"
    return Precision(torch.float32, device, "float32", reason)


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
    "auto": "this {} has no units for shorter products",
    "mixed": "mixed was asked for, but this {} has no units for shorter products",
    "autocast": "autocast was asked for, but this {} has no bfloat16 units",
}


def _take_own_card() -> None:
    """Let "cuda" be the card of this process from here on.

    Raises:
        SaywhyError: If there are fewer cards here than processes.
    """
    cards = torch.cuda.device_count()
    if processes.local_rank() >= cards:
        raise SaywhyError(
            f"{processes.local_world_size()} processes were started here, which see {cards} graphics cards (of one in "
            "parts, MIG, a single part): start as many processes as there are cards"
        )
    torch.cuda.set_device(processes.local_rank())


def multiplies_in_tf32() -> bool:
    """Whether this process's card has TF32 products; those before Ampere have not."""
    return torch.cuda.get_device_capability() >= (8, 0)


@functools.cache
def copies_are_faster(width: int) -> bool:
    """Whether products from bfloat16 copies are faster than torch's own of float32, in layers of this width.

    Both are timed in turn on one thread, some 50 ms in all, in seconds of the processor; the fastest of each counts.
    Other work on the machine hardly changes these, and where units help they halve the time, so that the answer is the
    same from one start to the next.
    """
    if width < LEAST_WIDTH:
        return False
    side = min(width, WIDEST_TIMED)
    states, weight = torch.ones(TIMED_TOKENS, side), torch.ones(side, side)
    copy = weight.to(torch.bfloat16)
    exact, shortened = [], []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(TIMED_ROUNDS):
                exact.append(timeit(lambda: linear(states, weight), timer=thread_time, number=1))
                shortened.append(
                    timeit(lambda: linear(states.to(torch.bfloat16), copy).float(), timer=thread_time, number=1)
                )
    finally:
        torch.set_num_threads(threads)
    return min(exact) > LEAST_GAIN * min(shortened)


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
def exact_products(*, on_cards: bool = False) -> Iterator[None]:
    """Multiply in float32 within: bfloat16 products on a CPU are for the forward pass only, not for training.

    Args:
        on_cards: Whether cards do, too; TF32, which rounds less, is for training as well.
    """
    cpu: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    formats = [cpu, torch.backends.cuda.matmul] if on_cards else [cpu]
    before = [products.fp32_precision for products in formats]
    try:
        for products in formats:
            products.fp32_precision = "ieee"
        yield
    finally:
        for products, precision in zip(formats, before, strict=True):
            products.fp32_precision = precision


def has_bfloat16_units() -> bool:
    """Whether bfloat16 products are fast here: on a card, or a CPU with AMX or AVX-512's bfloat16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    check = getattr(torch.cpu, "_is_amx_tile_supported", None)
    amx = bool(check()) if check else False
    avx = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return amx or (bool(avx()) if avx else False)
