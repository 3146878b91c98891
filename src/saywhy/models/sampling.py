"""Sampled replies: each draws its tokens with a generator of its own, so no reply hangs on what is drawn beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

from saywhy.models.interface import Sampling


class TokenSampler:
    """Makes the likeliest token of one reply a sampled one, by the Gumbel-max trick.

    Of logits / temperature plus standard Gumbel noise, the largest is a draw from their softmax (Gumbel 1954).

    Attributes:
        temperature: What the logits are divided by.
        generator: Draws the noise, on the CPU: the same on every device.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self.temperature = temperature
        self.generator = torch.Generator().manual_seed(seed)

    def perturbed(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits of the next token, shape (V,), with noise: their largest is the token that is drawn."""
        noise = torch.empty(scores.shape, dtype=torch.float32).exponential_(generator=self.generator).log().neg()
        return scores.float() / self.temperature + noise.to(scores.device)


def token_samplers(sampling: Sampling | None, count: int) -> list[TokenSampler | None]:
    """Return what draws the tokens of each of ``count`` replies; None: they are greedy."""
    if sampling is None:
        return [None] * count
    return [TokenSampler(sampling.temperature, seed) for seed in sampling.seeds]


class SampledRows(LogitsProcessor):
    """The same for transformers' own decoding, which takes the likeliest token of each row of a batch."""

    def __init__(self, samplers: Sequence[TokenSampler]) -> None:
        self.samplers = samplers

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Return the logits of the next token, shape (B, V), with each row's noise."""
        pairs = zip(self.samplers, scores, strict=True)
        return torch.stack([sampler.perturbed(row) for sampler, row in pairs])  # type: ignore[return-value]
