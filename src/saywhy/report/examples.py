"""Ten texts side by side: what each arm said, and whether it was so. A random sample, never picked."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from saywhy import words
from saywhy.records import READOUTS, STYLES, Example, Row
from saywhy.report.load import Run, load_run

Kind = Literal["same", "mark", "del", "ins"]

HOW_MANY = 10

BUILT_IN = "examples"
"""Folder of a bank with a run on built-in texts, from which its report takes the examples."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a text: unchanged, named, taken out or put in."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Shot:
    """One explanation as shown.

    Attributes:
        row: The judged row.
        segments: The text with the explanation marked; for an invalid reply the reply itself.
    """

    row: Row
    segments: tuple[Segment, ...]

    @property
    def verdict(self) -> str:
        """``faithful``, ``not faithful``, or why the reply is invalid."""
        return f"invalid: {self.row.reason}" if not self.row.valid else "faithful" if self.row.hit else "not faithful"


@dataclass(frozen=True, slots=True)
class Line:
    """What one arm said in one style: one shot for each readout of the sample, None where it has none."""

    style: str
    arm: str
    shots: tuple[Shot | None, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A text with what every arm said about it."""

    example: Example
    lines: tuple[Line, ...]


def with_texts(run: Run) -> Run | None:
    """Return the run from which examples can be shown: for a bank, the run on built-in texts in it, or None."""
    if not run.bank:
        return run
    folder = run.folder / BUILT_IN
    return load_run(folder) if (folder / "run.json").is_file() else None


def sample(run: Run, seed: int = 0, how_many: int = HOW_MANY) -> tuple[tuple[str, ...], list[Sample]]:
    """Return the readouts shown, and a seeded random sample of texts (one-word, first operator, first seed).

    A text qualifies if it has rows at all; what was said about it plays no part.
    """
    rows = [row for row in run.rows if row.setting == "one-word" and row.id in run.texts]
    if not rows:
        return (), []
    operator = rows[0].operator
    readouts = tuple(name for name in READOUTS[:2] if any(row.readout == name for row in rows))
    table: dict[tuple[str, str, str, str], Row] = {}
    for row in rows:
        if row.operator == operator:
            table.setdefault((row.id, row.style, row.arm, row.readout), row)
    ids = sorted({key[0] for key in table})
    picked = random.Random(seed).sample(ids, min(how_many, len(ids)))
    return readouts, [_sample(run, table, text, readouts) for text in picked]


def _sample(run: Run, table: dict[tuple[str, str, str, str], Row], text: str, readouts: Sequence[str]) -> Sample:
    example = run.texts[text]
    lines = []
    for style in STYLES:
        for arm in run.arms:
            rows = [table.get((text, style, arm, readout)) for readout in readouts]
            shots = tuple(None if row is None else Shot(row, segments(example.text, row)) for row in rows)
            if any(shots):
                lines.append(Line(style, arm, shots))
    return Sample(example, tuple(lines))


def segments(text: str, row: Row) -> tuple[Segment, ...]:
    """Return the text with what the row names marked; the reply itself where it is invalid."""
    if not row.valid:
        return (Segment("same", row.reply or ""),)
    if row.style == "attribution" or row.edited is None:
        return marked(text, row.words)
    return difference(text, row.edited)


def marked(text: str, keys: Sequence[str]) -> tuple[Segment, ...]:
    """Return the text with every occurrence of the words marked.

    >>> [s.text for s in marked("Great day, great!", ("great",)) if s.kind == "mark"]
    ['Great', 'great']
    """
    found, at = [], 0
    for word in words.occurrences(text):
        if word.key in keys:
            found += [Segment("same", text[at : word.core_start]), Segment("mark", word.core)]
            at = word.core_end
    return tuple(s for s in (*found, Segment("same", text[at:])) if s.text)


def difference(before: str, after: str) -> tuple[Segment, ...]:
    """Return an edit as pieces kept, taken out and put in, word by word.

    >>> [(s.kind, s.text) for s in difference("a good day", "a bad day")]
    [('same', 'a '), ('del', 'good'), ('ins', 'bad'), ('same', ' day')]
    """
    old, new = (re.findall(r"\s+|\[REDACTED\]|[\w'’]+|[^\w\s]", text) for text in (before, after))
    found = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(Segment("same", "".join(old[i1:i2])))
        else:
            found += [Segment("del", "".join(old[i1:i2])), Segment("ins", "".join(new[j1:j2]))]
    return tuple(segment for segment in found if segment.text)
