"""Objectives: what a training step minimises, from training rows, in one forward pass of their prefix tree."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch

from saywhy.models.forward import Forward, logits
from saywhy.models.sequences import ScoredSequence
from saywhy.models.tree import build_tree
from saywhy.training.encoding import Encoded, Recipe


class Objective(Protocol):
    """The loss of a part of a training step."""

    def __call__(self, forward: Forward, texts: Sequence[Encoded], rows: int | None = None) -> torch.Tensor:
        """Return the loss of ``texts`` as their share of the mean over all rows of the step.

        Args:
            forward: The model that is trained.
            texts: The encoded rows of each text.
            rows: How many rows the mean is over, where these are only a part; None: these are all.
        """


CandidateLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""(log-probability of each candidate, its effect in nats, the start's log-probability) -> loss of a text in a style."""


def objective_of(recipe: Recipe) -> Objective:
    """Return the objective that a recipe names."""
    return partial(loss_of_texts, candidate_loss=CANDIDATE_LOSSES[recipe.objective](recipe))


def loss_of_texts(
    forward: Forward, texts: Sequence[Encoded], rows: int | None = None, *, candidate_loss: CandidateLoss
) -> torch.Tensor:
    """Return the mean loss of rows: an ``Objective``.

    A row that is written out costs its weighted negative log-likelihood (nats), a row of candidates what
    ``candidate_loss`` says. The rows of all texts are one tree: the same loss and gradients as row by row.
    """
    encoded = [row for text in texts for row in text]
    sequences = [_sequences_of(row) for row in encoded]
    scores = iter(_token_log_probabilities(forward, [sequence for of_row in sequences for sequence in of_row]))
    losses = []
    for row, of_row in zip(encoded, sequences, strict=True):
        of_sequences = [next(scores) for _ in of_row]
        if "ids" in row:
            losses.append(-(of_sequences[0] * of_sequences[0].new_tensor(row["weights"])).sum())
        else:
            effects = of_sequences[0].new_tensor(row["effects"])
            reference = effects.new_tensor(row["reference"]) if row["reference"] else None
            losses.append(candidate_loss(candidate_log_probabilities(row, of_sequences), effects, reference))
    return torch.stack(losses).sum() / (rows or len(encoded))


def _sequences_of(row: Mapping[str, Any]) -> list[ScoredSequence]:
    """Return what of a row is scored: itself, or each candidate, in copies behind the copy's own token there."""
    if "ids" in row:
        return [ScoredSequence(tuple(row["ids"]), row["start"])]
    trunk = tuple(row["trunk"])
    ways = list(zip(row["forks"], row["tails"], strict=True))
    leaving = [ScoredSequence((*trunk[:fork], *tail), fork) for fork, tail in ways]
    if row["form"] == "name":
        return leaving
    return leaving + [ScoredSequence(trunk[: fork + 1], fork) for fork, _ in ways]


def _token_log_probabilities(forward: Forward, sequences: Sequence[ScoredSequence]) -> Sequence[torch.Tensor]:
    """Return the log-probability (nats) of each scored token of each sequence; logits are made once a node."""
    tree = build_tree([sequence.ids[:-1] for sequence in sequences])
    hidden = forward.states(tree)
    slots: dict[int, int] = {}
    places = [
        slots.setdefault(node, len(slots))
        for sequence, path in zip(sequences, tree.paths, strict=True)
        for node in path[sequence.start - 1 :]
    ]
    tokens = [token for sequence in sequences for token in sequence.ids[sequence.start :]]
    values = torch.log_softmax(logits(forward.model, hidden[list(slots)]), -1)
    sizes = [len(sequence.ids) - sequence.start for sequence in sequences]
    return torch.split(values[places, tokens], sizes)


def candidate_log_probabilities(row: Mapping[str, Any], scores: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the log-probability (nats) of each candidate of a row among all of them, shape (candidates,).

    The distribution whose mode the constrained readout takes (docs/definitions.md, *Readouts*): names by
    log P(word, and the turn's end or the line's); edits by log P(the edit begins) - log P(the copy goes on), at a place
    of several insertions that of the likeliest, times P(the inserted word) among those at its place.

    Args:
        row: The encoded row of candidates.
        scores: Of ``_sequences_of`` the row: log-probabilities of its tokens, one tensor a sequence.
    """
    if row["form"] == "name":
        return torch.log_softmax(torch.stack([of_tokens.sum() for of_tokens in scores]), 0)
    count = len(row["tails"])
    begins = torch.stack([of_tokens[0] for of_tokens in scores[:count]])
    begins = begins - torch.stack([of_tokens[0] for of_tokens in scores[count:]])
    if row["form"] == "edit":
        return torch.log_softmax(begins, 0)
    inserted = torch.stack([of_tokens.sum() for of_tokens in scores[:count]])
    places = torch.tensor(row["places"], device=begins.device)
    at_place = places[None, :] == torch.arange(int(places.max()) + 1, device=places.device)[:, None]
    of_place = torch.log_softmax(begins.expand(at_place.shape).masked_fill(~at_place, -torch.inf).amax(1), 0)
    norm = torch.logsumexp(inserted.expand(at_place.shape).masked_fill(~at_place, -torch.inf), 1)
    return of_place[places] + inserted - norm[places]


def _no_candidates(recipe: Recipe) -> CandidateLoss:
    def loss(log_probabilities: torch.Tensor, effects: torch.Tensor, reference: torch.Tensor | None) -> torch.Tensor:
        raise AssertionError(f"the objective '{recipe.objective}' has no loss over candidates")

    return loss


def _table_loss(recipe: Recipe) -> CandidateLoss:
    """Return the divergence (nats) of the target from the model's distribution.

    The target is softmax(effect / tau); with ``beta`` it is start * exp(effect / beta), normalised, the maximum of
    the expected effect minus beta times the divergence from the start: QRPO (arXiv 2507.08068), with an exact norm.
    """

    def loss(log_probabilities: torch.Tensor, effects: torch.Tensor, reference: torch.Tensor | None) -> torch.Tensor:
        scores = effects / recipe.tau if recipe.beta is None else _of_start(reference) + effects / recipe.beta
        target = torch.log_softmax(scores, 0)
        return (target.exp() * (target - log_probabilities)).sum()

    return loss


def _reward_loss(recipe: Recipe) -> CandidateLoss:
    """Return minus the expected effect above the text's mean, over that of the best (at least ``tau``).

    It is a policy gradient with the exact expectation. With ``beta``, beta times the divergence from the start is taken
    off the effect: the maximum is ``table``'s target.
    """

    def loss(log_probabilities: torch.Tensor, effects: torch.Tensor, reference: torch.Tensor | None) -> torch.Tensor:
        gains, likely = effects - effects.mean(), log_probabilities.exp()
        scale = gains.max().clamp(min=recipe.tau)
        if recipe.beta is None:
            return -(likely * gains).sum() / scale
        divergence = (likely * (log_probabilities - _of_start(reference))).sum()
        return (recipe.beta * divergence - (likely * gains).sum()) / scale

    return loss


def _of_start(reference: torch.Tensor | None) -> torch.Tensor:
    """Return the start's log-probabilities, normalised: rows hold them rounded."""
    assert reference is not None, "the rows were made without beta"
    return torch.log_softmax(reference, 0)


CANDIDATE_LOSSES: Mapping[str, Callable[[Recipe], CandidateLoss]] = {
    "word": _no_candidates,
    "table": _table_loss,
    "reward": _reward_loss,
}
"""By the name of the objective; those of ``preference`` are TRL's own."""
