"""What ``model=`` names, loaded: base weights and tokenizer, an adapter on them."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

from saywhy.models.spec import Spec, fingerprint, first_line, read_weights, resolve
from saywhy.progress import say
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from saywhy.models.local import LocalModel


def with_adapter(model: PreTrainedModel, spec: Spec, *, trainable: bool = False) -> PeftModel:
    """Return ``model`` with the adapter of ``spec``.

    Raises:
        SaywhyError: If its weights are damaged, missing, or of another base model.
    """
    from peft import PeftModel

    assert spec.adapter
    try:
        with warnings.catch_warnings():
            # Without some of its weights PEFT would go on with random ones.
            warnings.filterwarnings("error", message=".*missing adapter keys")
            return PeftModel.from_pretrained(model, str(spec.adapter), is_trainable=trainable, local_files_only=True)
    except Exception as error:  # peft, torch and safetensors raise many kinds; the user needs one line
        raise SaywhyError(
            f"adapter {spec.adapter} cannot be put on {spec.public_id}: {first_line(error)}; check that it was "
            "trained on this base, and that its files are whole"
        ) from error


def load_base(spec: Spec, dtype: Any = None, device: str = "cpu") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the base model of ``spec`` on ``device``.

    Raises:
        SaywhyError: If it cannot be loaded, or is not the one that the adapter was trained on.
    """
    _check_base(spec)
    model, tokenizer = read_weights(spec, dtype)
    return model.to(device), tokenizer  # type: ignore[arg-type]


def load(name: str, token_budget: int | None = None, precision: str = "auto") -> LocalModel:
    """Load a model for asking: an adapter is merged into its base.

    Args:
        name: What `model=` says.
        token_budget: Tokens that are computed at once; None: found from the free memory.
        precision: ``auto``, ``float32``, ``mixed`` or ``bfloat16`` (``models.precision.choose``).
    """
    from saywhy.models.local import LocalModel
    from saywhy.models.precision import choose

    spec = resolve(name)
    chosen = choose(precision)
    weights = str(chosen.dtype).removeprefix("torch.")
    _tell_once(f"{chosen.device}, {weights} weights, {chosen.products} products: {chosen.reason}")
    model, tokenizer = load_base(spec, chosen.dtype, chosen.device)
    if spec.adapter:
        model = with_adapter(model, spec).merge_and_unload()
    return LocalModel(name, model, tokenizer, token_budget)


@functools.cache
def _tell_once(line: str) -> None:
    say(line)


def _check_base(spec: Spec) -> None:
    """Refuse an adapter whose base is not the one that it was trained on."""
    told = spec.extras.get("base", {}).get("fingerprint") if spec.adapter else None
    if told and told != (found := fingerprint(spec)):
        raise SaywhyError(
            f"adapter {spec.adapter} was trained on another base ({told}) than {spec.public_id} is here ({found}): "
            "use the base that it names"
        )
