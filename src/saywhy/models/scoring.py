"""What an engine that scores token sequences answers by that alone: choices, edited copies, losses, objections."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saywhy.models.chat import Chat
from saywhy.models.interface import Choice, Copy, Departure
from saywhy.models.sequences import ScoredSequence, departure_sequences, edited_copies, option_sequences
from saywhy.protocol.prompts import Message
from saywhy.records import SaywhyError

Score = Callable[[Sequence[Sequence[ScoredSequence]]], list[list[list[float]]]]
"""Groups of sequences to the log-probability (nats) of each of their tokens from ``start`` on."""


def weigh_by(
    score: Score, chat: Chat, choices: Sequence[Choice], copies: Sequence[Copy]
) -> tuple[list[tuple[float, ...]], list[tuple[Departure, ...]]]:
    """Return what ``Model.weigh`` returns."""
    groups = [option_sequences(chat, choice) for choice in choices]
    groups += [departure_sequences(*edited_copies(chat, copy)) for copy in copies]
    scored = score(groups)
    choice_scores = [tuple(sum(scores) for scores in group) for group in scored[: len(choices)]]
    departures = [
        tuple(
            Departure(begins=inserted[0], stays=stays[0], inserted=sum(inserted))
            for stays, inserted in zip(group[::2], group[1::2], strict=True)
        )
        for group in scored[len(choices) :]
    ]
    return choice_scores, departures


def losses_by(score: Score, chat: Chat, chats: Sequence[list[Message]]) -> list[float | None]:
    """Return what ``Model.losses`` returns."""
    scored = score([_assistant_turns(chat, messages) for messages in chats])
    log_probabilities = [[value for turn in turns for value in turn] for turns in scored]
    return [-sum(values) / len(values) if values else None for values in log_probabilities]


def _assistant_turns(chat: Chat, messages: list[Message]) -> list[ScoredSequence]:
    """Return one sequence for each turn of the assistant's; none if the chat cannot be put into ids."""
    try:
        turns = [
            chat.turn(messages[: index + 1], f"turn {index + 1}")
            for index, turn in enumerate(messages)
            if turn["role"] == "assistant"
        ]
    except SaywhyError:  # one odd row of foreign data; the caller counts it
        return []
    return [ScoredSequence(turn.ids, turn.start) for turn in turns]


def objections_by(chat: Chat, context: int, chats: Sequence[list[Message]], room: int) -> list[str | None]:
    """Return what ``Model.objections`` returns of a model that takes ``context`` tokens."""
    return [_objection_to(chat, context, messages, room) for messages in chats]


def _objection_to(chat: Chat, context: int, messages: list[Message], room: int) -> str | None:
    if refusal := chat.refusal(messages):
        return refusal
    whole, *pieces = chat.ids([chat.open(messages), *(turn["content"] for turn in messages)])
    if len(whole) + room > context:
        return "longer than the model's context"
    if any(chat.tokenizer.unk_token_id in ids for ids in pieces):
        return "holds signs that the model's tokenizer does not have"
    return None


def refuse_longer(name: str, context: int, longest: int) -> None:
    """Refuse a chat of ``longest`` tokens if it is more than the ``context`` of the model ``name``.

    Raises:
        SaywhyError: With both numbers.
    """
    if longest > context:
        raise SaywhyError(
            f"a chat of {longest} tokens is longer than the context of model '{name}' ({context}): "
            "leave the longest texts out"
        )
