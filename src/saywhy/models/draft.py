"""Guessing the next tokens of a reply that copies a text or repeats itself, so that one step can check many.

This is prompt lookup decoding, with the text that is to be copied known.

A wrong guess costs nothing but the tokens computed: the reply is always the model's own greedy choice.
"""

from __future__ import annotations

from collections.abc import Sequence

from saywhy.models.chat import Offsets
from saywhy.models.tree import TokenIds

FIRST_GUESS = 16
"""Tokens that are guessed at once in the beginning."""
LONGEST_GUESS = 64
"""Tokens that are guessed at once at most."""
STRAY_LIMIT = 8
"""A reply with more tokens in a row that are not in the text is not copying it."""
LONGEST_LOOP = 16
"""Longest loop, in tokens, that is looked for: small models that lose the thread repeat the same tokens."""


class Drafter:
    """Follows a reply along the text that it is expected to copy, over words that are replaced, and through loops.

    Attributes:
        copy_length: How many tokens of the copy are guessed at once; it falls with every guess that is all wrong.
        loop_length: How many tokens of a loop are guessed at once.
    """

    def __init__(
        self, source: TokenIds = (), starts: frozenset[int] = frozenset(), marks: Sequence[TokenIds] = ()
    ) -> None:
        """Begin before the first token; without a source, only loops are guessed.

        Args:
            source: The text's tokens and the end of the turn.
            starts: Where in ``source`` a copy may go on behind a replaced word.
            marks: What may stand in a word's place, as tokens.
        """
        self.source = source
        self.starts = starts
        self.marks = marks
        self.copy_length = FIRST_GUESS
        self.position = 0
        self.strayed: list[int] = []
        self.loop_length = FIRST_GUESS
        self.reply: list[int] = []
        self.looping = False

    def guess(self, room: int) -> list[int]:
        """Return up to ``room`` tokens that may come next."""
        loop = self._loop()
        self.looping = bool(loop)
        if loop:
            return [loop[i % len(loop)] for i in range(min(room, self.loop_length))]
        return self._copy(min(room, self.copy_length))

    def _loop(self) -> list[int]:
        """Return the tokens that the reply repeats; none if it repeats none, or while it copies the text."""
        if self.source and not self.strayed and self.position < len(self.source):
            return []
        for size in range(1, LONGEST_LOOP + 1):
            times = 3 if size == 1 else 2
            last = self.reply[-size:]
            if len(self.reply) >= times * size and self.reply[-times * size :] == last * times:
                return last
        return []

    def _copy(self, room: int) -> list[int]:
        if not self.strayed:
            return list(self.source[self.position : self.position + room])
        ahead = len(self.strayed)
        for mark in self.marks:
            if mark[:ahead] == tuple(self.strayed):
                return [*mark[ahead:], *self.source[self._resume() :]][:room]
        return list(self.source[self._resume() :][:room]) if ahead <= STRAY_LIMIT else []

    def follow(self, tokens: Sequence[int], guessed: int, accepted: int) -> None:
        """Take in the reply's new ``tokens``, and that ``accepted`` of the ``guessed`` ones were right."""
        self.reply += tokens
        for token in tokens:
            expected = self._resume() if self.strayed else self.position
            if self.source[expected : expected + 1] == (token,):
                self.position, self.strayed = expected + 1, []
            else:
                self.strayed.append(token)
                if tuple(self.strayed) in self.marks:  # stands for one word; the next may be marked, too
                    self.position, self.strayed = self._resume(), []
        if self.looping:
            self.loop_length = (
                min(LONGEST_GUESS, 2 * self.loop_length) if accepted == guessed else max(self.loop_length // 4, 1)
            )
        elif guessed and not accepted:
            self.copy_length //= 4
        elif guessed and accepted == guessed:
            self.copy_length = min(LONGEST_GUESS, 2 * self.copy_length)

    def _resume(self) -> int:
        """Return where the copy goes on if the word at hand was replaced."""
        return next((i for i in range(self.position + 1, len(self.source)) if i in self.starts), len(self.source))


def word_starts(text: str, offsets: Offsets) -> frozenset[int]:
    """Return which tokens begin a word or are punctuation: where a copy may go on behind a replaced word."""
    starts = set()
    for index, (start, _) in enumerate(offsets):
        is_start = start == 0 or not text[start].isalnum() or text[start - 1].isspace()
        if is_start:
            starts.add(index)
    return frozenset({*starts, len(offsets)})
