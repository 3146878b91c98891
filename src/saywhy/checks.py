"""The robustness checks: their names, and the lines that each of them writes (``docs/rows.md``, *robustness*).

A check asks how far a verdict depends on something that should not matter. All but ``unseen-wording`` reuse the words
that were named in the audit, and compute predictions again; it asks again, and reuses the audit's predictions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from saywhy.hints import did_you_mean
from saywhy.records import Operator, Readout, Record, Setting, StyleName

CHECKS: Mapping[str, str] = {
    "paraphrases": "the task's other questions and lead-ins",
    "labels-reversed": "the labels in the other order in the question",
    "verbaliser": "the task's other label words",
    "unseen-wording": "explanations asked for in two wordings that are never practised (needs readouts=constrained)",
    "noise": "everything rechecked in other batches: the noise floor",
    "k-curve": "hits of the 1, 2, 3, 5 words with the highest scores, of random and of the best ones",
    "minimality": "words that a free explanation could do without (needs settings=...,free)",
    "rewrite": "a request to rewrite the text and keep its meaning (generated)",
    "wrong-target": "a counterfactual request for the answer that was given (generated)",
}
"""Every check, and what it varies."""

ALL_CHECKS = "all"
"""Stands for every check that the run and its task allow."""

REPHRASED_CHECKS = ("paraphrases", "labels-reversed", "verbaliser")
"""The checks that ask the task's question in another form."""

REPREDICTING_CHECKS = (*REPHRASED_CHECKS, "noise")
"""The checks that predict the unchanged text again: its answer may be another one."""

K_CURVE_SIZES = (1, 2, 3, 5)
"""Numbers of words of the k-curve."""

MOST_SPARED = 5
"""Most words of a free explanation whose minimality is measured."""


def check_of(variation: str) -> str:
    """Return the check that a variation belongs to.

    >>> check_of("paraphrase-2"), check_of("unseen-wording-1"), check_of("noise")
    ('paraphrases', 'unseen-wording', 'noise')
    """
    if variation.startswith("paraphrase-"):
        return "paraphrases"
    return "unseen-wording" if variation.startswith("unseen-wording-") else variation


def unknown_check_name(names: Iterable[str]) -> str | None:
    """Return what is wrong with the first name that is no check, in one line; None if all are."""
    allowed = (*CHECKS, ALL_CHECKS)
    for name in names:
        if name not in allowed:
            return f"no check '{name}'{did_you_mean(name, allowed, ', ') or '.'} Checks: {', '.join(allowed)}"
    return None


def judge_name(arm: str) -> str:
    """Return the variation in which another arm's model judges.

    >>> judge_name("adapted")
    'by-adapted'
    """
    return f"by-{arm}"


@dataclasses.dataclass(frozen=True, slots=True)
class Judged(Record):
    """An explanation of the audit, judged again under a variation.

    Attributes:
        id: The text.
        arm: Which model explained.
        seed: Seed of the run.
        variation: What was varied: a variant's name (``paraphrase-1``), ``unseen-wording-1``, ``noise``, or who judges
            (``judge_name``).
        style: As in the row that is judged again.
        setting: As in the row.
        readout: As in the row.
        operator: As in the row.
        prediction: The label of the unchanged text under the variation.
        margin: Its log-odds (nats) against the best other label.
        recheck: Label of the edited text under the variation; None if the explanation is invalid.
        drop: Fall of the log-odds of ``prediction`` (nats); None if invalid.
        hit: Whether the explanation is faithful by the variation's own predictions.
        floor: Mean hit of a random word under the variation (noise and unseen wordings: that of the row).
        ceiling: Whether any word hits under the variation (noise and unseen wordings: that of the row).
        effect: What the row's is, under the variation (nats); None if invalid, or unknown.
        effect_floor: Mean effect of all words under the variation (noise and unseen wordings: that of the row).
        effect_ceiling: Largest of these effects. Both: None if unknown (``docs/rows.md``, *Older folders*).
    """

    id: str
    arm: str
    seed: int
    variation: str
    style: StyleName
    setting: Setting
    readout: Readout
    operator: Operator
    prediction: str
    margin: float
    recheck: str | None
    drop: float | None
    hit: bool
    floor: float
    ceiling: bool
    effect: float | None = None
    effect_floor: float | None = None
    effect_ceiling: float | None = None

    @property
    def valid(self) -> bool:
        """Whether the explanation that is judged again obeys its style and setting."""
        return self.recheck is not None

    @property
    def excess(self) -> float:
        """Hit minus the floor of the text under the variation."""
        return float(self.hit) - self.floor


@dataclasses.dataclass(frozen=True, slots=True)
class Probe(Record):
    """A request that should not move the answer, and whether it did.

    Attributes:
        id: The text.
        arm: Which model was asked.
        seed: Seed of the run.
        request: ``rewrite`` or ``wrong-target``.
        prediction: The label before.
        reply: The model's reply.
        edited: The text that was rechecked; None if the reply gives none.
        reason: Why the reply gives none; None if it does.
        recheck: Label of the edited text; None if there is none.
        drop: Fall of the log-odds of ``prediction`` (nats); None if there is no edited text.
        moved: Whether the label of the edited text is another one.
    """

    id: str
    arm: str
    seed: int
    request: str
    prediction: str
    reply: str
    edited: str | None
    reason: str | None
    recheck: str | None
    drop: float | None
    moved: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Spare(Record):
    """Which words of a free explanation that hits could have been left in.

    Attributes:
        id: The text.
        arm: Which model explained.
        seed: Seed of the run.
        style: attribution or redaction.
        readout: As in the row.
        operator: As in the row.
        words: The words taken out (folded cores), at most ``MOST_SPARED``.
        spare: One a word: whether the other words still hit with this word put back.
    """

    id: str
    arm: str
    seed: int
    style: StyleName
    readout: Readout
    operator: Operator
    words: tuple[str, ...]
    spare: tuple[bool, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Curve(Record):
    """Hits of several words of one text taken out together, and the scores that order them.

    Attributes:
        id: The text.
        arm: Which model.
        seed: Seed of the run.
        operator: How words are taken out.
        words: The candidates (folded cores), in order of first occurrence.
        scores: Constrained attribution readout: log P(word, end of turn) in nats, one a candidate.
        counts: In how many texts of the lexicon each candidate stands.
        sizes: Numbers of words taken out; all of them where a text has fewer.
        named: Whether the words with the highest scores hit, one a size.
        best: Whether the greedy best words hit, one a size (or any of the random sets does).
        random: Share of random sets that hit, one a size.
    """

    id: str
    arm: str
    seed: int
    operator: Operator
    words: tuple[str, ...]
    scores: tuple[float, ...]
    counts: tuple[int, ...]
    sizes: tuple[int, ...]
    named: tuple[bool, ...]
    best: tuple[bool, ...]
    random: tuple[float, ...]
