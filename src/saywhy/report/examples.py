"""Ten texts with the explanation of each arm and whether it is faithful. A random sample, never picked."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from saywhy import words
from saywhy.records import ALL_SETTINGS, ALL_STYLES, SENTENCE_STYLES, Example, Row, Setting
from saywhy.report.load import LoadedRun, load_run

SegmentKind = Literal["same", "mark", "del", "ins"]

EXAMPLES_SHOWN = 10
"""Number of texts shown."""

BUILT_IN_EXAMPLES = "examples"
"""Folder of a bank with a run on built-in texts, from which its report takes the examples."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a text: unchanged, named, taken out or put in."""

    kind: SegmentKind
    text: str


@dataclass(frozen=True, slots=True)
class ShownExplanation:
    """One explanation as shown.

    Attributes:
        row: The judged row.
        segments: The text with the explanation marked; for an invalid reply the reply itself.
    """

    row: Row
    segments: tuple[Segment, ...]

    @property
    def sentences(self) -> str:
        """The reply, where the segments show the text; empty in other styles."""
        return self.row.reply or "" if self.row.style in SENTENCE_STYLES and self.row.valid else ""

    @property
    def verdict(self) -> str:
        """``faithful``, ``not faithful``, or why the reply is invalid."""
        return f"invalid: {self.row.reason}" if not self.row.valid else "faithful" if self.row.hit else "not faithful"


@dataclass(frozen=True, slots=True)
class ArmExplanations:
    """The explanations of one arm in one style: one for each readout of the sample, None where it has none."""

    style: str
    arm: str
    shots: tuple[ShownExplanation | None, ...]


@dataclass(frozen=True, slots=True)
class ExampleCard:
    """A text with the explanations of every arm."""

    example: Example
    lines: tuple[ArmExplanations, ...]


def examples_run(run: LoadedRun) -> LoadedRun | None:
    """Return the run from which examples can be shown: for a bank, the run on built-in texts in it, or None."""
    if not run.bank:
        return run
    folder = run.folder / BUILT_IN_EXAMPLES
    return load_run(folder) if (folder / "run.json").is_file() else None


def example_cards(
    run: LoadedRun, seed: int = 0, how_many: int = EXAMPLES_SHOWN
) -> tuple[tuple[str, ...], list[ExampleCard]]:
    """Return the readouts shown, and a seeded random sample of texts (``shown_setting``, first operator, first seed).

    What the model writes is shown guided, if the run has that. Every text with rows may be drawn, whatever its
    explanations are.
    """
    rows = [row for row in run.rows if row.setting == shown_setting(run) and row.id in run.texts]
    if not rows:
        return (), []
    operator = rows[0].operator
    present = {row.readout for row in rows}
    written = "guided" if "guided" in present else "generated"
    readouts = tuple(name for name in (written, "constrained") if name in present)
    rows_by_key: dict[tuple[str, str, str, str], Row] = {}
    for row in rows:
        if row.operator == operator:
            rows_by_key.setdefault((row.id, row.style, row.arm, row.readout), row)
    ids = sorted({key[0] for key in rows_by_key})
    picked = random.Random(seed).sample(ids, min(how_many, len(ids)))
    return readouts, [_example_card(run, rows_by_key, text_id, readouts) for text_id in picked]


def shown_setting(run: LoadedRun) -> Setting:
    """Return the setting of which examples are shown: one-word, if there is no such row free, then sentences."""
    present = {row.setting for row in run.rows}
    return next((setting for setting in ALL_SETTINGS if setting in present), "sentences")


def _example_card(
    run: LoadedRun, rows_by_key: dict[tuple[str, str, str, str], Row], text_id: str, readouts: Sequence[str]
) -> ExampleCard:
    example = run.texts[text_id]
    lines = []
    for style in ALL_STYLES:
        for arm in run.arms:
            rows = [rows_by_key.get((text_id, style, arm, readout)) for readout in readouts]
            shots = tuple(
                None if row is None else ShownExplanation(row, marked_segments(example.text, row)) for row in rows
            )
            if any(shots):
                lines.append(ArmExplanations(style, arm, shots))
    return ExampleCard(example, tuple(lines))


def marked_segments(text: str, row: Row) -> tuple[Segment, ...]:
    """Return the text with the words that the row names marked, or with its edit; an invalid reply as it is."""
    if not row.valid:
        return (Segment("same", row.reply or ""),)
    if row.style in ("attribution", *SENTENCE_STYLES) or row.edited is None:
        return words_marked(text, row.words, row.denied)
    return edit_marked(text, row.edited)


def words_marked(text: str, keys: Sequence[str], denied: Sequence[str] = ()) -> tuple[Segment, ...]:
    """Return the text with every occurrence of the words marked, of those denied struck.

    >>> [s.text for s in words_marked("Great day, great!", ("great",)) if s.kind == "mark"]
    ['Great', 'great']
    """
    pieces, end = [], 0
    for word in words.occurrences(text):
        if word.key in (*keys, *denied):
            kind: SegmentKind = "mark" if word.key in keys else "del"
            pieces += [Segment("same", text[end : word.core_start]), Segment(kind, word.core)]
            end = word.core_end
    return tuple(piece for piece in (*pieces, Segment("same", text[end:])) if piece.text)


def edit_marked(before: str, after: str) -> tuple[Segment, ...]:
    """Return an edit as pieces kept, taken out and put in, word by word.

    >>> [(s.kind, s.text) for s in edit_marked("a good day", "a bad day")]
    [('same', 'a '), ('del', 'good'), ('ins', 'bad'), ('same', ' day')]
    """
    old, new = (re.findall(r"\s+|\[REDACTED\]|[\w'’]+|[^\w\s]", text) for text in (before, after))
    pieces = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(Segment("same", "".join(old[old_start:old_end])))
        else:
            pieces += [Segment("del", "".join(old[old_start:old_end])), Segment("ins", "".join(new[new_start:new_end]))]
    return tuple(piece for piece in pieces if piece.text)
