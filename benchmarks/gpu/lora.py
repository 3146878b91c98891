"""A LoRA on all linear layers but the head: PEFT's where it is installed, else the same few lines here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from benchmarks.gpu.card import is_there

RANK = 16


class LowRank(torch.nn.Module):
    """A linear layer with a trained product of two low matrices added to it, alpha twice the rank; it begins as 0."""

    def __init__(self, base: torch.nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        weight = base.weight.detach()
        down = torch.empty(rank, base.in_features, device=weight.device).uniform_(-1, 1) / rank
        self.down = torch.nn.Parameter(down)
        self.up = torch.nn.Parameter(torch.zeros(base.out_features, rank, device=weight.device))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the layer's product with the added one; ``states``: (..., in features)."""
        added = torch.nn.functional.linear(torch.nn.functional.linear(states.to(self.down.dtype), self.down), self.up)
        output: torch.Tensor = self.base(states) + (2 * added).to(states.dtype)
        return output


@contextmanager
def lora(model: PreTrainedModel, rank: int = RANK) -> Iterator[list[torch.nn.Parameter]]:
    """Put a LoRA on ``model`` within; yield its parameters. Nothing else of the model is trained."""
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    model.requires_grad_(False)
    take_off = _put_on_pefts(model, rank) if is_there("peft") else _put_on_own(model, rank)
    try:
        yield [weight for weight in model.parameters() if weight.requires_grad]
    finally:
        take_off()
        for name, weight in model.named_parameters():
            weight.requires_grad_(name in trained)


def _put_on_pefts(model: PreTrainedModel, rank: int) -> Callable[[], object]:
    """Put PEFT's LoRA on ``model``; return what takes it off."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted: Any = get_peft_model(model, config)
    return cast(Callable[[], object], adapted.unload)


def _put_on_own(model: PreTrainedModel, rank: int) -> Callable[[], object]:
    """Put our own LoRA on ``model``; return what takes it off."""
    layers = _linear_layers(model)
    for parent, name, layer in layers:
        setattr(parent, name, LowRank(layer, rank))

    def take_off() -> None:
        for parent, name, layer in layers:
            setattr(parent, name, layer)

    return take_off


def _linear_layers(model: PreTrainedModel) -> list[tuple[torch.nn.Module, str, torch.nn.Linear]]:
    """Return each linear layer but the head, with its parent and its name there."""
    head = model.get_output_embeddings()
    return [
        (parent, name, layer)
        for parent in model.modules()
        for name, layer in parent.named_children()
        if isinstance(layer, torch.nn.Linear) and layer is not head
    ]
