"""The settings of the model and of how it is computed: number formats, memory, cards."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from saywhy.file_format import FileFormat
from saywhy.paths import VLLM_PREFIX, is_vllm_name


class EngineSettings(FileFormat):
    """The model, and how models are computed, with the defaults."""

    model: str = Field(
        "smollm2-135m",
        description="Model: a built-in name, a folder, .gguf file, adapter, hub id, vllm:MODEL or openai:NAME@URL.",
    )
    precision: Literal["auto", "float32", "mixed", "bfloat16"] = Field(
        "auto",
        description="Number format: mixed is float32 weights and sums, with shorter products where there are units for "
        "it (cards, AMX, AVX-512's bfloat16); auto that where it is faster: log-odds move by 0.01 nats on average.",
    )
    practice_precision: Literal["auto", "float32", "autocast"] = Field(
        "auto",
        description="Number format of practice: auto trains LoRAs with bfloat16 products where `precision` makes "
        "audits so from kept copies (CPUs), else as float32; autocast trains and makes lessons so wherever there are "
        "units for it, 1.4 times as fast (log-odds move by 0.01 nats on average); float32 trains in float32 (on cards "
        "with what `precision` makes of its products), with lessons, as audits, in `precision`.",
    )
    token_budget: int | None = Field(
        None,
        ge=1,
        description="Tokens computed at once; none: found from the free memory. No result depends on it beyond "
        "rounding, so it may change between the sittings of a run.",
    )
    tensor_parallel_size: int = Field(
        1,
        ge=1,
        description="Cards among which vLLM shares each layer (model=vllm:...); may change between the sittings of a "
        "run.",
    )
    quantize: Literal["nf4"] | None = Field(
        None,
        description="nf4: base weights in four bits (bitsandbytes, a card), for audits and for LoRA training on one "
        "card of 24 GB; none: as `precision` says.",
    )

    @model_validator(mode="after")
    def _has_an_engine(self) -> Self:
        if self.tensor_parallel_size > 1 and not is_vllm_name(self.model):
            raise ValueError(
                f"tensor_parallel_size={self.tensor_parallel_size}: only vLLM shares layers among cards: write "
                f"model={VLLM_PREFIX}{self.model}, or leave it out"
            )
        return self
