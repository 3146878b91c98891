"""Objectives: what a training step minimises, from training rows, in one forward pass of their prefix tree."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch

from saywhy.models.forward import Forward, logits
from saywhy.models.tree import build_tree
from saywhy.training.encoding import Sequences


class Objective(Protocol):
    """The loss of a part of a training step."""

    def __call__(self, forward: Forward, texts: Sequence[Sequences], rows: int | None = None) -> torch.Tensor:
        """Return the loss of ``texts`` as their share of the mean over all rows of the step.

        Args:
            forward: The model that is trained.
            texts: The encoded rows of each text.
            rows: How many rows the mean is over, where these are only a part; None: these are all.
        """


def word_loss(forward: Forward, texts: Sequence[Sequences], rows: int | None = None) -> torch.Tensor:
    """Return the mean over rows of each row's weighted negative log-likelihood (nats): an ``Objective``.

    The rows of all texts are one tree: the same loss and gradients as row by row.
    """
    sequences = [sequence for text in texts for sequence in text]
    tree = build_tree([tuple(sequence["ids"][:-1]) for sequence in sequences])
    hidden = forward.states(tree)
    nodes = [
        node for sequence, path in zip(sequences, tree.paths, strict=True) for node in path[sequence["start"] - 1 :]
    ]
    tokens = [token for sequence in sequences for token in sequence["ids"][sequence["start"] :]]
    weights = torch.tensor([weight for sequence in sequences for weight in sequence["weights"]], device=hidden.device)
    supervised = torch.tensor(tokens, device=hidden.device)
    loss = torch.nn.functional.cross_entropy(logits(forward.model, hidden[nodes]), supervised, reduction="none")
    return (loss * weights).sum() / (rows or len(sequences))
