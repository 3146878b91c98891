"""The words that a model itself would write next: candidates for a counterfactual beside the corpus's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from saywhy.models.protocol import Gap
from saywhy.models.tree import batches, grow, plots
from saywhy.words import fold

if TYPE_CHECKING:
    from saywhy.models.local import LocalModel

TRIED = 50
"""Tokens a gap that are looked at; most are parts of words, or punctuation."""
SHORTEST = 3
"""A shorter token is more often the beginning of a word than a word."""


@torch.inference_mode()
def infill(model: LocalModel, gaps: Sequence[Gap], count: int, tree_tokens: int) -> list[tuple[str, ...]]:
    """Return the ``count`` likeliest one-token words for each gap, folded, likeliest first."""
    ids = model.chat.ids([model.chat.open(gap.messages) + gap.before.rstrip() for gap in gaps])
    merged = plots([[one] for one in ids], tree_tokens)
    trees = [grow([ids[i] for i in plot]) for plot in merged]
    words: list[tuple[str, ...]] = [()] * len(gaps)
    for batch in batches([len(tree.tokens) for tree in trees], model.token_budget):
        hidden = model.hidden([trees[b] for b in batch], None)
        for row, b in enumerate(batch):
            ends = [path[-1] for path in trees[b].paths]
            best = model.model.get_output_embeddings()(hidden[row, ends]).topk(TRIED).indices.tolist()
            for i, tokens in zip(merged[b], best, strict=True):
                words[i] = _whole(model.chat.tokenizer.batch_decode([[token] for token in tokens]), gaps[i], count)
    return words


def _whole(decoded: Sequence[str], gap: Gap, count: int) -> tuple[str, ...]:
    """Return the decoded tokens that can stand as words behind the gap's beginning."""
    blank = " " if gap.before.strip() else ""
    plain = [piece[len(blank) :] for piece in decoded if piece.startswith(blank)]
    words = dict.fromkeys(fold(piece) for piece in plain if piece.isalpha() and len(piece) >= SHORTEST)
    return tuple(word for word in words if word not in gap.barred)[:count]
