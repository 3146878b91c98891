"""Base weights and tokenizers as transformers reads them: safetensors or GGUF, no code from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from saywhy.models.spec import ModelSpec


def read_weights(
    spec: ModelSpec, dtype: Any = None, **quantised: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load base weights and tokenizer: safetensors or GGUF only, no remote code; ``quantised``: how, and where to.

    Raises:
        SaywhyError: If they cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig, logging, modeling_gguf_pytorch_utils

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # GGUF files are read under a bar that the switch does not reach.
    cast(Any, modeling_gguf_pytorch_utils).tqdm = logging.tqdm
    options: dict[str, Any] = (
        {"gguf_file": spec.gguf, "quantization_config": GgufConfig(dequantize=True)}
        if spec.gguf
        else {"use_safetensors": True}
    )
    try:
        model = AutoModelForCausalLM.from_pretrained(
            spec.base, dtype=dtype or torch.float32, trust_remote_code=False, **options, **quantised
        )
    except Exception as error:  # transformers raises many kinds; the user needs one line
        raise _not_loaded(spec, spec.base, error) from error
    return model, read_tokenizer(spec)


def hidden_width(spec: ModelSpec) -> int:
    """Return the width of a model's hidden states, read without its weights.

    Raises:
        SaywhyError: If its configuration cannot be read.
    """
    from transformers import AutoConfig

    options = {"gguf_file": spec.gguf} if spec.gguf else {}
    try:
        config = AutoConfig.from_pretrained(spec.base, trust_remote_code=False, **options)
    except Exception as error:  # transformers raises many kinds; the user needs one line
        raise _not_loaded(spec, spec.base, error) from error
    return int(config.get_text_config().hidden_size)


def read_tokenizer(spec: ModelSpec) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model: that of its adapter, if it brings one, with the nearest chat template.

    Raises:
        SaywhyError: If it cannot be loaded.
    """
    tokenizer, *below = (_tokenizer_in(spec, folder) for folder in spec.tokenizer_folders)
    templates = (nearest.chat_template for nearest in (tokenizer, *below))
    tokenizer.chat_template = next(filter(None, templates), None)
    return tokenizer


def _tokenizer_in(spec: ModelSpec, folder: str) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    options = {"gguf_file": spec.gguf} if spec.gguf and folder == spec.base else {}
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, padding_side="left", trust_remote_code=False, **options
        )
    except Exception as error:  # transformers raises many kinds; the user needs one line
        raise _not_loaded(spec, folder, error) from error
    return tokenizer


def _not_loaded(spec: ModelSpec, folder: str, error: Exception) -> SaywhyError:
    """Return the one line about a model or tokenizer that transformers cannot load."""
    if "trust_remote_code" in str(error):
        return SaywhyError(
            f"model '{spec.name}' brings code of its own ({folder}), which saywhy never runs: use a model that "
            "transformers knows"
        )
    if isinstance(error, ImportError):
        cause = error_line(_first_cause(error))
        return SaywhyError(
            f"model '{spec.name}' cannot be loaded by the libraries that are installed: {cause}; install what is "
            "missing, and versions that fit each other"
        )
    return SaywhyError(
        f"model '{spec.name}' cannot be loaded from {folder}: {error_line(error)}; check the path, or your connection"
    )


def _first_cause(error: BaseException) -> BaseException:
    """Return what was behind an error in the first place: transformers says which of its own modules fails."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def error_line(error: BaseException) -> str:
    """Return the first line of an error's message, 200 characters at most."""
    message = str(error).strip()
    return message.splitlines()[0][:200] if message else type(error).__name__
