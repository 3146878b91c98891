"""Greedy decoding of many replies at once, over one pool of keys and values.

Prompts that share a beginning share its keys; a reply that copies a text is drafted and checked several tokens a
step; all rows of a step, prompts and replies alike, are one packed sequence without padding; rows leave as they
finish and others take their places. What is said is what plain greedy decoding says, token by token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from saywhy.models.branches import Plan
from saywhy.models.draft import Drafter
from saywhy.models.forward import Forward, logits
from saywhy.models.tree import Branch, Ids, shared_prefix

STEP = 192
"""Tokens a step, guesses included, from which on a further guess saves no time: the weights are read once a step
whatever its size, so up to here tokens are nearly free, and behind it each costs as much as one that is said."""

LEAST = 3
"""Tokens that may be guessed however many replies there are: most copies are right for so long."""


@dataclasses.dataclass
class Request:
    """A prompt, how many tokens may follow, and how they are guessed."""

    prompt: Ids
    room: int
    drafter: Drafter | None = None


class Pool:
    """Keys and values by place, for each layer; a place is given back when no row sees it any more."""

    def __init__(self, size: int) -> None:
        self.free = list(range(size))
        self.used = [0] * size
        self.size = size
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.writing = torch.empty(0, dtype=torch.long)

    def take(self, count: int) -> list[int]:
        """Return ``count`` free places."""
        taken = [self.free.pop() for _ in range(count)]
        self.hold(taken)
        return taken

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
        kept = self.layers[layer]
        kept[0][self.writing] = keys
        kept[1][self.writing] = values
        return kept


@dataclasses.dataclass
class _Row:
    """A reply in the making.

    Attributes:
        index: Which request it answers.
        request: The request.
        places: Of the tokens that are computed.
        feed: Tokens that are computed next: what is left of the prompt, or the last word said; then the guess.
        guessed: How many tokens of ``feed`` are guessed.
        said: The reply so far.
        over: Whether it is finished.
    """

    index: int
    request: Request
    places: list[int]
    feed: list[int]
    guessed: int = 0
    said: list[int] = dataclasses.field(default_factory=list)
    over: bool = False

    @property
    def left(self) -> int:
        """How many more tokens it may say."""
        return self.request.room - len(self.said)


class Decoder:
    """Decodes greedily.

    Attributes:
        steps: Forward passes made.
        drafted: Tokens guessed.
        right: Guessed tokens that were right.
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
        self.steps = self.drafted = self.right = 0

    @torch.inference_mode()
    def decode(self, requests: Sequence[Request], done: Callable[[int, list[int]], None]) -> None:
        """Decode all ``requests``; ``done`` is called with each one's index and reply (without its end)."""
        # In dictionary order a prompt has the most in common with the one before it.
        waiting = sorted(range(len(requests)), key=lambda i: requests[i].prompt, reverse=True)
        pool = Pool(max(self.places, max(len(one.prompt) + 2 * one.room for one in requests)))
        rows: list[_Row] = []
        last: tuple[Ids, list[int]] = ((), [])
        while waiting or rows:
            last = self._admit(requests, waiting, rows, pool, last)
            self._step(rows, pool)
            for row in [row for row in rows if row.over]:
                rows.remove(row)
                pool.drop(row.places)
                done(row.index, row.said)

    def _admit(
        self,
        requests: Sequence[Request],
        waiting: list[int],
        rows: list[_Row],
        pool: Pool,
        last: tuple[Ids, list[int]],
    ) -> tuple[Ids, list[int]]:
        """Let in as many requests as there is room for; return the last one's prompt and the places that hold it."""
        promised = sum(row.left for row in rows)
        load = sum(len(row.feed) for row in rows)
        while waiting:
            request = requests[waiting[-1]]
            # The prompt's last token is computed for each row: it predicts the first one said.
            shared = min(len(shared_prefix([request.prompt, last[0]])), len(request.prompt) - 1)
            fresh = len(request.prompt) - shared
            guess = request.drafter.guess(min(request.room - 1, _share(len(rows) + 1))) if request.drafter else []
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
            row = _Row(index, request, list(above), [*request.prompt[shared:], *guess], len(guess))
            row.places += pool.take(len(row.feed))
            rows.append(row)
            promised += request.room
            load += len(row.feed)
            held = row.places[: len(request.prompt)]
            pool.hold(held)
            pool.drop(last[1])
            last = (request.prompt, held)
        return last

    def _step(self, rows: list[_Row], pool: Pool) -> None:
        """Compute what every row feeds, and let it say what the model says."""
        self.steps += 1
        branches: list[Branch] = []
        tokens: list[int] = []
        depths: list[int] = []
        asked: list[int] = []
        for row in rows:
            computed = len(row.places) - len(row.feed)
            branches.append(Branch(len(tokens), len(row.feed), tuple(row.places[:computed])))
            tokens += row.feed
            depths += range(computed, len(row.places))
            asked += range(len(tokens) - row.guessed - 1, len(tokens))
        places = [place for row in rows for place in row.places[-len(row.feed) :]]
        pool.writing = torch.tensor(places, device=self.forward.model.device)
        plan = Plan(branches, places, pool, self.forward.model.device)
        hidden = self.forward.packed(plan, tuple(tokens), depths)
        best = iter(self._best(hidden[asked]))
        for row in rows:
            self._say(row, [next(best) for _ in range(row.guessed + 1)], pool, len(rows))

    def _best(self, hidden: torch.Tensor, step: int = 512) -> list[int]:
        parts = (hidden[first : first + step] for first in range(0, len(hidden), step))
        found = [logits(self.forward.model, part).argmax(-1) for part in parts]
        return [int(token) for token in torch.cat(found).tolist()]

    def _say(self, row: _Row, best: list[int], pool: Pool, rows: int) -> None:
        """Keep the guesses that the model confirms and the first token behind them; prepare the next step."""
        guess = row.feed[len(row.feed) - row.guessed :]
        right = next((i for i, token in enumerate(guess) if token != best[i]), len(guess))
        said = best[: right + 1]
        if wrong := row.guessed - right:
            pool.drop(row.places[-wrong:])
            del row.places[-wrong:]
        self.drafted += row.guessed
        self.right += right
        if row.request.drafter:
            row.request.drafter.follow(said, row.guessed, right)
        row.said += said
        if self.end in said:
            row.said = row.said[: row.said.index(self.end)]
            row.over = True
        elif row.left <= 0:
            row.over = True
        else:
            self._feed(row, pool, said[-1], rows)

    def _feed(self, row: _Row, pool: Pool, token: int, rows: int) -> None:
        """Let the row compute ``token`` next, and the guess behind it."""
        room = min(row.left - 1, self.tokens // rows, _share(rows))
        guess = row.request.drafter.guess(room) if row.request.drafter else []
        row.feed, row.guessed = [token, *guess], len(guess)
        row.places += pool.take(len(row.feed))


def _share(rows: int) -> int:
    """Return how many tokens each of ``rows`` replies may guess."""
    return max(STEP // rows, LEAST)
