"""The words that a model itself would write next: candidates for a counterfactual beside the corpus's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from saywhy.models.chat import Chat
from saywhy.models.forward import logits
from saywhy.models.interface import Gap
from saywhy.models.tree import TokenIds, build_tree
from saywhy.words import fold

if TYPE_CHECKING:
    from saywhy.models.local import LocalModel

TRIED_TOKENS = 50
"""Tokens a gap that are looked at; most are parts of words, or punctuation."""
SHORTEST_WORD = 3
"""A shorter token is more often the beginning of a word than a word."""


def infill(model: LocalModel, gaps: Sequence[Gap], count: int) -> list[tuple[str, ...]]:
    """Return the ``count`` likeliest one-token words for each gap, folded, likeliest first."""
    ids = gap_ids(model.chat, gaps)
    words: list[tuple[str, ...]] = [()] * len(gaps)

    @torch.inference_mode()
    def compute(batch: list[int]) -> None:
        tree = build_tree([ids[i] for i in batch])
        hidden = model.forward.states(tree)[[path[-1] for path in tree.paths]]
        best = logits(model.model, hidden).topk(TRIED_TOKENS).indices.tolist()
        for i, tokens in zip(batch, best, strict=True):
            words[i] = words_of_gap(model.chat, gaps[i], tokens, count)

    model.budget.run(ids, model.forward.batches, compute)
    return words


def gap_ids(chat: Chat, gaps: Sequence[Gap]) -> list[TokenIds]:
    """Return the tokens of each chat up to where the next word would be written."""
    return chat.ids([chat.begin(gap.messages, gap.before.rstrip()) for gap in gaps])


def words_of_gap(chat: Chat, gap: Gap, tokens: Sequence[int], count: int) -> tuple[str, ...]:
    """Return the first ``count`` of ``tokens``, the likeliest first, that can stand as words in a gap, folded."""
    blank = " " if gap.before.strip() else chat.lead
    pieces = [piece[len(blank) :] for piece in chat.pieces(tokens) if piece.startswith(blank)]
    words = dict.fromkeys(fold(piece) for piece in pieces if piece.isalpha() and len(piece) >= SHORTEST_WORD)
    return tuple(word for word in words if word not in gap.barred)[:count]
