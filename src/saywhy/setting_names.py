"""Names of settings: what they were called before, and which of TRL's names the setting ``trainer`` may not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saywhy.records import SaywhyError

_SETTING, _SAYWHY = "is the setting {}: give it there", "is set by saywhy: leave it out"
_NO_EFFECT = "has no effect here: saywhy's training has its own rows, loss and processes"
OWN_TRAINER_ARGUMENTS: Mapping[str, str] = {
    **{key: _SETTING.format(key) for key in ("learning_rate", "num_train_epochs", "per_device_train_batch_size")},
    "seed": _SETTING.format("seeds"),
    "data_seed": _SETTING.format("seeds"),
    "bf16": _SETTING.format("practice_precision"),
    "fp16": _SETTING.format("practice_precision"),
    "packing": _SETTING.format("packing"),
    **dict.fromkeys(
        (
            "output_dir",
            "activation_checkpointing",
            "gradient_accumulation_steps",
            "report_to",
            "disable_tqdm",
            "remove_unused_columns",
            "dataset_kwargs",
            "max_length",
            "dataloader_pin_memory",
            "use_cpu",
            "resume_from_checkpoint",
            "restore_callback_states_from_checkpoint",
        ),
        _SAYWHY,
    ),
    **dict.fromkeys(
        ("save_only_model", "ignore_data_skip"), "would let a killed training go on to other weights: leave it out"
    ),
    "train_sampling_strategy": "is set by saywhy: rows are drawn in the order of the seed",
    **dict.fromkeys(
        (
            *("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs", "activation_offloading"),
            *("eval_strategy", "eval_steps", "eval_on_start", "do_eval", "do_predict", "load_best_model_at_end"),
            *("metric_for_best_model", "greater_is_better", "per_device_eval_batch_size"),
            *("push_to_hub", "hub_token", "hub_model_id", "hub_strategy", "hub_private_repo", "run_name"),
            *("fsdp", "fsdp_config", "deepspeed", "parallelism_config", "accelerator_config"),
            *("padding_free", "loss_type", "label_smoothing_factor", "completion_only_loss", "assistant_only_loss"),
            *("model_init_kwargs", "trust_remote_code", "chat_template_path", "dataset_text_field", "eos_token"),
            *("pad_token", "pad_to_multiple_of", "shuffle_dataset", "use_liger_kernel", "auto_find_batch_size"),
        ),
        _NO_EFFECT,
    ),
}
"""Arguments of ``SFTConfig`` that ``trainer`` may not hold, and why."""


OLD_NAMES = {
    "rate": "learning_rate",
    "epochs": "num_train_epochs",
    "batch": "per_device_train_batch_size",
    "rank": "lora_r",
    "adapt_rate": "adapt_learning_rate",
    "adapt_epochs": "adapt_num_train_epochs",
}
"""What settings were called before they took the names of TRL and PEFT: still read, in folders, files and commands."""


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under the names of today.

    Raises:
        SaywhyError: If one stands there under both its names.
    """
    doubled = [old for old, new in OLD_NAMES.items() if old in settings and new in settings]
    if doubled:
        raise SaywhyError(f"{doubled[0]} is the old name of {OLD_NAMES[doubled[0]]}: give one of them")
    return {OLD_NAMES.get(key, key): value for key, value in settings.items()}


_FREE_OF_TREES = ("loss_type",)
"""What has an effect where the loss is TRL's own."""
_OF_OBJECTIVES: Mapping[str, Mapping[str, str]] = {
    "dpo": {
        "beta": _SETTING.format("beta"),
        "loss_weights": _SETTING.format("word_share"),
        "sync_ref_model": "has no effect here: the start stays what it is",
        "truncation_mode": _SAYWHY,
    },
    "grpo": {
        "beta": _SETTING.format("beta"),
        "sync_ref_model": "has no effect here: the start stays what it is",
        **dict.fromkeys(("generation_batch_size", "steps_per_generation"), _SAYWHY),
        **dict.fromkeys(
            ("use_vllm", "use_transformers_continuous_batching", "use_transformers_paged"),
            "has no effect here: transformers generates the replies",
        ),
        **dict.fromkeys(("log_completions", "log_completions_hub_repo"), "has no effect here: no reply is shown"),
    },
}


def own_trainer_argument(objective: str, key: str) -> str | None:
    """Return why ``trainer`` may not hold an argument with an objective; None if it may."""
    if objective not in _OF_OBJECTIVES:
        return OWN_TRAINER_ARGUMENTS.get(key)
    if key in _FREE_OF_TREES:
        return None
    return _OF_OBJECTIVES[objective].get(key) or OWN_TRAINER_ARGUMENTS.get(key)
