"""Products in bfloat16 from kept copies of the weights: what is between them, and their sums, stays float32.

torch on CPUs makes float32 products on bfloat16 units with AMX only. With a copy of a layer's weight beside it nothing
but the few tokens has to be converted, and twice as many products are made a second on AVX-512's units, too. What
differs from float32: benchmarks/RESULTS.md, *Kept bfloat16 copies*. The head has no copy: torch would round the
logits, which are large, and log-odds would move by 0.045 nats on average instead of 0.013.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch.nn.functional import linear
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from saywhy.models.branches import attending_as_now
from saywhy.models.memory import free_memory
from saywhy.models.precision import Shortening
from saywhy.records import SaywhyError


def shortened_products(model: PreTrainedModel, by: Shortening | None) -> Callable[[], AbstractContextManager[None]]:
    """Return within what the layers of a float32 model are to compute, so that their products are shorter.

    Args:
        model: In float32; with copies its weights may not change any more.
        by: How; None: not at all, or by torch itself.
    """
    if by == "copies":
        keep_copies(model)
        return products_from_copies
    if by == "autocast":
        return lambda: torch.autocast(model.device.type, torch.bfloat16)  # training moves the model
    return nullcontext


_SHORTENED: ContextVar[bool] = ContextVar("shortened", default=False)


@contextmanager
def products_from_copies(*, on: bool = True) -> Iterator[None]:
    """Multiply with the copies within the block, where layers have one; not ``on``: as they always did."""
    token = _SHORTENED.set(on)
    try:
        yield
    finally:
        _SHORTENED.reset(token)


def recompute_alike() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return contexts for a layer's forward pass and for computing it again: as now, by a plan that is gone then.

    The ``context_fn`` of ``torch.utils.checkpoint.checkpoint``, which itself knows of torch's own autocast only.
    """
    return nullcontext(), _alike(attending_as_now(), products_from_copies(on=_SHORTENED.get()))


@contextmanager
def _alike(attending: AbstractContextManager[None], multiplying: AbstractContextManager[None]) -> Iterator[None]:
    with attending, multiplying:
        yield


def keep_copies(model: PreTrainedModel) -> None:
    """Keep a bfloat16 copy of the weight of each linear layer but the head; from here on the weights may not change.

    The copies take half of what the float32 weights take. Gradients flow through the products to the states, which
    is all that a LoRA needs: it is put around these layers and computes in float32.

    Args:
        model: In float32.

    Raises:
        SaywhyError: If the memory does not hold the copies.
    """
    head = model.get_output_embeddings()
    layers = [module for module in model.modules() if isinstance(module, (torch.nn.Linear, Conv1D))]
    layers = [layer for layer in layers if layer is not head]
    needed = sum(layer.weight.numel() for layer in layers) * torch.bfloat16.itemsize
    if needed > free_memory(model.device):
        raise SaywhyError(
            f"the memory does not hold bfloat16 copies of the weights ({needed / 2**30:.1f} GB): free some, or give "
            "precision=float32, which needs none"
        )
    for layer in layers:
        _add_copy(layer)


def _add_copy(layer: Any) -> None:
    weight = layer.weight.T if isinstance(layer, Conv1D) else layer.weight
    copy, exact = weight.detach().to(torch.bfloat16).contiguous(), layer.forward

    def forward(states: torch.Tensor) -> torch.Tensor:
        if not _SHORTENED.get():
            return exact(states)  # type: ignore[no-any-return]
        product = linear(states.to(torch.bfloat16), copy).float()
        return product if layer.bias is None else product + layer.bias

    layer.forward = forward
