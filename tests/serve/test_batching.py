"""Texts that wait are computed together; what nobody waits for is not computed; the queue has an end."""

import gc
import socket
import threading
import time

import pytest

from moods import TEXTS
from saywhy.explainer.decision import ExplainRequest
from saywhy.serve.batching import BatchQueue, WaitingText
from saywhy.serve.refusals import RequestError
from served import Observed, client_of, metric, running, service_of, until


def ask(client, answers, **body):
    def send():
        answers.append(client.post("/v1/explain", json=body))

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.fixture
def model():
    return Observed()


def test_concurrent_requests_are_one_batch_with_their_own_efforts(model):
    service, answers = service_of(model), []
    model.gate.clear()
    with running(service) as server, client_of(server) as client:
        threads = [ask(client, answers, text="the first is great")]
        assert model.begun.wait(10)
        efforts = ("self", "repair", "search", "self")
        threads += [ask(client, answers, text=text, effort=e) for text, e in zip(TEXTS[1:5], efforts, strict=True)]
        until(lambda: len(service.queue) == 4)
        model.gate.set()
        for thread in threads:
            thread.join(20)
        together = next(batch for batch in model.batches if any(TEXTS[1] in text for text in batch))
        assert len(together) == 4  # all that had waited were classified in one call
        assert metric(client, "saywhy_batch_texts_count") == 2
    assert sorted(answer.json()["decisions"][0]["effort"] for answer in answers) == [
        "repair", "repair", "search", "self", "self"
    ]  # fmt: skip


def test_a_batch_has_no_more_texts_than_it_may(model):
    service, answers = service_of(model, batch=2), []
    with running(service) as server, client_of(server) as client:
        ask(client, answers, texts=list(TEXTS[:5]), effort="self").join(20)
        assert metric(client, "saywhy_batch_texts_count") == 3
        assert len(answers[0].json()["decisions"]) == 5


def test_a_full_queue_says_when_to_come_again(model):
    service, answers = service_of(model, queue=2, most_texts=2), []
    model.gate.clear()
    with running(service) as server, client_of(server) as client:
        threads = [ask(client, answers, text="the first is great")]
        assert model.begun.wait(10)
        threads += [ask(client, answers, texts=list(TEXTS[:2]))]
        until(lambda: len(service.queue) == 2)
        refused = client.post("/v1/explain", json={"text": TEXTS[3]})
        assert refused.status_code == 429
        assert refused.json()["error"]["type"] == "queue_full"
        assert int(refused.headers["Retry-After"]) >= 1
        model.gate.set()
        for thread in threads:
            thread.join(20)
        assert [answer.status_code for answer in answers] == [200, 200]  # none that was taken is lost
        assert client.post("/v1/explain", json={"text": TEXTS[3]}).status_code == 200


def test_what_timed_out_before_it_was_computed_is_dropped(model, caplog):
    service = service_of(model, timeout=0.3)
    model.gate.clear()
    with running(service) as server, client_of(server) as client:
        answers = []
        threads = [ask(client, answers, text="the first is great")]
        assert model.begun.wait(10)
        threads += [ask(client, answers, texts=["a late great day", "an awful late day"])]
        for thread in threads:
            thread.join(20)
        assert [answer.status_code for answer in answers] == [504, 504]
        assert {answer.json()["error"]["type"] for answer in answers} == {"timeout"}
        until(lambda: metric(client, "saywhy_dropped_texts_total") == 2)
        model.gate.set()
        assert client.post("/v1/explain", json={"text": "a new great day"}).status_code == 200
    assert not any("late" in text for batch in model.batches for text in batch)
    gc.collect()
    assert caplog.text == ""


def test_a_client_that_hangs_up_is_not_computed_for(model, caplog):
    service = service_of(model)
    model.gate.clear()
    with running(service) as server, client_of(server) as client:
        thread = ask(client, [], text="the first is great")
        assert model.begun.wait(10)
        with client_of(server) as other, pytest.raises(Exception, match="timed out"):
            other.post("/v1/explain", json={"text": "a lost great day"}, timeout=0.3)
        until(lambda: metric(client, 'saywhy_requests_total{route="/v1/explain",status="499"}') == 1)
        assert len(service.queue) == 0
        model.gate.set()
        thread.join(20)
        assert client.post("/v1/explain", json={"text": "a new great day"}).status_code == 200
    assert not any("lost" in text for batch in model.batches for text in batch)
    gc.collect()
    assert caplog.text == ""  # asyncio complains of what nobody looked at


def test_a_client_that_hangs_up_within_its_body_is_no_trouble(model):
    service = service_of(model)
    with running(service) as server, client_of(server) as client:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as half:
            kind = "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n"
            half.sendall(f'POST /v1/explain HTTP/1.1\r\nHost: localhost\r\n{kind}{{"text"'.encode())
            time.sleep(0.1)
        until(lambda: metric(client, 'saywhy_requests_total{route="/v1/explain",status="499"}') == 1)
        assert client.post("/v1/explain", json={"text": TEXTS[0]}).status_code == 200


def test_half_a_header_holds_no_connection_for_ever(model, monkeypatch):
    monkeypatch.setattr("saywhy.serve.server.HEADER_SECONDS", 0.3)
    with running(service_of(model)) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        half = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
        for sent in (b"", half, half + b"\r\n" + half):  # nothing; a half; a whole one, and then a half
            with socket.create_connection(address, timeout=5) as client:
                client.sendall(sent)
                assert b"".join(iter(lambda: client.recv(4096), b"")).count(b"alive") == sent.count(b"\r\n\r\n")
        model.gate.clear()  # what is computed longer than that is answered
        with client_of(server) as client:
            answers = []
            thread = ask(client, answers, text="a great day")
            assert model.begun.wait(5)
            time.sleep(0.6)
            model.gate.set()
            thread.join(10)
            assert [answer.status_code for answer in answers] == [200]


def test_a_stop_finishes_what_is_computed_and_refuses_the_rest(model):
    service, answers = service_of(model), {"computed": [], "waiting": []}
    model.gate.clear()
    with running(service) as server, client_of(server) as client:
        computed = ask(client, answers["computed"], text="the first is great")
        assert model.begun.wait(10)
        waiting = ask(client, answers["waiting"], text="the second is great")
        until(lambda: len(service.queue) == 1)
        server.end()
        waiting.join(20)
        assert client.get("/readyz").status_code == 503
        assert client.get("/healthz").status_code == 200
        late = client.post("/v1/explain", json={"text": "too late"})
        for refused in (late, answers["waiting"][0]):
            assert (refused.status_code, refused.json()["error"]["type"]) == (503, "stopping")
            assert refused.headers["Retry-After"]
        model.gate.set()
        computed.join(20)
        assert answers["computed"][0].json()["decisions"][0]["check"]["status"] == "holds"
        server.thread.join(20)
        assert not server.thread.is_alive()


def test_nothing_is_taken_after_the_end(model):
    service = service_of(model)
    service.close()
    with pytest.raises(RequestError, match="stopping"):
        service.queue.put([])


def test_a_text_with_little_time_left_is_not_taken_with_one_that_has_much_more():
    taken = []

    class Deciding:
        def problems(self, requests):
            return [None] * len(requests)

        def decide_many(self, requests):
            taken.append([request.text for request in requests])
            return requests

    queue = BatchQueue({"base": Deciding()}, 8, 8, lambda text, decision: None)
    now = time.monotonic()
    seconds = {"late": 10.0, "as late": 15.0, "fresh": 60.0, "as fresh": 61.0}
    waiting = [WaitingText(ExplainRequest(text), "base", now + left) for text, left in seconds.items()]
    queue.put(waiting)
    decided = [text.answer.result(10) for text in waiting]
    queue.stop()
    assert taken == [["late", "as late"], ["fresh", "as fresh"]]
    assert all(request.seconds < 10 for request in decided[:2]), "all are answered when the last one is"
