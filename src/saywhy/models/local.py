"""A transformers model that answers the questions of ``protocol.Model`` through the prefix tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from saywhy.models.branches import Prefix
from saywhy.models.chat import Chat
from saywhy.models.forward import Forward, logits
from saywhy.models.infill import infill
from saywhy.models.interface import Choice, Copy, Departure, Gap, Tick
from saywhy.models.memory import Budget
from saywhy.models.replies import replies
from saywhy.models.tree import Ids, grow, shared_prefix
from saywhy.protocol.prompts import Message
from saywhy.records import SaywhyError

PREFIX_LEAST = 8
"""A common beginning of fewer tokens is not worth a pass of its own."""
PREFIXES = 8
"""Beginnings whose keys are kept: the questions and requests of a run."""


class Scored(NamedTuple):
    """A sequence whose tokens from ``start`` on are to be scored."""

    ids: Ids
    start: int


class LocalModel:
    """A causal language model with a chat template, on one device.

    Attributes:
        name: What the user called it.
        model: The transformers model, in evaluation mode.
        chat: Its tokenizer and template.
        forward: How it computes trees.
        budget: How much it computes at once.
        context: The longest sequence it takes, in tokens.
    """

    def __init__(
        self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, token_budget: int | None = None
    ) -> None:
        self.name = name
        self.model = model.eval()
        # Greedy means greedy: a model's folder may ask for penalties, and one on repetition punishes copying.
        self.model.generation_config = GenerationConfig()
        self.chat = Chat(tokenizer, name)
        self.forward = Forward(model, name)
        self.budget = Budget(model, token_budget)
        self.context = self.forward.context
        self._prefixes: dict[Ids, Prefix] = {}

    @property
    def tokens(self) -> int:
        """Tokens computed so far: what an estimate and a benchmark divide by."""
        return self.forward.tokens

    def objections(self, chats: Sequence[list[Message]], room: int) -> list[str | None]:
        """Return why a chat cannot be used: it does not fit the context, or its text would be read as control."""
        lengths = [len(ids) for ids in self.chat.ids([self.chat.open(chat) for chat in chats])]
        return [
            "longer than the model's context"
            if length + room > self.context
            else "holds a control token of the model"
            if any(token in turn["content"] for turn in chat for token in self.chat.control)
            else None
            for chat, length in zip(chats, lengths, strict=True)
        ]

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Return log P(option), and of the turn's end where asked, for each option of each choice."""
        return self.weigh(choices, (), tick)[0]

    def weigh(
        self, choices: Sequence[Choice], copies: Sequence[Copy], tick: Tick | None = None
    ) -> tuple[list[tuple[float, ...]], list[tuple[Departure, ...]]]:
        """Return what ``choose`` returns and how likely each edit is to begin, and to go on to its word's end."""
        groups = [self._options(choice) for choice in choices] + [self._departures(copy) for copy in copies]
        scored = self.score(groups, tick)
        chosen = [tuple(sum(scores) for scores in group) for group in scored[: len(choices)]]
        gone = [
            tuple(
                Departure(begins=inserted[0], stays=stays[0], inserted=sum(inserted))
                for stays, inserted in zip(group[::2], group[1::2], strict=True)
            )
            for group in scored[len(choices) :]
        ]
        return chosen, gone

    def _options(self, choice: Choice) -> list[Scored]:
        """Return one sequence an option."""
        rendered = self.chat.open(choice.messages) + choice.prefix
        blank = " " if choice.prefix else ""
        head, whole = self.chat.continuations(rendered, [blank + option for option in choice.options])
        end = self.chat.ender[:1] if choice.ends else ()
        return [Scored(ids + end, len(head)) for ids in whole]

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

        What sequences share is computed once; what all of them share is computed once a run.
        """
        items = [item for group in groups for item in group]
        # The last token of a sequence predicts nothing that is asked for: it is scored, not computed.
        trunks = [item.ids[:-1] for item in items]
        self.check(max(map(len, trunks), default=0))
        # The beginning that all share must not reach into what is scored.
        reach = min((item.start for item in items), default=0) - 1
        prefix = self._prefix(shared_prefix(trunks)[: max(0, reach)])
        cut = len(prefix.ids) if prefix else 0
        tails = [ids[cut:] for ids in trunks]
        found: list[list[float]] = [[] for _ in items]
        owner = [number for number, group in enumerate(groups) for _ in group]
        missing = [len(group) for group in groups]

        def compute(batch: list[int]) -> None:
            values = self._score_batch([items[i] for i in batch], [tails[i] for i in batch], prefix)
            for i, scores in zip(batch, values, strict=True):
                found[i] = scores
                missing[owner[i]] -= 1
            if tick and (whole := sum(not missing[owner] for owner in {owner[i] for i in batch})):
                tick(whole)

        self.budget.run(tails, self.forward.plots, compute)
        each = iter(found)
        return [[next(each) for _ in group] for group in groups]

    def check(self, longest: int) -> None:
        """Refuse a chat of ``longest`` tokens if it is more than the context: no model knows what it would say."""
        if longest > self.context:
            raise SaywhyError(
                f"a chat of {longest} tokens is longer than the context of model '{self.name}' ({self.context}): "
                "leave the longest texts out"
            )

    def _prefix(self, shared: Ids) -> Prefix | None:
        """Return the keys and values of ``shared``, or of as much as fits, computed once; None where it is too short.

        They are kept for later calls, as many as are computed at once anyway.
        """
        if len(shared) < PREFIX_LEAST or self.forward.way != "branches":
            return None
        return self.budget.attempt(lambda: self._kept(shared[: self.budget.longest]))

    def _kept(self, ids: Ids) -> Prefix:
        kept = self._prefixes
        if ids not in kept:
            while kept and (len(kept) >= PREFIXES or sum(map(len, kept)) + len(ids) > self.budget.tokens):
                del kept[next(iter(kept))]
            kept[ids] = self.forward.prefix(ids)
        return kept[ids]

    @torch.inference_mode()
    def _score_batch(self, items: Sequence[Scored], tails: Sequence[Ids], prefix: Prefix | None) -> list[list[float]]:
        cut = len(prefix.ids) if prefix else 0
        tree = grow(tails)
        hidden = self.forward.states(tree, prefix)
        wanted: dict[int, int] = {}
        asks = [
            (wanted.setdefault(path[at - 1 - cut], len(wanted)), item.ids[at])
            for item, path in zip(items, tree.paths, strict=True)
            for at in range(item.start, len(item.ids))
        ]
        values = iter(self._log_probs(hidden[list(wanted)], asks))
        return [[next(values) for _ in item.ids[item.start :]] for item in items]

    def _log_probs(self, hidden: torch.Tensor, asks: Sequence[tuple[int, int]], step: int = 512) -> list[float]:
        """Return log P(token) for (row of ``hidden``, token) pairs; logits are made ``step`` rows at a time."""
        found = torch.empty(len(asks))
        slots = torch.tensor([slot for slot, _ in asks])
        tokens = torch.tensor([token for _, token in asks])
        for first in range(0, len(hidden), step):
            values = logits(self.model, hidden[first : first + step]).cpu()
            mine = (slots >= first) & (slots < first + step)
            norm = torch.logsumexp(values, -1)
            found[mine] = values[slots[mine] - first, tokens[mine]] - norm[slots[mine] - first]
        if not found.isfinite().all():
            raise SaywhyError(f"model '{self.name}' gives numbers that are not finite: try precision=float32")
        return cast(list[float], found.tolist())

    def infill(self, gaps: Sequence[Gap], count: int) -> list[tuple[str, ...]]:
        """Return the likeliest whole words for each gap."""
        return infill(self, gaps, count)

    def generate(
        self,
        chats: Sequence[list[Message]],
        max_new_tokens: Sequence[int],
        tick: Tick | None = None,
        *,
        copied: Sequence[str | None] = (),
    ) -> list[str]:
        """Return the greedy reply to each chat; a reply may be drafted from the text that it copies."""
        return replies(self, chats, max_new_tokens, copied or [None] * len(chats), tick)

    def losses(self, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[float | None]:
        """Return the mean loss (nats a token) of the assistant's turns of each chat; None if it has no ids."""
        scored = self.score([self._turns(chat) for chat in chats], tick)
        told = [[value for turn in turns for value in turn] for turns in scored]
        return [-sum(values) / len(values) if values else None for values in told]

    def _turns(self, chat: list[Message]) -> list[Scored]:
        """Return one sequence for each turn of the assistant's; none if the chat cannot be put into ids."""
        try:
            turns = [
                self.chat.turn(chat[: at + 1], f"turn {at + 1}")
                for at, turn in enumerate(chat)
                if turn["role"] == "assistant"
            ]
        except SaywhyError:  # one odd row of foreign data; who asks counts it
            return []
        return [Scored(turn.ids, turn.start) for turn in turns]
