"""The API: right answers, one clear status and one shape for everything else, and no text where none belongs."""

import json
from functools import partial

import pytest
from starlette.testclient import TestClient

from moods import TASK
from saywhy.models.scripted import liar
from saywhy.serve.app import service_app
from saywhy.serve.options import ServiceSettings
from saywhy.serve.requests import ExplainAnswer
from saywhy.serve.service import Service
from saywhy.tasks.task import load_task
from served import CANARY, Observed, asked, client_of, explainer_of, metric, problem, running, service_of

TEXT = "the food at noon was great"
GUARDED = {"Authorization": "Bearer s3cret"}


def test_the_planted_cause_is_the_reason_and_holds(client):
    answer = asked(client, text=TEXT).json()
    assert answer["schema"] == 1
    [decision] = answer["decisions"]
    assert decision["label"] == "good"
    assert decision["reason"]["words"] == ["great"]
    assert decision["check"]["status"] == "holds"
    assert decision["check"]["label_without"] == "bad"
    ExplainAnswer.model_validate(answer)


def test_several_texts_share_fields_and_may_differ(client):
    texts = [TEXT, {"text": "we love this day and the sea", "effort": "search", "styles": ["redaction"]}]
    first, second = asked(client, texts=texts, effort="self", styles=["attribution", "counterfactual"]).json()[
        "decisions"
    ]
    assert (first["effort"], second["effort"]) == ("self", "search")
    assert first["counterfactual"]["check"]["status"] == "too_close"  # any word will do for the inserted one
    assert second["redaction"]["text"] == "we [REDACTED] this day and the sea"
    assert second["counterfactual"] is None


def test_what_is_null_is_not_said(client):
    """Programs write out fields that they do not use."""
    assert asked(client, text=TEXT, texts=None, model=None, effort=None).status_code == 200
    [decision] = asked(client, text=None, texts=[{"text": TEXT, "effort": None}], effort="search").json()["decisions"]
    assert decision["effort"] == "search"


def test_a_name_that_a_client_made_up_is_not_repeated(client):
    for body in (
        {"text": TEXT, "context": {f"[{CANARY}": 5}},
        {"texts": [{"text": TEXT, "context": {f"[{CANARY}": 5}}]},
    ):
        assert "context: Input should be a valid string" in problem(asked(client, **body), 422)["message"]


def test_a_lie_is_answered_and_does_not_hold():
    service = service_of(Observed(liar), effort="self")
    with TestClient(service_app(service)) as client:
        [decision] = asked(client, text=TEXT).json()["decisions"]
        assert decision["check"]["status"] == "does_not_hold"
        assert metric(client, "saywhy_holds_share") == 0.0
    service.close()


def test_a_word_alone_is_an_answer(client):
    [decision] = asked(client, text="great").json()["decisions"]
    assert decision["check"]["status"] == "not_explainable"
    assert metric(client, "saywhy_abstained_share") == 1.0


def test_what_can_be_asked_is_told(client):
    facts = client.get("/v1/task").json()
    assert facts == {
        "task": "toys",
        "question": TASK.question,
        "labels": {"bad": "negative", "good": "positive"},
        "noun": "tweet",
        "context": [],
        "models": ["trained"],
        "efforts": ["self", "repair", "search"],
        "effort": "repair",
        "styles": ["attribution", "redaction", "counterfactual"],
        "limits": {"characters": 200, "texts": 8},
        "examples": [],
    }


def test_a_model_without_likelihoods_of_words_repairs_nothing(model):
    model.answers = model.answers - {"weigh"}
    service = service_of(model, effort="self")
    with TestClient(service_app(service)) as client:
        assert client.get("/v1/task").json()["efforts"] == ["self", "search"]
        assert (
            problem(asked(client, text=TEXT, effort="repair"), 422)["message"]
            == "effort: this service has self, search"
        )
        assert asked(client, text=TEXT).json()["decisions"][0]["check"]["status"] == "holds"
    service.close()


def test_examples_of_a_built_in_task_are_offered():
    for name, kind in (("sentiment140", str), ("snli", dict)):
        service = service_of(Observed(task=load_task(name)))
        examples = service.facts()["examples"]
        assert len(examples) == 6
        assert all(isinstance(example, kind) for example in examples)
        service.close()


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [
        ({"text": "  \n"}, 422, "unusable_text", "the text is empty"),
        ({"texts": [TEXT, " "]}, 422, "unusable_text", "texts[1]: the text is empty"),
        ({}, 422, "invalid_request", "give either text or texts"),
        ({"text": TEXT, "texts": [TEXT]}, 422, "invalid_request", "give either text or texts"),
        ({"texts": []}, 422, "invalid_request", "texts: there is none"),
        ({"texts": [TEXT] * 9}, 413, "too_many_texts", "9 texts: at most 8 in a request, send several"),
        ({"texts": [TEXT] * 10_000}, 413, None, None),
        ({"text": f"{CANARY} " * 20}, 413, "text_too_long", "320 characters: at most 200, nothing is cut"),
        ({"text": 3}, 422, "invalid_request", "text: Input should be a valid string"),
        ({"texts": [TEXT, 3]}, 422, "invalid_request", "texts[1]: Input should be a valid string"),
        ({"texts": [{"texts": TEXT}]}, 422, "invalid_request", None),
        ({"text": [CANARY]}, 422, "invalid_request", "text: Input should be a valid string"),
        ({"text": TEXT, "efort": CANARY}, 422, "invalid_request", None),
        ({"text": TEXT, CANARY: 1}, 422, "invalid_request", None),
        ({"text": TEXT, "effort": CANARY}, 422, "invalid_request", None),
        ({"text": TEXT, "styles": []}, 422, "invalid_request", None),
        ({"text": TEXT, "styles": [CANARY]}, 422, "invalid_request", None),
        ({"text": TEXT, "budget": 0}, 422, "invalid_request", None),
        ({"text": TEXT, "budget": True}, 422, "invalid_request", None),
        ({"text": TEXT, "seconds": -1}, 422, "invalid_request", None),
        ({"text": TEXT, "answer": CANARY}, 422, "invalid_request", "answer: the labels are bad, good"),
        ({"text": TEXT, "context": {CANARY: "x"}}, 422, "invalid_request", None),
        ({"text": TEXT, "context": CANARY}, 422, "invalid_request", None),
        ({"text": TEXT, "model": "base"}, 422, "invalid_request", "model: this service has trained"),
        ([TEXT], 422, "invalid_request", None),
    ],
)  # fmt: skip
def test_bad_requests_are_said_clearly_and_nothing_of_a_text_is_repeated(body, status, kind, message, client, model):
    said = problem(client.post("/v1/explain", json=body), status)
    assert said["type"] == (kind or said["type"])
    assert said["message"] == (message or said["message"])
    assert len(said["message"].splitlines()) == 1
    assert asked(client, text=TEXT).status_code == 200  # the service goes on


@pytest.mark.parametrize(
    ("content", "status", "kind"),
    [
        (b"", 400, "bad_json"),
        (b"null", 422, "invalid_request"),
        (b'{"text": "xylophonecanary', 400, "bad_json"),
        (b'{"text": "\xff xylophonecanary"}', 400, "bad_json"),
        (b'{"text": "\\ud800 xylophonecanary"}', 400, "bad_json"),
        (b'{"text": "a", "seconds": NaN}', 400, "bad_json"),
        (b'{"budget": ' + b"9" * 6000 + b"}", 400, "bad_json"),
        (b"[" * 20_000, 400, "bad_json"),
        (b'{"text": "' + b"xylophonecanary " * 50_000 + b'"}', 413, "body_too_large"),
    ],
)
def test_bodies_that_are_no_request(content, status, kind, client):
    response = client.post("/v1/explain", content=content, headers={"Content-Type": "application/json"})
    assert problem(response, status)["type"] == kind
    assert asked(client, text=TEXT).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"])
def test_other_content_types_are_refused(kind, client):
    response = client.post("/v1/explain", content=json.dumps({"text": TEXT}), headers={"Content-Type": kind})
    assert problem(response, 415)["type"] == "unsupported_media_type"


def test_a_content_type_may_say_its_charset(client):
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert client.post("/v1/explain", content=json.dumps({"text": TEXT}), headers=headers).status_code == 200


def test_paths_and_methods_that_do_not_exist(client):
    assert problem(client.get(f"/{CANARY}"), 404)["type"] == "not_found"
    refused = client.get("/v1/explain")
    assert problem(refused, 405)["type"] == "method_not_allowed"
    assert refused.headers["Allow"] == "POST"
    assert CANARY not in client.get("/metrics").text


def test_the_token_is_asked_for(model):
    service = service_of(model)
    with TestClient(service_app(service, "s3cret")) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}, {"Authorization": "é"}):
            sent = {name: value.encode() for name, value in headers.items()}
            refused = client.post("/v1/explain", json={"text": CANARY}, headers=sent)
            assert problem(refused, 401)["type"] == "unauthorized"
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert client.get("/metrics", headers=sent).status_code == 401
            assert client.get("/v1/task", headers=sent).status_code == 401
        assert client.post("/v1/explain", json={"text": TEXT}, headers=GUARDED).status_code == 200
        assert client.get("/metrics", headers=GUARDED).status_code == 200
        assert client.get("/metrics", headers={"Authorization": "bearer s3cret"}).status_code == 200
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    service.close()


LOOPBACK_HOSTS = (
    "localhost",
    "localhost:9000",
    "LocalHost.:8000",
    "127.0.0.1:8000",
    "127.8.9.1",
    "[::1]:8000",
    "[::1]",
)
OTHER_HOSTS = (
    *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example:8000", "0.0.0.0:8000"),
    *(
        "10.0.0.7",
        "[2001:db8::1]:8000",
        "",
        ":8000",
        "localhost:80:80",
        "evil.example@localhost",
        "localhost@evil.example",
    ),
    *("2130706433", "localhost, evil.example", "[::1", f"{CANARY}.example"),
)


@pytest.mark.parametrize("route", ["/v1/explain", "/v1/task", "/metrics", "/none"])
def test_a_name_that_is_made_to_lead_to_loopback_is_refused(route, model):
    service = service_of(model)
    with running(service) as server, client_of(server) as client:
        ask = partial(client.post, json={"text": TEXT}) if route == "/v1/explain" else client.get
        for host in LOOPBACK_HOSTS:
            assert ask(route, headers={"Host": host}).status_code == (404 if route == "/none" else 200), host
        for host in OTHER_HOSTS:
            refused = problem(ask(route, headers={"Host": host}), 421)
            assert refused == {
                "type": "misdirected",
                "message": "address the service as localhost, or start it with SAYWHY_TOKEN",
            }
        assert metric(client, 'saywhy_requests_total{route="other",status="421"}') == len(OTHER_HOSTS)
        assert client.get("/healthz", headers={"Host": "x"}).status_code == 200  # nothing of a text is in it


def test_with_a_token_any_name_may_lead_to_the_service(model):
    service = service_of(model)
    with running(service, "s3cret") as server, client_of(server) as client:
        headers = {**GUARDED, "Host": "reviews.example"}
        assert client.post("/v1/explain", json={"text": TEXT}, headers=headers).status_code == 200
        refused = client.post("/v1/explain", json={"text": TEXT}, headers={"Host": "reviews.example"})
        assert problem(refused, 401)["type"] == "unauthorized"


def test_metrics_tell_of_requests_reasons_and_answers(client):
    asked(client, texts=[TEXT, "great", "nothing to see here for us", "an awful cold flight to them"])
    asked(client, text=" ")
    assert metric(client, 'saywhy_requests_total{route="/v1/explain",status="200"}') == 1
    assert metric(client, 'saywhy_requests_total{route="/v1/explain",status="422"}') == 1
    assert metric(client, 'saywhy_request_seconds_count{route="/v1/explain"}') == 2
    assert metric(client, 'saywhy_decisions_total{effort="repair",label="good",model="trained",status="holds"}') == 1
    assert metric(client, "saywhy_abstained_share") == 0.25
    assert metric(client, "saywhy_probability_count") == 4
    assert metric(client, "saywhy_queued_texts") == 0


def test_drift_is_that_of_labels_from_the_expected_ones(model):
    explainer = explainer_of(model)
    explainer.expected_labels = {"bad": 0.5, "good": 0.5}
    service = Service({"trained": explainer}, ServiceSettings())
    with TestClient(service_app(service)) as client:
        asked(client, texts=[TEXT] * 3 + ["an awful cold flight to them"])
        assert metric(client, "saywhy_label_drift") == 0.25
    service.close()


def test_answers_that_were_given_are_no_drift_of_the_model(model):
    explainer = explainer_of(model)
    explainer.expected_labels = {"bad": 0.0, "good": 1.0}
    service = Service({"trained": explainer}, ServiceSettings())
    with TestClient(service_app(service)) as client:
        asked(client, texts=[TEXT])
        for _ in range(3):
            asked(client, text=TEXT, answer="bad")
        assert metric(client, "saywhy_label_drift") == 0.0
        assert metric(client, "saywhy_abstained_share") == 0.0
    service.close()


def test_a_drift_that_cannot_be_known_is_no_metric(client):
    asked(client, text=TEXT)
    assert "saywhy_holds_share" in client.get("/metrics").text
    assert "saywhy_label_drift" not in client.get("/metrics").text


def test_two_models_answer_beside_each_other():
    service = Service({"trained": explainer_of(Observed()), "base": explainer_of(Observed(liar))}, ServiceSettings())
    with TestClient(service_app(service)) as client:
        assert client.get("/v1/task").json()["models"] == ["trained", "base"]
        statuses = [
            asked(client, text=TEXT, effort="self", **named).json()["decisions"][0]["check"]["status"]
            for named in ({}, {"model": "trained"}, {"model": "base"})
        ]
        assert statuses == ["holds", "holds", "does_not_hold"]
    service.close()


def test_openapi_teaches_by_examples(client):
    schema = client.get("/openapi.json").json()
    explain = schema["paths"]["/v1/explain"]["post"]
    content = explain["requestBody"]["content"]["application/json"]
    assert {"one text", "several texts"} <= set(content["examples"])
    assert {"text", "texts", "effort", "styles", "model"} <= set(content["schema"]["properties"])
    assert {"200", "400", "413", "415", "422", "429", "503", "504"} <= set(explain["responses"])
    assert "ExplainedDecision" in schema["components"]["schemas"]
