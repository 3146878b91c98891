"""What a server answers to a request for a chat completion, read strictly."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

LEAST_LOG_PROBABILITY = -9999.0
"""What some servers write for a probability of nothing (nats)."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Listed(_Strict):
    token: str
    logprob: float


class _Position(_Listed):
    top_logprobs: tuple[_Listed, ...] | None = None


class _Logprobs(_Strict):
    content: tuple[_Position, ...] | None = None


class _Message(_Strict):
    content: str | None = None


class _ReplyChoice(_Strict):
    message: _Message
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Usage(_Strict):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Body(_Strict):
    choices: tuple[_ReplyChoice, ...]
    usage: _Usage | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """One token of a reply.

    Attributes:
        token: Its text.
        listed: Log-probabilities (nats) of the likeliest tokens here, by text.
    """

    token: str
    listed: dict[str, float]


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply.

    Attributes:
        text: What it says.
        cut: Whether it was cut off for want of room.
        positions: Its tokens, where log-probabilities were asked for and given.
        prompt_tokens: Tokens of the request, as the server counts them; 0: it did not.
        reply_tokens: Tokens of the reply.
    """

    text: str
    cut: bool
    positions: tuple[Position, ...]
    prompt_tokens: int
    reply_tokens: int


def parse_completion(body: str | bytes) -> Completion:
    """Return the completion that the body of an answer holds.

    Raises:
        ValueError: If it holds none; the message repeats nothing of it.
    """
    try:
        parsed = _Body.model_validate_json(body)
    except ValidationError as error:
        raise ValueError(_body_problem(error)) from None
    if not parsed.choices:
        raise ValueError("choices is empty")
    choice = parsed.choices[0]
    content = choice.logprobs.content if choice.logprobs else None
    usage = parsed.usage or _Usage()
    return Completion(
        text=choice.message.content or "",
        cut=choice.finish_reason == "length",
        positions=tuple(Position(position.token, _listed_tokens(position)) for position in content or ()),
        prompt_tokens=usage.prompt_tokens or 0,
        reply_tokens=usage.completion_tokens or 0,
    )


def _listed_tokens(position: _Position) -> dict[str, float]:
    """Return what is listed at a position and can be meant: of what is written twice, the likelier."""
    listed: dict[str, float] = {}
    for entry in (position, *(position.top_logprobs or ())):
        if math.isfinite(entry.logprob) and entry.logprob > LEAST_LOG_PROBABILITY:
            listed[entry.token] = max(min(entry.logprob, 0.0), listed.get(entry.token, -math.inf))
    return listed


def _body_problem(error: ValidationError) -> str:
    """Return what is wrong with a body, without a word of it."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "it is no JSON"
    where = ".".join(str(part) for part in first["loc"]) or "it"
    return f"{where} is missing" if first["type"] == "missing" else f"{where} is of a wrong type"
