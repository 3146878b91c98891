"""Guessing the next tokens of a reply that copies a text or goes round in circles, so that one step can check many.

This is prompt lookup decoding, told what is to be copied.

The guess costs nothing if it is wrong but the tokens computed: what is said is always the model's own greedy choice.
"""

from __future__ import annotations

from collections.abc import Sequence

from saywhy.models.chat import Offsets
from saywhy.models.tree import Ids

FIRST = 16
"""Tokens that are guessed at once in the beginning."""
MOST = 64
"""Tokens that are guessed at once at most."""
PATIENCE = 8
"""A reply that has said so much that is not in the text is not copying it."""
CIRCLE = 16
"""Longest circle, in tokens, that is looked for: small models that lose the thread say the same over and over."""


class Drafter:
    """Follows a reply along the text that it is expected to copy, over words that are replaced, and round circles.

    Attributes:
        reach: How many tokens of the copy are guessed at once; it falls with every guess that is all wrong.
        spin: How many tokens of a circle are guessed at once.
    """

    def __init__(self, source: Ids = (), starts: frozenset[int] = frozenset(), marks: Sequence[Ids] = ()) -> None:
        """Begin before the first token; without a source, only circles are guessed.

        Args:
            source: The text's tokens and the end of the turn.
            starts: Where in ``source`` a copy may go on behind a replaced word.
            marks: What may stand in a word's place, as tokens.
        """
        self.source = source
        self.starts = starts
        self.marks = marks
        self.reach = FIRST
        self.at = 0
        self.strayed: list[int] = []
        self.spin = FIRST
        self.said: list[int] = []
        self.circling = False

    def guess(self, room: int) -> list[int]:
        """Return up to ``room`` tokens that may come next."""
        again = self._circle()
        self.circling = bool(again)
        if again:
            return [again[i % len(again)] for i in range(min(room, self.spin))]
        return self._copy(min(room, self.reach))

    def _circle(self) -> list[int]:
        """Return the tokens that the reply says over and over, nothing if it does not or if they are the text's."""
        if self.source and not self.strayed and self.at < len(self.source):
            return []
        for size in range(1, CIRCLE + 1):
            times = 3 if size == 1 else 2
            last = self.said[-size:]
            if len(self.said) >= times * size and self.said[-times * size :] == last * times:
                return last
        return []

    def _copy(self, room: int) -> list[int]:
        if not self.strayed:
            return list(self.source[self.at : self.at + room])
        ahead = len(self.strayed)
        for mark in self.marks:
            if mark[:ahead] == tuple(self.strayed):
                return [*mark[ahead:], *self.source[self._resume() :]][:room]
        return list(self.source[self._resume() :][:room]) if ahead <= PATIENCE else []

    def follow(self, said: Sequence[int], guessed: int, right: int) -> None:
        """Take in what was really ``said``, and that ``right`` of ``guessed`` tokens were."""
        self.said += said
        for token in said:
            expected = self._resume() if self.strayed else self.at
            if self.source[expected : expected + 1] == (token,):
                self.at, self.strayed = expected + 1, []
            else:
                self.strayed.append(token)
                if tuple(self.strayed) in self.marks:  # stands for one word; the next may be marked, too
                    self.at, self.strayed = self._resume(), []
        if self.circling:
            self.spin = min(MOST, 2 * self.spin) if right == guessed else max(self.spin // 4, 1)
        elif guessed and not right:
            self.reach //= 4
        elif guessed and right == guessed:
            self.reach = min(MOST, 2 * self.reach)

    def _resume(self) -> int:
        """Return where the copy goes on if the word at hand was replaced."""
        return next((i for i in range(self.at + 1, len(self.source)) if i in self.starts), len(self.source))


def word_starts(text: str, offsets: Offsets) -> frozenset[int]:
    """Return which tokens begin a word or are punctuation: where a copy may go on behind a replaced word."""
    found = set()
    for index, (start, _) in enumerate(offsets):
        new = start == 0 or not text[start].isalnum() or text[start - 1].isspace()
        if new:
            found.add(index)
    return frozenset({*found, len(offsets)})
