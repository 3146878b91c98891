"""Three ways to the hidden states of a prefix tree; the first that a model really follows is taken.

``branches`` computes each shared token once and attends along branches; ``mask`` does so with an explicit 4D mask,
for models outside transformers' attention interface; ``rows`` computes every prompt by itself, for models whose
layers look at more than a token's ancestors (sliding windows, recurrent layers, custom attention).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, cast

import torch
from transformers import PreTrainedModel

from saywhy.models import branches
from saywhy.models.branches import AttentionPlan, KeyValueRecorder, PrefixCache
from saywhy.models.precision import exact_products
from saywhy.models.quantization import computes_in_bfloat16
from saywhy.models.tree import Branch, TokenIds, Tree, build_tree, padded_batches, tree_batches
from saywhy.progress import say
from saywhy.records import SaywhyError

ForwardWay = Literal["branches", "mask", "rows"]
FORWARD_WAYS: tuple[ForwardWay, ...] = ("branches", "mask", "rows")
MASK_TOKENS = 320
"""Largest tree with an explicit mask: its attention costs the square."""
DEFAULT_CONTEXT = 2048
"""Longest sequence of a model that does not say."""
WAY_TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 0.2}
"""How far (nats) a tree's log-probability may be from the plain prompt's when a way is tried, if logits are small."""
LOGIT_ROUNDINGS = 2
"""So many roundings of the largest logit it may be off besides: a short format rounds by the size of a number."""


def transformer_body(model: PreTrainedModel) -> Any:
    """Return the model without its language head: hidden states are cheaper than logits."""
    base = model.base_model
    return base if base is not model else getattr(model, "model", model)  # some models name no base model


def logits(model: PreTrainedModel, hidden: torch.Tensor) -> torch.Tensor:
    """Return the float32 logits of hidden states, with what a model's own forward pass does behind its head."""
    config = model.config.get_text_config()
    values = cast(Any, model.get_output_embeddings())(hidden).float()
    if scale := getattr(config, "logit_scale", None):  # Cohere
        values = values * scale
    if scale := getattr(config, "lm_head_multiplier", None):  # Falcon-H1
        values = values * scale
    if scale := getattr(config, "logits_scaling", None):  # Granite
        values = values / scale
    if cap := getattr(config, "final_logit_softcapping", None):  # Gemma
        values = torch.tanh(values / cap) * cap
    return cast(torch.Tensor, values)


class Forward:
    """A model's forward pass over trees.

    Attributes:
        model: The transformers model.
        way: How it computes.
        tokens: Tokens computed so far: what an estimate and a benchmark divide by.
        shortened: Within what the layers compute.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        name: str,
        ways: Sequence[ForwardWay] = FORWARD_WAYS,
        *,
        shortened: Callable[[], AbstractContextManager[None]] = nullcontext,
        way: ForwardWay | None = None,
    ) -> None:
        """Find out how ``model`` can compute trees.

        Args:
            model: The model.
            name: What the user called it.
            ways: What may be taken, best first.
            shortened: Within what the layers compute: where their products are shorter than float32's.
            way: The way that was found out before for these weights by these libraries; None: it is tried out.

        Raises:
            SaywhyError: If not even single prompts give what the model itself gives.
        """
        self.model = model
        self.tokens = 0
        self.way: ForwardWay = ways[-1]
        self.shortened: Callable[[], AbstractContextManager[None]] = nullcontext  # a way is tried in exact numbers
        if way == "branches":
            branches.install_tree_attention(model)
        if way:
            self.way = way
        else:
            with exact_products(on_cards=True):
                self._choose(name, ways)
        self.shortened = shortened

    @property
    def context(self) -> int:
        """The longest sequence that is computed exactly, in tokens."""
        config = self.model.config.get_text_config()
        span = attention_window(self.model) if self.way != "rows" else None
        longest = int(getattr(config, "max_position_embeddings", None) or DEFAULT_CONTEXT)
        rope = getattr(config, "rope_parameters", None) or {}
        if rope.get("rope_type") == "longrope":  # beyond it all positions of what is computed together are others
            longest = min(longest, int(rope.get("original_max_position_embeddings") or longest))
        return min(longest, span or 1 << 31)

    def batches(self, sequences: Sequence[TokenIds], budget: int) -> list[list[int]]:
        """Return which sequences are computed together if ``budget`` tokens fit into memory at once."""
        if self.way == "rows":
            return padded_batches(sequences, budget)
        return tree_batches(sequences, min(budget, MASK_TOKENS) if self.way == "mask" else budget)

    def states(self, tree: Tree, prefix: PrefixCache | None = None) -> torch.Tensor:
        """Return the last hidden state of each node, shape (nodes, width).

        Args:
            tree: The prompts, without ``prefix``.
            prefix: What all of them begin with; only ``branches`` takes one.
        """
        if self.way == "branches":
            return self._branches(tree, prefix)
        assert prefix is None
        return self._mask(tree) if self.way == "mask" else self._rows(tree)

    def _branches(self, tree: Tree, prefix: PrefixCache | None) -> torch.Tensor:
        cut = len(prefix.ids) if prefix else 0
        places = range(cut, cut + len(tree.tokens))
        shifted = [
            Branch(branch.first, branch.size, (*range(cut), *(node + cut for node in branch.above)))
            for branch in tree.branches()
        ]
        plan = AttentionPlan(shifted, places, prefix, self.model.device)
        return self.packed(plan, tree.tokens, [depth + cut for depth in tree.depths])

    def packed(self, plan: AttentionPlan, tokens: Sequence[int], depths: Sequence[int]) -> torch.Tensor:
        """Return the hidden states of one packed row of tokens that see each other by ``plan``."""
        self.tokens += len(tokens)
        device = self.model.device
        with branches.attending_by(plan):
            hidden = self._body(
                input_ids=torch.tensor([list(tokens)], device=device),
                position_ids=torch.tensor([list(depths)], device=device),
                # Any 4D mask keeps transformers from making its own; the plan alone decides who sees whom.
                attention_mask=torch.zeros(1, 1, 1, 1, dtype=self.model.dtype, device=device),
            )
        return hidden[0]

    def _body(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states, shape (batch, tokens, width); the head behind them is never shortened."""
        with self.shortened():
            out = transformer_body(self.model)(**inputs, use_cache=False)
        return cast(torch.Tensor, out.last_hidden_state.to(self.model.dtype))

    def _mask(self, tree: Tree) -> torch.Tensor:
        self.tokens += len(tree.tokens)
        device, dtype = self.model.device, self.model.dtype
        hidden = torch.from_numpy(~tree.mask())
        bias = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, torch.finfo(dtype).min)
        hidden_states = self._body(
            input_ids=torch.tensor([tree.tokens], device=device),
            position_ids=torch.tensor([tree.depths], device=device),
            attention_mask=bias[None, None].to(device),
        )
        return hidden_states[0]

    def _rows(self, tree: Tree) -> torch.Tensor:
        longest = max(len(path) for path in tree.paths)
        ids = torch.zeros(len(tree.paths), longest, dtype=torch.long)
        seen = torch.zeros_like(ids)
        places: dict[int, tuple[int, int]] = {}
        for row, path in enumerate(tree.paths):
            ids[row, : len(path)] = torch.tensor([tree.tokens[node] for node in path])
            seen[row, : len(path)] = 1
            for depth, node in enumerate(path):
                places.setdefault(node, (row, depth))
        self.tokens += ids.numel()
        device = self.model.device
        hidden_states = self._body(input_ids=ids.to(device), attention_mask=seen.to(device))
        rows, depths = zip(*(places[node] for node in range(len(tree.tokens))), strict=True)
        return hidden_states[list(rows), list(depths)]

    @torch.inference_mode()
    def prefix(self, ids: TokenIds, before: PrefixCache | None = None) -> PrefixCache:
        """Compute the keys and values of a beginning, of which those of ``before`` are known."""
        cut = len(before.ids) if before else 0
        recorder, places = KeyValueRecorder(before), range(cut, len(ids))
        plan = AttentionPlan([Branch(0, len(places), tuple(range(cut)))], places, recorder, self.model.device)
        self.packed(plan, ids[cut:], places)
        return PrefixCache(ids, recorder.layers)

    @torch.inference_mode()
    def _choose(self, name: str, ways: Sequence[ForwardWay]) -> None:
        """Take the first way that gives what plain prompts give: what ignores a mask must not pass unseen."""
        size = min(self.model.config.get_text_config().vocab_size, 100)
        probe = [tuple(i % size for i in (*range(5, 45), *more)) for more in ((20, 21, 7), (20, 30), (40, 41, 7, 9))]
        before = self.model.config._attn_implementation
        plain = self._plain(probe)
        reasons = []
        for way in ways:
            self.way = way
            if reason := self._objection(plain, probe):
                reasons.append(f"{way}: {reason}")
                self.model.set_attn_implementation(before)
                continue
            if way == "rows" and reasons:
                say(
                    f"model '{name}' takes no prefix tree, so every prompt is computed by itself ({'; '.join(reasons)})"
                )
            elif reasons and branches.NOT_IN_TRANSFORMERS:
                say(f"model '{name}' is computed as a prefix tree with an explicit mask ({'; '.join(reasons)})")
            self.tokens = 0
            return
        raise SaywhyError(f"model '{name}' ({self.model.config.model_type}) cannot be used: {'; '.join(reasons)}")

    def _plain(self, prompts: Sequence[TokenIds]) -> torch.Tensor:
        """Return the model's own logits behind each prompt, shape (prompts, vocabulary)."""
        own = [self.model(input_ids=torch.tensor([ids], device=self.model.device)).logits[0, -1] for ids in prompts]
        return torch.stack(own).float()

    def _objection(self, plain: torch.Tensor, probe: Sequence[TokenIds]) -> str | None:
        """Return why the way at hand cannot be taken; ``plain`` are the logits behind each prompt of ``probe``."""
        span = attention_window(self.model)
        if self.way != "rows" and span is not None and span < branches.LEAST_WINDOW:
            return f"a sliding window of {span} tokens"
        far: list[TokenIds] = []
        try:
            if self.way == "branches":
                branches.install_tree_attention(self.model)
            if self.way == "mask":
                # A foreign attention may hide what is far away in the packed sequence: as far as it can be.
                far = [(*probe[0][:40], *probe[0][first : first + 40]) for first in range(1, MASK_TOKENS // 40)]
                plain = torch.cat([plain, self._plain(far[-1:])])
            tree = build_tree([*far[:-1], *probe, *far[-1:]])
            ends = self.states(tree)[[path[-1] for path in tree.paths[-len(plain) :]]]
            tree_logits = logits(self.model, ends)
        except Exception as error:  # a foreign model may refuse in any way; the reason is told
            return str(error).strip().partition("\n")[0][:120] or type(error).__name__
        off = (torch.log_softmax(tree_logits, -1) - torch.log_softmax(plain, -1)).abs().max().item()
        dtype = torch.bfloat16 if computes_in_bfloat16(self.model) else self.model.dtype
        rounding = torch.finfo(dtype).eps * plain.abs().max().item()
        most = WAY_TOLERANCE.get(dtype, 0.2) + LOGIT_ROUNDINGS * rounding
        return None if off <= most else f"log-probabilities are off by {off:.2g}"


def attention_window(model: PreTrainedModel) -> int | None:
    """Return how many tokens back a token sees where a layer's attention slides, None if none does."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["sliding_attention"])
    span = getattr(config, "sliding_window", None) if kinds != {"full_attention"} else None
    chunk = getattr(config, "attention_chunk_size", None) if "chunked_attention" in kinds else None
    return min((int(width) for width in (span, chunk) if width), default=None)
