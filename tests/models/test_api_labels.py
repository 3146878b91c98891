"""What a list of likely tokens is worth: label words by their first tokens, bounds, words that begin alike."""

import math

import pytest

from saywhy.models.api.completion import Completion, Position, parse_completion
from saywhy.models.api.labels import find_label_way, label_request, score_options, upper_bound
from saywhy.models.interface import Choice
from saywhy.records import SaywhyError

CHAT = [{"role": "user", "content": "Is this good or bad?\nText: fine"}]


def completion(listed, text=""):
    return Completion(text, False, (Position(text, listed),), 1, 1)


def scored(options, *lists, way="continued", prefix="It is"):
    """Score options from lists of tokens, one a request; return scores, bounds and the requests."""
    requests, answers = [], iter(lists)

    def complete(request):
        requests.append(request)
        return completion(next(answers))

    scores, bounds = score_options(way, complete, Choice(CHAT, options, prefix), "openai:x@http://h/v1")
    return scores, bounds, requests


def test_label_words_are_scored_by_their_tokens_behind_the_lead_in():
    scores, bounds, [request] = scored(("bad", "good"), {" good": -0.1, " bad": -3.0, " Good": -5.0})
    assert scores == (-3.0, -0.1)
    assert bounds == 0
    assert request["messages"][-1] == {"role": "assistant", "content": "It is"}
    assert request["continue_final_message"] is True


def test_what_is_not_listed_gets_the_most_that_it_can_have():
    listed = {" positive": -0.02, "Positive": -4.9, "<think>": -6.1}
    scores, bounds, _ = scored(("negative", "positive"), listed)
    assert scores == (pytest.approx(-6.1), pytest.approx(math.log(math.exp(-0.02) + 0), abs=0.01))
    assert bounds == 1
    assert upper_bound({" a": math.log(0.6), " b": math.log(0.395)}) == pytest.approx(math.log(0.005))
    assert upper_bound({" a": 0.0, " b": -25.0}) == -25.0
    assert -30 < upper_bound({" a": 0.0}) < -15  # rounding leaves nothing: never 0, never infinite


def test_a_server_that_goes_on_by_itself_is_not_told_to():
    _, _, [request] = scored(("bad", "good"), {" good": -0.1, " bad": -3.0}, way="prefilled")
    assert request["messages"][-1] == {"role": "assistant", "content": "It is"}
    assert set(request) == {"messages", "max_tokens", "logprobs", "top_logprobs"}


def test_words_that_begin_alike_are_told_apart_by_further_tokens():
    scores, bounds, requests = scored(
        ("contrast", "contradiction", "neutral"),
        {" contra": math.log(0.5), " neutral": math.log(0.4)},
        {"st": math.log(0.25), "diction": math.log(0.5)},
    )
    assert scores == pytest.approx([math.log(0.125), math.log(0.25), math.log(0.4)])
    assert bounds == 0
    assert [request["messages"][-1]["content"] for request in requests] == ["It is", "It is contra"]


def test_words_that_begin_alike_are_refused_where_no_further_tokens_are_shown():
    with pytest.raises(SaywhyError, match="'contrast' and 'contradiction' with the same token") as error:
        scored(("contrast", "contradiction"), {"Contra": -0.1}, way="asked")
    assert "other label words" in str(error.value)


def test_a_reply_that_was_asked_for_a_word_may_write_it_large():
    scores, _, [request] = scored(
        ("bad", "good"), {"Good": math.log(0.5), " good": math.log(0.25), "bad": math.log(0.125)}, way="asked"
    )
    assert scores == pytest.approx([math.log(0.125), math.log(0.75)])
    assert request["messages"][-1]["content"].endswith("\nReply with one of these words alone: bad, good.")


def test_a_grammar_makes_the_model_write_the_lead_in_and_what_is_listed_behind_it_counts():
    positions = tuple(Position(token, {token: -0.1}) for token in ("It", " is"))
    answer = Completion("It is good", False, (*positions, Position(" ", {" good": -0.2, " bad": -2.0})), 1, 3)
    scores, bounds = score_options("forced", lambda _: answer, Choice(CHAT, ("bad", "good"), "It is"), "m")
    assert (scores, bounds) == ((-2.0, -0.2), 0)
    request = label_request("forced", Choice(CHAT, ("bad", "good"), 'It is "so"'), "")
    assert request["grammar"] == 'root ::= "It is \\"so\\"" [^\\n]'
    crossed = Completion("It is good", False, (Position("It i", {}), Position("s good", {})), 1, 2)
    with pytest.raises(SaywhyError, match="another lead_in"):
        score_options("forced", lambda _: crossed, Choice(CHAT, ("bad", "good"), "It is"), "m")


@pytest.mark.parametrize("listed", [{}, {" x": -0.5}])
def test_a_list_without_any_label_gives_bounds_not_an_error(listed):
    if not listed:
        with pytest.raises(SaywhyError, match="gives no log-probabilities"):
            find_label_way(lambda _: Completion("is", False, (), 1, 1), "m")
        return
    scores, bounds, _ = scored(("bad", "good"), listed)
    assert scores[0] == scores[1] < 0
    assert bounds == 2


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<html>", "it is no JSON"),
        ('{"choices": [', "it is no JSON"),
        ("{}", "choices is missing"),
        ('{"choices": []}', "choices is empty"),
        ('{"choices": "secret words"}', "choices is of a wrong type"),
        ('{"choices": [{"message": {"content": 7}}]}', "choices.0.message.content is of a wrong type"),
        ("[]", "it is of a wrong type"),
        ("null", "it is of a wrong type"),
    ],
)
def test_what_is_no_completion_is_named_without_a_word_of_it(body, problem):
    with pytest.raises(ValueError, match=problem) as error:
        parse_completion(body)
    assert "secret" not in str(error.value)


def test_servers_differ_in_what_they_leave_out():
    answer = {"token": " good", "logprob": -0.5}
    listed = '[{"token": " bad", "logprob": -9999.0}, {"token": " good", "logprob": 1e-7}]'
    body = (
        '{"choices": [{"message": {"content": null}, "finish_reason": "length", "logprobs": {"content": '
        f'[{{"token": " good", "logprob": {answer["logprob"]}, "bytes": null, "top_logprobs": {listed}}}]}}}}]}}'
    )
    read = parse_completion(body)
    assert (read.text, read.cut, read.prompt_tokens) == ("", True, 0)
    assert read.positions[0].listed == {" good": 0.0}
    assert parse_completion('{"choices": [{"message": {"content": "x"}, "logprobs": {"content": []}}]}').positions == ()


def test_tokens_that_were_not_counted_are_none():
    body = '{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": null, "completion_tokens": null}}'
    assert parse_completion(body).prompt_tokens == 0
