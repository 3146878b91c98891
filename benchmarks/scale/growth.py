"""The model of growth: from counted tokens and the shape of a model to seconds a text on a card, low and high.

No card was at hand. What is measured: tokens (``tokens.py``), and which share of the measured GEMM rate the engine gets
on two CPU cores (RESULTS.md). What is assumed stands in ``Assumption``, each with its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from benchmarks.scale.tokens import TokenCount, TokenCounts
from saywhy.records import STYLES

LORA_RANK = 16
STORED_BYTES, COMPUTED_BYTES = 4, 2
"""Bytes of a number: adapters are stored in float32, base weights are computed with in bfloat16."""
ADAM_STATES = 2
"""Numbers that the optimiser keeps for each that it trains."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a Llama-like model, as its published ``config.json`` has it."""

    name: str
    hidden: int
    layers: int
    heads: int
    key_heads: int
    intermediate: int
    vocabulary: int
    tied: bool = False

    @property
    def linear(self) -> list[tuple[int, int]]:
        """The (in, out) of each linear layer of a block."""
        keys = self.hidden // self.heads * self.key_heads
        attention = [(self.hidden, self.hidden), (self.hidden, keys), (self.hidden, keys), (self.hidden, self.hidden)]
        return [*attention, *[(self.hidden, self.intermediate)] * 2, (self.intermediate, self.hidden)]

    @property
    def body(self) -> int:
        """Parameters that every token is multiplied with."""
        return self.layers * sum(into * out for into, out in self.linear)

    @property
    def head(self) -> int:
        """Parameters that every place with logits is multiplied with."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        """All parameters, with embeddings and norms."""
        return self.body + self.head * (1 if self.tied else 2) + (2 * self.layers + 1) * self.hidden

    @property
    def lora(self) -> int:
        """Parameters of a LoRA on all linear layers."""
        return self.layers * LORA_RANK * sum(into + out for into, out in self.linear)

    @property
    def weight_bytes(self) -> int:
        """Bytes of the base weights as they are computed with."""
        return COMPUTED_BYTES * self.parameters

    @property
    def training_bytes(self) -> int:
        """Bytes of weights in training: all in float32, gradients and the optimiser's of the LoRA; no activations."""
        return STORED_BYTES * (self.parameters + (2 + ADAM_STATES) * self.lora)

    @property
    def adapter_bytes(self) -> int:
        """Bytes of a stored adapter."""
        return STORED_BYTES * self.lora

    def forward(self, count: TokenCount) -> float:
        """Return the floating-point operations of a forward pass: 2 a parameter and token, and those of attention."""
        context = count.plain / count.prompts if count.prompts else 0.0
        attention = 4 * self.layers * self.hidden * context
        return count.tree * (2 * self.body + attention) + count.heads * 2 * self.head


SHAPES = {
    "135m": Shape("SmolLM2-135M", 576, 30, 9, 3, 1536, 49152, tied=True),
    "7b": Shape("Llama-2 7B (Tulu 2)", 4096, 32, 32, 32, 11008, 32000),
    "8b": Shape("Llama-3.1 8B", 4096, 32, 32, 8, 14336, 128256),
    "13b": Shape("Llama-2 13B (Tulu 2)", 5120, 40, 40, 40, 13824, 32000),
}
GRID = ("7b", "8b", "13b")
"""The three models of the grid."""


@dataclass(frozen=True, slots=True)
class Card:
    """What the maker says of a card: FLOP a second in bfloat16 (dense) and in float32, bytes a second of its memory."""

    name: str
    peak: float
    float32: float
    bandwidth: float


CARDS = {
    "h100": Card("H100 SXM", 989e12, 67e12, 3.35e12),
    "a100": Card("A100 80 GB SXM", 312e12, 19.5e12, 2.04e12),
}


@dataclass(frozen=True, slots=True)
class Assumption:
    """How well a card is used.

    Attributes:
        name: Low or high.
        gemm: Share of the maker's peak that large matrix products reach.
        passes: Share of that in audits, decisions and targets.
        training: Share of that in training.
        bandwidth: Share of the memory's rate that decoding reaches.
        rows: Replies that are decoded side by side.
    """

    name: str
    gemm: float
    passes: float
    training: float
    bandwidth: float
    rows: int


LOW = Assumption("low", gemm=0.4, passes=0.22, training=0.22, bandwidth=0.4, rows=32)
"""Half of the shares on the CPU (44 % of whole audits, 43 % of training), for kernels that no card has run yet."""
HIGH = Assumption("high", gemm=0.7, passes=0.74, training=0.51, bandwidth=0.8, rows=128)
"""The best shares on the CPU (table of news, training of three styles)."""
ASSUMPTIONS = (LOW, HIGH)

LORA_PASSES = 2.0
"""Forward passes that a trained token is worth: 4 operations a parameter in place of 2 (all weights: 6)."""


def for_styles(counts: TokenCounts, styles: int) -> TokenCounts:
    """Return the counts of a protocol of ``styles`` styles, each new one like the mean of today's.

    The table of edits serves all of them; requests, readouts and rows of arms that practise all grow.
    """
    factor, scaled = styles / len(STYLES), TokenCounts()
    for name, count in counts.items():
        kind, task = name.split()[0], name.split()[1] if " " in name else ""
        if kind == "audit":
            edits = counts[f"edits {task}"]
            scaled[name] = _mixed(edits, count, factor)
        elif kind == "train" and name.endswith("+".join(STYLES)):
            scaled[name] = _mixed(replace(count, tree=0, plain=0, prompts=0, heads=0, replies=0), count, factor)
        else:
            scaled[name] = count
    return scaled


def _mixed(fixed: TokenCount, whole: TokenCount, factor: float) -> TokenCount:
    """Return ``fixed`` and ``factor`` times what ``whole`` has beyond it."""
    fields = ("tree", "plain", "prompts", "heads", "replies")
    return TokenCount(
        *(getattr(fixed, field) + factor * max(0.0, getattr(whole, field) - getattr(fixed, field)) for field in fields)
    )


def operations_of(shape: Shape, name: str, count: TokenCount) -> float:
    """Return the floating-point operations of a text in a kind of work; a trained token is ``LORA_PASSES`` passes."""
    return shape.forward(count) * (LORA_PASSES if name.startswith("train") else 1.0)


def rates_on_card(counts: TokenCounts, shape: Shape, card: Card, assumption: Assumption) -> dict[str, float]:
    """Return seconds a text of each kind of work, as ``rates.json`` of a study holds them."""
    products = card.peak * assumption.gemm
    decoding = card.bandwidth * assumption.bandwidth * assumption.rows

    def seconds(name: str, count: TokenCount) -> float:
        share = assumption.training if name.startswith("train") else assumption.passes
        in_memory = count.replies * shape.weight_bytes / decoding
        return operations_of(shape, name, count) / (products * share) + in_memory

    return {name: seconds(name, count) for name, count in counts.items()}


def rates_on_cpu(counts: TokenCounts, shape: Shape, gemm: float, shares: Mapping[str, float]) -> dict[str, float]:
    """Return seconds a text at a measured GEMM rate (FLOP a second), at the shares of it by kind of work."""
    return {
        name: operations_of(shape, name, count) / (gemm * shares[name.split()[0]])
        for name, count in counts.items()
        if name.split()[0] in shares
    }
