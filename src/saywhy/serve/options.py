"""Settings of the service: where it listens, how much it takes, what it writes down (docs/serve.md)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from saywhy.config import Config
from saywhy.explainer.decision import Effort
from saywhy.folders.decision_log import MOST_OLDER_FILES
from saywhy.hints import did_you_mean
from saywhy.records import SaywhyError
from saywhy.setting_names import OLD_NAMES
from saywhy.settings import fitted, parse

TOKEN_VARIABLE = "SAYWHY_TOKEN"
"""Environment variable with the token that clients must send: settings would show it to all users of a machine."""

_HOST_HEADER = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+?)\.?(?::\d*)?")
"""A name or address, the dot that may end a name, a port."""


class ServiceSettings(BaseModel):
    """What ``saywhy serve`` takes beside model, task and data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address; any but a loopback one needs SAYWHY_TOKEN.")
    port: int = Field(8000, ge=0, le=65535, description="Port; 0: a free one.")
    queue: int = Field(256, ge=1, le=100_000, description="Texts that may wait; beyond them the answer is 429.")
    batch: int = Field(16, ge=1, le=1024, description="Texts that are computed together, at most.")
    effort: Effort = Field("repair", description="Effort of requests that name none: self, repair, search.")
    timeout: float = Field(
        60.0, gt=0, le=86_400, allow_inf_nan=False, description="Seconds after which a request is given up: 504."
    )
    most_texts: int = Field(64, ge=1, le=100_000, description="Texts of a request, at most.")
    most_characters: int = Field(
        5000, ge=1, le=10_000_000, description="Characters of a text with its other fields, at most."
    )
    log: str | None = Field(
        None, min_length=1, description="File of the decision log (JSONL), which `saywhy watch` reads."
    )
    log_texts: bool = Field(False, description="Whether texts go into it.")
    log_megabytes: float = Field(
        10.0, gt=0, le=100_000, allow_inf_nan=False, description="Size from which the log goes on in a new file."
    )
    log_files: int = Field(5, ge=1, le=MOST_OLDER_FILES, description="Older files of the log that are kept.")
    confidence: str | None = Field(
        None,
        min_length=1,
        description="Audit of the model on which `saywhy confidence` fitted how likely a reason holds.",
    )
    beside: Literal["base"] | None = Field(None, description="base: an adapter's base model answers, too.")

    @field_validator("*", mode="before")
    @classmethod
    def _none_is_null(cls, value: Any) -> Any:
        return None if isinstance(value, str) and value.lower() in ("none", "null") else value

    @model_validator(mode="after")
    def _fits_together(self) -> ServiceSettings:
        if self.most_texts > self.queue:
            raise ValueError(f"most_texts={self.most_texts} is more than queue={self.queue} holds: raise queue")
        of_log = [name for name in ("log_texts", "log_megabytes", "log_files") if name in self.model_fields_set]
        if not self.log and (idle := [name for name in of_log if getattr(self, name) is not False]):
            raise ValueError(f"{idle[0]}={str(getattr(self, idle[0])).lower()} has no effect without log=FILE")
        return self

    @property
    def most_bytes(self) -> int:
        """Bytes of a request's body, at most: JSON may write a character in six, an astral one in twelve."""
        return 2**16 + 12 * self.most_texts * self.most_characters

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches the address."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a name or address of a host is that by which a machine calls itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def names_loopback(header: str) -> bool:
    """Whether a ``Host`` header, with its port or without, names this machine by a loopback name or address."""
    match = _HOST_HEADER.fullmatch(header.strip().lower())
    return match is not None and is_loopback(match[1])


def service_and_config(pairs: Sequence[str]) -> tuple[ServiceSettings, Config]:
    """Return the settings of the service, and those of model, task and data.

    Raises:
        SaywhyError: For an unknown setting, or a value that does not fit.
    """
    own: dict[str, str] = {}
    others: list[str] = []
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key in ServiceSettings.model_fields and "=" in pair:
            own[key] = value
            continue
        names = (*ServiceSettings.model_fields, *Config.model_fields, *OLD_NAMES)
        if "=" in pair and key not in names and not key.startswith("trainer."):
            hint = did_you_mean(key, names, ", ")
            raise SaywhyError(f"no setting '{key}'{hint}: see 'saywhy serve --help' and 'saywhy settings'")
        others.append(pair)
    return fitted(ServiceSettings, own), parse(others)


def checked_token(settings: ServiceSettings, environment: Mapping[str, str]) -> str | None:
    """Return the token that clients must send, None if they need none.

    Raises:
        SaywhyError: If others could reach the address and there is no token, or the token cannot stand in a header.
    """
    token = environment.get(TOKEN_VARIABLE)
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise SaywhyError(f"{TOKEN_VARIABLE} must be printable ASCII without blanks, and not empty")
    if token is None and not settings.is_loopback:
        raise SaywhyError(
            f"host={settings.host} can be reached from other machines: set {TOKEN_VARIABLE} in the environment, "
            "or leave host=127.0.0.1"
        )
    return token
