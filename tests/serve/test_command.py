"""``saywhy serve``: what it refuses in one line, what it says, how it ends."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

import tiny
from moods import TASK
from saywhy.folders.decision_log import opened_log
from saywhy.records import SaywhyError
from saywhy.serve import service
from saywhy.serve.options import service_and_config
from served import CANARY, Observed, client_of, explainer_of, running, service_of, until


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("host=0.0.0.0",), "host=0.0.0.0 can be reached from other machines: set SAYWHY_TOKEN in the environment, "
         "or leave host=127.0.0.1"),
        (("host=::",), "host=:: can be reached from other machines"),
        (("host=example.invalid",), "host=example.invalid can be reached from other machines"),
        (("quee=3",), "no setting 'quee', did you mean 'queue'?"),
        (("port=70000",), "port=70000: "),
        (("batch=0",), "batch=0: "),
        (("timeout=nan",), "timeout=nan: "),
        (("effort=serch",), "effort=serch: did you mean 'search'? it takes self, repair, search"),
        (("most_texts=1000",), "most_texts=1000 is more than queue=256 holds: raise queue"),
        (("log_texts=true",), "log_texts=true has no effect without log=FILE"),
        (("log_files=2",), "log_files=2 has no effect without log=FILE"),
        (("log_megabytes=1",), "log_megabytes=1.0 has no effect without log=FILE"),
        (("log=",), "log=: "),
        (("confidence=",), "confidence=: "),
        (("host",), "'host' is not key=value"),
        (("model=smollm2-135m", "beside=base", "port=0"), "beside=base: model=smollm2-135m is no adapter, it has no"),
        (("task=nothing", "port=0"), "no task 'nothing'"),
        (("port=0", "log=/"), "log=/ cannot be written"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_one_line(words, line, call, monkeypatch):
    monkeypatch.delenv("SAYWHY_TOKEN", raising=False)
    said = call("serve", *words)
    assert said.code == 2
    assert said.problem.startswith(line)


def test_a_port_in_use_is_one_line(call):
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        said = call("serve", f"port={port}")
    assert said.code == 2
    assert (
        said.problem == f"host=127.0.0.1 port={port} cannot be listened at (Address already in use): give another one"
    )


@pytest.mark.parametrize("token", ["", " ", "two words", "café", "line\nbreak"])
def test_a_token_that_no_header_can_hold_is_refused(token, call, monkeypatch):
    monkeypatch.setenv("SAYWHY_TOKEN", token)
    said = call("serve", "host=0.0.0.0")
    assert said.code == 2
    assert said.problem == "SAYWHY_TOKEN must be printable ASCII without blanks, and not empty"


def test_a_missing_extra_names_its_command(call, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    said = call("serve")
    assert said.code == 2
    assert said.problem == "saywhy serve needs uvicorn: pip install 'saywhy[serve]'"


def test_a_log_that_another_service_writes_is_refused(call, tmp_path):
    log = opened_log(tmp_path / "log", 1000, 1)
    said = call("serve", "port=0", f"log={tmp_path / 'log'}")
    log.close()
    assert said.code == 2
    assert said.problem.endswith("is being written by another service: give another file")


def test_the_token_guards_any_address(monkeypatch):
    with running(service_of(Observed()), "s3cret") as server, client_of(server) as client:
        assert client.get("/v1/task").status_code == 401
        assert client.get("/v1/task", headers={"Authorization": "Bearer s3cret"}).json()["task"] == TASK.name


def test_no_text_is_in_anything_that_is_written(tmp_path, monkeypatch, capsys):
    log = opened_log(tmp_path / "log", 10**6, 1)
    with running(service_of(Observed(), log)) as server, client_of(server) as client:
        client.post("/v1/explain", json={"text": f"a {CANARY} is great", "styles": ["counterfactual", "redaction"]})
        client.post(f"/v1/explain?text={CANARY}", json={"text": CANARY, "context": {CANARY: CANARY}})
        client.get(f"/{CANARY}")
        client.post("/v1/explain", content=f'{{"text": "{CANARY}', headers={"Content-Type": "application/json"})
        metrics = client.get("/metrics").text
    told = capsys.readouterr()
    [line] = (tmp_path / "log").read_text("utf-8").splitlines()
    assert json.loads(line)["label"] == "good"
    assert CANARY not in told.out + told.err + line + metrics


def test_texts_are_logged_where_that_is_asked_for(tmp_path):
    log = opened_log(tmp_path / "log", 10**6, 1)
    asked = service_of(Observed(), log, log="log", log_texts=True)
    with running(asked) as server, client_of(server) as client:
        client.post("/v1/explain", json={"text": f"a {CANARY} is great"})
    assert json.loads((tmp_path / "log").read_text("utf-8"))["text"] == f"a {CANARY} is great"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (SaywhyError("log=log is being written by another service"), "log=log is being written by another service"),
    ],
)
def test_a_log_that_cannot_be_written_costs_no_answer(tmp_path, capsys, error, why):
    class FullLog:
        path = tmp_path / "log"

        def write(self, decision):
            raise error

        def close(self):
            pass

    with running(service_of(Observed(), FullLog())) as server, client_of(server) as client:
        for _ in range(3):
            assert client.post("/v1/explain", json={"text": "a great day"}).status_code == 200
        assert "saywhy_unlogged_decisions_total 3.0" in client.get("/metrics").text
    assert capsys.readouterr().err.count(f"cannot be written ({why})") == 1


def test_the_base_answers_beside_an_adapter(monkeypatch, tmp_path):
    opened = []

    class Opened:
        @staticmethod
        def of(config, confidence=None):
            opened.append((config.model, confidence))
            return explainer_of(Observed())

    adapter, base = tmp_path / "adapter", tiny.save(tmp_path / "model")
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}), "utf-8")
    monkeypatch.setattr(service, "Explainer", Opened)
    served = service.opened_service(*service_and_config([f"model={adapter}", "beside=base", "confidence=runs/audit"]))
    served.close()
    assert served.models == ("trained", "base")
    assert opened == [(str(adapter), Path("runs/audit")), (str(base), None)]


def test_beside_an_adapter_on_an_adapter_answers_the_adapter_that_it_is_on(monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr(
        service.Explainer,
        "of",
        lambda config, confidence=None: opened.append(config.model) or explainer_of(Observed()),
    )
    base = tiny.save(tmp_path / "model")
    for name, below in (("inner", base), ("outer", tmp_path / "inner")):
        (tmp_path / name).mkdir()
        config = {"base_model_name_or_path": str(below)}
        (tmp_path / name / "adapter_config.json").write_text(json.dumps(config), "utf-8")
    service.opened_service(*service_and_config([f"model={tmp_path / 'outer'}", "beside=base"])).close()
    assert opened == [str(tmp_path / "outer"), str(tmp_path / "inner")]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_service_that_is_ended_says_that_it_is(number, code, call, monkeypatch):
    def serve_once(server, sockets):
        server.handle_exit(number, None)  # as the signal does while it serves

    monkeypatch.setattr("saywhy.serve.server.opened_service", lambda settings, config: service_of(Observed()))
    monkeypatch.setattr("saywhy.serve.server.GracefulServer.run", serve_once)
    said = call("serve", "port=0")
    assert (said.code, said.problem) == (code, "the service has ended")


def test_a_signal_while_the_model_is_opened_ends_the_service(call, monkeypatch):
    monkeypatch.setattr("saywhy.serve.server.opened_service", lambda *_: signal.raise_signal(signal.SIGTERM))
    said = call("serve", "port=0")
    assert (said.code, said.problem) == (143, "the service has ended")


def started(*words, **environment):
    """Start the command; return the process, with where it answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "saywhy", "serve", "port=0", *words],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    lines = []
    for line in process.stderr:
        lines.append(line)
        if where := re.search(r"saywhy answers at (http://\S+) ", line):
            return process, where[1], lines
    raise AssertionError(lines)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_the_default_model_answers_and_ends_by_a_signal(ending, tmp_path):
    log = tmp_path / "log"
    process, url, _ = started(f"log={log}", "effort=self")
    try:
        answer = httpx2.post(f"{url}/v1/explain", json={"text": f"the {CANARY} was awful"}, timeout=120)
        assert answer.status_code == 200
        [decision] = answer.json()["decisions"]
        assert decision["label"] in ("negative", "positive")
        assert decision["made_with"]
        process.send_signal(ending)
        rest = process.stderr.read()
        assert process.wait(60) == 128 + ending
        assert "Traceback" not in rest
        assert rest.endswith("saywhy: the service has ended\n")
        assert CANARY not in rest + log.read_text("utf-8")
        assert log.stat().st_mode & 0o777 == 0o600
        until(lambda: process.poll() is not None)
    finally:
        process.kill()
        process.stderr.close()
