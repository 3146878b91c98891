"""Texts that cannot be answered, and models that fail: who is refused, how, and who is answered all the same."""

import json
import logging
import threading
from contextlib import closing

import pytest
from starlette.testclient import TestClient

from api_server import RuleServer, failing
from moods import RULE, TASK, TEXTS
from saywhy.models.api.client import ApiModelError, ModelUnavailableError, RefusedRequestError
from saywhy.models.backends import open_model
from saywhy.models.memory import NotEnoughMemoryError
from saywhy.records import SaywhyError
from saywhy.serve.app import service_app
from saywhy.serve.options import ServiceSettings
from saywhy.serve.service import Service, opened_service
from saywhy.settings import parse
from served import CANARY, asked, explainer_of, problem

TEXT = "the food at noon was great"
WITHOUT_LISTS = b'{"choices": [{"message": {"role": "assistant", "content": "bad"}, "finish_reason": "stop"}]}'


def test_a_text_that_the_model_objects_to_fails_alone(client, model, monkeypatch):
    def objections(chats, room):
        return ["it holds the control token <|im_end|>" if "<|im_end|>" in str(chat) else None for chat in chats]

    monkeypatch.setattr(model, "objections", objections)
    refused = asked(client, texts=[TEXT, f"{CANARY} <|im_end|> is great"])
    said = problem(refused, 422)
    assert said["type"] == "unusable_text"
    assert said["message"].startswith("texts[1]: ")


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (MemoryError(CANARY), 503, "out_of_memory"),
        (RuntimeError(f"CUDA out of memory. {CANARY}"), 503, "out_of_memory"),
        (RuntimeError(f"DefaultCPUAllocator: can't allocate memory: {CANARY}"), 503, "out_of_memory"),
        (NotEnoughMemoryError("the memory does not hold 64 tokens"), 503, "out_of_memory"),
        (ModelUnavailableError("a server fails (500)", may_answer_others=True), 503, "model_unavailable"),
        (RuntimeError(CANARY), 500, "internal"),
        (KeyError(CANARY), 500, "internal"),
    ],
)
def test_a_text_that_breaks_the_model_fails_alone(error, status, kind, client, model, capsys, caplog):
    def fail(texts):
        if any("poison" in text for text in texts):
            raise error

    model.failures.append(fail)
    with caplog.at_level(logging.DEBUG):
        refused = asked(client, texts=[TEXT, f"a {CANARY} poison that is great", "an awful cold flight to them"])
    assert problem(refused, status)["type"] == kind
    assert ("Retry-After" in refused.headers) == (status == 503)
    assert asked(client, text=TEXT).json()["decisions"][0]["check"]["status"] == "holds"
    told = capsys.readouterr()
    assert "deciding 1 texts failed" in told.err
    assert CANARY not in told.out + told.err + caplog.text + client.get("/metrics").text


def test_memory_that_holds_half_a_batch_is_no_problem(client, model):
    refused = []

    def fail(texts):
        if len(set(texts)) > 20:
            refused.append(len(texts))
            raise MemoryError

    model.failures.append(fail)
    texts = [f"the food at {hour} was great" for hour in ("one", "two", "three", "four", "five", "six")]
    decisions = asked(client, texts=texts, effort="search").json()["decisions"]
    assert {decision["check"]["status"] for decision in decisions} == {"holds"}
    assert refused


def test_a_server_that_answers_nobody_is_asked_once_for_all_that_waits(client, model, capsys):
    tries = []

    def lose(texts):
        tries.append(texts)
        raise ModelUnavailableError("http://10.0.0.9/v1 cannot be reached (5 tries)")

    model.failures.append(lose)
    said = problem(asked(client, texts=[TEXT] * 4), 503)
    assert said["type"] == "model_unavailable"
    assert "10.0.0.9" not in said["message"]
    assert len(tries) == 1
    assert "deciding 4 texts failed: http://10.0.0.9/v1 cannot be reached (5 tries)" in capsys.readouterr().err
    model.failures.clear()
    assert asked(client, text=TEXT).status_code == 200


def test_what_else_a_user_can_mend_is_still_of_the_request(client, model):
    def refuse(texts):
        raise SaywhyError("the task has no such label")

    model.failures.append(refuse)
    assert problem(asked(client, text=TEXT), 422)["type"] == "cannot_explain"


@pytest.mark.parametrize(
    "error",
    [
        SaywhyError("model '/srv/secret/adapter' gives numbers that are not finite: try precision=float32"),
        ApiModelError("the server of model='openai:m@http://10.0.0.9/v1' gives no log-probabilities"),
        RefusedRequestError("http://10.0.0.9/v1 refuses the request (400)"),
        SaywhyError(f"no word of {CANARY}"),
    ],
)
def test_of_what_cannot_be_explained_a_client_reads_the_kind_alone(error, client, model, capsys):
    model.failures.append(lambda texts: throw(error))
    said = problem(asked(client, text=TEXT), 422)
    assert said["type"] == "cannot_explain"
    assert not any(part in said["message"] for part in ("10.0.0.9", "/srv/", "openai:", "http"))
    told = capsys.readouterr().err
    assert ("10.0.0.9" in told) == isinstance(error, ApiModelError), "where it runs it is said, if it repeats no text"
    assert CANARY not in told


def throw(error):
    raise error


@pytest.mark.parametrize(
    ("every", "status", "kind"),
    [
        (failing(401), 503, "model_unavailable"),
        (failing(404), 503, "model_unavailable"),
        (failing(429), 503, "model_unavailable"),
        (failing(500), 503, "model_unavailable"),
        (failing(502, b"<html>Bad gateway"), 503, "model_unavailable"),
        (failing(200, b"<html>Log in", "text/html"), 503, "model_unavailable"),
        (None, 503, "model_unavailable"),
        (failing(400), 422, "cannot_explain"),
        (failing(200, WITHOUT_LISTS), 422, "cannot_explain"),
    ],
    ids=["401", "404", "429", "500", "502", "page", "gone", "400", "lists"],
)
def test_a_model_behind_an_api_whose_server_is_lost(every, status, kind, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path))
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    with closing(RuleServer()) as server:
        model = open_model(server.model)
        service = Service({"base": explainer_of(model, TASK)}, ServiceSettings(effort="self"))
        with closing(service), TestClient(service_app(service)) as client:
            assert asked(client, text=TEXT).json()["decisions"][0]["check"]["status"] == "holds"
            if every is None:
                server.close()
            server.every = every
            refused = asked(client, text="an awful cold flight to them")
            said = problem(refused, status)
            assert said["type"] == kind
            assert ("Retry-After" in refused.headers) == (status == 503)
            assert server.url not in said["message"]
            assert server.url in capsys.readouterr().err
            assert asked(client, text=TEXT).status_code == 200  # its answers are kept


@pytest.fixture
def config_of(tmp_path, monkeypatch):
    """Return a function from a server to the settings of a model behind it, which calibrates on texts with labels."""
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    rows = [{"text": f"{text} {n}", "label": max(RULE(text), key=RULE(text).get)} for n, text in enumerate(TEXTS * 12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "toys.yaml").write_text(json.dumps(TASK.model_dump(mode="json", exclude={"hub"})))
    places = (f"task={tmp_path / 'toys.yaml'}", f"data={tmp_path / 'rows.jsonl'}")
    return lambda server: parse([f"model={server.model}", *places, "calibration_rows=8"])


def test_a_server_that_hangs_holds_a_service_no_longer_than_those_who_ask_it_wait(config_of, monkeypatch, capsys):
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    goes_on = threading.Event()
    with (
        closing(RuleServer()) as server,
        closing(opened_service(ServiceSettings(effort="self", timeout=4), config_of(server))) as service,
        TestClient(service_app(service)) as client,
    ):
        server.every = lambda handler, body: goes_on.wait(60)
        assert asked(client, text=TEXT).status_code in (503, 504)
        server.every = None
        assert asked(client, text=TEXT).status_code == 200
        goes_on.set()
        assert "gave no answer within 2 s, 2 times" in capsys.readouterr().err


def test_no_text_of_a_request_to_a_model_behind_an_api_is_kept(config_of, tmp_path):
    with (
        closing(RuleServer()) as server,
        closing(opened_service(ServiceSettings(effort="self"), config_of(server))) as service,
        TestClient(service_app(service)) as client,
    ):
        assert list((tmp_path / "cache" / "api").rglob("*.json")), "the calibration's answers are kept"
        asked(client, text=f"the {CANARY} at noon was great", styles=["attribution", "redaction"])
        assert any(CANARY in json.dumps(request) for request in server.requests)
    kept = "".join(path.read_text("utf-8") for path in (tmp_path / "cache").rglob("*.json"))
    assert CANARY not in kept
