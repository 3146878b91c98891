"""Decoding of many replies at once, greedily or by sampling, over one pool of keys and values.

Prompts that share a beginning share its keys; a reply that copies a text is drafted and checked several tokens a
step; all rows of a step, prompts and replies alike, are one packed sequence without padding; rows leave as they
finish and others take their places. The replies are those of plain decoding, token by token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from saywhy.models.branches import AttentionPlan
from saywhy.models.draft import Drafter
from saywhy.models.forward import Forward, logits
from saywhy.models.sampling import TokenSampler
from saywhy.models.tree import Branch, TokenIds, shared_prefix

STEP_TOKENS = 192
"""Tokens a step, guesses included, from which on a further guess saves no time: the weights are read once a step
whatever its size, so up to here tokens are nearly free, and beyond it each costs as much as a token of a reply."""

LEAST_GUESS = 3
"""Tokens that may be guessed however many replies there are: most copies are right for that long."""


@dataclasses.dataclass
class DecodeRequest:
    """A prompt, and how its reply is written.

    Attributes:
        prompt: The prompt.
        room: How many tokens may follow.
        drafter: Guesses them; None: nobody does.
        sampler: Draws them, one at a time, unguessed; None: the likeliest is taken.
    """

    prompt: TokenIds
    room: int
    drafter: Drafter | None = None
    sampler: TokenSampler | None = None


class KeyValuePool:
    """Keys and values by place, for each layer; a place is given back when no row sees it any more."""

    def __init__(self, size: int) -> None:
        self.free = list(range(size))
        self.used = [0] * size
        self.size = size
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.writing = torch.empty(0, dtype=torch.long)

    def take(self, count: int) -> list[int]:
        """Return ``count`` free places."""
        places = [self.free.pop() for _ in range(count)]
        self.hold(places)
        return places

    def hold(self, places: Sequence[int]) -> None:
        """Count one more row that sees ``places``."""
        for place in places:
            self.used[place] += 1

    def drop(self, places: Sequence[int]) -> None:
        """Count one row less."""
        for place in places:
            self.used[place] -= 1
            if not self.used[place]:
                self.free.append(place)

    def extend(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens' keys and values to their places; return the whole layer."""
        if layer not in self.layers:
            empty = (keys.new_zeros(self.size, *keys.shape[1:]), values.new_zeros(self.size, *values.shape[1:]))
            self.layers[layer] = empty
        stored = self.layers[layer]
        stored[0][self.writing] = keys
        stored[1][self.writing] = values
        return stored


@dataclasses.dataclass
class _DecodingRow:
    """A reply that is being decoded.

    Attributes:
        index: Which request it answers.
        request: The request.
        places: Of the tokens that are computed.
        feed: Tokens that are computed next: the rest of the prompt, or the reply's last token; then the guess.
        guessed: How many tokens of ``feed`` are guessed.
        reply: The reply so far.
        finished: Whether it is complete.
        cut: Whether it is complete for want of room.
    """

    index: int
    request: DecodeRequest
    places: list[int]
    feed: list[int]
    guessed: int = 0
    reply: list[int] = dataclasses.field(default_factory=list)
    finished: bool = False
    cut: bool = False

    @property
    def remaining(self) -> int:
        """How many more tokens the reply may have."""
        return self.request.room - len(self.reply)


class Decoder:
    """Decodes, each reply greedily or by its sampler.

    Attributes:
        steps: Forward passes made.
        drafted: Tokens guessed.
        accepted: Guessed tokens that the model confirmed.
    """

    def __init__(self, forward: Forward, end: int, tokens: int, places: int) -> None:
        """Prepare.

        Args:
            forward: The model; its way is ``branches``.
            end: The token that ends a reply.
            tokens: Tokens a step, at most.
            places: How many tokens' keys and values are kept, at most.
        """
        self.forward, self.end, self.tokens, self.places = forward, end, tokens, places
        self.steps = self.drafted = self.accepted = 0

    @torch.inference_mode()
    def decode(self, requests: Sequence[DecodeRequest], done: Callable[[int, list[int], bool], None]) -> None:
        """Decode all ``requests``; ``done`` is called with each one's index, reply (without its end), if it was cut."""
        # In dictionary order a prompt has the most in common with the one before it.
        waiting = sorted(range(len(requests)), key=lambda i: requests[i].prompt, reverse=True)
        pool = KeyValuePool(max(self.places, max(len(request.prompt) + 2 * request.room for request in requests)))
        rows: list[_DecodingRow] = []
        last: tuple[TokenIds, list[int]] = ((), [])
        while waiting or rows:
            last = self._admit(requests, waiting, rows, pool, last)
            self._step(rows, pool)
            for row in [row for row in rows if row.finished]:
                rows.remove(row)
                pool.drop(row.places)
                done(row.index, row.reply, row.cut)

    def _admit(
        self,
        requests: Sequence[DecodeRequest],
        waiting: list[int],
        rows: list[_DecodingRow],
        pool: KeyValuePool,
        last: tuple[TokenIds, list[int]],
    ) -> tuple[TokenIds, list[int]]:
        """Admit as many requests as there is room for; return the last one's prompt and the places that hold it."""
        promised = sum(row.remaining for row in rows)
        load = sum(len(row.feed) for row in rows)
        while waiting:
            request = requests[waiting[-1]]
            # The prompt's last token is computed for each row: it predicts the reply's first token.
            shared = min(len(shared_prefix([request.prompt, last[0]])), len(request.prompt) - 1)
            fresh = len(request.prompt) - shared
            guess = request.drafter.guess(min(request.room - 1, _guess_share(len(rows) + 1))) if request.drafter else []
            needed = fresh + len(guess) + request.room
            if rows and (promised + needed > len(pool.free) or load + fresh + len(guess) > self.tokens):
                break
            if not rows and needed > len(pool.free):
                pool.drop(last[1])  # nothing else is left that holds places
                last = ((), [])
                continue
            index = waiting.pop()
            above = last[1][:shared]
            pool.hold(above)
            row = _DecodingRow(index, request, list(above), [*request.prompt[shared:], *guess], len(guess))
            row.places += pool.take(len(row.feed))
            rows.append(row)
            promised += request.room
            load += len(row.feed)
            held = row.places[: len(request.prompt)]
            pool.hold(held)
            pool.drop(last[1])
            last = (request.prompt, held)
        return last

    def _step(self, rows: list[_DecodingRow], pool: KeyValuePool) -> None:
        """Compute the tokens that every row feeds, and extend its reply."""
        self.steps += 1
        branches: list[Branch] = []
        tokens: list[int] = []
        depths: list[int] = []
        predicting: list[int] = []
        for row in rows:
            computed = len(row.places) - len(row.feed)
            branches.append(Branch(len(tokens), len(row.feed), tuple(row.places[:computed])))
            tokens += row.feed
            depths += range(computed, len(row.places))
            predicting += range(len(tokens) - row.guessed - 1, len(tokens))
        places = [place for row in rows for place in row.places[-len(row.feed) :]]
        pool.writing = torch.tensor(places, device=self.forward.model.device)
        plan = AttentionPlan(branches, places, pool, self.forward.model.device)
        hidden = self.forward.packed(plan, tuple(tokens), depths)
        samplers = [row.request.sampler for row in rows for _ in range(row.guessed + 1)]
        best = iter(self._best(hidden[predicting], samplers))
        for row in rows:
            self._say(row, [next(best) for _ in range(row.guessed + 1)], pool, len(rows))

    def _best(self, hidden: torch.Tensor, samplers: Sequence[TokenSampler | None], step: int = 512) -> list[int]:
        tokens: list[int] = []
        for first in range(0, len(hidden), step):
            scores = logits(self.forward.model, hidden[first : first + step])
            chosen = scores.argmax(-1).tolist()
            for place, sampler in enumerate(samplers[first : first + step]):
                if sampler:
                    chosen[place] = int(sampler.perturbed(scores[place]).argmax())
            tokens += chosen
        return tokens

    def _say(self, row: _DecodingRow, best: list[int], pool: KeyValuePool, rows: int) -> None:
        """Keep the guesses that the model confirms and the first token behind them; prepare the next step."""
        guess = row.feed[len(row.feed) - row.guessed :]
        accepted = next((i for i, token in enumerate(guess) if token != best[i]), len(guess))
        tokens = best[: accepted + 1]
        if rejected := row.guessed - accepted:
            pool.drop(row.places[-rejected:])
            del row.places[-rejected:]
        self.drafted += row.guessed
        self.accepted += accepted
        if row.request.drafter:
            row.request.drafter.follow(tokens, row.guessed, accepted)
        row.reply += tokens
        if self.end in tokens:
            row.reply = row.reply[: row.reply.index(self.end)]
            row.finished = True
        elif row.remaining <= 0:
            row.finished = row.cut = True
        else:
            self._feed(row, pool, tokens[-1], rows)

    def _feed(self, row: _DecodingRow, pool: KeyValuePool, token: int, rows: int) -> None:
        """Let the row compute ``token`` next, and the guess behind it."""
        room = min(row.remaining - 1, self.tokens // rows, _guess_share(rows))
        guess = row.request.drafter.guess(room) if row.request.drafter else []
        row.feed, row.guessed = [token, *guess], len(guess)
        row.places += pool.take(len(row.feed))


def _guess_share(rows: int) -> int:
    """Return how many tokens each of ``rows`` replies may guess."""
    return max(STEP_TOKENS // rows, LEAST_GUESS)
