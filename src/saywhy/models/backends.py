"""Backends: what ``model=`` means, opened as something that answers ``models.interface``.

There is one, transformers on this machine. Another (a model behind an API, say) is a class that answers what it can,
says so in ``answers``, and is chosen here by what ``model=`` means.
"""

from __future__ import annotations

import functools

from saywhy.models.interface import Model, Question
from saywhy.models.spec import resolve_model
from saywhy.models.weights import load_base, merged
from saywhy.progress import say
from saywhy.records import SaywhyError


def open_model(name: str, token_budget: int | None = None, precision: str = "auto") -> Model:
    """Open a model for inference: an adapter is merged into its base.

    Args:
        name: The value of ``model=``.
        token_budget: Tokens that are computed at once; None: found from the free memory.
        precision: ``auto``, ``float32``, ``mixed``, ``bfloat16`` or ``autocast`` (``models.precision``).
    """
    from saywhy.models.local import LocalModel
    from saywhy.models.precision import choose_precision

    spec = resolve_model(name)
    chosen = choose_precision(precision)
    weights = str(chosen.dtype).removeprefix("torch.")
    _say_once(f"{chosen.device}, {weights} weights, {chosen.products} products: {chosen.reason}")
    model, tokenizer = load_base(spec, chosen.dtype, chosen.device)
    if spec.adapter:
        model = merged(model, spec)
    return LocalModel(name, model, tokenizer, token_budget, autocast=chosen.autocast)


def require(model: Model, question: Question, asker: str, instead: str) -> None:
    """Refuse a model that does not answer a question.

    Args:
        model: The model.
        question: What is asked of it.
        asker: What asks.
        instead: What the user can do.

    Raises:
        SaywhyError: If it has no answer.
    """
    if question not in model.answers:
        raise SaywhyError(f"{asker} needs a model with {question}, not '{model.name}': {instead}")


@functools.cache
def _say_once(line: str) -> None:
    say(line)
