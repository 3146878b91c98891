"""A service for the page over explainers that are given: the answers of `saywhy serve`, without its limits and log."""

import contextlib
import threading
from importlib import resources

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from saywhy.explainer.decision import BUDGETS
from saywhy.explainer.explainer import request_of
from saywhy.records import STYLES, SaywhyError

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
KINDS = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}


def page_app(explainers, examples, token=None):
    """Return an app over explainers by the name of their model; with a token, one that asks for it."""
    app = FastAPI()
    task = next(iter(explainers.values())).classifier.task

    def refused(request: Request):
        if token and request.headers.get("Authorization") != f"Bearer {token}":
            return problem(401, "token", "a token is needed")
        return None

    def problem(status, kind, message):
        return JSONResponse({"error": {"type": kind, "message": message}}, status)

    @app.get("/v1/task")
    def task_facts(request: Request):
        return refused(request) or {
            "task": task.name,
            "question": task.question,
            "labels": task.labels,
            "noun": task.noun,
            "context": list(task.context),
            "models": list(explainers),
            "efforts": list(BUDGETS),
            "styles": list(STYLES),
            "limits": {"characters": 2000, "texts": 8},
            "examples": examples,
        }

    @app.post("/v1/explain")
    def explain(request: Request, body: dict):
        if refusal := refused(request):
            return refusal
        explainer = explainers[body.pop("model")]
        try:
            decisions = explainer.decide_many([request_of(body)])
        except SaywhyError as error:
            return problem(422, "unusable_text", str(error))
        return {"decisions": [decision.to_dict() for decision in decisions], "schema": 1}

    add_page(app)
    return app


def add_page(app):
    """Add the page's files, under the policy that it has to live with."""

    @app.get("/")
    @app.get("/{name}")
    def files(name: str = "page.html"):
        if name not in KINDS:
            return Response(status_code=404)
        content = resources.files("saywhy.serve").joinpath(name).read_bytes()
        return Response(content, media_type=KINDS[name], headers={"Content-Security-Policy": CSP})


@contextlib.contextmanager
def serving(app):
    """Serve an app on a free port of this machine; yield its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
