"""What is learned about a text: its prediction, the explanations to practise, what every explanation would do."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from saywhy.measure.edits import Item
from saywhy.records import Example, Prediction, Record, StyleName


@dataclass(frozen=True, slots=True)
class Target(Record):
    """What an explanation of one text is made of.

    Attributes:
        words: The words named, taken out or replaced (folded cores).
        inserted: What is put in for each of them (counterfactual), else empty.
        hit: Whether its recheck hit; None where nobody looked (controls).
    """

    words: tuple[str, ...]
    inserted: tuple[str, ...] = ()
    hit: bool | None = None


Targets = Mapping[StyleName, Target]
"""One target a style; those in sentences only where they are practised, and the text has words for them."""


@dataclass(frozen=True, slots=True)
class EditEffects(Record):
    """The effect of every one-word explanation of a text (docs/definitions.md, *Effect share*).

    Attributes:
        words: The candidate taken out or replaced (folded core), one an explanation.
        inserted: What is put in its place; empty: it is taken out.
        values: Fall of the prediction's log-odds, for a replacement rise of the named label's (nats).
        hits: Whether each is known to be faithful by a recheck.
    """

    words: tuple[str, ...]
    inserted: tuple[str, ...]
    values: tuple[float, ...]
    hits: tuple[bool, ...]

    def best(self) -> int:
        """Return the index of the explanation of largest effect, of those that hit if any does; the first of equals."""
        return max(range(len(self.values)), key=lambda i: (self.hits[i], self.values[i]))

    def first(self, count: int) -> frozenset[str]:
        """Return the words of the ``count`` largest effects; of equals, the first."""
        order = sorted(range(len(self.values)), key=lambda i: -self.values[i])
        return frozenset(self.words[i] for i in order[:count])

    def by_word(self) -> EditEffects:
        """Return one effect a word: that of its best replacement, with nothing said of what is inserted."""
        best: dict[str, int] = {}
        for number, word in enumerate(self.words):
            if word not in best or self.values[number] > self.values[best[word]]:
                best[word] = number
        kept = best.values()
        return EditEffects(
            tuple(best), ("",) * len(best), tuple(self.values[i] for i in kept), tuple(self.hits[i] for i in kept)
        )

    def reordered(self, order: Sequence[int]) -> EditEffects:
        """Return the same effects, explanation ``i`` having those of ``order[i]``: a control's."""
        values, hits = tuple(self.values[i] for i in order), tuple(self.hits[i] for i in order)
        return EditEffects(self.words, self.inserted, values, hits)


class TextEffects(NamedTuple):
    """The effects of a text's explanations.

    Attributes:
        removal: Of taking each candidate out.
        swap: Of putting each pinned word of the runner-up in place of each candidate.
    """

    removal: EditEffects
    swap: EditEffects

    def of(self, style: StyleName) -> EditEffects:
        """Return the effects of the explanations of a style."""
        return self.swap if style == "counterfactual" else self.removal

    def targets(self, *, verified: bool = True) -> dict[StyleName, Target]:
        """Return the explanation of largest effect in each style; ``verified``: whether hits are known of a recheck."""
        swap, removal = self.swap.best(), self.removal.best()
        words = Target((self.removal.words[removal],), hit=self.removal.hits[removal] if verified else None)
        edit = (self.swap.words[swap],), (self.swap.inserted[swap],)
        swapped = Target(*edit, hit=self.swap.hits[swap] if verified else None)
        return {"attribution": words, "redaction": words, "counterfactual": swapped}


@dataclass(frozen=True, slots=True)
class EditedText(Record):
    """An edited text with what the model says of it: what an anchor holds on to.

    Attributes:
        text: The edited text.
        scores: Calibrated log-probability of each label.
    """

    text: str
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What is learned about a text.

    Attributes:
        item: The text and the start model's prediction.
        targets: The explanation to practise in each style; none in sentences where no word of the text supports one.
        effects: What every explanation does; None where the objective does not ask.
        edited: Some edited texts with the start model's predictions.
        reference: Of each style, the start model's own log-probability (nats) of each explanation of ``effects``; None
            where no objective compares with it.
    """

    item: Item
    targets: Targets
    effects: TextEffects | None = None
    edited: tuple[EditedText, ...] = ()
    reference: Mapping[StyleName, tuple[float, ...]] | None = None

    def hits(self, styles: Iterable[StyleName]) -> bool:
        """Whether the explanation to practise is a hit in each of ``styles``."""
        return all(style in self.targets and self.targets[style].hit for style in styles)


def to_line(lesson: Lesson) -> dict[str, Any]:
    """Return one line of ``targets.jsonl``."""
    line: dict[str, Any] = {
        "id": lesson.item.example.id,
        "prediction": lesson.item.prediction.to_dict(),
        "picks": {style: target.to_dict() for style, target in lesson.targets.items()},
    }
    if lesson.effects:
        line["effects"] = {name: part.to_dict() for name, part in lesson.effects._asdict().items()}
        line["edited"] = [edited.to_dict() for edited in lesson.edited]
    if lesson.reference:
        line["reference"] = {style: list(values) for style, values in lesson.reference.items()}
    return line


def from_line(line: Mapping[str, Any], examples: Mapping[str, Example]) -> Lesson:
    """Read a line of ``targets.jsonl``; ``examples`` are the texts by id."""
    item = Item(examples[line["id"]], Prediction.from_dict(line["prediction"]))
    lesson = Lesson(item, {style: Target.from_dict(target) for style, target in line["picks"].items()})
    if "effects" not in line:
        return lesson
    effects = TextEffects(*(EditEffects.from_dict(line["effects"][name]) for name in TextEffects._fields))
    edited = tuple(EditedText.from_dict(text) for text in line["edited"])
    reference = {style: tuple(values) for style, values in line.get("reference", {}).items()}
    return dataclasses.replace(lesson, effects=effects, edited=edited, reference=reference or None)
