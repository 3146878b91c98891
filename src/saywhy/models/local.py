"""A transformers model that answers the three questions of ``protocol.Model`` through the prefix tree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from transformers import DynamicCache, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from saywhy.models.chat import Chat
from saywhy.models.infill import infill
from saywhy.models.protocol import Choice, Copy, Departure, Gap, Tick
from saywhy.models.tree import Ids, Tree, batches, grow, plots, shared_prefix
from saywhy.prompts import Message
from saywhy.records import SaywhyError

PREFIX_LEAST = 8
"""A common beginning of fewer tokens is not worth a pass of its own."""
TREE_TOKENS = 320
"""Chats share a tree up to this size; attention costs its square (measured: 256 to 512 are equally fast)."""


class Scored(NamedTuple):
    """A sequence whose tokens from ``start`` on are to be scored."""

    ids: Ids
    start: int


@dataclass
class Prefix:
    """The keys and values of a beginning that all trees of a call share."""

    ids: Ids
    layers: list[tuple[torch.Tensor, torch.Tensor]]

    def cache(self, rows: int) -> DynamicCache:
        """Return a cache of ``rows`` copies, which a forward pass may write to."""
        return DynamicCache([(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in self.layers])


class LocalModel:
    """A causal language model with a chat template, on one device.

    Attributes:
        name: What the user called it.
        model: The transformers model, in evaluation mode.
        chat: Its tokenizer and template.
        context: The longest sequence it takes, in tokens.
        tokens: Tokens computed so far: what an estimate and a benchmark divide by.
    """

    def __init__(
        self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, token_budget: int = 2048
    ) -> None:
        self.name = name
        self.model = model.eval()
        # Greedy means greedy: a model's folder may ask for penalties, and one on repetition punishes copying.
        self.model.generation_config = GenerationConfig()
        self.chat = Chat(tokenizer, name)
        self.context = int(getattr(model.config, "max_position_embeddings", 2048))
        self.token_budget = token_budget
        self.tokens = 0
        self._check_tree()

    def objections(self, chats: Sequence[list[Message]], room: int) -> list[str | None]:
        """Return why a chat cannot be used: it does not fit the context, or its text would be read as control."""
        control = [token for token in self.chat.tokenizer.all_special_tokens if token.strip()]
        lengths = [len(ids) for ids in self.chat.ids([self.chat.open(chat) for chat in chats])]
        return [
            "longer than the model's context"
            if length + room > self.context
            else "holds a control token of the model"
            if any(token in turn["content"] for turn in chat for token in control)
            else None
            for chat, length in zip(chats, lengths, strict=True)
        ]

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Return log P(option), and of the turn's end where asked, for each option of each choice."""
        groups = []
        for choice in choices:
            rendered = self.chat.open(choice.messages) + choice.prefix
            blank = " " if choice.prefix else ""
            head, whole = self.chat.continuations(rendered, [blank + option for option in choice.options])
            end = self.chat.ender[:1] if choice.ends else ()
            groups.append([Scored(ids + end, len(head)) for ids in whole])
        return [tuple(sum(scores) for scores in group) for group in self.score(groups, tick)]

    def depart(self, copies: Sequence[Copy], tick: Tick | None = None) -> list[tuple[Departure, ...]]:
        """Return how likely each edit of each copy is to begin, and to go on to the inserted word's end."""
        groups = [self._departures(copy) for copy in copies]
        scored = self.score(groups, tick)
        return [
            tuple(
                Departure(begins=inserted[0], stays=stays[0], inserted=sum(inserted))
                for stays, inserted in zip(scores[::2], scores[1::2], strict=True)
            )
            for scores in scored
        ]

    def _departures(self, copy: Copy) -> list[Scored]:
        """Return two sequences an edit: the copy's token where the edit departs, the edit to its word's end."""
        rendered = self.chat.open(copy.messages)
        texts = [rendered + copy.text + "\n", *(rendered + edit.text + "\n" for edit in copy.edits)]
        (stay, _), *edited = self.chat.ids_and_offsets(texts)
        pairs = []
        for edit, (ids, offsets) in zip(copy.edits, edited, strict=True):
            fork = next(i for i, (a, b) in enumerate(zip(stay, ids, strict=False)) if a != b)
            until = len(rendered) + edit.until
            last = max(fork, *(i for i, (start, _) in enumerate(offsets) if start < until))
            pairs += [Scored(stay[: fork + 1], fork), Scored(ids[: last + 1], fork)]
        return pairs

    def score(self, groups: Sequence[Sequence[Scored]], tick: Tick | None = None) -> list[list[list[float]]]:
        """Return the log-probability (nats) of each token from ``start`` on, for each sequence of each group.

        The sequences of a group share one tree; what all groups share is computed once.
        """
        # The last token of a sequence predicts nothing that is asked for: it is scored, not computed.
        trunks = [[item.ids[:-1] for item in group] for group in groups]
        # The beginning that all share must not reach into what is scored.
        reach = min((item.start for group in groups for item in group), default=0) - 1
        prefix = self._prefix(shared_prefix([ids for group in trunks for ids in group])[: max(0, reach)])
        cut = len(prefix.ids) if prefix else 0
        tails = [[ids[cut:] for ids in group] for group in trunks]
        merged = plots(tails, TREE_TOKENS)
        trees = [grow([ids for i in plot for ids in tails[i]]) for plot in merged]
        scores: list[list[list[float]]] = [[] for _ in groups]
        for batch in batches([len(tree.tokens) for tree in trees], self.token_budget):
            asked = [[item for i in merged[b] for item in groups[i]] for b in batch]
            for b, values in zip(batch, self._score_batch(asked, [trees[b] for b in batch], prefix), strict=True):
                found = iter(values)
                for i in merged[b]:
                    scores[i] = [next(found) for _ in groups[i]]
            if tick:
                tick(sum(len(merged[b]) for b in batch))
        return scores

    @torch.inference_mode()
    def _prefix(self, ids: Ids) -> Prefix | None:
        """Compute the keys and values of ``ids`` once; None where it is not worth it."""
        if len(ids) < PREFIX_LEAST:
            return None
        self.tokens += len(ids)
        cache = DynamicCache(config=self.model.config)
        body(self.model)(input_ids=self._tensor([ids]), past_key_values=cache, use_cache=True)
        return Prefix(ids, [(layer.keys, layer.values) for layer in cast(Iterable[Any], cache.layers)])

    @torch.inference_mode()
    def _score_batch(
        self, groups: Sequence[Sequence[Scored]], trees: Sequence[Tree], prefix: Prefix | None
    ) -> list[list[list[float]]]:
        cut = len(prefix.ids) if prefix else 0
        hidden = self.hidden(trees, prefix)
        self.tokens += sum(len(tree.tokens) for tree in trees)
        wanted: dict[tuple[int, int], int] = {}
        asks: list[tuple[int, int]] = []
        for row, (group, tree) in enumerate(zip(groups, trees, strict=True)):
            for item, path in zip(group, tree.paths, strict=True):
                for at in range(item.start, len(item.ids)):
                    slot = wanted.setdefault((row, path[at - 1 - cut]), len(wanted))
                    asks.append((slot, item.ids[at]))
        rows, nodes = zip(*wanted, strict=True)
        values = iter(self._log_probs(hidden[list(rows), list(nodes)], asks))
        return [[[next(values) for _ in item.ids[item.start :]] for item in group] for group in groups]

    def hidden(self, trees: Sequence[Tree], prefix: Prefix | None) -> torch.Tensor:
        """Return the last hidden states of packed trees, shape (trees, longest tree, width)."""
        cut = len(prefix.ids) if prefix else 0
        ids, positions, mask = pack(trees, cut, self._pad, self.model.dtype)
        return cast(
            torch.Tensor,
            body(self.model)(
                input_ids=ids.to(self.model.device),
                attention_mask=mask.to(self.model.device),
                position_ids=positions.to(self.model.device),
                past_key_values=prefix.cache(len(trees)) if prefix else None,
                use_cache=prefix is not None,
            ).last_hidden_state,
        )

    def _log_probs(self, hidden: torch.Tensor, asks: Sequence[tuple[int, int]], step: int = 512) -> list[float]:
        """Return log P(token) for (row of ``hidden``, token) pairs; logits are made ``step`` rows at a time."""
        head = self.model.get_output_embeddings()
        found = torch.empty(len(asks))
        slots = torch.tensor([slot for slot, _ in asks])
        tokens = torch.tensor([token for _, token in asks])
        for first in range(0, len(hidden), step):
            logits = head(hidden[first : first + step]).float().cpu()
            mine = (slots >= first) & (slots < first + step)
            norm = torch.logsumexp(logits, -1)
            found[mine] = logits[slots[mine] - first, tokens[mine]] - norm[slots[mine] - first]
        return cast(list[float], found.tolist())

    def infill(self, gaps: Sequence[Gap], count: int) -> list[tuple[str, ...]]:
        """Return the likeliest whole words for each gap."""
        return infill(self, gaps, count, TREE_TOKENS)

    @torch.inference_mode()
    def generate(
        self, chats: Sequence[list[Message]], max_new_tokens: Sequence[int], tick: Tick | None = None
    ) -> list[str]:
        """Return the greedy reply to each chat; long prompts first, batches within the token budget."""
        ids = self.chat.ids([self.chat.open(messages) for messages in chats])
        replies = [""] * len(chats)
        room = [len(prompt) + most for prompt, most in zip(ids, max_new_tokens, strict=True)]
        for batch in batches(room, 3 * self.token_budget):
            longest = max(len(ids[i]) for i in batch)
            padded = [[self._pad] * (longest - len(ids[i])) + list(ids[i]) for i in batch]
            seen = [[0] * (longest - len(ids[i])) + [1] * len(ids[i]) for i in batch]
            out = self.model.generate(
                input_ids=self._tensor(padded),
                attention_mask=self._tensor(seen),
                max_new_tokens=max(max_new_tokens[i] for i in batch),
                do_sample=False,
                eos_token_id=self.chat.ender[0],
                pad_token_id=self._pad,
            )
            for i, row in zip(batch, out[:, longest:].tolist(), strict=True):
                # A row's own limit, not the batch's: the reply must not depend on its neighbours.
                replies[i] = self.chat.reply(until(row, self.chat.ender[0])[: max_new_tokens[i]])
            self.tokens += int(out.numel())
            if tick:
                tick(len(batch))
        return replies

    @property
    def _pad(self) -> int:
        pad = self.chat.tokenizer.pad_token_id
        return cast(int, pad if pad is not None else self.chat.ender[0])

    def _tensor(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        return torch.tensor([list(row) for row in ids], device=self.model.device)

    @torch.inference_mode()
    def _check_tree(self) -> None:
        """Compare a small tree with plain prompts: a model that ignores a 4D mask must not pass unseen."""
        size = min(self.model.config.get_text_config().vocab_size, 100)
        shared = tuple(i % size for i in range(5, 17))
        prompts = [Scored((*shared, a % size, b % size, 7), 14) for a, b in ((20, 21), (20, 30), (40, 41))]
        [tree] = self.score([prompts])
        for item, scores in zip(prompts, tree, strict=True):
            logits = self.model(input_ids=self._tensor([item.ids[:-1]]), use_cache=False).logits[0, -1].float()
            plain = torch.log_softmax(logits, -1)[item.ids[-1]].item()
            if abs(plain - scores[0]) > (1e-3 if self.model.dtype == torch.float32 else 0.1):
                raise SaywhyError(
                    f"model '{self.name}' ({self.model.config.model_type}) does not support the prefix tree: "
                    f"log-probability {scores[0]:.4f} instead of {plain:.4f}; use a model with plain attention"
                )
        self.tokens = 0


def body(model: Any) -> Any:
    """Return the model without its language head: hidden states are cheaper than logits."""
    return model.base_model if not hasattr(model, "peft_config") else model.get_base_model().base_model


def until(ids: Sequence[int], end: int) -> list[int]:
    """Return ``ids`` before the first ``end``."""
    row = list(ids)
    return row[: row.index(end)] if end in row else row


def pack(
    trees: Sequence[Tree], cut: int, pad: int, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pad trees into one batch: ids, positions (rows, n) and the additive mask (rows, 1, n, cut + n).

    ``cut`` is the length of a prefix that every token sees. A padded place sees itself, so that no row of the
    attention is empty.
    """
    rows, longest = len(trees), max(len(tree.tokens) for tree in trees)
    ids = torch.full((rows, longest), pad)
    positions = torch.zeros((rows, longest), dtype=torch.long)
    seen = torch.eye(longest, dtype=torch.bool).repeat(rows, 1, 1)
    for row, tree in enumerate(trees):
        size = len(tree.tokens)
        ids[row, :size] = torch.tensor(tree.tokens)
        positions[row, :size] = torch.tensor(tree.depths) + cut
        seen[row, :size, :size] = torch.from_numpy(tree.mask())
    seen = torch.cat([torch.ones(rows, longest, cut, dtype=torch.bool), seen], -1)
    return (
        ids,
        positions,
        torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)[:, None],
    )
