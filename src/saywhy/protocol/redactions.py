"""Which words a redaction takes out: the copy is aligned with the text, which it must be outside its marks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from saywhy.words import REDACTED_MARK, Word, fold_marks, holds_mark, is_candidate, occurrences

_fold_run = lru_cache(maxsize=100_000)(fold_marks)  # of runs: those of a text come back in each of its redactions
_LOOSE_MARK = re.compile(r"\\?\[\s*redacted\s*\\?\]", re.I)  # Markdown escapes brackets


def normalise_marks(text: str, reply: str) -> str:
    """Return ``reply`` with every ``[redacted]`` written as the mark, unless the text has it with blanks in it."""

    def mark(match: re.Match[str]) -> str:
        written = match.group()
        return written if written in text and not holds_mark(written.casefold()) else REDACTED_MARK

    return _LOOSE_MARK.sub(mark, reply)


def redacted_words(text: str, body: str) -> tuple[str, ...] | str:
    """Return the distinct words (folded cores) that ``body`` takes out of ``text``, or why it is no redaction.

    Bare punctuation that is redacted with a word goes as edge punctuation may, and a mark that the text itself holds is
    copied: neither is a word that was taken out.
    """
    if REDACTED_MARK not in body:
        return "nothing redacted"
    words, runs = occurrences(text), [_Run(run) for run in body.split()]
    spans = _mark_spans(words, runs)
    if spans is None:
        if (
            any(run.is_partly_redacted for run in runs)
            and _mark_spans(words, [run.whole() for run in runs]) is not None
        ):
            return "redacts part of a word"
        return "text changed outside [REDACTED]"
    keys = dict.fromkeys(words[i].key for span in spans for i in span)
    return tuple(filter(is_candidate, keys)) or "nothing redacted"


class _Run:
    """A run of the reply.

    Attributes:
        is_mark: Whether it stands for words of the text.
        lead: What stands before the mark, folded; None: anything may.
        trail: What stands behind it.
        folded: The run, if it is no mark: it must be the text's.
    """

    def __init__(self, run: str) -> None:
        self.is_mark = REDACTED_MARK in run
        self.is_partly_redacted = self.is_mark and any(char.isalnum() for char in run.replace(REDACTED_MARK, ""))
        lead, _, trail = run.partition(REDACTED_MARK)
        self.lead: str | None = _fold_run(lead)
        self.trail: str | None = _fold_run(trail)
        self.folded = _fold_run(run)

    def whole(self) -> _Run:
        """Return a run that stands for any words if this one has a mark, whatever else it has."""
        run = _Run(self.folded)
        run.lead = run.trail = None
        return run

    def may_begin(self, word: Word) -> bool:
        """Whether the mark may stand for ``word`` and those behind it: edge punctuation may go too."""
        return self.lead is None or self.lead in ("", _fold_run(word.lead))

    def may_end(self, word: Word) -> bool:
        """Whether the mark may stand for ``word`` and those before it."""
        return self.trail is None or self.trail in ("", _fold_run(word.trail))


def _mark_spans(words: Sequence[Word], runs: Sequence[_Run]) -> list[range] | None:
    """Return which words each mark of ``runs`` stands for, one or several neighbours; None if another run differs.

    Between marks stand pieces of the text, and each is looked for from the left, as in a pattern of wildcards: what is
    asked of a place depends on nothing but its own neighbours, so the first one leaves the most room for the rest.
    """
    marks = [i for i, run in enumerate(runs) if run.is_mark]
    folded = [_fold_run(word.run) for word in words]
    copied = [run.folded for run in runs]
    if not marks:
        return [] if folded == copied else None
    if folded[: marks[0]] != copied[: marks[0]]:
        return None
    spans: list[range] = []
    start = marks[0]  # the first word that the mark stands for
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        if start >= len(words) or not runs[mark].may_begin(words[start]):
            return None
        piece = copied[mark + 1 : following]
        latest = len(words) - len(piece)
        earliest = start + 1 if following is not None else max(start + 1, latest)
        for place in range(earliest, latest + 1):
            behind = place + len(piece)
            if (
                folded[place:behind] == piece
                and runs[mark].may_end(words[place - 1])
                and (following is None or (behind < len(words) and runs[following].may_begin(words[behind])))
            ):
                break
        else:
            return None
        spans.append(range(start, place))
        start = behind
    return spans
