"""The address of a model behind an API, as ``model=openai:NAME@URL`` gives it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from saywhy.records import SaywhyError

API_PREFIX = "openai:"
"""What the names of models behind an API begin with."""

_API_NAME = re.compile(rf"{API_PREFIX}(?P<model>\S+?)@(?P<url>https?://\S+)")
_EXAMPLE = f"{API_PREFIX}NAME@http://HOST/v1"


@dataclass(frozen=True, slots=True)
class ApiAddress:
    """Where a model is asked.

    Attributes:
        model: What the server calls it.
        url: Beginning of the API, to which ``/chat/completions`` is added; without a secret.
    """

    model: str
    url: str


def is_api_name(name: str) -> bool:
    """Return whether ``model=`` means a model behind an API."""
    return name.startswith(API_PREFIX)


def parse_api_name(name: str) -> ApiAddress:
    """Return the address that ``openai:NAME@URL`` gives.

    Raises:
        SaywhyError: If it gives none, or one that holds what may be a secret; it is not repeated then.

    >>> parse_api_name("openai:org/chat-1@http://localhost:8000/v1/")
    ApiAddress(model='org/chat-1', url='http://localhost:8000/v1')
    """
    parts = _API_NAME.fullmatch(name)
    if parts is None:
        raise SaywhyError(f"a model behind an API is written model={_EXAMPLE}: give its name and its http address")
    url = _split_url(parts["url"])
    if "@" in url.netloc:
        raise SaywhyError(
            f"the address of model={API_PREFIX}{parts['model']}@... holds a user or password, which every run would "
            "keep: leave them out, and give the key as OPENAI_API_KEY in the environment"
        )
    if url.query or url.fragment:
        raise SaywhyError(
            f"the address of model={API_PREFIX}{parts['model']}@... goes on behind its path (? or #), where secrets "
            f"stand: write model={_EXAMPLE}, and give the key as OPENAI_API_KEY in the environment"
        )
    return ApiAddress(parts["model"], parts["url"].rstrip("/"))


def _split_url(url: str) -> SplitResult:
    try:
        split = urlsplit(url)
        if split.hostname and split.hostname.encode("idna") and split.port != 0:
            return split
    except ValueError:  # no port, no address of the sixth version, or a name that no host can have
        pass
    raise SaywhyError(f"model={API_PREFIX}NAME@URL: the URL names no host or a port that is none: write {_EXAMPLE}")
