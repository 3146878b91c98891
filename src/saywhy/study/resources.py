"""What a worker of a cluster needs for a kind of step: processors, graphics cards, memory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from saywhy.records import SaywhyError

StepKind = Literal["train", "audit", "keep", "show"]
STEP_KINDS: tuple[StepKind, ...] = ("train", "audit", "keep", "show")

RESOURCE_NAMES = ("cpus", "gpus", "memory")
RESOURCE_OPTIONS = (*RESOURCE_NAMES, *(f"{kind}.{name}" for kind in STEP_KINDS for name in RESOURCE_NAMES))
"""``cpus=4`` on the command line is for all kinds of steps, ``train.cpus=4`` for one."""

_BYTES = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30}


class StepResources(BaseModel):
    """What a worker needs."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    cpus: float = Field(1, gt=0, le=1e5, description="Processors, also the threads that it computes in.")
    gpus: float | None = Field(
        None, ge=0, le=1e5, description="Graphics cards, or a part of one; none: 1, if the cluster has any."
    )
    memory: int | None = Field(None, gt=0, le=10**16, description="Bytes, as in 24GB; none: it is not reckoned with.")

    @field_validator("memory", mode="before")
    @classmethod
    def _bytes(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        number = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", value.lower())
        if not number or number[2] not in _BYTES:
            raise ValueError(f"{value!r} is no memory: write for example 24GB")
        return round(float(number[1]) * _BYTES[number[2]])

    @field_validator("gpus")
    @classmethod
    def _whole_cards(cls, value: float | None) -> float | None:
        if value is not None and value > 1 and value % 1:
            raise ValueError(
                f"{value:g} is neither a part of a graphics card nor whole ones: write for example 0.5 or 2"
            )
        return value

    def needed(self, available: Mapping[str, float]) -> dict[str, float]:
        """Return the amounts that are needed of a cluster's resources by Ray's names, without those that are not."""
        gpus = self.gpus if self.gpus is not None else float(available.get("GPU", 0) >= 1)
        amounts = {"CPU": self.cpus, "GPU": gpus, "memory": float(self.memory or 0)}
        return {name: amount for name, amount in amounts.items() if amount}

    def __str__(self) -> str:
        """Return what is asked for, as the study file has it: ``cpus: 4, gpus: 1``."""
        given = {name: getattr(self, name) for name in RESOURCE_NAMES}
        return ", ".join(f"{name}: {value:.15g}" for name, value in given.items() if value is not None)


def with_options(
    resources: Mapping[StepKind, StepResources], options: Mapping[str, str]
) -> dict[StepKind, StepResources]:
    """Return what each kind of step needs: what the study file says, with what the command line says in its place.

    Args:
        resources: Of the study file.
        options: Values by the names in ``RESOURCE_OPTIONS``; one of a single kind goes before one of all.

    Raises:
        SaywhyError: If a value is none.
    """
    changed = {}
    for kind in STEP_KINDS:
        given = resources.get(kind, StepResources()).model_dump(exclude_unset=True)
        for option in sorted(options, key=lambda name: "." in name):
            if option in RESOURCE_NAMES or option.startswith(f"{kind}."):
                given[option.rpartition(".")[2]] = options[option]
        try:
            changed[kind] = StepResources(**given)
        except ValidationError as error:
            problem = error.errors()[0]
            name = str(problem["loc"][0])
            raise SaywhyError(f"{name}={problem['input']}: {problem['msg'].removeprefix('Value error, ')}") from None
    return changed
