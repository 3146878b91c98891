"""What ``model=`` names, loaded: base weights and tokenizer, an adapter on them."""

from __future__ import annotations

import json
import shutil
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from saywhy.folders.checksums import checksum, checksums_of
from saywhy.folders.store import read_object
from saywhy.models.fingerprints import base_weights_fingerprint
from saywhy.models.quantization import four_bits, refuse_quantize
from saywhy.models.reading import error_line, read_tokenizer, read_weights
from saywhy.models.shipped import ADAPTER_MANIFEST, read_shipped
from saywhy.models.spec import ADAPTER_CONFIG, ModelSpec
from saywhy.processes import local_rank
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""File of an adapter's weights, as PEFT names it."""


CHECKPOINTS = "checkpoints"
"""Folder beside the weights from which a killed training goes on."""

_BASE_KEY = "base_model_name_or_path"
"""The entry of an adapter's configuration that a user may change: where the base lies."""


def weight_checksums(folder: Path) -> dict[str, str]:
    """Return the checksums of the trained weights in ``folder`` and of their configuration, by file."""
    checksums = checksums_of(folder, folder.glob("*.safetensors"))
    for name in ("config.json", ADAPTER_CONFIG):
        if (folder / name).is_file():
            settings = {key: value for key, value in read_object(folder / name).items() if key != _BASE_KEY}
            checksums[name] = checksum(json.dumps(settings, sort_keys=True).encode())
    return checksums


def has_weights(folder: Path) -> bool:
    """Whether ``folder`` has all files of a training that is finished; ``saywhy.json``, written last, names them."""
    return (folder / ADAPTER_MANIFEST).is_file() and all(
        (folder / name).is_file() for name in read_shipped(folder).get("files", ())
    )


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a finished training: what ships is ``folder``, they were for a killed one."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def refuse_damaged_weights(folder: Path) -> None:
    """Refuse trained weights of which ``saywhy.json`` says that they were others; older ones are not known.

    Raises:
        SaywhyError: With the file.
    """
    finished = read_shipped(folder).get("files", {})
    if not finished:
        return
    present = weight_checksums(folder)
    if damaged := next((name for name, noted in finished.items() if present.get(name) != noted), None):
        problem = "damaged (other content than when it was finished)" if damaged in present else "missing"
        raise SaywhyError(
            f"{folder / damaged} is {problem}: restore it, or delete {folder} and run the same command again"
        )


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
    from saywhy.models.precision import exact_products

    adapted = with_adapter(model, spec)
    if not hasattr(adapted, "merge_and_unload"):
        kind = adapted.active_peft_config.peft_type.value
        raise SaywhyError(f"adapter {spec.adapter} is a {kind}, which is not added to weights: use a LoRA")
    _part_shared_weights(adapted)
    try:
        with exact_products(on_cards=True):  # shorter products are for passes: the sum would be another adapter
            return cast("PreTrainedModel", adapted.merge_and_unload())
    except NotImplementedError as error:
        raise SaywhyError(
            f"adapter {spec.adapter} cannot be added to weights ({error_line(error)}): use a LoRA that can"
        ) from error


def _part_shared_weights(adapted: Any) -> None:
    """Give each adapted layer weights of its own: what is added to it would else change others that share them.

    So it is of tied embeddings, and of PEFT's ``layer_replication``.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    holders = Counter(id(weight) for _, weight in adapted.named_parameters(remove_duplicate=False))
    for module in adapted.modules():
        if isinstance(module, BaseTunerLayer):
            layer = module.get_base_layer()
            for name, weight in list(layer.named_parameters(recurse=False)):
                if holders[id(weight)] > 1:
                    setattr(layer, name, torch.nn.Parameter(weight.detach().clone(), weight.requires_grad))
                    adapted.config.get_text_config().tie_word_embeddings = False


def load_base(
    spec: ModelSpec, dtype: Any = None, device: str = "cpu", quantize: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load the base model of ``spec`` on ``device``; adapters below that of ``spec`` are merged into it.

    Weights that are quantised (``quantize``) lie on a card, whatever ``device`` is.

    Raises:
        SaywhyError: If it cannot be loaded, is not the one that the adapter was trained on, or was damaged since its
            training.
    """
    refuse_unfit_weights(spec)
    refuse_quantize(quantize, spec)
    if quantize:
        model, tokenizer = read_weights(spec, dtype, quantization_config=four_bits(), device_map={"": local_rank()})
    elif spec.inner:
        model = merged(load_base(spec.inner, dtype, device)[0], spec.inner)
        tokenizer = read_tokenizer(spec)
    else:
        model, tokenizer = read_weights(spec, dtype)
        model = model.to(device)  # type: ignore[arg-type]
    if spec.adapter and len(tokenizer) > int(cast(Any, model.get_input_embeddings()).weight.shape[0]):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)  # as PEFT does; the adapter has the rows
    return model, tokenizer


def refuse_unfit_weights(spec: ModelSpec) -> None:
    """Refuse an adapter whose base is not the one that it was trained on, and weights damaged since their training.

    Raises:
        SaywhyError: With what is wrong.
    """
    trained_on = spec.extras.get("base", {}).get("fingerprint") if spec.adapter else None
    if trained_on and trained_on != (present := base_weights_fingerprint(spec)):
        raise SaywhyError(
            f"adapter {spec.adapter} was trained on another base ({trained_on}) than {spec.public_id} is here "
            f"({present}): use the base that it names"
        )
    refuse_damaged_weights(spec.folder)


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
