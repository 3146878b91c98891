"""What a request is refused with: a status, and one JSON shape. No text of a request stands in any of them."""

from __future__ import annotations

import math
from typing import Any

from saywhy.explainer.decision import UnusableTextError
from saywhy.models.api.client import ModelUnavailableError, RefusedRequestError
from saywhy.models.memory import NotEnoughMemoryError, is_out_of_memory
from saywhy.records import SaywhyError


class RequestError(Exception):
    """A request that is not answered.

    Attributes:
        status: HTTP status.
        kind: What went wrong, as a program reads it.
        message: The same for people: what, where, what to do.
        retry_after: Seconds after which to try again; None: that would not help.
    """

    def __init__(self, status: int, kind: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.kind, self.message, self.retry_after = status, kind, message, retry_after

    @property
    def content(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"error": {"type": self.kind, "message": self.message}}

    @property
    def headers(self) -> dict[str, str]:
        """Headers of the answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        return {**headers, "WWW-Authenticate": "Bearer"} if self.status == 401 else headers


def refusal_of(error: BaseException) -> RequestError:
    """Return how a request is refused whose computation failed."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, UnusableTextError):
        return RequestError(422, "unusable_text", str(error))
    if isinstance(error, NotEnoughMemoryError) or is_out_of_memory(error):
        return RequestError(503, "out_of_memory", "the memory does not hold this text: try again, or a shorter one", 5)
    # Where the server of a model is, which key it takes, or where a model lies, is nothing for clients.
    if isinstance(error, RefusedRequestError):
        message = "the server of the model refuses this text: it may be longer than the model reads"
        return RequestError(422, "cannot_explain", message)
    if isinstance(error, ModelUnavailableError):
        return RequestError(503, "model_unavailable", "the server of the model does not answer: try again later", 10)
    if isinstance(error, SaywhyError):
        message = "the model cannot explain this text; what the service says where it runs tells more"
        return RequestError(422, "cannot_explain", message)
    return RequestError(500, "internal", "the service failed at this request; it goes on")


def timed_out(seconds: float) -> RequestError:
    """Return the refusal of a request that took too long."""
    return RequestError(504, "timeout", f"no answer within {seconds:g} seconds: send fewer texts, or less effort")


def stopping() -> RequestError:
    """Return the refusal of requests that come, or still wait, when the service ends."""
    return RequestError(503, "stopping", "the service is stopping: try again", 5)
