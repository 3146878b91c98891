"""A model behind an API that answers the questions of ``interface.Model`` as far as chat completions go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property, partial
from typing import NoReturn

from saywhy.models.api.address import ApiAddress
from saywhy.models.api.client import ApiClient, ApiModelError, in_parallel
from saywhy.models.api.labels import WITHOUT_PENALTY, LabelWay, find_label_way, score_options
from saywhy.models.api.reply_cache import ReplyCache
from saywhy.models.interface import API_ANSWERS, Choice, Copy, Departure, Gap, Guide, Reply, Sampling, Tick
from saywhy.protocol.prompts import Message, asks_for_label


class ApiModel:
    """A model behind an API.

    Attributes:
        name: What the user called it.
        answers: Labels and text.
        client: The server.
        label_counts: How many label words were scored, and of how many only an upper bound is known.
    """

    answers = API_ANSWERS

    def __init__(self, name: str, address: ApiAddress, cache: ReplyCache) -> None:
        self.name = name
        self.client = ApiClient(address, cache)
        self.label_counts: Counter[str] = Counter()

    @cached_property
    def label_way(self) -> LabelWay:
        """How its labels are asked for; the server is tried when this is first needed."""
        return find_label_way(self.client.complete, self.name)

    @property
    def counts(self) -> dict[str, int]:
        """What was counted since it was opened: requests, tokens, label scores."""
        return {**self.client.counts, **self.label_counts}

    def objections(self, chats: Sequence[list[Message]], room: int) -> list[str | None]:
        """Return why a chat cannot be sent; whether it fits the context, only the server knows."""
        return [_objection(chat) for chat in chats]

    def keep_beginning(self, chats: Sequence[list[Message]], *, of_text: bool = False) -> None:
        """Do nothing: what a server keeps of earlier calls is its own affair."""

    def choose(self, choices: Sequence[Choice], tick: Tick | None = None) -> list[tuple[float, ...]]:
        """Return log P(option) in nats, by the first tokens, for label words behind a lead-in.

        Raises:
            ApiModelError: For options that are no label words, or if the server does not answer.
        """
        if any(choice.ends or not asks_for_label(choice.messages) for choice in choices):
            self._refuse("the likelihood of whole replies")
        way = self.label_way if choices else "asked"
        scored = in_parallel(
            partial(score_options, way, self.client.complete, name=self.name), choices, tick or _no_tick
        )
        for scores, bounds in scored:
            self.label_counts.update(label_scores=len(scores), label_bounds=bounds)
        return [scores for scores, _ in scored]

    def generate(
        self,
        chats: Sequence[list[Message]],
        max_new_tokens: Sequence[int],
        tick: Tick | None = None,
        *,
        copied: Sequence[str | None] = (),
        sampling: Sampling | None = None,
    ) -> list[Reply]:
        """Return the reply to each chat, at most ``max_new_tokens`` tokens long.

        A server may know no seed; what it drew is kept, and not asked for again.
        """
        fields = WITHOUT_PENALTY.get(self.label_way, {}) if chats else {}
        requests = [
            {"messages": chat, "max_tokens": most, **fields} for chat, most in zip(chats, max_new_tokens, strict=True)
        ]
        if sampling:
            draws = ({"temperature": sampling.temperature, "seed": seed} for seed in sampling.seeds)
            requests = [{**request, **draw} for request, draw in zip(requests, draws, strict=True)]
        completions = in_parallel(self.client.complete, requests, tick or _no_tick)
        return [Reply(completion.text.strip(), completion.cut) for completion in completions]

    def weigh(
        self, choices: Sequence[Choice], copies: Sequence[Copy], tick: Tick | None = None
    ) -> tuple[list[tuple[float, ...]], list[tuple[Departure, ...]]]:
        """Refuse: this takes the log-probability of every token of a text."""
        self._refuse("the likelihood of whole replies")

    def infill(self, gaps: Sequence[Gap], count: int) -> list[tuple[str, ...]]:
        """Refuse: this takes the log-probability of every token that there is."""
        self._refuse("the likeliest next words")

    def guide(self, guides: Sequence[Guide], tick: Tick | None = None) -> list[str]:
        """Refuse: this takes the log-probability of every token that there is."""
        self._refuse("guided replies")

    def losses(self, chats: Sequence[list[Message]], tick: Tick | None = None) -> list[float | None]:
        """Say that it has no loss."""
        return [None] * len(chats)

    def _refuse(self, what: str) -> NoReturn:
        raise ApiModelError(
            f"model='{self.name}' is behind an API, which does not give {what}: use readouts=generated, or a model on "
            "this machine"
        )


def _objection(chat: list[Message]) -> str | None:
    try:
        "".join(turn["content"] for turn in chat).encode()
    except UnicodeEncodeError:
        return "holds signs that no text of a request can"
    return None


def _no_tick(count: int) -> None:
    """Note nothing."""
