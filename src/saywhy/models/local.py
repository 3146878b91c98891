"""A transformers model that answers the questions of ``interface.Model`` through the prefix tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import cast

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from saywhy.models.branches import PrefixCache
from saywhy.models.chat import Chat
from saywhy.models.forward import Forward, logits
from saywhy.models.guided import guided_replies
from saywhy.models.infill import infill
from saywhy.models.interface import QUESTIONS, Choice, Copy, Departure, Gap, Guide, Question, Reply, Sampling, Tick
from saywhy.models.memory import NotFiniteError, TokenBudget
from saywhy.models.replies import written_replies
from saywhy.models.scoring import losses_by, objections_by, refuse_longer, weigh_by
from saywhy.models.sequences import ScoredSequence
from saywhy.models.tree import TokenIds, build_tree, shared_prefix
from saywhy.protocol.prompts import Message

LEAST_PREFIX = 8
"""A common beginning of fewer tokens is not worth a pass of its own."""
KEPT_PREFIXES = 8
"""How many beginnings have their keys kept: the questions and requests of a run."""


class LocalModel:
    """A causal language model with a chat template, on one device.

    Attributes:
        name: What the user called it.
        answers: Every question.
        model: The transformers model, in evaluation mode.
        chat: Its tokenizer and template.
        forward: How it computes trees.
        budget: How much it computes at once.
        context: The longest sequence it takes, in tokens.
    """

    answers: frozenset[Question] = QUESTIONS

    def __init__(
        self,
        name: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        token_budget: int | None = None,
        *,
        shortened: Callable[[], AbstractContextManager[None]] = nullcontext,
        forward: Forward | None = None,
    ) -> None:
        self.name = name
        self.model = model.eval()
        # Plain decoding only: a model's folder may set penalties, and one on repetition punishes copying.
        self.model.generation_config = GenerationConfig()
        self.chat = Chat(tokenizer, name)
        self.forward = forward or Forward(model, name, shortened=shortened)
        self.budget = TokenBudget(model, token_budget)
        self.context = self.forward.context
        self._prefixes: dict[TokenIds, PrefixCache] = {}
        self._beginnings: list[TokenIds] = []

    @property
    def tokens(self) -> int:
        """Tokens computed so far: what an estimate and a benchmark divide by."""
        return self.forward.tokens

    def keep_beginning(self, chats: Sequence[list[Message]], *, of_text: bool = False) -> None:
        """Compute what ``chats`` begin with once, and from now on no other beginning by itself.

        For calls that bring one text each. What their prompts share is then one of two beginnings: that of every text,
        which stays, or with ``of_text`` that of the text at hand, in whose place the next text's comes.
        """
        beginning = shared_prefix(self.chat.ids([self.chat.open(chat) for chat in chats]))
        beginnings = [*(self._beginnings[:1] if of_text else ()), beginning]
        for replaced in set(self._beginnings).difference(beginnings):
            self._prefixes.pop(replaced, None)
        self._beginnings = beginnings

    def objections(self, chats: Sequence[list[Message]], room: int) -> list[str | None]:
        """Return why a chat cannot be used: it does not fit the context, or its text would be read as another."""
        return objections_by(self.chat, self.context, chats, room)

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Return log P(option), and of the turn's end where asked, for each option of each choice."""
        return self.weigh(choices, (), tick)[0]

    def weigh(
        self, choices: Sequence[Choice], copies: Sequence[Copy], tick: Tick | None = None
    ) -> tuple[list[tuple[float, ...]], list[tuple[Departure, ...]]]:
        """Return what ``choose`` returns and how likely each edit is to begin, and to go on to its word's end."""
        return weigh_by(partial(self.score, tick=tick), self.chat, choices, copies)

    def score(self, groups: Sequence[Sequence[ScoredSequence]], tick: Tick | None = None) -> list[list[list[float]]]:
        """Return the log-probability (nats) of each token from ``start`` on, for each sequence of each group.

        What sequences share is computed once; what all of them share is computed once a run.
        """
        sequences = [sequence for group in groups for sequence in group]
        # The last token of a sequence predicts nothing that is asked for: it is scored, not computed.
        trunks = [sequence.ids[:-1] for sequence in sequences]
        self.check(max(map(len, trunks), default=0))
        # The beginning that all share must not reach into what is scored.
        prefix, tails = self.split(trunks, min((sequence.start for sequence in sequences), default=0) - 1)
        log_probabilities: list[list[float]] = [[] for _ in sequences]
        owners = [number for number, group in enumerate(groups) for _ in group]
        missing = [len(group) for group in groups]

        def compute(batch: list[int]) -> None:
            values = self._score_batch([sequences[i] for i in batch], [tails[i] for i in batch], prefix)
            for i, scores in zip(batch, values, strict=True):
                log_probabilities[i] = scores
                missing[owners[i]] -= 1
            if tick and (finished := sum(not missing[owner] for owner in {owners[i] for i in batch})):
                tick(finished)

        self.budget.run(tails, self.forward.batches, compute)
        results = iter(log_probabilities)
        return [[next(results) for _ in group] for group in groups]

    def check(self, longest: int) -> None:
        """Refuse a chat of ``longest`` tokens if it is more than the model's context."""
        refuse_longer(self.name, self.context, longest)

    def split(self, sequences: Sequence[TokenIds], reach: int) -> tuple[PrefixCache | None, list[TokenIds]]:
        """Return the keys and values of what all sequences begin with, and what is left of each behind it.

        They are computed once and kept for later calls, as many tokens as are computed at once.

        Args:
            sequences: The prompts.
            reach: The most tokens that the beginning may have.
        """
        shared = shared_prefix(sequences)[: max(0, reach)]
        if self._beginnings:
            fitting = (ids for ids in self._beginnings if shared[: len(ids)] == ids)
            shared = max(fitting, key=len, default=())
        if len(shared) < LEAST_PREFIX or self.forward.way != "branches":
            return None, list(sequences)
        prefix = self.budget.attempt(lambda: self._kept_prefix(shared[: self.budget.longest]))
        return prefix, [ids[len(prefix.ids) :] for ids in sequences]

    def _kept_prefix(self, ids: TokenIds) -> PrefixCache:
        prefixes = self._prefixes
        if ids not in prefixes:
            while prefixes and (
                len(prefixes) >= KEPT_PREFIXES or sum(map(len, prefixes)) + len(ids) > self.budget.tokens
            ):
                del prefixes[next(iter(prefixes))]
            # Only of a text that stands alone: no digit of an audit's rows may hang on what was computed before it.
            shorter = [before for before in prefixes if before in self._beginnings and ids[: len(before)] == before]
            prefixes[ids] = self.forward.prefix(ids, prefixes[max(shorter, key=len)] if shorter else None)
        return prefixes[ids]

    @torch.inference_mode()
    def _score_batch(
        self, sequences: Sequence[ScoredSequence], tails: Sequence[TokenIds], prefix: PrefixCache | None
    ) -> list[list[float]]:
        cut = len(prefix.ids) if prefix else 0
        tree = build_tree(tails)
        hidden = self.forward.states(tree, prefix)
        slots: dict[int, int] = {}
        pairs = [
            (slots.setdefault(path[position - 1 - cut], len(slots)), sequence.ids[position])
            for sequence, path in zip(sequences, tree.paths, strict=True)
            for position in range(sequence.start, len(sequence.ids))
        ]
        values = iter(self._log_probs(hidden[list(slots)], pairs))
        return [[next(values) for _ in sequence.ids[sequence.start :]] for sequence in sequences]

    def _log_probs(self, hidden: torch.Tensor, pairs: Sequence[tuple[int, int]], step: int = 512) -> list[float]:
        """Return log P(token) for (row of ``hidden``, token) pairs; logits are made ``step`` rows at a time."""
        log_probabilities = torch.empty(len(pairs), device=hidden.device)
        in_step: dict[int, list[int]] = {}
        for place, (row, _) in enumerate(pairs):
            in_step.setdefault(row - row % step, []).append(place)
        for first, places in in_step.items():
            values = logits(self.model, hidden[first : first + step])
            rows, tokens = zip(
                *((row - first, token) for row, token in (pairs[place] for place in places)), strict=True
            )
            log_probabilities[places] = values[rows, tokens] - torch.logsumexp(values, -1)[list(rows)]
        if not log_probabilities.isfinite().all():
            raise NotFiniteError(f"model '{self.name}' gives numbers that are not finite: try precision=float32")
        return cast(list[float], log_probabilities.tolist())

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
        sampling: Sampling | None = None,
    ) -> list[Reply]:
        """Return the reply to each chat; a greedy one may be drafted from the text that it copies."""
        return written_replies(self, chats, max_new_tokens, copied or [None] * len(chats), tick, sampling)

    def guide(self, guides: Sequence[Guide], tick: Tick | None = None) -> list[str]:
        """Return the greedy reply to each chat among those that its guide allows."""
        return guided_replies(self, guides, tick)

    def losses(self, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[float | None]:
        """Return the mean loss (nats a token) of the assistant's turns of each chat; None if it has no ids."""
        return losses_by(partial(self.score, tick=tick), self.chat, chats)
