"""What a model is asked about texts, and what it answers: one answer a style, setting and readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from saywhy.measure import readouts
from saywhy.measure.chats import predictions_behind_steps
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Reply
from saywhy.protocol.sentences import steps_of
from saywhy.records import Explanation, Readout, Setting, StyleName, is_asked_in

if TYPE_CHECKING:
    from saywhy.measure.audit import AuditPlan


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request for an explanation of one text brought.

    Attributes:
        style: The style that was asked for.
        setting: one-word, free or sentences.
        readout: How the explanation was got.
        reply: The generated or guided reply; None for constrained readouts.
        explanation: What it says, read.
        log_probability: As in ``Row``.
        steps_answer: As in ``Row``.
    """

    style: StyleName
    setting: Setting
    readout: Readout
    reply: str | None
    explanation: Explanation
    log_probability: float | None = None
    steps_answer: str | None = None

    @property
    def cut(self) -> bool:
        """Whether the reply was cut off for want of room."""
        return isinstance(self.reply, Reply) and self.reply.cut

    @property
    def size(self) -> int:
        """How many words it takes; an invalid one is given size one, the least it could have said."""
        if not self.explanation.valid:
            return 1
        return max(len(self.explanation.words), len(self.explanation.inserted), 1)


def answers_of(classifier: Classifier, items: Sequence[Item], plan: AuditPlan) -> list[list[Answer]]:
    """Return all answers about each item: generated, guided and constrained, as ``plan`` asks for them."""
    answers = _written(classifier, items, plan)
    log_probabilities: list[dict[StyleName, Mapping[str, float]]] = [{} for _ in items]
    one_word = [style for style in plan.styles if is_asked_in(style, "one-word")]
    compared = [readout for readout in plan.readouts if readout in ("constrained", "placebo")]
    if "one-word" not in plan.settings:
        compared = []
    model, task = classifier.model, classifier.task
    likeliest = readouts.constrained(model, task, items, one_word, plan.pinned, compared) if compared else {}
    for readout, of_items in likeliest.items():
        for of_text, of_words, by_style in zip(answers, log_probabilities, of_items, strict=True):
            for style, best in by_style.items():
                of_text.append(Answer(style, "one-word", readout, None, best.explanation))
                of_words[style] = best.log_probabilities
    return [
        [_weighed(answer, of_words.get(answer.style, {})) for answer in of_text]
        for of_text, of_words in zip(answers, log_probabilities, strict=True)
    ]


def _written(classifier: Classifier, items: Sequence[Item], plan: AuditPlan) -> list[list[Answer]]:
    """Return what the model writes about each item: its generated replies, and those that are guided."""
    model, task = classifier.model, classifier.task
    guided = "guided" in plan.readouts and "one-word" in plan.settings
    asked = [
        (style, setting)
        for style in plan.styles
        for setting in plan.settings
        if is_asked_in(style, setting) and ("generated" in plan.readouts or (guided and setting == "one-word"))
    ]
    replies = readouts.generated(model, task, items, asked) if asked else [[] for _ in items]
    by_request = [dict(zip(asked, of_text, strict=True)) for of_text in replies]
    answers: list[list[Answer]] = [[] for _ in items]
    if "generated" in plan.readouts:
        for of_text, of_request in zip(answers, by_request, strict=True):
            of_text.extend(Answer(*ask, "generated", *reply) for ask, reply in of_request.items())
    if guided:
        one_word = [
            {style: reply for (style, setting), reply in of_request.items() if setting == "one-word"}
            for of_request in by_request
        ]
        for of_text, valid in zip(answers, readouts.guided(model, task, items, one_word), strict=True):
            of_text.extend(Answer(style, "one-word", "guided", *reply) for style, reply in valid.items())
    return _answered_behind_steps(classifier, items, answers) if task.steps_order == "before" else answers


def _answered_behind_steps(
    classifier: Classifier, items: Sequence[Item], answers: Sequence[Sequence[Answer]]
) -> list[list[Answer]]:
    """Return the answers about each item, its steps with the label that follows them, as they are read."""
    steps = [
        (item, steps_of(item.example.text, str(answer.reply), cut=answer.cut))
        for item, of_text in zip(items, answers, strict=True)
        for answer in of_text
        if answer.style == "steps"
    ]
    behind = predictions_behind_steps(classifier, [item for item, _ in steps], [of_text for _, of_text in steps])
    labels = iter(prediction.label if prediction else None for prediction in behind)
    return [
        [replace(answer, steps_answer=next(labels)) if answer.style == "steps" else answer for answer in of_text]
        for of_text in answers
    ]


def _weighed(answer: Answer, log_probabilities: Mapping[str, float]) -> Answer:
    """Return an answer with the log-probability of its word; as it is where that is unknown, or no word is its all."""
    words = answer.explanation.words
    if answer.setting != "one-word" or not answer.explanation.valid or len(words) != 1:
        return answer
    return replace(answer, log_probability=log_probabilities.get(words[0]))
