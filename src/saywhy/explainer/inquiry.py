"""A text on its way to an explained decision: what was replied, what was rechecked, and what that says."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Literal

from saywhy.explainer.decision import Check, ExplainRequest, Span
from saywhy.holding import check_status
from saywhy.measure.edits import Item, log_odds_drop, log_odds_rise, one_word_swaps
from saywhy.records import Explanation, Prediction, StyleName, is_hit
from saywhy.tasks.lexicon import Pinned
from saywhy.words import Word, candidates, occurrences, take_out

SAMPLE = 16
"""Explanations drawn by chance, by which it is told whether another one of a text would do as well."""


@dataclass(slots=True)
class ReadReply:
    """What a model replied in a style.

    Attributes:
        text: The reply; None where it is the likeliest of its explanations.
        explanation: What it says, read.
    """

    text: str | None
    explanation: Explanation


@dataclass
class Inquiry:
    """A request whose text was classified, with all that is known of it so far.

    Attributes:
        request: What is asked.
        item: The text and the prediction that is explained.
        replies: What the model replied, by style.
        likelihoods: log P (nats) of each word as the model's explanation; {} where the model does not tell.
        after: What was rechecked: edited text -> prediction.
        started: When it was begun (``time.monotonic``).
        chosen: The words (folded cores) of the reason after repair; None: those that the model replied.
        limit: What ended the looking, if anything did: its budget, or its time.
    """

    request: ExplainRequest
    item: Item
    replies: dict[StyleName, ReadReply] = field(default_factory=dict)
    likelihoods: dict[str, float] = field(default_factory=dict)
    after: dict[str, Prediction] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    chosen: tuple[str, ...] | None = None
    limit: Literal["budget", "time"] = "budget"
    _without: dict[frozenset[str], str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text that is explained."""
        return self.request.asked_text

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words that an explanation may name."""
        return tuple(candidates(self.text))

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Their folded cores."""
        return tuple(word.key for word in self.words)

    @cached_property
    def sampled(self) -> tuple[str, ...]:
        """Words drawn by chance, all where they are few."""
        if len(self.keys) <= SAMPLE:
            return self.keys
        return tuple(self._chance.sample(self.keys, SAMPLE))

    def sampled_swaps(self, pinned: Pinned) -> tuple[str, ...]:
        """Return counterfactual texts drawn by chance: a pinned word of the named label in place of a word."""
        swaps = [edited for _, _, edited in one_word_swaps(self.text, pinned.get(self.item.prediction.runner_up, ()))]
        return tuple(swaps if len(swaps) <= SAMPLE else self._chance.sample(swaps, SAMPLE))

    def sampled_sets(self, size: int) -> tuple[tuple[str, ...], ...]:
        """Return different sets of ``size`` words drawn by chance, all where they are few."""
        if math.comb(len(self.keys), size) <= SAMPLE:
            return tuple(combinations(self.keys, size))
        chance, drawn = self._chance, set[tuple[int, ...]]()
        while len(drawn) < SAMPLE:
            drawn.add(tuple(sorted(chance.sample(range(len(self.keys)), size))))
        return tuple(tuple(self.keys[at] for at in places) for places in sorted(drawn))

    @property
    def _chance(self) -> random.Random:
        """Chance that gives the same draws for the same text."""
        return random.Random(self.item.example.id)

    @property
    def in_time(self) -> bool:
        """Whether more may be looked for."""
        limit = self.request.seconds
        return limit is None or time.monotonic() - self.started < limit

    @property
    def reason_keys(self) -> tuple[str, ...]:
        """The words (folded cores) of the reason; empty where there is none."""
        if self.chosen is not None:
            return self.chosen
        reply = self.replies.get(self.request.reason_style)
        return reply.explanation.words if reply and reply.explanation.valid else ()

    def ranked(self) -> list[str]:
        """Return all words in the order in which the model would name them, its reply first."""
        likely = sorted(self.keys, key=lambda key: -self.likelihoods.get(key, 0.0))
        replied = self.replies.get(self.request.reason_style)
        first = [key for key in (replied.explanation.words if replied else ()) if key in self.keys]
        return list(dict.fromkeys([*first, *likely]))

    def without(self, keys: Collection[str]) -> str:
        """Return the text without some words."""
        chosen = frozenset(keys)
        if chosen not in self._without:
            self._without[chosen] = take_out(self.text, chosen)
        return self._without[chosen]

    def unknown(self, edits: Iterable[str]) -> list[str]:
        """Return those of the edited texts that are still to be rechecked, as many as the budget leaves."""
        wanted = [edited for edited in dict.fromkeys(edits) if edited not in self.after]
        if wanted and not self.in_time:
            self.limit = "time"
            return []
        return wanted[: max(self.request.most_rechecks - len(self.after), 0)]

    def changes(self, edited: str, named: str | None = None) -> bool:
        """Whether a text that was rechecked has another answer, or the named one."""
        after = self.after.get(edited)
        return after is not None and is_hit(after.label, self.item.prediction.label, named)

    def drop(self, keys: Collection[str]) -> float:
        """Return the fall (nats) of the answer's log-odds without some words, which was rechecked."""
        return log_odds_drop(self.item.prediction, self.after[self.without(keys)])

    def known_words(self) -> list[str]:
        """Return the words without which the text was rechecked."""
        return [key for key in self.keys if self._without.get(frozenset((key,))) in self.after]

    def check_removal(self, keys: Sequence[str], others: Sequence[Sequence[str]] | None = None) -> Check:
        """Return what the recheck of the text without some words says.

        Args:
            keys: The words (folded cores).
            others: Sets of words of that size, drawn by chance; None: all words, or those in ``sampled``.
        """
        if others is None:
            drawn = self.keys if len(self.known_words()) == len(self.keys) else self.sampled
            others = [(key,) for key in drawn]
        return self._check(self.without(keys), [self.without(other) for other in others], None, len(keys))

    def check_swap(self, edited: str, pinned: Pinned) -> Check:
        """Return what the recheck of a counterfactual says."""
        return self._check(edited, self.sampled_swaps(pinned), self.item.prediction.runner_up, 0)

    def _check(self, edited: str, others: Sequence[str], named: str | None, size: int) -> Check:
        """Return what is known of an edited text, beside ``others`` of its size; ``size`` 0: a counterfactual."""
        if edited not in self.after:
            return Check("invalid", problem=f"the {self.limit} left nothing to recheck it with")
        before, after = self.item.prediction, self.after[edited]
        hits = [self.changes(other, named) for other in others if other in self.after]
        chance = sum(hits) / len(hits) if hits and len(hits) == len(others) else None
        hit = self.changes(edited, named)
        # What changes the answer is a reason only where it is known what other words would do.
        possible = hit or any(hits) or (size == 1 and any(self.changes(self.without({key})) for key in self.keys))
        all_known = size == 1 and len(self.known_words()) == len(self.keys)
        return Check(
            status=check_status(hit=hit, chance=1.0 if chance is None else chance, possible=possible or not all_known),
            text_without=edited,
            label_without=after.label,
            drop=log_odds_rise(before, after, named) if named else log_odds_drop(before, after),
            chance=chance,
            chance_of=0 if chance is None else len(hits),
            possible=True if possible else False if all_known else None,
        )

    def cores(self, keys: Collection[str]) -> tuple[str, ...]:
        """Return words as they stand in the text."""
        return tuple(word.core for word in self.words if word.key in keys)

    def spans(self, keys: Collection[str]) -> tuple[Span, ...]:
        """Return where all occurrences of words stand in the text as it was given."""
        blanks = len(self.request.text) - len(self.text)
        return tuple(
            (blanks + word.core_start, blanks + word.core_end) for word in occurrences(self.text) if word.key in keys
        )
