"""The body of ``POST /v1/explain``: checked before anything waits, and said without repeating what it holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saywhy.explainer.decision import DECISION_SCHEMA, Effort, ExplainedDecision, ExplainRequest
from saywhy.folders.store import parsed_json
from saywhy.hints import did_you_mean
from saywhy.records import STYLES, WordStyle
from saywhy.serve.options import ServiceSettings
from saywhy.serve.refusals import RequestError
from saywhy.tasks.task import Task

Fields = TypeVar("Fields", bound=BaseModel)


class SharedFields(BaseModel):
    """What may be said of one text, or of all texts of a request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    context: dict[str, str] | None = Field(None, description="The task's other fields.")
    answer: str | None = Field(None, description="A label that was decided elsewhere and is to be explained.")
    effort: Effort | None = Field(None, description="How far a reason is looked for.")
    styles: Annotated[list[WordStyle], Field(min_length=1, max_length=3)] | None = Field(
        None, description="What is asked for; the default is an attribution."
    )
    budget: int | None = Field(None, ge=1, le=1_000_000, description="Edited texts that may be rechecked, at most.")
    seconds: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Time from which on nothing more is looked for."
    )


class TextFields(SharedFields):
    """One text."""

    text: str = Field(description="The explained field.")


class ExplainBody(SharedFields):
    """One text (``text``) or several (``texts``); fields beside ``texts`` hold for those that do not say otherwise."""

    text: str | None = Field(None, description="The explained field.")
    texts: list[str | dict[str, Any]] | None = Field(
        None, description="Texts, or objects with `text` and the other fields."
    )
    model: str | None = Field(None, description="Which model of GET /v1/task answers; the default is the first.")


class ExplainAnswer(BaseModel):
    """The answer: one decision a text, in their order."""

    decisions: list[ExplainedDecision]
    schema_: int = Field(DECISION_SCHEMA, alias="schema")


class ProblemDetail(BaseModel):
    """What went wrong."""

    type: str
    message: str


class ProblemAnswer(BaseModel):
    """The answer to a request that is refused."""

    error: ProblemDetail


@dataclass(frozen=True, slots=True)
class AskedTexts:
    """A request that can be put to a model.

    Attributes:
        requests: One a text.
        model: Name of the model that is to answer.
    """

    requests: tuple[ExplainRequest, ...]
    model: str


def asked_texts(
    body: bytes, settings: ServiceSettings, task: Task, models: Sequence[str], efforts: Sequence[Effort]
) -> AskedTexts:
    """Return what the body of a request asks.

    Args:
        body: JSON.
        settings: Limits, and the usual effort.
        task: The task that is served.
        models: Names of the models that answer, the usual one first.
        efforts: How far they can look for a reason.

    Raises:
        RequestError: With what is wrong, and where.
    """
    data = _parsed(body)
    texts = data.get("texts")
    if isinstance(texts, list) and len(texts) > settings.most_texts:
        raise RequestError(
            413, "too_many_texts", f"{len(texts)} texts: at most {settings.most_texts} in a request, send several"
        )
    asked = _fitting(ExplainBody, data, "")
    if (asked.text is None) == (asked.texts is None):
        raise _invalid("give either text or texts")
    if asked.model is not None and asked.model not in models:
        raise _invalid(f"model: this service has {', '.join(models)}")
    if asked.texts is None:
        fields = {name: value for name, value in data.items() if name not in ("model", "texts")}
        requests = [_request(fields, "", settings, task)]
    elif not asked.texts:
        raise _invalid("texts: there is none")
    else:
        shared = {name: value for name, value in data.items() if name in SharedFields.model_fields}
        requests = [
            _request(
                {**shared, **_given({"text": row} if isinstance(row, str) else row)}, f"texts[{at}]", settings, task
            )
            for at, row in enumerate(asked.texts)
        ]
    if any(request.effort not in efforts for request in requests):
        raise _invalid(f"effort: this service has {', '.join(efforts)}")
    return AskedTexts(tuple(requests), asked.model or models[0])


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what a text says: what is null, it leaves to the fields beside ``texts``."""
    return {name: value for name, value in fields.items() if value is not None}


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        data = parsed_json(body.decode("utf-8"))
        json.dumps(data, ensure_ascii=False).encode("utf-8")  # halves of characters (surrogates) are no text
    except (ValueError, RecursionError):
        raise RequestError(400, "bad_json", "the body is no valid JSON in UTF-8") from None
    if not isinstance(data, dict):
        raise _invalid('the body is no JSON object: send {"text": ...}')
    return data


def _request(fields: dict[str, Any], where: str, settings: ServiceSettings, task: Task) -> ExplainRequest:
    """Return one text with what is said of it."""
    asked, at = _fitting(TextFields, fields, where), f"{where}: " if where else ""
    context = asked.context or {}
    if set(context) != set(task.context):
        needed = ", ".join(task.context) or "none"
        raise _invalid(f"{at}context: task '{task.name}' takes these other fields: {needed}")
    if asked.answer is not None and asked.answer not in task.labels:
        raise _invalid(f"{at}answer: the labels are {', '.join(task.labels)}")
    length = len(asked.text) + sum(map(len, context.values()))
    if length > settings.most_characters:
        raise RequestError(
            413, "text_too_long", f"{at}{length} characters: at most {settings.most_characters}, nothing is cut"
        )
    return ExplainRequest(
        asked.text,
        context,
        answer=asked.answer,
        effort=asked.effort or settings.effort,
        styles=tuple(asked.styles) if asked.styles else STYLES[:1],
        budget=asked.budget,
        seconds=asked.seconds,
    )


def _fitting(kind: type[Fields], data: dict[str, Any], where: str) -> Fields:
    """Return the fields of a request.

    Raises:
        RequestError: With the first that does not fit; its value is not repeated.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
    # Of the place only names that are known: others may be words of a text.
    known = [f"[{part}]" if isinstance(part, int) else part for part in problem["loc"][:2] if _is_public(part, kind)]
    place = ".".join(filter(None, [where, "".join(known)]))
    if problem["type"] == "extra_forbidden":
        allowed = ", ".join(kind.model_fields)
        hint = did_you_mean(problem["loc"][-1], kind.model_fields, " ")
        raise _invalid(f"{f'{place}: ' if place else ''}an unknown field;{hint} there are {allowed}")
    raise _invalid(f"{place}: {problem['msg'].removeprefix('Value error, ')}")


def _is_public(part: str | int, kind: type[BaseModel]) -> bool:
    return isinstance(part, int) or part in kind.model_fields


def _invalid(message: str) -> RequestError:
    return RequestError(422, "invalid_request", message)
