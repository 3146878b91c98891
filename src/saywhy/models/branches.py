"""Attention of a packed prefix tree: a branch looks at its own ancestors, and nothing else is computed.

An explicit mask makes attention as costly as the square of the packed sequence, nearly all of it masked out. Here
the keys of each branch's ancestors are gathered instead, branches of like size are stacked, and each stack is one
call of torch's scaled dot-product attention. All other layers see one flat row of tokens without padding.

It is registered with transformers' attention interface, so it serves every model that uses the interface; where no
packed sequence is being computed it is plain ``sdpa``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import embedding, scaled_dot_product_attention
from transformers import PreTrainedModel

from saywhy.models.tree import Branch, TokenIds

try:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask
except ImportError as error:  # another version may call it otherwise: then there are slower ways
    NOT_IN_TRANSFORMERS: str | None = str(error)
else:
    NOT_IN_TRANSFORMERS = None

TREE_ATTENTION = "saywhy_tree"
STACK_SLACK = 1.5
"""A stack may hold this many times the query-key pairs that its branches need; a new stack costs a call a layer."""
MOST_STACKED = 1 << 15
"""Branches of a stack, at most: a card's attention takes a batch of 65,535."""
CARD_KERNELS = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Attention of cards that takes a mask and any shape at once: cuDNN's, which torch prefers on some, makes a plan of its
own for every shape, and the shapes of trees are thousands."""
LEAST_WINDOW = 1024
"""Texts that fit into a sliding window this large see no difference; with a smaller one, trees are not used."""
UNSUPPORTED_ARGUMENTS = ("softcap", "s_aux", "position_bias")
"""Arguments by which a layer changes its attention; only plain attention is computed here."""


class KeyValueMemory(Protocol):
    """Keys and values that were computed before."""

    def extend(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the new tokens' keys and values, shape (tokens, heads, width); return all, by place."""


@dataclasses.dataclass
class PrefixCache:
    """A beginning that all trees of a call share: it takes the places 0, 1, ..., new tokens those behind it.

    Attributes:
        ids: Its tokens.
        layers: Keys and values of each layer, shape (tokens, heads, width).
    """

    ids: TokenIds = ()
    layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = dataclasses.field(default_factory=dict)

    def extend(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the beginning's keys and values with the new ones behind."""
        if layer not in self.layers:
            return keys, values
        before = self.layers[layer]
        return torch.cat([before[0], keys]), torch.cat([before[1], values])


class KeyValueRecorder:
    """Keeps the keys and values of a forward pass, behind those of ``before``; a ``PrefixCache`` is made from them."""

    def __init__(self, before: PrefixCache | None = None) -> None:
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._before = before

    def extend(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep the keys and values, and return all of them."""
        if self._before:
            keys, values = self._before.extend(layer, keys, values)
        self.layers[layer] = keys.contiguous(), values.contiguous()
        return keys, values


@dataclasses.dataclass
class _Stack:
    """Branches of like size.

    Attributes:
        queries: The tokens whose attention is computed, shape (branches x longest,).
        keys: The places that they may see, shape (branches x most,).
        hidden: What they do not see, shape (branches, longest, most).
        bias: The same as it is added to the scores, made once for all layers.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    hidden: torch.Tensor
    bias: torch.Tensor | None = None


class AttentionPlan:
    """Who sees whom among the tokens of one packed sequence.

    Attributes:
        memory: Earlier keys and values, if any.
    """

    def __init__(
        self, branches: Sequence[Branch], places: Sequence[int], memory: KeyValueMemory | None, device: torch.device
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
        outputs = []
        for stack in self.stacks:
            count, longest, most = stack.hidden.shape
            # Query heads that share a key head become further query rows: keys are not copied for each.
            queries = _gather(query, stack.queries).view(count, longest, shared, group, width)
            queries = queries.permute(0, 2, 3, 1, 4).reshape(count, shared, group * longest, width)
            output = _attention(
                queries,
                _gather(keys, stack.keys).view(count, most, shared, width).transpose(1, 2),
                _gather(values, stack.keys).view(count, most, shared, width).transpose(1, 2),
                _stack_bias(stack, group, query.dtype),
                scale,
            )
            output = output.view(count, shared, group, longest, width).permute(0, 3, 1, 2, 4)
            outputs.append(output.reshape(count * longest, heads, width))
        return _gather(torch.cat(outputs), self.back)


def _attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor, scale: float | None
) -> torch.Tensor:
    """Return the attention of a stack, shapes (branches, heads, tokens, width).

    The backward pass of torch's own is slow on CPUs for sequences as short as ours: a fourth of a training step
    (measured with torch.profiler). Products and a softmax, written out, take a tenth.
    """
    if queries.device.type != "cpu" or not queries.requires_grad:
        return scaled_dot_product_attention(queries, keys, values, attn_mask=bias, scale=scale)
    scores = queries @ keys.transpose(-1, -2) * (scale or queries.shape[-1] ** -0.5) + bias
    return torch.softmax(scores.float(), -1).to(values.dtype) @ values


def _gather(rows: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return ``rows[index]``; an embedding's gradient is added up in parallel, an index's is not."""
    return embedding(index, rows.flatten(1)).view(len(index), *rows.shape[1:])


def _stack_bias(stack: _Stack, group: int, dtype: torch.dtype) -> torch.Tensor:
    if stack.bias is None:
        empty = torch.zeros(stack.hidden.shape, dtype=dtype, device=stack.hidden.device)
        stack.bias = empty.masked_fill_(stack.hidden, torch.finfo(dtype).min).repeat(1, group, 1)[:, None]
    return stack.bias


def _stacked(branches: Sequence[Branch]) -> Iterator[list[Branch]]:
    """Put branches of like size together, largest first, within ``STACK_SLACK``."""
    stack: list[Branch] = []
    longest = most = needed = 0
    for branch in sorted(branches, key=lambda branch: (-branch.size, -len(branch.above))):
        all_keys = branch.size + len(branch.above)
        wide = max(most, all_keys)
        is_slack = (len(stack) + 1) * longest * wide > STACK_SLACK * (needed + branch.size * all_keys)
        if stack and (is_slack or len(stack) == MOST_STACKED):
            yield stack
            stack, longest, most, needed = [], 0, 0, 0
        stack.append(branch)
        longest, most = max(longest, branch.size), max(most, all_keys)
        needed += branch.size * all_keys
    if stack:
        yield stack


_CURRENT_PLAN: ContextVar[AttentionPlan | None] = ContextVar("plan", default=None)


@contextmanager
def attending_by(plan: AttentionPlan | None) -> Iterator[None]:
    """Compute attention by ``plan`` within the block; by None as transformers does."""
    token = _CURRENT_PLAN.set(plan)
    try:
        with sdpa_kernel(CARD_KERNELS) if plan and plan.back.device.type == "cuda" else nullcontext():
            yield
    finally:
        _CURRENT_PLAN.reset(token)


def attending_as_now() -> AbstractContextManager[None]:
    """Return a block within which attention is computed as it is now, whenever it is entered."""
    return attending_by(_CURRENT_PLAN.get())


def _tree_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers' interface calls it; query, key, value: (batch, heads, tokens, width)."""
    plan = _CURRENT_PLAN.get()
    if plan is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **more)
    if unsupported := [name for name in UNSUPPORTED_ARGUMENTS if more.get(name) is not None]:
        raise ValueError(f"attention with {', '.join(unsupported)}")
    if (span := more.get("sliding_window")) and span < LEAST_WINDOW:
        raise ValueError(f"a sliding window of {span} tokens")
    query, key, value = (states[0].transpose(0, 1) for states in (query, key, value))
    return plan.attend(module.layer_idx, query, key, value, scaling)[None], None


def install_tree_attention(model: PreTrainedModel) -> None:
    """Let ``model`` attend by branches whenever a plan is there.

    Raises:
        ImportError: If this version of transformers has no such attention interface.
    """
    if NOT_IN_TRANSFORMERS:
        raise ImportError(NOT_IN_TRANSFORMERS)
    AttentionInterface.register(TREE_ATTENTION, _tree_attention)
    AttentionMaskInterface.register(TREE_ATTENTION, sdpa_mask)
    model.set_attn_implementation(TREE_ATTENTION)
