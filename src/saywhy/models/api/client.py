"""Requests to a server: side by side, tried again where that may help, each answer kept."""

from __future__ import annotations

import os
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from saywhy.models.api.address import ApiAddress
from saywhy.models.api.completion import Completion, parse_completion
from saywhy.models.api.reply_cache import ReplyCache
from saywhy.progress import say
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    import openai

REQUESTS_AT_ONCE = 8
"""Requests that are under way at the same time."""
RETRIES = 4
"""How often a request is tried again after a status of 429 or 5xx, a broken connection or no answer in time.

The ``openai`` client waits as long as the server asks for (``Retry-After``), else half a second, then twice as long."""
REPLY_SECONDS = 120.0
"""Seconds without a byte after which a server counts as hanging."""
CONNECT_SECONDS = 10.0
"""Seconds after which a server counts as out of reach."""
KEY_VARIABLE = "OPENAI_API_KEY"
"""The one place from which a key is taken."""

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class ApiModelError(SaywhyError):
    """What a model behind an API does not do: it may say where its server is, and repeats no word of a text."""


class RefusedRequestError(ApiModelError):
    """A request that the server refuses for what is in it, or answers without what was asked for."""


class ModelUnavailableError(ApiModelError):
    """A server that does not answer, whatever it is asked.

    Attributes:
        may_answer_others: Whether another request may fare better: it was reached, and failed at this one.
    """

    def __init__(self, problem: str, *, may_answer_others: bool = False) -> None:
        super().__init__(problem)
        self.may_answer_others = may_answer_others


class ApiClient:
    """A server that is asked for chat completions.

    Attributes:
        address: Where it is.
        keeps_answers: Whether answers are written into the cache; a service, which writes no text down, keeps none.
        reply_seconds: Seconds without a byte after which the server counts as hanging.
        retries: How often a request is tried again.
        counts: How many requests were sent and how many were in the cache, and the tokens of those that were sent.
    """

    def __init__(self, address: ApiAddress, cache: ReplyCache) -> None:
        self.address, self._cache = address, cache
        self.keeps_answers = True
        self.reply_seconds, self.retries = REPLY_SECONDS, RETRIES
        self.counts: Counter[str] = Counter()
        self._client: openai.OpenAI | None = None
        self._lock = threading.Lock()

    def serve_others(self, seconds: float) -> None:
        """Ask for a service from now on: answers are not kept, and a server that hangs is soon given up.

        Args:
            seconds: How long those who ask the service wait.
        """
        with self._lock:
            self.keeps_answers, self.retries = False, 1
            self.reply_seconds = min(REPLY_SECONDS, seconds / (self.retries + 1))
            self._client = None  # it waits longer

    def complete(self, request: Mapping[str, Any]) -> Completion:
        """Return the answer to a request: from the cache, else from the server.

        Args:
            request: The body but for the name of the model: messages and decoding parameters.

        Raises:
            RefusedRequestError: If the server refuses it for what is in it.
            ModelUnavailableError: If there is no answer that can be read; no word of an answer is repeated.
        """
        body = {"model": self.address.model, "temperature": 0, **request}
        path = self._cache.path(self.address.url, body)
        completion = self._cache.read(path)
        if completion is not None and _has_what_was_asked(completion, body):
            self._count(cached=1)
            return completion
        content = self._sent(body)
        try:
            completion = parse_completion(content)
        except ValueError as error:
            page = ", but a page" if content.lstrip()[:1] == b"<" else ""
            raise ModelUnavailableError(
                f"{self.address.url} answers with no chat completion{page} ({error}): check the address, which mostly "
                "ends in /v1, and what stands between here and the server",
                may_answer_others=not page,
            ) from None
        if self.keeps_answers and _has_what_was_asked(completion, body):
            self._keep(path, content)
        self._count(requests=1, prompt_tokens=completion.prompt_tokens, reply_tokens=completion.reply_tokens)
        return completion

    def _keep(self, path: Path, content: bytes) -> None:
        try:
            self._cache.write(path, content)
        except OSError as error:  # the answer is there all the same
            self.keeps_answers = False
            say(f"answers are not kept from now on: {path.parent} cannot be written ({error.strerror})")

    def _count(self, **counts: int) -> None:
        with self._lock:
            self.counts.update(counts)

    def _sent(self, body: Mapping[str, Any]) -> bytes:
        import openai

        may_answer_others, tries = False, self.retries + 1
        try:
            answer = self._opened().chat.completions.with_raw_response.create(**_as_arguments(body))
            return answer.http_response.content
        except openai.APITimeoutError:
            problem = f"gave no answer within {self.reply_seconds:g} s, {tries} times: see whether it works"
        except openai.APIConnectionError as error:
            broken = type(error.__cause__).__name__ not in ("ConnectError", "NoneType")
            how = "breaks its answers off" if broken else "cannot be reached"
            problem = f"{how} ({tries} tries): see whether it runs at this address"
        except openai.APIStatusError as error:
            if error.status_code in (400, 413, 422):
                raise RefusedRequestError(self._problem(_status_problem(error.status_code, tries))) from None
            problem = _status_problem(error.status_code, tries).format(model=self.address.model)
            may_answer_others = error.status_code == 500  # 502 to 504 come from what stands before a server
        raise ModelUnavailableError(self._problem(problem), may_answer_others=may_answer_others) from None

    def _problem(self, problem: str) -> str:
        return f"{self.address.url} {problem}; what it has answered so far is kept"

    def _opened(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = _open_client(self.address.url, self.reply_seconds, self.retries)
            return self._client


def _has_what_was_asked(completion: Completion, body: Mapping[str, Any]) -> bool:
    """Whether an answer is worth keeping: log-probabilities that it lacks may be switched on."""
    return bool(completion.positions) or not completion.text or not body.get("logprobs")


def refuse_without_client() -> None:
    """Refuse to go on where the ``openai`` client is not installed.

    Raises:
        SaywhyError: With what to install.
    """
    try:
        import openai  # noqa: F401
    except ImportError as error:
        raise SaywhyError("a model behind an API needs the openai client: pip install 'saywhy[api]'") from error


def _open_client(url: str, reply_seconds: float, retries: int) -> openai.OpenAI:
    import openai

    # A local server needs no key, the client wants some.
    key = os.environ.get(KEY_VARIABLE, "").strip() or "none"
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise SaywhyError(f"{KEY_VARIABLE} in the environment holds signs that no key has: mend it, or unset it")
    timeout = openai.Timeout(reply_seconds, connect=min(CONNECT_SECONDS, reply_seconds))
    return openai.OpenAI(base_url=url, api_key=key, max_retries=retries, timeout=timeout)


def _as_arguments(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body as arguments of the client: what it does not know goes into ``extra_body``."""
    known = {"model", "messages", "temperature", "max_tokens", "logprobs", "top_logprobs"}
    arguments = {key: value for key, value in body.items() if key in known}
    return {**arguments, "extra_body": {key: value for key, value in body.items() if key not in known}}


def _status_problem(status: int, tries: int) -> str:
    """Return what a status means after so many tries, and what to do."""
    if status in (401, 403):
        return f"refuses the key ({status}): set {KEY_VARIABLE} in the environment"
    if status == 404:
        return (
            "has no model '{model}', or no /chat/completions at this address (404): check both; the address mostly "
            "ends in /v1"
        )
    if status in (400, 413, 422):
        return (
            f"refuses the request ({status}): the chat may be longer than the model's context, or the server lacks "
            "logprobs with top_logprobs=20, max_tokens or temperature=0"
        )
    if status == 429:
        return f"takes no more requests for now (429, up to {tries} tries): run the same command again later"
    if status >= 500:
        return f"fails ({status}, {tries} tries): see its log, and run the same command again"
    return f"answers with the status {status}: check the address"


def in_parallel(
    ask: Callable[[Asked], Answered], items: Sequence[Asked], done: Callable[[int], object]
) -> list[Answered]:
    """Return ``ask`` of each item, ``REQUESTS_AT_ONCE`` of them at the same time.

    The first error ends all. What is under way then is not waited for: a hanging server would hold the command.

    Args:
        ask: Asks; called in other threads.
        items: What is asked.
        done: Called in this thread with the number of items that were just finished.
    """
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[int, Answered | BaseException, bool]] = queue.SimpleQueue()
    stopped = threading.Event()
    for number in range(len(items)):
        waiting.put(number)

    def work() -> None:
        while not stopped.is_set():
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                finished.put((number, ask(items[number]), True))
            except BaseException as error:  # raised where it is waited for
                finished.put((number, error, False))

    for _ in range(min(REQUESTS_AT_ONCE, len(items))):
        threading.Thread(target=work, daemon=True).start()
    answers: dict[int, Any] = {}
    try:
        for _ in items:
            number, answer, succeeded = finished.get()
            if not succeeded and isinstance(answer, BaseException):
                raise answer
            answers[number] = answer
            done(1)
    finally:
        stopped.set()
    return [answers[number] for number in range(len(items))]
