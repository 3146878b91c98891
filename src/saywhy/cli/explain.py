"""``saywhy explain``: one text shown with its rechecked reason, or many lines as JSONL."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from saywhy.config import Config
from saywhy.explainer.calibrated import refuse_other_settings
from saywhy.explainer.decision import BUDGETS, Check, ExplainedDecision, ExplainRequest
from saywhy.explainer.explainer import (
    Explainer,
    effort_problem,
    explained_prediction,
    request_of,
    request_problem,
)
from saywhy.hints import did_you_mean
from saywhy.holding import MOST_CHANCE, CheckStatus
from saywhy.models.api.client import ModelUnavailableError
from saywhy.models.spec import resolve_model
from saywhy.paths import user_path
from saywhy.printable import in_one_line
from saywhy.progress import PlainConsole, progress, say
from saywhy.records import Prediction, SaywhyError
from saywhy.setting_names import OLD_NAMES
from saywhy.settings import parse
from saywhy.tasks.corpus import task_of
from saywhy.tasks.task import Task, load_task

_PAIR = re.compile(r"(?:context\.)?[A-Za-z_][\w.]*=")
_SETTINGS = (*Config.model_fields, *OLD_NAMES)
_LIMITS = {"budget": int, "seconds": float}
_ASKED = ("effort", "answer", "confidence", *_LIMITS)
"""What is said beside settings: fields of ``ExplainRequest``, and whose confidence is shown."""
LINES_AT_ONCE = 16
"""Lines that are decided together."""


@dataclass(frozen=True, slots=True)
class ExplainWords:
    """The words of ``saywhy explain``, understood.

    Attributes:
        text: The text; None: texts come from standard input.
        settings: Pairs that are settings.
        fields: The task's other fields.
        asked: What else is asked of each text, as ``ExplainRequest`` calls it.
        confidence: An audit on which a confidence was fitted; None: no confidence is shown.
    """

    text: str | None
    settings: list[str]
    fields: dict[str, str] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    confidence: Path | None = None


def read_words(words: Sequence[str]) -> ExplainWords:
    """Return what the words of ``saywhy explain`` mean, in any order.

    Raises:
        SaywhyError: If there is more than one text, or if a word is neither a setting nor a field.
    """
    keys = [word.partition("=")[0] for word in words]
    settings = [word for word, key in zip(words, keys, strict=True) if key in _SETTINGS or key.startswith("trainer.")]
    named_task = [word.removeprefix("task=") for word in settings if word.startswith("task=")]
    context = load_task(named_task[-1] if named_task else Config.model_fields["task"].default).context
    fields, asked, texts, unknown = dict[str, str](), dict[str, Any](), list[str](), list[str]()
    for word, key in zip(words, keys, strict=True):
        value = word.partition("=")[2]
        if word in settings:
            continue
        if key != word and key.removeprefix("context.") in context:
            fields[key.removeprefix("context.")] = value
        elif key != word and key in _ASKED:
            asked[key] = _asked_value(key, value)
        else:
            (unknown if _PAIR.match(word) else texts).append(word)
    if not texts and len(unknown) == 1 and " " in unknown[0]:
        texts, unknown = unknown, []  # a text that begins like a setting
    if unknown:
        key = unknown[0].partition("=")[0]
        hint = did_you_mean(key, (*_SETTINGS, *_ASKED, *context), ", ") or "."
        others = ", ".join(f"{name}=..." for name in context) or "none"
        raise SaywhyError(f"no setting or field '{key}'{hint} The task takes these other fields: {others}")
    if len(texts) > 1:
        raise SaywhyError(f"explain takes one text, in quotes, not {len(texts)}: {in_one_line(texts, 160)}")
    audited = asked.pop("confidence", None)
    return ExplainWords(texts[0] if texts else None, settings, fields, asked, audited and user_path(audited))


def _asked_value(key: str, value: str) -> Any:
    if key == "effort" and value not in BUDGETS:
        hint = did_you_mean(value, BUDGETS, behind=" ")
        raise SaywhyError(f"effort={value}: {hint}it takes {', '.join(BUDGETS)}")
    if not value:
        raise SaywhyError(f"{key}= has no value: give one, or leave it out")
    try:
        return _LIMITS.get(key, str)(value)
    except ValueError as error:
        raise SaywhyError(f"{key}={value}: give a number") from error


def explain(words: Sequence[str], *, as_json: bool) -> int:
    """Explain the text among ``words``, or each line of standard input; return how many lines could not be."""
    given = read_words(words)
    config = parse(given.settings)
    refuse_other_settings(config, "styles")
    spec = resolve_model(config.model)
    effort = "self" if effort_problem(spec, "repair") else "repair"
    asked = {"styles": config.styles, "effort": effort, **given.asked}
    if problem := effort_problem(spec, asked["effort"]):
        raise SaywhyError(problem)
    if given.text is not None:
        request = ExplainRequest(given.text, given.fields, **asked)
        if problem := request_problem(task_of(config), request):  # before the model: loading that takes longer
            raise SaywhyError(problem)
        explainer = Explainer.of(config, given.confidence)
        if not as_json:  # the answer is there long before its reason
            prediction = explained_prediction(explainer.answer(request), request.answer)
            print_answer(explainer.classifier.task, prediction)
        (decision,) = explainer.decide_many([request])
        if as_json:
            write_json_line(decision.to_dict())
        else:
            print_reason(decision)
        return 0
    if sys.stdin is None or sys.stdin.isatty():
        raise SaywhyError("explain takes one text, in quotes; or give lines on standard input: saywhy explain < FILE")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # a line that cannot be read fails by itself
    lines = [line.rstrip("\r\n") for line in sys.stdin]
    lines[:1] = [line.removeprefix("\ufeff") for line in lines[:1]]  # as Windows marks UTF-8
    if not any(map(str.strip, lines)):
        raise SaywhyError("standard input has no line: give texts, one a line, or objects of JSON with a text")
    return _explain_lines(Explainer.of(config, given.confidence), lines, {"context": given.fields, **asked})


def _explain_lines(explainer: Explainer, lines: Sequence[str], shared: Mapping[str, Any]) -> int:
    """Write a decision a line, and an error for a line that cannot be explained; return how many these are."""
    failed = 0
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    with progress("explain", len(numbered)) as bar:
        for part in _parts(numbered, LINES_AT_ONCE):
            answers = _answers(explainer, part, shared)
            for (number, _), answer in zip(part, answers, strict=True):
                failed += isinstance(answer, str)
                write_json_line({"line": number, "error": answer} if isinstance(answer, str) else answer.to_dict())
            bar.tick(len(part))
    if failed:
        say(f"{failed} of {len(numbered)} lines could not be explained: their lines of output say why")
    return failed


def _parts(lines: Iterable[tuple[int, str]], size: int) -> Iterator[list[tuple[int, str]]]:
    rest = iter(lines)
    while part := list(islice(rest, size)):
        yield part


def _answers(
    explainer: Explainer, lines: Sequence[tuple[int, str]], shared: Mapping[str, Any]
) -> list[ExplainedDecision | str]:
    """Return the decision on each line, or why there is none."""
    requests = [_request_of_line(line, shared) for _, line in lines]
    readable = [request for request in requests if isinstance(request, ExplainRequest)]
    problems = iter(explainer.problems(readable))
    checked = [next(problems) or request if isinstance(request, ExplainRequest) else request for request in requests]
    decisions = iter(_decisions(explainer, [request for request in checked if isinstance(request, ExplainRequest)]))
    return [next(decisions) if isinstance(request, ExplainRequest) else request for request in checked]


def _decisions(explainer: Explainer, requests: Sequence[ExplainRequest]) -> list[ExplainedDecision | str]:
    """Return the decision on each text, or why there is none; if all together fail, each half is tried by itself.

    Raises:
        ModelUnavailableError: If the server of the model answers nobody.
    """
    if not requests:
        return []
    try:
        return [*explainer.decide_many(requests)]
    except SaywhyError as error:
        if isinstance(error, ModelUnavailableError) and not error.may_answer_others:
            raise
        if len(requests) == 1:
            return [str(error)]
    middle = len(requests) // 2
    return [*_decisions(explainer, requests[:middle]), *_decisions(explainer, requests[middle:])]


def _request_of_line(line: str, shared: Mapping[str, Any]) -> ExplainRequest | str:
    """Return the request of a line, a text or a JSON object with one; why it is none, if it is none."""
    if not line.lstrip().startswith("{"):
        return request_of({**shared, "text": line})
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        if _BEGINS_A_REQUEST.match(line):
            return f"broken JSON ({error}); a text that begins with a brace is given as an object with a text"
        return request_of({**shared, "text": line})  # a text that begins with a brace
    fields = {key: value for key, value in row.items() if key not in _REQUEST_FIELDS}
    own = row.get("context", {})
    # What is no object is left to be said.
    context = {**shared["context"], **fields, **own} if isinstance(own, dict) else own
    try:
        return request_of({**shared, **{key: row[key] for key in row if key in _REQUEST_FIELDS}, "context": context})
    except SaywhyError as error:
        return str(error)


_REQUEST_FIELDS = tuple(ExplainRequest.__dataclass_fields__)
_BEGINS_A_REQUEST = re.compile(rf'\s*\{{\s*"(?:.*,\s*")?(?:{"|".join(_REQUEST_FIELDS)})"\s*:', re.S)
"""What begins an object of JSON with a field of a request among its first ones, which may be broken further on."""


def write_json_line(content: Mapping[str, Any]) -> None:
    """Write one line of JSON to standard output; signs that a terminal would obey are escaped."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


_COLOURS: Mapping[CheckStatus, str] = {"holds": "green", "too_close": "yellow", "no_single_word": "yellow"}


def verdict(check: Check, tried: str = "words") -> tuple[str, str]:
    """Return what a recheck says of one of what was ``tried``, in words, and its colour; red: nor is it close."""
    words = check.status.replace("_", " ")
    if check.status == "too_close" and check.chance is not None:
        words += f" ({100 * check.chance:.0f} % of the {tried} would do)"
    if check.status == "no_single_word":
        words += " can"
    return words, _COLOURS.get(check.status, "red")


def print_answer(task: Task, prediction: Prediction) -> None:
    """Print what the model answers, and how surely."""
    from rich.text import Text

    words = task.labels
    raw = "" if prediction.raw_label == prediction.label else f"; before calibration: {words[prediction.raw_label]}"
    answer = Text(words[prediction.label], "bold")
    PlainConsole().print(answer.append(f"  (log-odds {prediction.margin:+.2f}{raw}; task {task.name})", "not bold"))


def print_reason(decision: ExplainedDecision) -> None:
    """Print the reason and the edited texts, each with what its recheck says."""
    from rich.table import Table
    from rich.text import Text

    console, words = PlainConsole(), decision.label_words
    console.print(Text(decision.message))
    if like := decision.confidence:
        console.print(
            f"of {like.texts} audited decisions like this one the reason held in {like.share:.2f} "
            f"[{like.low:.2f}, {like.high:.2f}]"
        )
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", "explanation", "verdict", "recheck", "drop"):
        table.add_column(column, no_wrap=column not in ("explanation", "verdict"), overflow="fold")
    for name, explanation, check in _explanations(decision):
        cells = [Text(explanation), Text(*verdict(check, "replacements" if name == "counterfactual" else "words"))]
        if check.drop is None:
            cells[0].append(f" ({check.problem})", "dim")
        else:
            cells += [Text(words[str(check.label_without)]), Text(f"{check.drop:+.2f}")]
        table.add_row(name, *cells)
    if table.row_count:
        console.print(table)
        console.print(Text(_LEGEND, "dim"))


_LEGEND = (
    "holds: acting on the explanation changes the model's own answer, as a recheck in a fresh chat shows, and less "
    f"than {100 * MOST_CHANCE:.0f} % of the words (or replacements) tried beside it would; drop: by how much the "
    "answer's log-odds fall, of a counterfactual how much those of the other answer rise (nats)"
)


def _explanations(decision: ExplainedDecision) -> Iterator[tuple[str, str, Check]]:
    """Yield the name, the text and the check of each explanation."""
    if decision.reason and decision.reason.style == "attribution":
        rank = f", its word {decision.reason.rank}" if decision.reason.rank > 1 else ""
        yield f"attribution{rank}", ", ".join(decision.reason.words), decision.check
    elif decision.check.status == "invalid":
        yield "attribution", "", decision.check
    for name, edited in (("redaction", decision.redaction), ("counterfactual", decision.counterfactual)):
        if edited:
            yield name, edited.text or edited.reply or "", edited.check
    if decision.fallback:
        yield "found by the ruler", ", ".join(decision.fallback.words), decision.fallback.check
