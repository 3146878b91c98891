"""Models behind an API, through the command line: the planted cause, what is kept, what it is said to cost."""

import json
import re

import pytest

from api_server import RuleServer, failing, send
from moods import CUES, TASK, TEXTS
from saywhy.models.api import client
from saywhy.models.scripted import liar

pytestmark = pytest.mark.usefixtures("api_environment")


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


@pytest.mark.parametrize(
    "refuse", [failing(400, b"filtered"), lambda handler, body: send(handler, 200, _without_lists(body))]
)
def test_a_text_that_the_server_refuses_is_set_aside(server, audited, tmp_path, refuse):
    banned = [f"{TEXTS[n]} {n}" for n in (1, 2)]
    for split in ("test", "train"):
        assert any(text in (tmp_path / "data" / f"{split}.jsonl").read_text("utf-8") for text in banned)

    def filtered(handler, body):
        is_banned = any(text in body["messages"][0]["content"] for text in banned)
        (refuse if is_banned else server.answer)(handler, body)

    server.every = filtered
    said = audited(server, "rows=12", "styles=attribution")
    assert said.code == 0, said.err
    aside = [json.loads(line) for line in (tmp_path / "run" / "set_aside.jsonl").read_text("utf-8").splitlines()]
    assert [record["reason"] for record in aside] == ["refused by the server"] * 2
    assert {row["id"] for row in rows_of(tmp_path)}.isdisjoint(record["id"] for record in aside)
    assert len({row["id"] for row in rows_of(tmp_path)}) == 10
    sent = len(server.requests)
    assert audited(server, "rows=12", "styles=attribution").code == 0
    assert len(server.requests) == sent, "what was refused is not asked again"


def _without_lists(body):
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": "I cannot help."}}]}


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
    tried = 8 + 12  # labels that are asked again, and then are in the cache
    assert planned == pytest.approx(counts["requests"] + counts["cached"] - tried, rel=0.05)
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


def test_an_audit_in_sentences_samples_by_seeds_and_predicts_edits(server, audited, tmp_path):
    ended = audited(server, "settings=sentences", "mention_samples=2")
    assert ended.code == 0, ended.err
    arm = tmp_path / "run/seed-0/audited"
    scores = [json.loads(line) for line in (arm / "sentences.jsonl").read_text("utf-8").splitlines()]
    assert {record["samples"] for record in scores} == {2}
    assert all("model" in record["simulated"] for record in scores)
    drawn = [body for body in server.requests if body.get("temperature")]
    assert {body["temperature"] for body in drawn} == {1.0}
    assert len({body["seed"] for body in drawn}) == len(drawn) == 2 * len(scores)
    assert audited(server, "settings=sentences", "--dry", out="dry").code == 0


def test_lengths_of_insertions_are_refused_where_no_fluency_is_known(server, audited):
    refused = audited(server, "settings=sentences", "insertion_lengths=true", out="refused")
    assert refused.code == 2
    assert refused.problem.startswith("insertion_lengths=true needs a model with weigh")
