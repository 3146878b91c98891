"""A service of a model whose rule is known: what the tests of serving share."""

import contextlib
import threading
import time

import httpx2

from moods import PINNED, RULE, TASK
from saywhy.explainer.explainer import Explainer
from saywhy.measure.predict import Classifier
from saywhy.models.scripted import ScriptedModel, honest
from saywhy.serve.options import ServiceSettings
from saywhy.serve.server import GracefulServer, bound_socket
from saywhy.serve.service import Service

CANARY = "xylophonecanary"
"""A word that stands in texts, and must stand in no log, metric or error."""


class Observed(ScriptedModel):
    """A scripted model that counts how often it classifies, waits to be let go, and fails where it is told to."""

    def __init__(self, explain=honest, task=TASK):
        super().__init__("toy", task, RULE, explain, PINNED)
        self.batches, self.gate, self.failures, self.begun = [], threading.Event(), [], threading.Event()
        self.gate.set()

    def choose(self, choices, tick=None):
        """Choose by the rule, once the gate is open."""
        self.begun.set()
        assert self.gate.wait(20)
        texts = [choice.messages[0]["content"] for choice in choices if choice.prefix]
        for failure in self.failures:
            failure(texts)
        self.batches += [texts] if texts else []
        return super().choose(choices, tick)


def explainer_of(model, task=None):
    """Return the explainer of a model, by default a scripted one, which has its task."""
    task = task or model.task
    return Explainer(Classifier(model, task, dict.fromkeys(task.labels, 0.0)), PINNED, {"weights": "toy"})


def service_of(model, decision_log=None, /, **settings):
    """Return the service of a scripted model."""
    return Service({"trained": explainer_of(model)}, ServiceSettings(**settings), decision_log)


@contextlib.contextmanager
def running(service, token=None):
    """Run a service at a free port in a thread; yield its server, with its address."""
    with bound_socket(ServiceSettings(port=0)) as listener:
        server = GracefulServer(service, listener, token)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started)
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.thread = thread
        try:
            yield server
        finally:
            if thread.is_alive():
                server.end()
            thread.join(20)
            service.close()
            assert not thread.is_alive()


def until(condition, seconds=10.0):
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def metric(client, line):
    """Return the value of a line of the metrics."""
    [value] = [row.rpartition(" ")[2] for row in client.get("/metrics").text.splitlines() if row.startswith(line + " ")]
    return float(value)


def client_of(server, **more):
    """Return a client of a running server."""
    return httpx2.Client(base_url=server.url, timeout=20, **more)


def asked(client, **body):
    """Return the answer to a body."""
    return client.post("/v1/explain", json=body)


def problem(response, status):
    """Return what a refusal says, in the one shape that refusals have."""
    assert response.status_code == status, response.text
    content = response.json()
    assert set(content) == {"error"}
    assert set(content["error"]) == {"type", "message"}
    assert CANARY not in response.text
    return content["error"]
