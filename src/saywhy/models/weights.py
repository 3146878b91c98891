"""What ``model=`` names, loaded: base weights and tokenizer, an adapter on them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from saywhy.models.fingerprints import base_weights_fingerprint
from saywhy.models.spec import ModelSpec, error_line, read_tokenizer, read_weights
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""File of an adapter's weights, as PEFT names it."""


def with_adapter(model: PreTrainedModel, spec: ModelSpec, *, trainable: bool = False) -> PeftModel:
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
            f"adapter {spec.adapter} cannot be put on {spec.public_id}: {error_line(error)}; check that it was "
            "trained on this base, and that its files are whole"
        ) from error


def merged(model: PreTrainedModel, spec: ModelSpec) -> PreTrainedModel:
    """Return ``model`` with the adapter of ``spec`` added to its weights.

    Raises:
        SaywhyError: If it is none that can be added, or cannot be put on the model.
    """
    adapted = with_adapter(model, spec)
    if not hasattr(adapted, "merge_and_unload"):
        kind = adapted.active_peft_config.peft_type.value
        raise SaywhyError(f"adapter {spec.adapter} is a {kind}, which is not added to weights: use a LoRA")
    return cast("PreTrainedModel", adapted.merge_and_unload())


def load_base(
    spec: ModelSpec, dtype: Any = None, device: str = "cpu"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the base model of ``spec`` on ``device``; adapters below that of ``spec`` are merged into it.

    Raises:
        SaywhyError: If it cannot be loaded, or is not the one that the adapter was trained on.
    """
    _check_base(spec)
    if spec.inner:
        model = merged(load_base(spec.inner, dtype, device)[0], spec.inner)
        tokenizer = read_tokenizer(spec)
    else:
        model, tokenizer = read_weights(spec, dtype)
        model = model.to(device)  # type: ignore[arg-type]
    if spec.adapter and len(tokenizer) > int(cast(Any, model.get_input_embeddings()).weight.shape[0]):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)  # as PEFT does; the adapter has the rows
    return model, tokenizer


def _check_base(spec: ModelSpec) -> None:
    """Refuse an adapter whose base is not the one that it was trained on."""
    trained_on = spec.extras.get("base", {}).get("fingerprint") if spec.adapter else None
    if trained_on and trained_on != (present := base_weights_fingerprint(spec)):
        raise SaywhyError(
            f"adapter {spec.adapter} was trained on another base ({trained_on}) than {spec.public_id} is here "
            f"({present}): use the base that it names"
        )


def halve_adapter(folder: Path, out: Path) -> None:
    """Write the weights of the adapter in ``folder`` into ``out``, in bfloat16.

    Raises:
        SaywhyError: If they cannot be read or written.
    """
    import torch
    from safetensors.torch import load_file, save_file

    try:
        weights = load_file(folder / ADAPTER_WEIGHTS)
        save_file({name: values.to(torch.bfloat16) for name, values in weights.items()}, out / ADAPTER_WEIGHTS)
    except Exception as error:  # safetensors raises kinds of its own; the user needs one line
        raise SaywhyError(
            f"the weights of adapter {folder} cannot be copied to {out}: {error_line(error)}; check that its files are "
            "whole"
        ) from error
