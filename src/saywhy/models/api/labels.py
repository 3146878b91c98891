"""Label words by the log-probabilities that a server lists: how they are asked for, and what a list is worth.

On this machine a label word is scored behind the lead-in, which stands in the assistant's turn. Of what servers can do
the nearest to that is taken, as a trial shows (``find_label_way``):

- ``prefilled``: the server goes on with an assistant's turn that stands last (llama.cpp's own server).
- ``continued``: it does so where two more fields ask for it (vLLM, SGLang).
- ``forced``: it does not, but obeys a grammar (llama-cpp-python), by which the model writes the lead-in first; what is
  listed behind it is what the model expects there, whatever the grammar allows.
- ``asked``: neither; a line behind the text asks for the label word alone, and the reply's first token counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from saywhy.models.api.client import ApiModelError, RefusedRequestError
from saywhy.models.api.completion import Completion
from saywhy.models.interface import Choice
from saywhy.protocol.prompts import Message

LabelWay = Literal["prefilled", "continued", "forced", "asked"]
"""How a label word is asked for."""

WITHOUT_PENALTY: Mapping[LabelWay, Mapping[str, float]] = {
    "continued": {"repetition_penalty": 1.0},
    "forced": {"repeat_penalty": 1.0},
}
"""Fields by which servers that take more than plain chat completions do without a penalty on repetition.

They may have one by default, from the model's folder or of their own, and it punishes copying."""

LISTED_TOKENS = 20
"""Tokens that a server is asked to list: the most that those of OpenAI do."""

_ASK_ALONE = "Reply with one of these words alone: {words}."
_BLANKS = " \u2581"
"""What stands before a word within a token; the second is how SentencePiece writes a blank."""
_LEAST_REST = 1e-9
"""Probability that is left for what is not listed where rounding leaves none."""

_TRIAL: list[Message] = [{"role": "user", "content": "What is the capital of France?"}]
_BEGUN, _GOES_ON = "The capital of France is Par", "is"
_FORCED = "The word behind this one is"

_TRIALS: tuple[tuple[LabelWay, str], ...] = (("prefilled", _BEGUN), ("continued", _BEGUN), ("forced", _FORCED))
"""Ways to try, in this order, and how a turn begins then. The fields of ``continued`` mislead servers that prefill."""

Complete = Callable[[Mapping[str, Any]], Completion]
"""Sends a request."""


def find_label_way(complete: Complete, name: str) -> LabelWay:
    """Return how the labels of a model are asked for: the first way of which a trial shows that the server takes it.

    Args:
        complete: Sends a request.
        name: The value of ``model=``.

    Raises:
        ApiModelError: If the server gives no log-probabilities, or cannot be asked.
    """
    for way, beginning in _TRIALS:
        try:
            completion = complete(label_request(way, Choice(_TRIAL, ("Paris",), beginning), ""))
        except RefusedRequestError:  # fields beyond plain chat completions
            continue
        text = completion.text
        if text.lstrip().startswith(_FORCED) if way == "forced" else text.startswith(_GOES_ON):
            _refuse_without_lists(completion, name)
            return way
    _refuse_without_lists(complete(label_request("asked", Choice(_TRIAL, ("Paris",)), "")), name)
    return "asked"


def _refuse_without_lists(completion: Completion, name: str) -> None:
    if not completion.positions:
        raise _unlisted(name)


def _unlisted(name: str) -> RefusedRequestError:
    return RefusedRequestError(
        f"the server of model='{name}' gives no log-probabilities (logprobs, top_logprobs={LISTED_TOKENS}), from "
        "which labels are read: switch them on there, or use a server that has them"
    )


def label_request(way: LabelWay, choice: Choice, written: str) -> dict[str, Any]:
    """Return the request that lists what may follow the lead-in of a choice and ``written``, a part of its options."""
    lists = {"logprobs": True, "top_logprobs": LISTED_TOKENS}
    if way == "asked":
        asks = _ASK_ALONE.format(words=", ".join(choice.options))
        *before, last = choice.messages
        messages = [*before, {**last, "content": f"{last['content']}\n{asks}"}]
        return {"messages": messages, "max_tokens": 1, **lists}
    beginning = _beginning(choice, written)
    if not beginning:  # the label begins the turn
        return {"messages": choice.messages, "max_tokens": 1, **lists}
    if way != "forced":
        messages = [*choice.messages, {"role": "assistant", "content": beginning}]
        fields = {"add_generation_prompt": False, "continue_final_message": True} if way == "continued" else {}
        return {"messages": messages, "max_tokens": 1, **lists, **fields}
    # One more sign, so that there is a position behind the beginning. No token is shorter than a byte.
    grammar = f"root ::= {json.dumps(beginning, ensure_ascii=False)} [^\\n]"
    return {"messages": choice.messages, "max_tokens": len(beginning.encode()) + 2, **lists, "grammar": grammar}


def _beginning(choice: Choice, written: str) -> str:
    return f"{choice.prefix} {written}" if choice.prefix and written else choice.prefix or written


def _listed_behind(way: LabelWay, completion: Completion, beginning: str, name: str) -> Mapping[str, float]:
    """Return what is listed behind the beginning of a turn (nats, by token)."""
    text = ""
    for position in completion.positions:
        if way != "forced" or text.lstrip() == beginning:
            if not position.listed:
                raise _unlisted(name)
            return position.listed
        text += position.token
    raise ApiModelError(
        f"the server of model='{name}' lists no tokens behind the lead-in '{beginning}', within which its own begin: "
        "give the task another lead_in, or use another server"
    )


def score_options(way: LabelWay, complete: Complete, choice: Choice, name: str) -> tuple[tuple[float, ...], int]:
    """Return the log-probability (nats) of each option by its first tokens, and how many of these are upper bounds.

    A word of several tokens is scored by those that tell it from the other options, mostly the first one. What is not
    listed gets the most that it can have (``upper_bound``).

    Args:
        way: How labels are asked for.
        complete: Sends a request.
        choice: A chat and label words.
        name: The value of ``model=``.

    Raises:
        ApiModelError: If options begin with the same token and the way shows no further ones.
    """
    scores: dict[int, float] = {}
    bounds = 0
    open_groups: list[tuple[str, float, list[int]]] = [("", 0.0, list(range(len(choice.options))))]
    while open_groups:
        written, base, numbers = open_groups.pop()
        completion = complete(label_request(way, choice, written))
        _refuse_without_lists(completion, name)
        listed = _listed_behind(way, completion, _beginning(choice, written), name)
        beginnings = _beginnings(way, listed, inside=bool(written))
        tails = {number: choice.options[number][len(written) :] for number in numbers}
        groups = _by_beginning(way, beginnings, tails)
        for beginning, members in groups.items():
            if beginning is None:
                scores.update(dict.fromkeys(members, base + upper_bound(listed)))
                bounds += len(members)
                continue
            value = base + beginnings[beginning]
            alike = [number for number in members if len(tails[number]) > len(beginning)] if len(members) > 1 else []
            scores.update({number: value for number in members if number not in alike})
            if alike and way == "asked":
                words = " and ".join(f"'{choice.options[number]}'" for number in members[:2])
                raise ApiModelError(
                    f"model='{name}' begins the labels {words} with the same token, and its server shows no further "
                    "ones: give the task other label words"
                )
            if alike:
                open_groups.append((written + beginning, value, alike))
    return tuple(scores[number] for number in range(len(choice.options))), bounds


def _beginnings(way: LabelWay, listed: Mapping[str, float], *, inside: bool) -> dict[str, float]:
    """Return the listed tokens as words begin, without the blank before them, and their log-probabilities (nats).

    A reply that was only asked for a word may write it large or behind a blank: that is the same word.
    """
    beginnings: dict[str, float] = {}
    for token, value in listed.items():
        key = token.strip().casefold() if way == "asked" else token if inside else token.lstrip(_BLANKS)
        if key:
            beginnings[key] = _log_sum((beginnings.get(key, -math.inf), value))
    return beginnings


def _by_beginning(way: LabelWay, beginnings: Collection[str], tails: Mapping[int, str]) -> dict[str | None, list[int]]:
    """Return the options by the longest of ``beginnings`` that each begins with; None: with none of them."""
    groups: dict[str | None, list[int]] = {}
    for number, tail in tails.items():
        text = tail.casefold() if way == "asked" else tail
        longest = max((key for key in beginnings if text.startswith(key)), key=len, default=None)
        groups.setdefault(longest, []).append(number)
    return groups


def upper_bound(listed: Mapping[str, float]) -> float:
    """Return the most that a token's log-probability (nats) can be which is not among those that are listed.

    It is no likelier than the least likely of them, and than all that they leave.
    """
    rest = 1.0 - math.fsum(math.exp(value) for value in listed.values())
    return min(math.log(max(rest, _LEAST_REST)), *listed.values()) if listed else 0.0


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))
