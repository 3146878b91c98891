"""Greedy replies within templates: at each token the likeliest of those that can still end in an allowed reply.

The templates of a chat are a trie of token sequences, and only where it forks does a model decide anything: one tree
holds all forks of all chats, so where a reply leaves the copy is known after one forward pass. A reply without a gap
is then complete; a word that fills a gap goes on token by token, and behind it nothing is left to decide. Declared
in docs/definitions.md (*Readouts*): replies and copies are tokenised as the tokenizer does it, and each beginning of
the inserted word must be allowed by itself, so that it may end anywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from saywhy.models.forward import logits
from saywhy.models.interface import Guide, Tick
from saywhy.models.memory import NotFiniteError
from saywhy.models.tree import TokenIds, build_tree, longest_paths

if TYPE_CHECKING:
    from saywhy.models.chat import Chat
    from saywhy.models.local import LocalModel
    from saywhy.protocol.templates import Template

LONGEST_INSERT = 6
"""Tokens of an inserted word, at most."""
LOGIT_ROWS = 256
"""Positions whose logits are made at once."""

Pick = Callable[[torch.Tensor], int | None]
"""The logits behind some tokens to the next token; None if none is allowed."""


class _Letters:
    """The tokens of which inserted words are made.

    Attributes:
        pieces: Their text.
        pools: Those that bring the blank before a word along (True), those that are letters only (False).
    """

    def __init__(self, chat: Chat) -> None:
        self.pieces = chat.letter_tokens
        self.pools = {
            blank: torch.tensor(
                [token for token, piece in self.pieces.items() if piece.startswith(" ") == blank], dtype=torch.long
            )
            for blank in (True, False)
        }

    def text(self, token: int) -> str:
        """Return the letters of a token."""
        return self.pieces[token].removeprefix(" ")


class _Route(NamedTuple):
    """A template as tokens.

    Attributes:
        ids: Of the whole reply and its end; with a gap, those before it.
        blank: Whether the blank before the gap is written by the inserted word's first token.
        own: The copy's own next token before the gap; None without a gap.
    """

    template: Template
    ids: TokenIds
    blank: bool = False
    own: int | None = None


class _Fork(NamedTuple):
    """Where there is a choice: the tokens that go on with templates, and the template whose gap is there."""

    free: frozenset[int]
    gap: _Route | None


@dataclasses.dataclass
class _Walk:
    """A reply that is being decided.

    Attributes:
        guide: What it may be.
        prompt: The chat's tokens.
        routes: Its templates as tokens.
        reply: The finished reply.
        route: The template whose gap is being filled.
        word: The inserted word so far.
        inserted: Its tokens.
    """

    guide: Guide
    prompt: TokenIds
    routes: list[_Route]
    reply: str | None = None
    route: _Route | None = None
    word: str = ""
    inserted: TokenIds = ()


def guided_replies(model: LocalModel, guides: Sequence[Guide], tick: Tick | None) -> list[str]:
    """Return the greedy reply to each chat within its guide's templates; empty where no token is allowed."""
    letters = _Letters(model.chat)
    rendered = [model.chat.open(guide.messages) for guide in guides]
    walks = [
        _Walk(guide, prompt, _routes(model.chat, before, prompt, guide.templates, letters))
        for guide, before, prompt in zip(guides, rendered, model.chat.ids(rendered), strict=True)
    ]
    _leave_copies(model, walks, letters)
    while open_words := [(walk, walk.route) for walk in walks if walk.reply is None and walk.route]:
        queries = [
            (walk.prompt + route.ids + walk.inserted, _next_in_word(walk, route, letters)) for walk, route in open_words
        ]
        for (walk, route), token in zip(open_words, _picked_tokens(model, queries), strict=True):
            _go_on(walk, route, token, letters)
    if tick:
        tick(len(walks))
    return [walk.reply or "" for walk in walks]


def _routes(
    chat: Chat, rendered: str, prompt: TokenIds, templates: Sequence[Template], letters: _Letters
) -> list[_Route]:
    """Return the templates as tokens."""
    can_lead = len(letters.pools[True]) > 0
    begun = [chat.lead + template.pieces[0] for template in templates]
    blanks = [
        can_lead and template.has_gap and start.endswith(" ") for template, start in zip(templates, begun, strict=True)
    ]
    starts = [start[:-1] if blank else start for start, blank in zip(begun, blanks, strict=True)]
    copies = [start + template.replaced for template, start in zip(templates, begun, strict=True)]
    ids, copied = (_reply_ids(chat, rendered, prompt, texts) for texts in (starts, copies))
    routes = []
    for template, blank, before, copy in zip(templates, blanks, ids, copied, strict=True):
        if template.has_gap:
            own = copy[len(before)] if copy[: len(before)] == before and len(copy) > len(before) else None
            routes.append(_Route(template, before, blank, own))
        else:
            routes.append(_Route(template, (*before, chat.end_of_turn[0])))
    return routes


def _reply_ids(chat: Chat, rendered: str, prompt: TokenIds, replies: Sequence[str]) -> list[TokenIds]:
    """Return the tokens of replies to a chat; where the tokenizer merges across the seam, as if they stood alone."""
    whole = chat.ids([rendered + reply for reply in replies])
    return [
        ids[len(prompt) :] if ids[: len(prompt)] == prompt else chat.ids([reply])[0]
        for ids, reply in zip(whole, replies, strict=True)
    ]


def _leave_copies(model: LocalModel, walks: Sequence[_Walk], letters: _Letters) -> None:
    """Decide at all forks at once, and follow each reply to its end, or to its gap."""
    forks = [_forks(walk.routes) for walk in walks]
    queries = [
        (walk.prompt + ids, _next_at_fork(walk.guide, free, gap, letters))
        for walk, of_walk in zip(walks, forks, strict=True)
        for ids, (free, gap) in of_walk.items()
    ]
    tokens = iter(_picked_tokens(model, queries))
    for walk, of_walk in zip(walks, forks, strict=True):
        _follow(walk, of_walk, {ids: next(tokens) for ids in of_walk}, letters)


def _forks(routes: Sequence[_Route]) -> dict[TokenIds, _Fork]:
    """Return where there is a choice, by the reply's tokens before it."""
    following: dict[TokenIds, set[int]] = {}
    gaps: dict[TokenIds, _Route] = {}
    for route in routes:
        for depth, token in enumerate(route.ids):
            following.setdefault(route.ids[:depth], set()).add(token)
        if route.template.has_gap:
            gaps.setdefault(route.ids, route)
    return {
        ids: _Fork(frozenset(following.get(ids, ())), gaps.get(ids))
        for ids in dict.fromkeys((*following, *gaps))
        if ids in gaps or len(following[ids]) > 1
    }


def _follow(walk: _Walk, forks: dict[TokenIds, _Fork], best: dict[TokenIds, int | None], letters: _Letters) -> None:
    """Follow the best tokens from the reply's beginning to its end or its gap."""
    ids, routes = TokenIds(), walk.routes
    while routes and (ids in forks or len(routes[0].ids) > len(ids)):
        token = best[ids] if ids in forks else routes[0].ids[len(ids)]
        if ids in forks and token not in forks[ids].free:
            walk.route = forks[ids].gap
            if walk.route:
                _go_on(walk, walk.route, token, letters)
            return
        assert token is not None
        ids = (*ids, token)
        routes = [route for route in routes if route.ids[: len(ids)] == ids]
    walk.reply = routes[0].template.filled() if routes else ""


def _next_at_fork(guide: Guide, free: Collection[int], gap: _Route | None, letters: _Letters) -> Pick:
    """Return how the token at a fork is picked; the copy's own token never begins another word."""
    if gap is None:
        return lambda values: _best_token(values, free)

    def is_allowed(token: int) -> bool:
        return token != gap.own and guide.is_allowed(gap.template.filled(letters.text(token)))

    return lambda values: _best_token(values, free, letters.pools[gap.blank], is_allowed)


def _next_in_word(walk: _Walk, route: _Route, letters: _Letters) -> Pick:
    """Return how the token behind an inserted word's beginning is picked: more letters, or any other one, its end."""
    pool = letters.pools[False]

    def is_allowed(token: int) -> bool:
        return walk.guide.is_allowed(route.template.filled(walk.word + letters.text(token)))

    def pick(values: torch.Tensor) -> int | None:
        return _best_token(values, (int(values.index_fill(0, pool, -torch.inf).argmax()),), pool, is_allowed)

    return pick


def _go_on(walk: _Walk, route: _Route, token: int | None, letters: _Letters) -> None:
    """Take the next token of an inserted word, or its end."""
    if token in letters.pieces and not (walk.inserted and letters.pieces[token].startswith(" ")):
        walk.word += letters.text(token)
        walk.inserted = (*walk.inserted, token)
        if len(walk.inserted) < LONGEST_INSERT:
            return
    walk.reply = route.template.filled(walk.word) if walk.word else ""


def _best_token(
    values: torch.Tensor,
    free: Collection[int],
    pool: torch.Tensor | None = None,
    is_allowed: Callable[[int], bool] = bool,
) -> int | None:
    """Return the likeliest token of those that are ``free``, and those of the pool that are allowed."""
    best = max(free, key=lambda token: (float(values[token]), -token), default=None)
    if pool is None:
        return best
    tokens = pool if best is None else pool[values[pool] > values[best]]
    for token in tokens[values[tokens].argsort(descending=True, stable=True)].tolist():
        if is_allowed(token):
            return int(token)
    return best


def _picked_tokens(model: LocalModel, queries: Sequence[tuple[TokenIds, Pick]]) -> list[int | None]:
    """Return what is picked behind each query's tokens, all in as few forward passes as fit into memory."""
    # Tokens that begin others are computed with them.
    paths, on_path = longest_paths([ids for ids, _ in queries])
    model.check(max(map(len, paths), default=0))
    prefix, tails = model.split(paths, min((len(ids) for ids, _ in queries), default=0) - 1)
    cut = len(prefix.ids) if prefix else 0
    picked: list[int | None] = [None] * len(queries)

    @torch.inference_mode()
    def compute(batch: list[int]) -> None:
        tree = build_tree([tails[i] for i in batch])
        hidden = model.forward.states(tree, prefix)
        asked = [
            (number, path[len(queries[number][0]) - 1 - cut])
            for i, path in zip(batch, tree.paths, strict=True)
            for number in on_path[i]
        ]
        for first in range(0, len(asked), LOGIT_ROWS):
            part = asked[first : first + LOGIT_ROWS]
            values = logits(model.model, hidden[[node for _, node in part]])
            if not torch.logsumexp(values, -1).isfinite().all():
                raise NotFiniteError(f"model '{model.name}' gives numbers that are not finite: try precision=float32")
            for (number, _), row in zip(part, values.cpu(), strict=True):
                picked[number] = queries[number][1](row)

    model.budget.run(tails, model.forward.batches, compute)
    return picked
