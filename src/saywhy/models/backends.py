"""Backends: what ``model=`` means, opened as something that answers ``models.interface``.

There are three: transformers and vLLM on this machine, and servers that speak chat completions. Another is a class that
answers what it can, says so in ``answers``, and is chosen here by what ``model=`` means.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from saywhy.models.fingerprints import adapter_fingerprint, base_weights_fingerprint
from saywhy.models.interface import Model, Question
from saywhy.models.kept import kept
from saywhy.models.reading import hidden_width
from saywhy.models.spec import ModelSpec, cache_folder, resolve_model
from saywhy.models.weights import load_base, merged, with_adapter
from saywhy.processes import world_size
from saywhy.progress import say
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from saywhy.engine_settings import EngineSettings
    from saywhy.models.api.model import ApiModel
    from saywhy.models.forward import Forward
    from saywhy.models.local import LocalModel
    from saywhy.models.precision import Precision


@dataclass(frozen=True, slots=True)
class EngineDefaults:
    """The defaults of ``EngineSettings``, for an engine that stands alone: settings need pydantic."""

    precision: str = "auto"
    token_budget: int | None = None
    tensor_parallel_size: int = 1
    quantize: str | None = None


def open_model(
    name: str, settings: EngineSettings | EngineDefaults | None = None, precision: str | None = None
) -> Model:
    """Open a model for inference: an adapter is merged into its base, or put on it where that is quantised.

    Args:
        name: The value of ``model=``.
        settings: How it is computed, whatever model they name; None: by the defaults.
        precision: In place of the settings': ``auto``, ``float32``, ``mixed``, ``bfloat16`` or ``autocast``
            (``models.precision``).
    """
    settings = settings or EngineDefaults()
    spec = resolve_model(name)
    if settings.quantize:
        from saywhy.models.quantization import refuse_quantize

        refuse_quantize(settings.quantize, spec)
    if spec.api:
        return open_api_model(spec)
    chosen = precision_of(spec, precision or settings.precision, settings.quantize)
    weights = str(chosen.dtype).removeprefix("torch.")
    _say_once(f"{chosen.device}, {weights} weights, {chosen.products} products: {chosen.reason}")
    if spec.vllm:
        from saywhy.models.vllm import open_in_vllm

        _refuse_several_processes(spec, "by one process, which shares its work among cards by tensor_parallel_size")
        return open_in_vllm(spec, chosen, settings.tensor_parallel_size)
    with _without_collection():
        return _open_here(spec, chosen, settings)


def _open_here(spec: ModelSpec, chosen: Precision, settings: EngineSettings | EngineDefaults) -> LocalModel:
    from saywhy.models.local import LocalModel

    model, tokenizer = load_base(spec, chosen.dtype, chosen.device, settings.quantize)
    if spec.adapter:
        adapted = with_adapter(model, spec).get_base_model() if settings.quantize else merged(model, spec)
        model = cast("PreTrainedModel", adapted)
    forward = _tried_forward(spec, model, chosen, settings.quantize)
    return LocalModel(spec.name, model, tokenizer, settings.token_budget, forward=forward)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Look for no garbage while modules and weights are loaded: a fourth of that time, and all of it is kept."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _tried_forward(spec: ModelSpec, model: PreTrainedModel, chosen: Precision, quantize: str | None) -> Forward:
    """Return the forward pass of a model; that its trees give what plain prompts give is not tried a second time."""
    import torch

    from saywhy.models import branches, forward, tree
    from saywhy.models.copies import shortened_products

    shortened = shortened_products(model, chosen.shortened_by)
    weights = [base_weights_fingerprint(spec), adapter_fingerprint(spec)]
    if not str(weights[0]).startswith("sha256:"):
        return forward.Forward(model, spec.name, shortened=shortened)  # which weights of the hub is not known
    tried: list[forward.Forward] = []

    def way() -> str:
        tried.append(forward.Forward(model, spec.name, shortened=shortened))
        return tried[0].way if tried[0].way == "branches" else ""  # why it is another is said every time

    code = [Path(str(module.__file__)) for module in (branches, forward, tree)]
    libraries = [version("torch"), version("transformers"), branches.NOT_IN_TRANSFORMERS]
    numbers = [str(chosen.dtype), chosen.device, quantize, torch.backends.cpu.get_cpu_capability()]
    known_way = kept("way", code, [weights, model.config.to_json_string(), libraries, numbers], way)
    if tried:
        return tried[0]
    return forward.Forward(model, spec.name, shortened=shortened, way=cast(forward.ForwardWay, known_way))


def precision_of(spec: ModelSpec, precision: str, quantize: str | None = None) -> Precision:
    """Return device and number formats of a model on this machine; ``quantize`` as in the settings.

    Raises:
        SaywhyError: If what computes it has no such precision, or its configuration cannot be read.
    """
    from saywhy.models.precision import choose_precision, vllm_precision

    if spec.vllm:
        return vllm_precision(precision)
    chosen = choose_precision(precision, hidden_width(spec))
    if quantize:  # on a card alone, where nothing else shortens products
        return replace(chosen, products="bfloat16", reason=f"base weights in four bits ({quantize}), as asked for")
    return chosen


def _refuse_several_processes(spec: ModelSpec, how: str) -> None:
    if world_size() > 1:
        raise SaywhyError(f"model='{spec.name}' is asked {how}: start it without accelerate or torchrun")


def open_api_model(spec: ModelSpec) -> ApiModel:
    """Open a model behind an API; nothing is sent yet.

    Raises:
        SaywhyError: If the client is not installed, or several processes were started.
    """
    from saywhy.models.api.client import refuse_without_client
    from saywhy.models.api.model import ApiModel
    from saywhy.models.api.reply_cache import ReplyCache

    assert spec.api, f"{spec.name} is on this machine"
    refuse_without_client()
    _refuse_several_processes(spec, "by one process, which sends its requests side by side")
    return ApiModel(spec.name, spec.api, ReplyCache(cache_folder() / "api"))


class HasAnswers(Protocol):
    """A model, or where one comes from."""

    @property
    def name(self) -> str:
        """The value of ``model=``."""

    @property
    def answers(self) -> frozenset[Question]:
        """Which questions it answers."""


def require(model: HasAnswers, question: Question, asker: str, instead: str) -> None:
    """Refuse a model that does not answer a question.

    Args:
        model: The model, opened or not.
        question: What is asked of it.
        asker: What asks.
        instead: What the user can do.

    Raises:
        SaywhyError: If it has no answer.
    """
    if question not in model.answers:
        raise SaywhyError(f"{asker} needs a model with {question}, not '{model.name}': {instead}")


def counts_of(model: Model | None) -> dict[str, int]:
    """Return what a model behind an API has counted since it was opened; of any other, nothing is counted."""
    from saywhy.models.api.model import ApiModel

    return model.counts if isinstance(model, ApiModel) else {}


def say_counts(counts: Mapping[str, int]) -> None:
    """Print how many requests a run has sent, and how many of its label scores are bounds."""
    asked = f"{counts.get('requests', 0)} requests sent, {counts.get('cached', 0)} answered from the cache"
    bounds = f"{counts.get('label_bounds', 0)} of {counts.get('label_scores', 0)} label scores are bounds"
    say(f"{asked}; {bounds}")


@functools.cache
def _say_once(line: str) -> None:
    say(line)
