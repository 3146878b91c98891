"""Models behind an API, through the command line: keys that leak nowhere, what is refused, servers that fail."""

import json
import time

import pytest

from api_server import KEY_CANARY, failing
from saywhy.models.api import client

pytestmark = pytest.mark.usefixtures("api_environment")
SECRET_TEXT = "great"
"""A word of the texts that no message may repeat."""


def test_a_key_that_cannot_be_sent(server, audited, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary \u00e9")
    said = audited(server)
    assert "OPENAI_API_KEY in the environment holds signs" in said.problem
    assert "canary" not in said.err


def test_the_key_is_sent_and_is_nowhere_else(server, audited, tmp_path):
    said = audited(server)
    assert set(server.keys) == {f"Bearer {KEY_CANARY}"}
    server.every = failing(401, json.dumps({"error": {"message": f"bad key {KEY_CANARY}"}}).encode())
    refused = audited(server, "rows=8", out="refused")
    assert "OPENAI_API_KEY" in refused.problem
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert KEY_CANARY not in said.err + said.out + refused.err + refused.out
    assert not [content for content in written if KEY_CANARY.encode() in content]


@pytest.mark.parametrize(
    "model",
    [
        "openai:m@http://user:sesame@localhost/v1",
        "openai:m@http://sesame@localhost/v1",
        "openai:m@http://localhost/v1?key=sesame",
        "openai:m@http://localhost/v1#sesame",
        "openai:m@localhost/v1/sesame",
        "openai:sesame",
        "openai:m@http://localhost:sesame/v1",
        "openai:@http://localhost/v1/sesame",
        "openai:m@http://local..host/v1",
        f"openai:m@http://{'a' * 64}/v1",
    ],
)
@pytest.mark.parametrize("words", [("audit",), ("audit", "--dry"), ("attribute", "--dry"), ("calibrate", "--dry")])
def test_an_address_that_is_none_or_holds_a_secret(call, tmp_path, model, words):
    said = call(words[0], f"model={model}", *words[1:])
    assert said.code == 2
    assert said.problem
    assert "localhost/v1?" not in said.err
    if "openai:sesame" not in model:
        assert "sesame" not in said.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("every", "problem"),
    [
        (failing(200, b"{broken"), "answers with no chat completion (it is no JSON)"),
        (failing(200, {"choices": []}), "answers with no chat completion (choices is empty)"),
        (failing(200, {"error": "great"}), "(choices is missing)"),
        (failing(200, {"choices": [{"message": {"content": ["great"]}}]}), "is of a wrong type"),
        (failing(200, b"<html>great</html>", "text/html"), "no chat completion, but a page"),
        (failing(200, b"\xff\xfe", "text/plain"), "no chat completion"),
        (failing(200, b""), "no chat completion"),
        (failing(401), "refuses the key (401): set OPENAI_API_KEY"),
        (failing(404), "has no model 'toy'"),
        (failing(400, b"the text 'great' is too long"), "refuses the request (400)"),
        (failing(429), "takes no more requests for now (429, up to 5 tries)"),
        (failing(503, b"<html>great"), "fails (503, 5 tries)"),
        (failing(418), "answers with the status 418"),
    ],
)
def test_a_server_that_answers_nonsense_or_refuses(server, audited, every, problem):
    server.failures, server.every = [None] * 5, every
    said = audited(server, "styles=attribution")
    assert said.code == 2
    assert problem in said.problem
    assert server.url in said.problem
    assert SECRET_TEXT not in said.err


def test_a_server_that_stops_in_the_middle_of_an_answer(server, audited):
    def truncated(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')
        handler.wfile.flush()
        handler.connection.close()

    server.every = truncated
    said = audited(server)
    assert (said.code, "breaks its answers off (5 tries)" in said.problem) == (2, True), said.problem


def test_a_server_that_hangs(server, audited, monkeypatch):
    monkeypatch.setattr(client, "REPLY_SECONDS", 0.1)
    server.every = lambda handler, body: time.sleep(2)
    said = audited(server)
    assert (said.code, "gave no answer within 0.1 s, 5 times" in said.problem) == (2, True), said.problem


def test_a_server_that_is_not_there(server, audited):
    server.close()
    said = audited(server)
    assert (said.code, "cannot be reached (5 tries)" in said.problem) == (2, True), said.problem


def test_a_server_without_log_probabilities(server, audited, tmp_path):
    server.way = "plain"
    said = audited(server)
    assert said.code == 2
    assert "gives no log-probabilities" in said.problem
    assert not (tmp_path / "run").exists()
    server.way = "continued"  # they were switched on, as the line says
    assert audited(server).code == 0


@pytest.mark.parametrize(
    ("verb", "words", "asks"),
    [
        ("audit", ("readouts=constrained",), "the constrained readout needs a model with weigh"),
        ("audit", ("readouts=generated,guided",), "the guided readout needs a model with guide"),
        ("audit", ("readouts=placebo,generated",), "the placebo readout needs a model with weigh"),
        ("audit", ("readouts=constrained", "--dry"), "the constrained readout needs a model with weigh"),
        ("audit", ("robustness=noise",), "noise cannot be measured behind an API"),
        ("audit", ("robustness=all", "--dry"), "noise cannot be measured behind an API"),
        ("run", (), "training needs a model with gradients"),
        ("run", ("--dry",), "training needs a model with gradients"),
        ("train", (), "training needs a model with gradients"),
        ("targets", (), "saywhy targets needs a model with weigh"),
        ("attribute", ("methods=gradient_x_input",), "gradient_x_input needs a model with gradients"),
        ("attribute", ("methods=integrated_gradients", "--dry"), "integrated_gradients needs a model with gradients"),
    ],
)
def test_what_takes_more_than_labels_and_text_is_refused_before_anything_is_sent(
    server, audited, tmp_path, verb, words, asks
):
    said = audited(server, *words, verb=verb)
    assert said.code == 2
    assert asks in said.problem
    assert not server.requests
    assert not (tmp_path / "run").exists()


def test_a_study_or_calibration_of_a_model_behind_an_api_is_refused(call, server, tmp_path):
    (tmp_path / "s.yaml").write_text(
        f"name: s\nmodel: {server.model}\ndata: pocket\ntasks: [sentiment140]\nseeds: [0]\n"
        "blocks: [{name: b, arms: [base, faithful]}]\n"
    )
    for words in (("study", tmp_path / "s.yaml"), ("calibrate", f"model={server.model}")):
        said = call(*words)
        assert said.code == 2
        assert "needs a model with gradients" in said.problem
    assert not server.requests


def test_several_processes_are_refused(server, audited, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = audited(server)
    assert said.code == 2
    assert "asked by one process" in said.err


def test_the_client_is_an_extra(server, audited, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    said = audited(server)
    assert (said.code, said.problem.partition(": ")[2]) == (2, "pip install 'saywhy[api]'")
