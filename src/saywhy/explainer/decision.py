"""What an ``Explainer`` answers: a decision, its reason, and what the recheck says of it (docs/explainer.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from saywhy.holding import CheckStatus
from saywhy.records import STYLES, Record, SaywhyError, StyleName

DECISION_SCHEMA = 1
"""Version of ``ExplainedDecision.to_dict()`` (docs/explainer.md). Raised whenever a field changes its meaning."""

Effort = Literal["self", "repair", "search"]
"""How far a reason is looked for: what the model says, the next words that it finds likeliest, every word and pairs."""
BUDGETS: Mapping[Effort, int] = {"self": 40, "repair": 60, "search": 600}
"""Efforts, and how many edited texts of a text each may recheck."""

Span = tuple[int, int]
"""Where a word stands in a text: the offset of its first character, and that behind its last one."""


class UnusableTextError(SaywhyError):
    """A text that cannot be put to the model: empty, too long, with control tokens, without a field of the task."""


@dataclass(frozen=True, slots=True)
class ExplainRequest(Record):
    """A text that is to be decided and explained.

    Attributes:
        text: The explained field.
        context: The task's other fields.
        answer: A label that was decided elsewhere, which is to be explained; None: the model decides.
        effort: How far a reason is looked for.
        styles: What is asked for; the reason is an attribution where that is among them, else a redaction, else a
            counterfactual.
        budget: Edited texts that may be rechecked, at most; None: that of the effort (``BUDGETS``).
        seconds: Time from which on nothing more is looked for; None: no limit.
    """

    text: str
    context: Mapping[str, str] = field(default_factory=dict)
    answer: str | None = None
    effort: Effort = "repair"
    styles: tuple[StyleName, ...] = ("attribution",)
    budget: int | None = None
    seconds: float | None = None

    @property
    def asked_text(self) -> str:
        """The text as the model is asked about it: without blanks in front, as those of data files are."""
        return self.text.lstrip()

    @property
    def reason_style(self) -> StyleName:
        """The style of the reason."""
        return next(style for style in STYLES if style in self.styles)

    @property
    def most_rechecks(self) -> int:
        """How many edited texts may be rechecked."""
        return BUDGETS[self.effort] if self.budget is None else self.budget


@dataclass(frozen=True, slots=True)
class Check(Record):
    """What the recheck of an explanation says.

    Attributes:
        status: Whether it holds (``holding.check_status``).
        text_without: The text as it was rechecked; None if nothing was.
        label_without: Its label.
        drop: Fall (nats) of the answer's log-odds; of a counterfactual the rise of the named label's.
        chance: Share of the explanations of that size that would do; None where too few were rechecked to tell.
        chance_of: How many that share is of: all of the text, or a sample.
        possible: Whether any of them does; None: none of those that were rechecked does, and not all were.
        problem: Why there was nothing to recheck; None where there was.
    """

    status: CheckStatus
    text_without: str | None = None
    label_without: str | None = None
    drop: float | None = None
    chance: float | None = None
    chance_of: int = 0
    possible: bool | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Reason(Record):
    """The words that decide, as the model says.

    Attributes:
        words: The words as they stand in the text.
        spans: Where all their occurrences stand.
        style: In which style it was said.
        reply: What the model replied; None if it is the likeliest of its explanations.
        rank: 1: the first that the model says; k: its k-th likeliest, the first of them that holds.
    """

    words: tuple[str, ...]
    spans: tuple[Span, ...]
    style: StyleName
    reply: str | None = None
    rank: int = 1


@dataclass(frozen=True, slots=True)
class FoundReason(Record):
    """The strongest words of a text: found by the ruler, not said by the model.

    Attributes:
        words: One or two words as they stand in the text.
        spans: Where all their occurrences stand.
        check: What the recheck says of them.
    """

    words: tuple[str, ...]
    spans: tuple[Span, ...]
    check: Check


@dataclass(frozen=True, slots=True)
class EditedReply(Record):
    """A redaction or counterfactual as the model replied it, with its check.

    Attributes:
        words: The words that it takes out or replaces, as they stand in the text.
        spans: Where all their occurrences stand.
        inserted: What it puts in (counterfactual).
        text: The edited text; None if the reply is invalid.
        reply: What the model replied.
        named: The label that a counterfactual is to bring about; None: any other one.
        check: What the recheck says of it.
    """

    words: tuple[str, ...]
    spans: tuple[Span, ...]
    inserted: tuple[str, ...]
    text: str | None
    reply: str | None
    named: str | None
    check: Check


@dataclass(frozen=True, slots=True)
class WordEffect(Record):
    """What taking one word out of a text does.

    Attributes:
        word: The word as it stands in the text.
        spans: Where all its occurrences stand.
        drop: Fall (nats) of the answer's log-odds; negative where the word speaks against the answer.
        label_without: The label of the text without it.
    """

    word: str
    spans: tuple[Span, ...]
    drop: float
    label_without: str


@dataclass(frozen=True, slots=True)
class Confidence(Record):
    """How often a reason holds, before it is rechecked.

    Attributes:
        probability: Fitted probability that it holds.
        share: Share of the audited decisions like this one whose reason held.
        low: Lower end of that share's 95 % interval (Clopper-Pearson).
        high: Its upper end.
        texts: How many decisions that share is of.
        shown: Whether it is confident enough to be shown unchecked, at the wanted share; never where no threshold keeps
            that share.
    """

    probability: float
    share: float
    low: float
    high: float
    texts: int
    shown: bool


@dataclass(frozen=True, slots=True)
class ExplainedDecision(Record):
    """A decision with its reason.

    Attributes:
        text: The explained field.
        context: The task's other fields.
        task: Name of the task.
        label: What is explained: the answer, calibrated, or the one that was given.
        raw_label: The answer before calibration.
        probability: Calibrated probability of ``label``.
        margin: Its log-odds (nats) against the best other label.
        probabilities: Calibrated probability of each label.
        label_words: The word of each label, as the model says it.
        effort: How far a reason was looked for.
        rechecks: How many edited texts were rechecked.
        message: What can be said of the reason, in one line.
        reason: The model's own reason; None where it gave none that can be read, or none can be.
        check: What the recheck says of it.
        confidence: How likely it was to hold; None where that was never fitted for the model and task.
        fallback: What the ruler found where the reason does not hold (effort ``search``); None: nothing, or not looked.
        counterfactual: The edited text that the model gives, if it was asked for.
        redaction: The redacted text that the model gives, if it was asked for.
        effects: What taking out each word does, of those that were rechecked by themselves.
        seconds: How long the decision took, with those that were made together with it.
        made_with: Hashes of the weights, chat template, prompts and task.
        schema: Version of this schema.
    """

    text: str
    context: Mapping[str, str]
    task: str
    label: str
    raw_label: str
    probability: float
    margin: float
    probabilities: Mapping[str, float]
    label_words: Mapping[str, str]
    effort: Effort
    rechecks: int
    message: str
    reason: Reason | None
    check: Check
    confidence: Confidence | None = None
    fallback: FoundReason | None = None
    counterfactual: EditedReply | None = None
    redaction: EditedReply | None = None
    effects: tuple[WordEffect, ...] = ()
    seconds: float = 0.0
    made_with: Mapping[str, str] = field(default_factory=dict)
    schema: int = DECISION_SCHEMA
