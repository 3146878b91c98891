"""The values that pass between the parts of saywhy: frozen, JSON-able, no torch. A run folder holds these records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, Self

from saywhy.record_fields import fitting_fields

ROW_SCHEMA = 1
"""Version of the row schema (``docs/rows.md``). Raised whenever a field changes its meaning."""
WordStyle = Literal["attribution", "redaction", "counterfactual"]
SentenceStyle = Literal["keywords", "reasons", "steps"]
StyleName = Literal[WordStyle, SentenceStyle]
Setting = Literal["one-word", "free", "sentences"]
Readout = Literal["generated", "guided", "constrained", "placebo"]
Operator = Literal["redact", "delete", "infill"]
ReplyPlan = Literal["direct", "named-first"]
"""Whether a reply that edits is the edited text alone, or that behind the words that are edited."""
StepsOrder = Literal["after", "before"]
"""Whether steps are asked for after the answer, or before it."""
STYLES: tuple[WordStyle, ...] = ("attribution", "redaction", "counterfactual")
"""The styles of which one word, or a few, are the whole explanation: those that arms practise."""
SENTENCE_STYLES: tuple[SentenceStyle, ...] = ("keywords", "reasons", "steps")
"""The styles of the setting ``sentences``: what counts is which words of the text they mention."""
ALL_STYLES: tuple[StyleName, ...] = (*STYLES, *SENTENCE_STYLES)
SETTINGS: tuple[Setting, ...] = ("one-word", "free")  # of STYLES
ALL_SETTINGS: tuple[Setting, ...] = (*SETTINGS, "sentences")
READOUTS: tuple[Readout, ...] = ("generated", "guided", "constrained", "placebo")
OPERATORS: tuple[Operator, ...] = ("redact", "delete", "infill")
TRAINING_OPERATOR: Operator = "redact"
"""The operator with which faithful training targets are found."""
NON_INFERIORITY_MARGIN = 0.02
"""Loss of accuracy, or of agreement with the start model, that counts as none: the non-inferiority margin, a share."""


class SaywhyError(Exception):
    """A problem that the user can mend: shown as one line (what, where, what to do), exit code 2."""


def is_asked_in(style: StyleName, setting: Setting) -> bool:
    """Return whether a style is asked for in a setting: sentences are a setting of their own."""
    return (style in SENTENCE_STYLES) == (setting == "sentences")


def is_hit(recheck: str | None, prediction: str, named: str | None = None) -> bool:
    """Return whether an explanation is faithful (docs/definitions.md, *Faithful*).

    Args:
        recheck: The label of the edited text; None for an invalid explanation, which never is.
        prediction: The model's own label of the unchanged text.
        named: The label that a counterfactual is to bring about; None: any other one than the prediction will do.
    """
    return recheck is not None and (recheck == named if named else recheck != prediction)


class Record:
    """What all records share: a plain dict form and back."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a JSON-able dict."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the record from its dict form, lists as tuples; TypeError if a value is of another type."""
        return cls(**fitting_fields(cls, data))


@dataclasses.dataclass(frozen=True, slots=True)
class Example(Record):
    """One text of a task.

    Attributes:
        id: Hash of the fields: the same text has the same id in every run.
        text: The explained field.
        context: The other fields, in the order in which the prompt shows them.
        label: The gold label, or None for unlabelled data.
        causes: The words known to decide the label, where that is known.
    """

    id: str
    text: str
    context: Mapping[str, str] = dataclasses.field(default_factory=dict)
    label: str | None = None
    causes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Prediction(Record):
    """The model's own label for a text (docs/definitions.md).

    Attributes:
        label: The calibrated argmax.
        raw_label: The argmax before calibration.
        scores: Calibrated log-probability of each label, normalised over the labels.
        margin: Log-odds (nats) of ``label`` against the best other label.
        runner_up: The best other label: the target of a counterfactual.
    """

    label: str
    raw_label: str
    scores: Mapping[str, float]
    margin: float
    runner_up: str

    def margin_of(self, label: str) -> float:
        """Return the log-odds (nats) of ``label`` against the best other label."""
        return self.scores[label] - max(v for k, v in self.scores.items() if k != label)


@dataclasses.dataclass(frozen=True, slots=True)
class Table(Record):
    """The leave-one-word-out table of a text: each candidate taken out, the text rechecked.

    Attributes:
        id: The text.
        operator: How a word is taken out.
        label: The prediction for the unchanged text.
        margin: Its margin (nats).
        words: The candidates (folded cores), in order of first occurrence.
        labels: The recheck's label, one a candidate.
        drops: Fall of the log-odds of ``label`` (nats), one a candidate.
    """

    id: str
    operator: Operator
    label: str
    margin: float
    words: tuple[str, ...]
    labels: tuple[str, ...]
    drops: tuple[float, ...]

    def hits(self) -> tuple[bool, ...]:
        """Whether taking each candidate out changes the label."""
        return tuple(is_hit(recheck, self.label) for recheck in self.labels)

    def floor(self) -> float:
        """Return the share of candidates whose removal changes the label: what a random word would hit."""
        return sum(self.hits()) / len(self.words)

    def best(self) -> int:
        """Return the index of the candidate whose removal costs the label most; the first of equals."""
        return max(range(len(self.words)), key=self.drops.__getitem__)


@dataclasses.dataclass(frozen=True, slots=True)
class CounterfactualGrid(Record):
    """All counterfactuals of a text: each pinned word of the named label put in place of each candidate.

    Attributes:
        id: The text.
        named: The label that the edit is to bring about.
        words: The candidate replaced (folded core), one an edit.
        inserted: The pinned word put in, one an edit.
        labels: The recheck's label, one an edit.
        drops: Fall of the predicted label's log-odds (nats), one an edit.
        rises: Rise of the named label's log-odds against the best other one (nats), one an edit; empty if unknown.
    """

    id: str
    named: str
    words: tuple[str, ...]
    inserted: tuple[str, ...]
    labels: tuple[str, ...]
    drops: tuple[float, ...]
    rises: tuple[float, ...] = ()

    def hits(self) -> tuple[bool, ...]:
        """Whether each edit brings the named label about."""
        return tuple(is_hit(recheck, "", self.named) for recheck in self.labels)


@dataclasses.dataclass(frozen=True, slots=True)
class Explanation(Record):
    """What a reply says, read.

    Attributes:
        words: The distinct words that it names, takes out, replaces or mentions (folded cores).
        edited: The canonical edited text that is rechecked; None if invalid.
        inserted: The words put in (counterfactual).
        reason: Why the reply is invalid; None if it is valid.
        denied: The words of which sentences say that they did not count.
        coverage: Share of the content words of sentences that are words of the text; None in other styles.
    """

    words: tuple[str, ...] = ()
    edited: str | None = None
    inserted: tuple[str, ...] = ()
    reason: str | None = None
    denied: tuple[str, ...] = ()
    coverage: float | None = None

    @property
    def valid(self) -> bool:
        """Whether the reply obeys its style and setting."""
        return self.reason is None


@dataclasses.dataclass(frozen=True, slots=True)
class Row(Record):
    """One explanation of one text by one arm, judged. Documented field by field in ``docs/rows.md``.

    Attributes:
        id: The text (its words are in ``texts.jsonl``).
        task: Task name.
        arm, seed: Which model explained, and the seed of the run.
        style, setting: What was asked for.
        readout: How it was got: placebo is constrained, minus a request for any word.
        operator: How words are taken out for the recheck.
        gold: Gold label, or None.
        prediction: The model's calibrated label: what is explained.
        raw_prediction: The label before calibration.
        margin: Log-odds (nats) of the prediction against the best other label.
        named: The counterfactual's target label; None in other styles.
        reply: The generated or guided reply; None for constrained readouts.
        words: The words named, taken out, replaced or mentioned (folded cores).
        inserted: The words put in (counterfactual).
        edited, recheck: The text that was rechecked, and its label; None if invalid.
        reason: Why the reply is invalid; None if valid.
        drop: Fall of the prediction's log-odds (nats); None if invalid.
        hit: Whether the explanation is faithful. Invalid is never a hit.
        floor: Mean hit of a random explanation of this size on this text.
        ceiling: Whether any explanation of this size hits (free: the greedy set; counterfactual: search bound).
        schema: Version of this schema.
        effect: Fall of the prediction's log-odds; counterfactual: rise of the named label's (nats); None if not known.
        effect_floor, effect_ceiling: Mean effect of what ``floor`` averages, largest of what ``ceiling`` is of.
        log_probability: That of its word (nats) among all one-word ones, by the constrained readout; None if unknown.
        denied, coverage: As in ``Explanation``: of sentences.
        steps_answer: The label behind steps that came before it; None: no such steps, or no room.
        cut: Whether the reply was cut off.
    """

    id: str
    task: str
    arm: str
    seed: int
    style: StyleName
    setting: Setting
    readout: Readout
    operator: Operator
    gold: str | None
    prediction: str
    raw_prediction: str
    margin: float
    named: str | None
    reply: str | None
    words: tuple[str, ...]
    inserted: tuple[str, ...]
    edited: str | None
    reason: str | None
    recheck: str | None
    drop: float | None
    hit: bool
    floor: float
    ceiling: bool
    schema: int = ROW_SCHEMA
    effect: float | None = None
    effect_floor: float | None = None
    effect_ceiling: float | None = None
    log_probability: float | None = None
    denied: tuple[str, ...] = ()
    coverage: float | None = None
    steps_answer: str | None = None
    cut: bool = False

    @property
    def valid(self) -> bool:
        """Whether the explanation obeys its style and setting."""
        return self.reason is None

    @property
    def excess(self) -> float:
        """Hit minus the floor of the text."""
        return float(self.hit) - self.floor


@dataclasses.dataclass(frozen=True, slots=True)
class Decision(Record):
    """One calibrated prediction on the retention set: accuracy and agreement come from these."""

    id: str
    task: str
    arm: str
    seed: int
    gold: str | None
    label: str
    raw_label: str
    margin: float


@dataclasses.dataclass(frozen=True, slots=True)
class SetAside(Record):
    """A text that could not be used, with the reason; counted beside n."""

    id: str
    task: str
    reason: str
