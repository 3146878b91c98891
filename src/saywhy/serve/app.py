"""The routes of the service, and the gate before them: token, limits, one shape of errors, counts."""

from __future__ import annotations

import asyncio
import hmac
import time
from importlib import resources
from typing import Any

from fastapi import FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import saywhy
from saywhy.explainer.decision import DECISION_SCHEMA
from saywhy.progress import say
from saywhy.serve.batching import failure_without_text
from saywhy.serve.options import TOKEN_VARIABLE, ServiceSettings, names_loopback
from saywhy.serve.refusals import RequestError, refusal_of, stopping, timed_out
from saywhy.serve.requests import ExplainAnswer, ExplainBody, ProblemAnswer, TextFields
from saywhy.serve.service import ClientLeft, Service

PAGE_FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/decision.js": ("decision.js", "text/javascript"),
    "/elements.js": ("elements.js", "text/javascript"),
    "/service.js": ("service.js", "text/javascript"),
    "/favicon.ico": ("favicon.svg", "image/svg+xml"),  # browsers ask for it under this name
}
"""Route to file of the page in a browser, and its kind."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What a browser lets the page do: its own files, and questions to this service."""
CLIENT_CLOSED = 499
"""Status of a request whose client hung up, as proxies count it; nobody reads it."""
DRAINED_BYTES = 2**26
"""Bytes of a body that is too long which are still read, so that its client sees why it is refused."""
OPEN_ROUTES = frozenset({"/healthz", "/readyz", "/openapi.json", *PAGE_FILES})
"""Routes without a token, by any name of the host: they say nothing of texts or decisions."""

_EXAMPLES = {
    "one text": {"value": {"text": "the queue was awful but the show was superb", "effort": "search"}},
    "several texts": {"value": {"texts": ["a lovely day", {"text": "a dull day", "effort": "self"}]}},
    "a task with other fields": {"value": {"text": "Nobody sleeps.", "context": {"premise": "Two dogs sleep."}}},
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemAnswer, "description": description}
    for status, description in (
        (400, "The body is no JSON."),
        (401, "The token is missing or wrong."),
        (413, "More, or longer, texts than the service takes."),
        (415, "The content type is not application/json."),
        (421, "Without a token: the Host header names another host than a loopback one."),
        (422, "A field or a text that cannot be answered."),
        (429, "Too much is waiting: Retry-After says when to come again."),
        (500, "The service failed at this request."),
        (503, "Stopping, out of memory, or the model's server does not answer."),
        (504, "No answer in time."),
    )
}


class ServiceGate:
    """What every request passes: the token is compared, errors get their one shape, status and time are counted."""

    def __init__(self, app: ASGIApp, service: Service, token: str | None, *, loopback_only: bool) -> None:
        self._app, self._service, self._token, self._loopback_only = app, service, token, loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            self._admit(scope)
            await self._app(scope, receive, counted)
        except (ClientLeft, ClientDisconnect):
            status = CLIENT_CLOSED
        except Exception as error:  # the service goes on; it is said, without what it says of a text
            if not isinstance(error, RequestError):
                say(f"a request failed: {failure_without_text(error)}")
            if not status:
                await problem_response(refusal_of(error))(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._service.metrics.requests.labels(route, str(status)).inc()
            self._service.metrics.seconds.labels(route).observe(time.monotonic() - started)

    def _admit(self, scope: Scope) -> None:
        """Refuse a request without the token, or one that was meant for another host.

        Raises:
            RequestError: If it has none, or another one, or names another host.
        """
        if scope["path"] in OPEN_ROUTES:
            return
        # A page from elsewhere whose own name is made to lead here would be of our origin, and could ask and read.
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if self._loopback_only and not all(map(names_loopback, hosts)):
            raise RequestError(
                421, "misdirected", f"address the service as localhost, or start it with {TOKEN_VARIABLE}"
            )
        if self._token is None:
            return
        scheme, _, given = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        if not hmac.compare_digest(given, self._token.encode()) or scheme.lower() != b"bearer":
            raise RequestError(401, "unauthorized", "send the service's token: Authorization: Bearer TOKEN")


def problem_response(problem: RequestError) -> Response:
    """Return a refusal as a response."""
    return JSONResponse(problem.content, problem.status, problem.headers)


async def _routing_problem(request: Request, error: Exception) -> Response:
    """Answer a path or method that does not exist."""
    assert isinstance(error, HTTPException)
    kind = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http")
    response = problem_response(RequestError(error.status_code, kind, str(error.detail)))
    response.headers.update(error.headers or {})
    return response


def service_app(service: Service, token: str | None = None, *, loopback_only: bool = False) -> FastAPI:
    """Return the application of a service.

    Args:
        service: What answers.
        token: What clients must send; None: nothing.
        loopback_only: Whether requests that name another host than a loopback one are refused: whoever listens at a
            loopback address without a token needs that.
    """
    app = FastAPI(
        title="saywhy",
        version=saywhy.__version__,
        description="Decisions of a language model, each with a reason that was rechecked (docs/serve.md).",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(ServiceGate, service=service, token=token, loopback_only=loopback_only)
    app.add_exception_handler(HTTPException, _routing_problem)
    _add_answers(app, service)
    _add_states(app, service)
    _add_page(app)
    return app


def _add_answers(app: FastAPI, service: Service) -> None:
    body = {"application/json": {"schema": _body_schema(), "examples": _EXAMPLES}}

    @app.post(
        "/v1/explain",
        responses={200: {"model": ExplainAnswer}, **_PROBLEMS},
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )
    async def explain(request: Request) -> Response:
        """Decide texts, and explain each decision with a reason that was rechecked."""
        deadline = time.monotonic() + service.settings.timeout
        asked = service.asked(await _body_of(request, service.settings))
        decisions = await service.explain(asked, deadline, lambda: _hang_up(request))
        return JSONResponse({"decisions": [decision.to_dict() for decision in decisions], "schema": DECISION_SCHEMA})

    @app.get("/v1/task", responses={401: _PROBLEMS[401]})
    async def task() -> dict[str, Any]:
        """Say what can be asked: labels, other fields, models, efforts, styles, limits, examples."""
        return service.facts()


def _add_states(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Say that the process lives."""
        return {"status": "alive"}

    @app.get("/readyz", responses={503: _PROBLEMS[503]})
    async def readyz() -> dict[str, str]:
        """Say whether requests are taken."""
        if not service.queue.is_working:
            raise stopping()
        return {"status": "ready"}

    @app.get("/metrics", response_class=Response, responses={401: _PROBLEMS[401]})
    async def metrics() -> Response:
        """Return the metrics, as Prometheus reads them."""
        return Response(service.metrics.page(), media_type=CONTENT_TYPE_LATEST)


def _add_page(app: FastAPI) -> None:
    async def page_file(request: Request) -> Response:
        return _page_file(*PAGE_FILES[request.scope["route"].path])

    for route in PAGE_FILES:
        app.add_api_route(route, page_file, include_in_schema=False)


def _page_file(name: str, kind: str) -> Response:
    file = resources.files("saywhy.serve").joinpath("page", name)
    if not file.is_file():
        raise HTTPException(404)
    headers = {
        "Content-Security-Policy": PAGE_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return Response(file.read_bytes(), media_type=kind, headers=headers)


def _body_schema() -> dict[str, Any]:
    schema = ExplainBody.model_json_schema()
    schema["properties"]["texts"]["anyOf"][0]["items"] = {"anyOf": [{"type": "string"}, TextFields.model_json_schema()]}
    return schema


async def _body_of(request: Request, settings: ServiceSettings) -> bytes:
    """Return the body of a request.

    Raises:
        RequestError: If it is of another kind, too large, or too slow to come.
        ClientDisconnect: If the client hangs up before it ends.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RequestError(415, "unsupported_media_type", "send JSON with Content-Type: application/json")
    body, length = bytearray(), 0
    try:
        async with asyncio.timeout(settings.timeout):
            async for chunk in request.stream():
                length += len(chunk)
                # What is too long is read, not kept: a client that still sends would not see the answer.
                if length <= settings.most_bytes:
                    body += chunk
                elif length > settings.most_bytes + DRAINED_BYTES:
                    break
    except TimeoutError:
        raise timed_out(settings.timeout) from None
    if length > settings.most_bytes:
        message = f"the body is longer than {settings.most_bytes} bytes: send several requests"
        raise RequestError(413, "body_too_large", message)
    return bytes(body)


async def _hang_up(request: Request) -> None:
    """Wait until the client leaves; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
