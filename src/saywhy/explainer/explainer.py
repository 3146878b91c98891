"""``Explainer``: decisions with reasons that were rechecked; the one path of Python, command line, service and page."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from saywhy.config import Config
from saywhy.explainer.answer import explained_decision, unexplainable_decision
from saywhy.explainer.calibrated import calibration_of, refuse_other_settings
from saywhy.explainer.confidence import FittedConfidence, read_confidence
from saywhy.explainer.decision import BUDGETS, Effort, ExplainedDecision, ExplainRequest, UnusableTextError
from saywhy.explainer.inquiry import Inquiry
from saywhy.explainer.steps import look_for_reasons
from saywhy.hints import did_you_mean
from saywhy.measure.audit import REPLY_HEADROOM
from saywhy.measure.calibration import calibration_key
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.backends import HasAnswers, open_model
from saywhy.models.interface import Model
from saywhy.models.spec import resolve_model
from saywhy.paths import user_path
from saywhy.protocol import prompts
from saywhy.records import STYLES, Example, Prediction, SaywhyError
from saywhy.settings import checked_config
from saywhy.tasks.corpus import task_of
from saywhy.tasks.data import example_id
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task
from saywhy.training.models import in_practised_plan, with_explaining_model
from saywhy.words import candidates, lacks_blanks, most_frequent_candidate, take_out

_BROKEN = re.compile("[\ud800-\udfff]")
"""What no text holds: Python has it for bytes that it could not read."""


class Explainer:
    """Decides texts of a task, and explains each decision with a reason that was rechecked.

    Attributes:
        classifier: The model, the task and its calibration constants.
        pinned: The words that a counterfactual may insert, by named label.
        made_with: Hashes of what decisions depend on, by name.
        expected_labels: Share of each label among the answers to the calibration texts; None where it is not known.
        confidence: How likely a reason holds before it is rechecked; None where that was not fitted.
    """

    def __init__(
        self,
        classifier: Classifier,
        pinned: Pinned,
        made_with: Mapping[str, str] | None = None,
        expected_labels: Mapping[str, float] | None = None,
        confidence: FittedConfidence | None = None,
    ) -> None:
        self.classifier, self.pinned, self.made_with = classifier, pinned, dict(made_with or {})
        self.expected_labels, self.confidence = expected_labels, confidence

    @classmethod
    def load(
        cls,
        model: str | None = None,
        task: str | None = None,
        confidence: str | Path | None = None,
        **settings: Any,
    ) -> Self:
        """Open a model as an explainer of a task; it is calibrated once, and that is kept in the cache folder.

        Args:
            model: As ``model=`` on the command line: a built-in name, an adapter, a folder, a hub id.
            task: A name of ``saywhy tasks``, or a path to a task file.
            confidence: An audit of the model on which ``saywhy confidence`` fitted how likely a reason holds.
            **settings: Other settings of ``saywhy settings``, such as ``data``: texts to calibrate on, labelled or not.

        Raises:
            SaywhyError: If the model, the task or the data cannot be used.
        """
        named = {name: value for name, value in (("model", model), ("task", task)) if value is not None}
        config = checked_config({**settings, **named})
        refuse_other_settings(config)
        return cls.of(config, user_path(str(confidence)) if confidence else None)

    @classmethod
    def of(cls, config: Config, confidence: Path | None = None) -> Self:
        """Open the model of ``config`` as an explainer of its task, with the confidence of an audit if there is one.

        Where no model is named, it is the built-in one that explains the task best.
        """
        config = in_practised_plan(with_explaining_model(config, confidence))
        task, spec = task_of(config), resolve_model(config.model)
        spec.refuse_plan(config.plan)
        opened: list[Model] = []

        def model() -> Model:
            if not opened:
                opened.append(open_model(config.model, config))
                fields = [dict.fromkeys(task.context, text) for text in ("a", "b")]
                opened[0].keep_beginning([prompts.question_chat(task, text, fields[i]) for i, text in enumerate("ab")])
            return opened[0]

        key = calibration_key(spec, task, config.quantize)
        fitted = read_confidence(confidence, key) if confidence else None  # before the model: loading takes longer
        calibration = calibration_of(spec, task, config, key, model)
        if fitted and confidence:
            fitted = fitted.tied_to(calibration.saved.constants, confidence)
        classifier = Classifier(model(), task, calibration.saved.constants)
        return cls(classifier, calibration.saved.pinned, key, calibration.label_shares, fitted)

    def decide(self, text: str, **asked: Any) -> ExplainedDecision:
        """Return the decision on a text with its reason.

        Args:
            text: The explained field.
            **asked: What else an ``ExplainRequest`` says: context, answer, effort, styles, budget, seconds.

        Raises:
            UnusableTextError: If the text cannot be put to the model.
        """
        return self.decide_many([{**asked, "text": text}])[0]

    def decide_many(self, rows: Sequence[str | Mapping[str, Any] | ExplainRequest]) -> list[ExplainedDecision]:
        """Return the decision on each text, computed together: texts, dicts of an ``ExplainRequest``, or these.

        Raises:
            UnusableTextError: For the first text that cannot be put to the model.
            SaywhyError: If a row is no request.
        """
        if isinstance(rows, str | Mapping | ExplainRequest):
            raise SaywhyError("decide_many takes a list of texts or requests: put this one into a list, or use decide")
        started = time.monotonic()
        requests = [request_of(row) for row in rows]
        self._refuse_problems(requests)
        task = self.classifier.task
        if len(requests) == 1:
            self._begin_with(requests[0])
        texts = [(ask.asked_text, ask.context) for ask in requests]
        examples = [Example(example_id(task.name, text, context), text, context) for text, context in texts]
        predictions = self.classifier.predict_examples(examples)
        items = [
            Item(example, explained_prediction(after, ask.answer))
            for example, after, ask in zip(examples, predictions, requests, strict=True)
        ]
        reasons = [_unexplainable(item, after) for item, after in zip(items, predictions, strict=True)]
        inquiries = [Inquiry(ask, item, started=started) for ask, item in zip(requests, items, strict=True)]
        look_for_reasons(
            self.classifier, self.pinned, [ask for ask, reason in zip(inquiries, reasons, strict=True) if not reason]
        )
        decisions = [
            unexplainable_decision(inquiry, task, reason)
            if reason
            else explained_decision(inquiry, task, self.pinned, self.confidence)
            for inquiry, reason in zip(inquiries, reasons, strict=True)
        ]
        seconds = time.monotonic() - started
        return [
            dataclasses.replace(decision, made_with=self.made_with, seconds=round(seconds, 3)) for decision in decisions
        ]

    def answer(self, request: ExplainRequest) -> Prediction:
        """Return the model's answer to a text, without a reason: what ``decide`` begins with.

        Raises:
            UnusableTextError: If the text cannot be put to the model.
        """
        self._refuse_problems([request])
        self._begin_with(request)
        return self.classifier.predict([(request.asked_text, request.context)])[0]

    def _begin_with(self, request: ExplainRequest) -> None:
        """Let the model compute the question about a text once for all that will be asked of it."""
        chat = prompts.question_chat(self.classifier.task, request.asked_text, request.context)
        self.classifier.model.keep_beginning([chat], of_text=True)

    def _refuse_problems(self, requests: Sequence[ExplainRequest]) -> None:
        for number, problem in enumerate(self.problems(requests), start=1):
            if problem:
                where = f"text {number} of {len(requests)}: " if len(requests) > 1 else ""
                raise UnusableTextError(f"{where}{problem}")

    def problems(self, requests: Sequence[ExplainRequest]) -> list[str | None]:
        """Return why each request cannot be answered, None where it can be; no text of it is repeated."""
        model = self.classifier.model
        problems = [
            request_problem(self.classifier.task, request) or effort_problem(model, request.effort)
            for request in requests
        ]
        fitting = [i for i, problem in enumerate(problems) if problem is None]
        chats = [_longest_chat(self.classifier, requests[i]) for i in fitting]
        for i, objection in zip(fitting, model.objections(chats, REPLY_HEADROOM), strict=True):
            problems[i] = objection and f"the text cannot be used: {objection}"
        return problems


def request_of(row: str | Mapping[str, Any] | ExplainRequest) -> ExplainRequest:
    """Return a row as a request.

    Raises:
        SaywhyError: If a field is unknown, or has a value of another type.
    """
    if isinstance(row, ExplainRequest):
        return row
    if not isinstance(row, str | Mapping):
        raise SaywhyError(f"a text, or a dict with one, is wanted, not a {type(row).__name__}")
    given = {"text": row} if isinstance(row, str) else dict(row)
    names = tuple(ExplainRequest.__dataclass_fields__)
    if unknown := [name for name in given if name not in names]:
        hint = did_you_mean(unknown[0], names, ", ") or ","
        raise SaywhyError(f"a request has no field '{unknown[0]}'{hint} it has {', '.join(names)}")
    if "text" not in given:
        raise SaywhyError("a request without a text")
    if problem := _choice_problem(given.get("effort", "self"), given.get("styles", STYLES)):
        raise SaywhyError(problem)
    try:
        return ExplainRequest.from_dict(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise SaywhyError(f"no request for an explanation: {error}") from error


def _choice_problem(effort: Any, styles: Any) -> str | None:
    """Return what is wrong with an effort or styles, None if nothing is."""
    if effort not in tuple(BUDGETS):
        return f"effort={effort}: it takes {', '.join(BUDGETS)}"
    if not isinstance(styles, list | tuple) or not styles or any(style not in STYLES for style in styles):
        return f"styles={styles}: give some of {', '.join(STYLES)}"
    return None


def explained_prediction(prediction: Prediction, answer: str | None) -> Prediction:
    """Return the prediction as one of ``answer``, which was decided elsewhere; None: as it is."""
    if answer is None or answer == prediction.label:
        return prediction
    others = {label: score for label, score in prediction.scores.items() if label != answer}
    runner_up = max(others, key=others.__getitem__)
    margin = prediction.scores[answer] - others[runner_up]
    return dataclasses.replace(prediction, label=answer, margin=margin, runner_up=runner_up)


def _unexplainable(item: Item, prediction: Prediction) -> str | None:
    """Return why no single word can explain the answer to a text, before anything is asked."""
    if item.prediction.label != prediction.label:
        return f"the model itself answers {prediction.label}: it cannot give reasons for another answer"
    if lacks_blanks(item.example.text):
        return "the text has no blanks between its words: put them in, or have a segmenter do it"
    if len(candidates(item.example.text)) < 2:
        return "the text has fewer than two words: it is not explainable by one of them"
    return None


def effort_problem(model: HasAnswers, effort: Effort) -> str | None:
    """Return why a model cannot be asked with an effort; None if it can."""
    if effort == "repair" and "weigh" not in model.answers:
        return (
            f"effort=repair needs a model that tells how likely it finds words, not '{model.name}': take self or search"
        )
    return None


def request_problem(task: Task, request: ExplainRequest) -> str | None:
    """Return what is wrong with a request, apart from what a model can take; None if nothing is."""
    needed = ", ".join(f"{name}=..." for name in task.context) or "none"
    if not request.text.strip():
        return "the text is empty"
    if any(_BROKEN.search(value) for value in (request.text, *request.context.values())):
        return "the text holds broken characters (bytes that are no UTF-8, or halves of a surrogate pair): mend them"
    if set(request.context) != set(task.context):
        given = ", ".join(request.context) or "none"
        return f"task '{task.name}' takes these other fields: {needed}; got: {given}"
    if problem := _choice_problem(request.effort, request.styles):
        return problem
    if request.budget is not None and request.budget < 1:
        return f"budget={request.budget}: at least one edited text has to be rechecked"
    if request.seconds is not None and not (math.isfinite(request.seconds) and request.seconds > 0):
        return f"seconds={request.seconds}: give a time above 0"
    if request.answer is not None and request.answer not in task.labels:
        hint = did_you_mean(request.answer, task.labels, ", ") or ","
        return f"no label {request.answer!r}{hint} the labels are {', '.join(task.labels)}"
    return None


def _longest_chat(classifier: Classifier, request: ExplainRequest) -> list[prompts.Message]:
    """Return the question, and the edited copy that takes the most tokens."""
    text = request.asked_text
    chat = prompts.question_chat(classifier.task, text, request.context)
    if len(candidates(text)) < 2:
        return chat
    copy = take_out(text, {most_frequent_candidate(text)[0]})
    return [*chat, {"role": "assistant", "content": copy}]
