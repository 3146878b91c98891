"""Part a: every way and number format of the prefix tree against plain prompts, and against the processor's float32."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from benchmarks import plain
from benchmarks.gpu.card import Step, products
from benchmarks.gpu.compare import encoded_rows, tree_loss
from benchmarks.gpu.subject import Subject, random_model, subject, tokenizer
from saywhy.models.copies import shortened_products
from saywhy.models.forward import FORWARD_WAYS, Forward, transformer_body
from saywhy.models.interface import Choice
from saywhy.models.memory import TokenBudget
from saywhy.protocol import prompts
from saywhy.records import SaywhyError

FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "llama": {"model_type": "llama", "num_key_value_heads": 4},
    "qwen 2": {"model_type": "qwen2", "num_key_value_heads": 2},
    "qwen 3": {"model_type": "qwen3", "num_key_value_heads": 2, "head_dim": 64},
    "gemma": {"model_type": "gemma", "num_key_value_heads": 1, "head_dim": 64},
    "gemma 2": {"model_type": "gemma2", "num_key_value_heads": 4, "head_dim": 64, "sliding_window": 4096},
    "gemma 3": {"model_type": "gemma3_text", "num_key_value_heads": 4, "head_dim": 64, "sliding_window": 1024},
}
"""What tells the configurations apart; a head is as wide as a card's attention takes it."""
SIZE = {"hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 4, "num_attention_heads": 8}
TINY_SIZE = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8}
FORMATS: Mapping[str, tuple[torch.dtype, str]] = {
    "float32": (torch.float32, "ieee"),
    "TF32": (torch.float32, "tf32"),
    "autocast": (torch.float32, "ieee"),
    "bfloat16": (torch.bfloat16, "ieee"),
    "float16": (torch.float16, "ieee"),
}
"""Name to the weights' format, and that of float32 products on a card."""
ON_PROCESSORS = ("float32", "autocast", "bfloat16")
TEXTS = 6
ROOM = 12
WORDS = 2000
"""Tokens of the tokenizer."""


def steps(here: torch.device, *, tiny: bool) -> dict[str, Step]:
    """Return a step a family and format."""
    names = [name for name in FORMATS if here.type == "cuda" or name in ON_PROCESSORS]
    return {
        f"{family}, {name}": partial(family_in_format, family, name, here, tiny=tiny)
        for family in FAMILIES
        for name in names
    }


def config_of(family: str, vocabulary: int, *, tiny: bool) -> PretrainedConfig:
    """Return a small configuration of a family."""
    written: dict[str, Any] = {**(TINY_SIZE if tiny else SIZE), **FAMILIES[family], "initializer_range": 0.05}
    limits = {"vocab_size": vocabulary, "max_position_embeddings": 2048, "pad_token_id": 0}
    return AutoConfig.for_model(written.pop("model_type"), **written, **limits)


def family_in_format(family: str, name: str, here: torch.device, *, tiny: bool) -> list[dict[str, Any]]:
    """Return, for each way, how far it is from plain prompts on ``here`` and from the processor's float32."""
    words = tokenizer(WORDS)
    dtype, format_of_products = FORMATS[name]
    config = config_of(family, len(words), tiny=tiny)
    exact = random_model(config, torch.device("cpu"), torch.float32)
    moved = random_model(copy.deepcopy(config), here, dtype)
    moved.load_state_dict(exact.state_dict())  # .to(dtype) would round the angles of positions, too
    on_processor = _plain(subject(exact, words, TEXTS, 2048), nullcontext)
    results: list[dict[str, Any]] = []
    with products(format_of_products):
        asked = subject(moved, words, TEXTS, 2048)
        shortened = shortened_products(asked.local.model, "autocast" if name == "autocast" else None)
        plain_here = _plain(asked, shortened)
        for way in FORWARD_WAYS:
            try:
                asked.local.forward = Forward(asked.local.model, family, (way,), shortened=shortened)
                scores = _scores(asked)
                replies = _replies(asked)
            except SaywhyError as refusal:  # of the way, or numbers that are not finite
                results.append({"way": way, "refused": str(refusal).rpartition("cannot be used: ")[2]})
                continue
            apart = {
                "from plain, nats": _apart(scores, plain_here),
                "from the processor's float32, nats": _apart(scores, on_processor),
            }
            results.append({"way": way, **apart, **_training(asked), "replies": replies})
    return _with_differences(results)


def _choices(asked: Subject) -> list[Choice]:
    before, _ = prompts.answer_parts(asked.task)
    words = tuple(asked.task.labels.values())
    return [Choice(prompts.question_chat(asked.task, text.text, {}), words, before) for text in asked.examples]


def _scores(asked: Subject) -> list[tuple[float, ...]]:
    asked.local.budget = TokenBudget(asked.local.model, 2048)
    asked.local._prefixes.clear()
    return asked.local.choose(_choices(asked))


def _plain(asked: Subject, within: Callable[[], AbstractContextManager[None]]) -> list[list[float]]:
    """Return log P (nats) of each label behind each plain prompt."""
    bare, task = asked.bare, asked.task
    rendered = [plain.rendered(bare.chat, task, text.text, {}) for text in asked.examples]
    with _body_within(bare.model, within):
        return plain.log_probs(bare, bare.chat.ids(rendered), plain.label_tokens(bare.chat, task), 2048)


@contextmanager
def _body_within(model: PreTrainedModel, within: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Compute a model's body, not its head, within a context: as ``Forward`` does."""
    body = transformer_body(model)
    forward = body.forward

    def shortened(*args: Any, **more: Any) -> Any:
        with within():
            out = forward(*args, **more)
        out.last_hidden_state = out.last_hidden_state.to(model.dtype)
        return out

    body.forward = shortened
    try:
        yield
    finally:
        del body.forward


def _apart(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float | None:
    """Return the largest difference (nats); None if there is one that is no number."""
    apart = [abs(a - b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)]
    return max(apart) if all(map(math.isfinite, apart)) else None


def _replies(asked: Subject) -> list[str]:
    chats = [prompts.question_chat(asked.task, text.text, {}) for text in asked.examples]
    return list(map(str, asked.local.generate(chats, [ROOM] * len(chats))))


@contextmanager
def _gradient_of(model: PreTrainedModel) -> Iterator[torch.Tensor]:
    """Train one matrix of the model within; yield it."""
    model.requires_grad_(False)
    weight = next(weight for name, weight in model.named_parameters() if "layers.0" in name and weight.dim() == 2)
    try:
        yield weight.requires_grad_(True)
    finally:
        weight.grad = None
        model.requires_grad_(True)


def _training(asked: Subject) -> dict[str, Any]:
    """Return the loss of a training step (nats), and the norm of a gradient."""
    texts = encoded_rows(asked)[:2]
    with _gradient_of(asked.local.model) as weight:
        loss = tree_loss(asked, texts)
        loss.backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        return {"loss, nats": loss.item(), "gradient": weight.grad.float().norm().item()}


def _with_differences(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put in place of the replies how many are unlike those of ``rows``, which transformers generates."""
    of_rows = next((result["replies"] for result in results if result["way"] == "rows" and "replies" in result), None)
    for result in results:
        replies = result.pop("replies", None)
        if replies is not None and of_rows is not None:
            result["replies unlike rows"] = sum(a != b for a, b in zip(replies, of_rows, strict=True))
    return results
