"""What was computed, and how fast this machine could: tokens, places with logits, the measured GEMM rate, facts."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from transformers import GenerationConfig, PreTrainedModel

from benchmarks.common import Lap, progress
from benchmarks.script import command, revision
from saywhy.models.backends import open_model
from saywhy.models.chat import Chat
from saywhy.models.local import LocalModel
from saywhy.models.spec import resolve_model
from saywhy.models.weights import load_base, with_adapter

GEMM_ROWS = {"cpu": 1024, "cuda": 16384}
"""Tokens of the products that are measured: so many that starting one does not count."""
GEMM_TRIES = 12
PACKAGES = ("torch", "transformers", "trl", "peft", "captum")


@dataclass(frozen=True)
class Bare:
    """The same weights once more, in transformers' own hands: saywhy may change how a model it holds attends."""

    model: PreTrainedModel
    chat: Chat


def load_exact(name: str) -> LocalModel:
    """Load a model and multiply in float32, whatever this machine would choose: all sides have one precision."""
    model = open_model(name, precision="float32")
    assert isinstance(model, LocalModel)
    return model


def load_bare(name: str, dtype: torch.dtype = torch.float32) -> Bare:
    """Load a model for the other sides: an adapter merged, greedy without penalties."""
    spec = resolve_model(name)
    model, tokenizer = load_base(spec, dtype)
    if spec.adapter:
        model = with_adapter(model, spec).merge_and_unload()
    model.generation_config = GenerationConfig()
    return Bare(model.eval(), Chat(tokenizer, name))


def exact_products() -> None:
    """Multiply in float32 from here on."""
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"  # type: ignore[attr-defined]


class Counter:
    """Counts what goes through the token embedding and the language head, whichever library calls them.

    Padded places count: the machine computes them. The two functions are replaced while the counter is entered; it
    knows them by the number of rows of their weight, the vocabulary.
    """

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.tokens = 0
        self.heads = 0
        self._embedding: Callable[..., Any] = torch.nn.functional.embedding
        self._linear: Callable[..., Any] = torch.nn.functional.linear

    def __enter__(self) -> Self:
        def embedding(ids: torch.Tensor, weight: torch.Tensor, *more: Any, **named: Any) -> Any:
            if weight.shape[0] == self.vocabulary:
                self.tokens += ids.numel()
            return self._embedding(ids, weight, *more, **named)

        def linear(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Any:
            if weight.shape[0] == self.vocabulary:
                self.heads += states.numel() // states.shape[-1]
            return self._linear(states, weight, bias)

        torch.nn.functional.embedding = embedding  # type: ignore[assignment]
        torch.nn.functional.linear = linear  # type: ignore[assignment]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        torch.nn.functional.embedding = self._embedding
        torch.nn.functional.linear = self._linear

    def so_far(self) -> tuple[int, int]:
        """Return (tokens, places with logits)."""
        return self.tokens, self.heads


class Machine:
    """The measured GEMM rate of this machine in the shapes of one model, and the model's size.

    Attributes:
        body: Parameters that every token is multiplied with (all but embedding and head).
        head: Parameters that every place with logits is multiplied with.
        rate: Multiply-adds in these shapes, on the model's device, in its weights' format and whatever products
            torch is set to, FLOP a second, the best of several.
    """

    def __init__(self, model: LocalModel) -> None:
        table = model.model.get_input_embeddings().weight
        self.vocabulary = int(table.shape[0])
        self.head = int(table.numel())
        self.rate = 0.0
        self._like = table.detach()[:1]
        self._format = str(table.dtype).removeprefix("torch.")
        self._shapes: dict[tuple[int, int], int] = {}
        for module in model.model.modules():
            weight = getattr(module, "weight", None)
            if not isinstance(weight, torch.Tensor) or isinstance(module, torch.nn.Embedding):
                continue
            if weight.dim() == 2 and weight.shape[0] != self.vocabulary:
                out, into = (int(side) for side in weight.shape)
                self._shapes[out, into] = self._shapes.get((out, into), 0) + 1
        self.body = sum(out * into * times for (out, into), times in self._shapes.items())
        self.measure()

    def measure(self) -> None:
        """Measure the rate; the best so far counts, for a busy machine is slower but never faster than it is."""
        seconds = sum(_fastest_product(out, into, self._like) * times for (out, into), times in self._shapes.items())
        self.rate = max(self.rate, 2 * GEMM_ROWS[self._like.device.type] * self.body / seconds)
        progress(f"GEMM rate in the model's shapes: {self.rate / 1e9:.0f} GFLOP/s, {self._format}")

    def share(self, lap: Lap, passes: float = 1.0) -> float:
        """Return which share of the GEMM rate a lap made use of; ``passes``: forward passes that a token is worth."""
        return 2 * passes * (self.body * lap.tokens + self.head * lap.heads) / lap.seconds / self.rate

    def facts(self) -> str:
        """Return what a reader needs to know to judge the numbers, as a line of Markdown."""
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES if _there(name))
        return (
            f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, {_memory():.0f} GB; measured "
            f"GEMM rate {self.rate / 1e9:.0f} GFLOP/s ({self._format}, the model's shapes). Python "
            f"{platform.python_version()}, {versions}; saywhy {revision()}; {time.strftime('%Y-%m-%d', time.gmtime())}."
            f"\n\n`{command()}`"
        )


@torch.inference_mode()
def _fastest_product(out: int, into: int, like: torch.Tensor) -> float:
    """Return the seconds of a product of ``GEMM_ROWS`` rows, the best of several; ``like``: its device and format."""
    sizes = (GEMM_ROWS[like.device.type], out)
    rows, weight = (torch.randn(size, into, device=like.device, dtype=like.dtype) for size in sizes)
    taken = []
    for _ in range(GEMM_TRIES + 1):
        finish_kernels()
        began = time.perf_counter()
        torch.nn.functional.linear(rows, weight)
        finish_kernels()
        taken.append(time.perf_counter() - began)
    return min(taken[1:])


def finish_kernels() -> None:
    """Wait until the card, if there is one, has computed what it was given: a clock would not see it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _there(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named and named[0] else platform.machine()


def _memory() -> float:
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) / 2**30
