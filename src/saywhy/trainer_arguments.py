"""Which arguments of TRL's ``SFTConfig`` the setting ``trainer`` may not hold, because saywhy sets them itself."""

from __future__ import annotations

from collections.abc import Mapping

_SETTING, _SAYWHY = "is the setting {}: give it there", "is set by saywhy: leave it out"
_NO_EFFECT = "has no effect here: saywhy's training has its own rows, loss and processes"
OWN_TRAINER_ARGUMENTS: Mapping[str, str] = {
    **{key: _SETTING.format(key) for key in ("learning_rate", "num_train_epochs", "per_device_train_batch_size")},
    "seed": _SETTING.format("seeds"),
    "data_seed": _SETTING.format("seeds"),
    "bf16": _SETTING.format("precision"),
    "fp16": _SETTING.format("precision"),
    "packing": _SETTING.format("packing"),
    **dict.fromkeys(
        (
            "output_dir",
            "activation_checkpointing",
            "gradient_checkpointing",
            "gradient_accumulation_steps",
            "report_to",
            "disable_tqdm",
            "remove_unused_columns",
            "dataset_kwargs",
            "max_length",
            "dataloader_pin_memory",
            "use_cpu",
            "resume_from_checkpoint",
        ),
        _SAYWHY,
    ),
    **dict.fromkeys(
        (
            *("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs", "activation_offloading"),
            *("eval_strategy", "eval_steps", "eval_on_start", "do_eval", "do_predict", "load_best_model_at_end"),
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
