"""Texts that cannot be answered, and models that fail: who is refused, how, and who is answered all the same."""

import logging

import pytest

from saywhy.models.memory import NotEnoughMemoryError
from served import CANARY, asked, problem

TEXT = "the food at noon was great"


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
    def fail(texts):
        if len({text.count("noun") for text in texts} | set(texts)) > 40:
            raise MemoryError

    model.failures.append(fail)
    texts = [f"the food at {hour} was great" for hour in ("one", "two", "three", "four", "five", "six")]
    decisions = asked(client, texts=texts, effort="search").json()["decisions"]
    assert {decision["check"]["status"] for decision in decisions} == {"holds"}
