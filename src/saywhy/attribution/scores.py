"""What an attribution method says of a text: a score a word."""

from __future__ import annotations

from dataclasses import dataclass

from saywhy.records import Record


@dataclass(frozen=True, slots=True)
class WordScores(Record):
    """One attribution score a distinct word of a text, in order of first occurrence.

    Attributes:
        words: The candidates (folded cores).
        scores: One a word; higher speaks more for the predicted label.
        method: Who scored.
        change: The margin (nats) less that of the baseline, where a method's token scores are to add up to it.
        gap: The sum of all token scores of the text minus ``change`` (completeness gap, nats).
    """

    words: tuple[str, ...]
    scores: tuple[float, ...]
    method: str
    change: float | None = None
    gap: float | None = None

    def best(self) -> str:
        """Return the word with the highest score; the first of equals."""
        return self.words[max(range(len(self.words)), key=self.scores.__getitem__)]
