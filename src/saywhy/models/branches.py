"""Attention of a packed prefix tree: a branch looks at its own ancestors, and nothing else is computed.

An explicit mask makes attention as costly as the square of the packed sequence, nearly all of it masked out. Here
the keys of each branch's ancestors are gathered instead, branches of like size are stacked, and each stack is one
call of torch's scaled dot-product attention. All other layers see one flat row of tokens without padding.

It hangs on transformers' attention interface, so it serves every model that goes through it; where no packed
sequence is being computed it is plain ``sdpa``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch.nn.functional import embedding, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from saywhy.models.tree import Branch, Ids

NAME = "saywhy_tree"
SLACK = 1.5
"""A stack may hold this many times the query-key pairs that its branches need; a new stack costs a call a layer."""
WINDOW_LEAST = 1024
"""Texts that fit into a sliding window this large see no difference; with a smaller one, trees are not used."""
OTHER_ATTENTION = ("softcap", "s_aux", "position_bias")
"""What a layer may hand to its attention that changes it; only plain attention is meant here."""


class Memory(Protocol):
    """Keys and values that were computed before."""

    def extend(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the new tokens' keys and values, shape (tokens, heads, width); return all, by place."""


@dataclasses.dataclass
class Prefix:
    """A beginning that all trees of a call share: places 0, 1, ... of each layer; the new tokens come behind.

    Attributes:
        ids: Its tokens.
        layers: Keys and values of each layer, shape (tokens, heads, width).
    """

    ids: Ids = ()
    layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = dataclasses.field(default_factory=dict)

    def extend(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the beginning's keys and values with the new ones behind."""
        if layer not in self.layers:
            return keys, values
        before = self.layers[layer]
        return torch.cat([before[0], keys]), torch.cat([before[1], values])


class Recorder:
    """Keeps what passes: how a ``Prefix`` is made."""

    def __init__(self) -> None:
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def extend(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep the keys and values."""
        self.layers[layer] = keys.contiguous(), values.contiguous()
        return keys, values


@dataclasses.dataclass
class _Stack:
    """Branches of like size.

    Attributes:
        queries: Which tokens ask, shape (branches x longest,).
        keys: Which places they may see, shape (branches x most,).
        hidden: What they do not see, shape (branches, longest, most).
        bias: The same as it is added to the scores, made once for all layers.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    hidden: torch.Tensor
    bias: torch.Tensor | None = None


class Plan:
    """Who sees whom among the tokens of one packed sequence.

    Attributes:
        memory: Earlier keys and values, if any.
    """

    def __init__(
        self, branches: Sequence[Branch], places: Sequence[int], memory: Memory | None, device: torch.device
    ) -> None:
        """Stack the branches.

        Args:
            branches: In packed order; ``above`` holds places.
            places: Where each new token's key is kept.
            memory: Earlier keys and values, which ``extend`` completes with the new tokens.
            device: Of the model.
        """
        self.memory = memory
        self.stacks: list[_Stack] = []
        back = torch.empty(len(places), dtype=torch.long)
        done = 0
        for stack in _stacked(branches):
            longest = max(branch.size for branch in stack)
            most = max(branch.size + len(branch.above) for branch in stack)
            queries = torch.zeros(len(stack), longest, dtype=torch.long)
            keys = torch.zeros(len(stack), most, dtype=torch.long)
            for row, branch in enumerate(stack):
                own = range(branch.first, branch.first + branch.size)
                queries[row, : branch.size] = torch.tensor(own)
                seen = [*branch.above, *(places[token] for token in own)]
                keys[row, : len(seen)] = torch.tensor(seen)
                back[own.start : own.stop] = torch.arange(branch.size) + done + row * longest
            done += len(stack) * longest
            above = torch.tensor([len(branch.above) for branch in stack])
            last = above[:, None] + torch.arange(longest)  # the furthest key that each token sees
            hidden = torch.arange(most) > last[..., None]
            self.stacks.append(_Stack(queries.flatten().to(device), keys.flatten().to(device), hidden.to(device)))
        self.back = back.to(device)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
    ) -> torch.Tensor:
        """Return the attention of the packed tokens, shapes (tokens, heads, width)."""
        keys, values = self.memory.extend(layer, key, value) if self.memory else (key, value)
        heads, width, shared = query.shape[1], query.shape[2], keys.shape[1]
        group = heads // shared
        found = []
        for stack in self.stacks:
            count, longest, most = stack.hidden.shape
            # Query heads that share a key head are asked as further rows: keys are not copied for each.
            asked = _gather(query, stack.queries).view(count, longest, shared, group, width)
            asked = asked.permute(0, 2, 3, 1, 4).reshape(count, shared, group * longest, width)
            said = scaled_dot_product_attention(
                asked,
                _gather(keys, stack.keys).view(count, most, shared, width).transpose(1, 2),
                _gather(values, stack.keys).view(count, most, shared, width).transpose(1, 2),
                attn_mask=_bias(stack, group, query.dtype),
                scale=scale,
            )
            said = said.view(count, shared, group, longest, width).permute(0, 3, 1, 2, 4)
            found.append(said.reshape(count * longest, heads, width))
        return _gather(torch.cat(found), self.back)


def _gather(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return ``rows[index]``; an embedding's gradient is added up in parallel, an index's is not."""
    return embedding(index, rows.flatten(1)).view(len(index), *rows.shape[1:])


def _bias(stack: _Stack, group: int, dtype: torch.dtype) -> torch.Tensor:
    if stack.bias is None:
        empty = torch.zeros(stack.hidden.shape, dtype=dtype, device=stack.hidden.device)
        stack.bias = empty.masked_fill_(stack.hidden, torch.finfo(dtype).min).repeat(1, group, 1)[:, None]
    return stack.bias


def _stacked(branches: Sequence[Branch]) -> Iterator[list[Branch]]:
    """Put branches of like size together, largest first, within ``SLACK``."""
    stack: list[Branch] = []
    longest = most = needed = 0
    for branch in sorted(branches, key=lambda one: (-one.size, -len(one.above))):
        all_keys = branch.size + len(branch.above)
        wide = max(most, all_keys)
        if stack and (len(stack) + 1) * longest * wide > SLACK * (needed + branch.size * all_keys):
            yield stack
            stack, longest, most, needed = [], 0, 0, 0
        stack.append(branch)
        longest, most = max(longest, branch.size), max(most, all_keys)
        needed += branch.size * all_keys
    if stack:
        yield stack


_PLAN: ContextVar[Plan | None] = ContextVar("plan", default=None)


@contextmanager
def attending(plan: Plan) -> Iterator[None]:
    """Compute by ``plan`` within."""
    token = _PLAN.set(plan)
    try:
        yield
    finally:
        _PLAN.reset(token)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Answer transformers' attention interface; query, key, value: (batch, heads, tokens, width)."""
    plan = _PLAN.get()
    if plan is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)
    if other := [name for name in OTHER_ATTENTION if more.get(name) is not None]:
        raise ValueError(f"attention with {', '.join(other)}")
    if (span := more.get("sliding_window")) and span < WINDOW_LEAST:
        raise ValueError(f"a sliding window of {span} tokens")
    query, key, value = (states[0].transpose(0, 1) for states in (query, key, value))
    return plan.attend(module.layer_idx, query, key, value, scaling)[None], None


def install(model: PreTrainedModel) -> None:
    """Let ``model`` attend by branches whenever a plan is there."""
    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
