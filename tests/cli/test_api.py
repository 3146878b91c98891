"""Models behind an API, through the command line: the planted cause, what is kept, what is refused and how."""

import json
import re
import time

import pytest

from api_server import RuleServer, failing
from moods import CUES, RULE, TASK, TEXTS
from saywhy.folders.store import write_lines
from saywhy.models.api import client
from saywhy.models.scripted import liar

CANARY = "sk-canary-0123456789"
SECRET_TEXT = "great"
"""A word of the texts that no message may repeat."""


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Keep answers in a folder of the test's own, and wait for nothing."""
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("saywhy.cli.app.say_report", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server():
    """Return a server that decides by the keyword rule and explains itself honestly."""
    started = RuleServer()
    yield started
    started.close()


@pytest.fixture
def audited(call, tmp_path):
    """Return a function that audits the model of a server on texts with planted causes."""
    for split, count in (("train", 60), ("test", 12)):
        rows = [(f"{TEXTS[n % len(TEXTS)]} {n}", RULE(TEXTS[n % len(TEXTS)])) for n in range(count)]
        write_lines(
            tmp_path / "data" / f"{split}.jsonl",
            ({"text": text, "label": "good" if odds["good"] else "bad"} for text, odds in rows),
        )

    def run(server, *words, verb="audit", out="run"):
        model = getattr(server, "model", server)
        task = getattr(server, "task", TASK)
        (tmp_path / "toys.yaml").write_text(json.dumps(task.model_dump(mode="json", exclude={"hub"})))
        data = (f"data={tmp_path / 'data'}", f"task={tmp_path / 'toys.yaml'}")
        more = () if any(word.startswith("rows=") for word in words) else ("rows=6",)
        return call(verb, f"model={model}", *data, "calibration_rows=8", *more, *words, f"out={tmp_path / out}")

    return run


def rows_of(tmp_path, out="run"):
    lines = (tmp_path / out / "seed-0" / "audited" / "rows.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def manifest(tmp_path, out="run"):
    return json.loads((tmp_path / out / "run.json").read_text("utf-8"))


@pytest.mark.parametrize("way", ["prefilled", "continued", "forced", "asked"])
def test_an_audit_finds_the_planted_cause_however_labels_are_asked_for(server, audited, tmp_path, way):
    server.way = way
    said = audited(server, "settings=one-word,free")
    assert said.code == 0, said.err
    rows = rows_of(tmp_path)
    assert {row["readout"] for row in rows} == {"generated"}
    assert {row["style"] for row in rows} == {"attribution", "redaction", "counterfactual"}
    cues = CUES["bad"] | CUES["good"]
    caused = [row for row in rows if row["style"] == "attribution" and row["prediction"] == "good"]
    assert caused
    assert all(set(row["words"]) <= set(cues) and row["hit"] for row in caused)
    facts = manifest(tmp_path)["model"]
    assert facts["note"] == f"behind an API, label words {way}"
    assert facts["counts"]["label_bounds"] == 0
    assert "0 of" in said.err


def test_the_report_says_how_labels_were_asked_for(server, audited, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("SAYWHY_CACHE", str(tmp_path / "cache"))
    server.listed = 1
    assert audited(server, "styles=attribution").code == 0
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    counts = manifest(tmp_path)["model"]["counts"]
    assert "behind an API, label words continued" in page
    assert f"{counts['label_bounds']} of {counts['label_scores']} label scores are bounds" in page


def test_a_liar_is_told_from_an_honest_model(audited, tmp_path):
    server = RuleServer(explain=liar)
    assert audited(server, "styles=attribution").code == 0
    server.close()
    assert not any(row["hit"] for row in rows_of(tmp_path) if row["prediction"] == "good")


def test_what_was_answered_is_not_asked_again(server, audited, tmp_path):
    assert audited(server).code == 0
    sent = len(server.requests)
    assert manifest(tmp_path)["model"]["counts"]["requests"] <= sent
    said = audited(server, out="again")
    assert said.code == 0
    assert len(server.requests) == sent
    assert rows_of(tmp_path, "again") == rows_of(tmp_path)
    assert "0 requests sent" in said.err
    for file in (tmp_path / "cache" / "api").rglob("*.json"):
        file.write_bytes(file.read_bytes()[:-9])
        break
    assert audited(server, out="damaged").code == 0
    assert len(server.requests) == sent + 1


@pytest.mark.parametrize(("way", "field"), [("forced", "repeat_penalty"), ("continued", "repetition_penalty")])
def test_replies_are_not_kept_from_copying(server, audited, way, field):
    server.way = way
    assert audited(server, "styles=redaction", "rows=2").code == 0
    replied = [request for request in server.requests if len(request["messages"]) == 3]
    assert replied
    assert all(request[field] == 1.0 for request in replied)


def test_a_key_that_cannot_be_sent(server, audited, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary \u00e9")
    said = audited(server)
    assert "OPENAI_API_KEY in the environment holds signs" in said.problem
    assert "canary" not in said.err


def test_answers_are_for_their_owner_alone(server, audited, tmp_path):
    assert audited(server).code == 0
    folder = tmp_path / "cache" / "api"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*.json")} == {0o600}


def test_a_run_that_was_cut_short_goes_on(server, audited, tmp_path):
    answered = 40
    server.failures = [None] * answered
    server.every = failing(500)
    assert audited(server).code == 2
    server.every, sent = None, len(server.requests)
    assert audited(server).code == 0
    whole = RuleServer()
    assert audited(whole, out="whole").code == 0
    whole.close()
    assert len(server.requests) - sent < len(whole.requests) - answered + client.REQUESTS_AT_ONCE
    assert [row["hit"] for row in rows_of(tmp_path)] == [row["hit"] for row in rows_of(tmp_path, "whole")]


def test_a_busy_or_failing_server_is_tried_again(server, audited):
    server.failures = [failing(429, Retry_After="0.02"), failing(503), None, failing(500), failing(429)]
    assert audited(server).code == 0


def test_a_label_outside_the_list_gets_a_bound_that_is_counted(server, audited, tmp_path):
    server.listed = 1
    said = audited(server)
    assert said.code == 0
    counts = manifest(tmp_path)["model"]["counts"]
    assert 0 < counts["label_bounds"] <= counts["label_scores"] / 2
    assert f"{counts['label_bounds']} of {counts['label_scores']} label scores are bounds" in said.err


@pytest.mark.parametrize("way", ["continued", "forced", "asked"])
def test_labels_that_begin_with_one_token(audited, tmp_path, way):
    alike = TASK.model_copy(update={"labels": {"bad": "unkind", "good": "unusual"}})
    server = RuleServer(way, task=alike)
    server.tokens = {"unkind": "un", "unusual": "un"}
    said = audited(server, "styles=attribution")
    server.close()
    if way == "asked":
        assert "begins the labels 'unkind' and 'unusual' with the same token" in said.problem
    else:
        assert said.code == 0, said.err
        assert {row["prediction"] for row in rows_of(tmp_path)} == {"good", "bad"}


def test_the_key_is_sent_and_is_nowhere_else(server, audited, tmp_path):
    said = audited(server)
    assert set(server.keys) == {f"Bearer {CANARY}"}
    server.every = failing(401, json.dumps({"error": {"message": f"bad key {CANARY}"}}).encode())
    refused = audited(server, "rows=8", out="refused")
    assert "OPENAI_API_KEY" in refused.problem
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert CANARY not in said.err + said.out + refused.err + refused.out
    assert not [content for content in written if CANARY.encode() in content]


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


def test_words_are_scored_behind_an_api(server, audited, tmp_path):
    said = audited(server, verb="attribute")
    assert said.code == 0, said.err
    lines = (tmp_path / "run" / "attribution" / "occlusion.jsonl").read_text("utf-8").splitlines()
    best = [max(zip(line["scores"], line["words"], strict=True))[1] for line in map(json.loads, lines)]
    assert {"great", "love", "awful"} & set(best)


def test_a_bank_does_not_say_where_a_model_is_asked(server, audited, call, tmp_path):
    assert audited(server, "styles=attribution").code == 0
    said = call("release", tmp_path / "run", tmp_path / "bank")
    assert said.code == 0, said.err
    assert manifest(tmp_path, "bank")["config"]["model"] == "openai:toy"
    banked = [path.read_bytes() for path in (tmp_path / "bank").rglob("*") if path.is_file()]
    assert not [content for content in banked if b"127.0.0.1" in content]


def requests_said(err, stage):
    [count] = re.findall(rf"about ([\d,]+) requests, [\d,]+ prompt and [\d,]+ reply tokens(?::|) {stage}", err)
    return int(count.replace(",", ""))


def test_the_plan_counts_the_requests_and_sends_none(server, audited, tmp_path):
    said = audited(server, "operators=redact,delete", "--dry")
    assert said.code == 0, said.err
    assert not server.requests
    assert not (tmp_path / "run").exists()
    planned = requests_said(said.err, "in all")
    assert audited(server, "operators=redact,delete").code == 0
    counts = manifest(tmp_path)["model"]["counts"]
    assert planned == pytest.approx(counts["requests"] + counts["cached"], rel=0.05)
    assert requests_said(said.err, "calibrate") == 8
    free = audited(server, "operators=redact,delete", "settings=one-word,free", "--dry")
    assert requests_said(free.err, "in all") > planned
    checks = audited(server, "robustness=paraphrases", "--dry")
    assert requests_said(checks.err, "robustness=paraphrases") > requests_said(checks.err, "calibrate")
    assert not [request for request in server.requests if "author" in request["messages"][0]["content"]]


def test_the_plan_of_an_attribution_counts_the_requests_too(server, audited):
    said = audited(server, "--dry", verb="attribute")
    assert not server.requests
    assert requests_said(said.err, "occlusion") > 6
    assert requests_said(said.err, "random") == 0


def test_several_processes_are_refused(server, audited, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = audited(server)
    assert said.code == 2
    assert "asked by one process" in said.err


def test_the_client_is_an_extra(server, audited, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    said = audited(server)
    assert (said.code, said.problem.partition(": ")[2]) == (2, "pip install 'saywhy[api]'")
