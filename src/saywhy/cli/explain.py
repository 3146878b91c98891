"""One text: the prediction and three explanations, each rechecked before it is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saywhy.config import Config
from saywhy.hints import did_you_mean
from saywhy.measure import audit
from saywhy.measure.audit import AuditPlan
from saywhy.measure.calibration import calibrate, carried_calibration, no_calibration
from saywhy.measure.predict import Classifier
from saywhy.models.backends import open_model
from saywhy.models.spec import resolve_model
from saywhy.printable import in_one_line
from saywhy.progress import PlainConsole, progress
from saywhy.records import Example, Prediction, Readout, Row, SaywhyError
from saywhy.setting_names import OLD_NAMES
from saywhy.tasks.corpus import assemble_corpus, corpus_associations, pinned_of_corpus, task_of
from saywhy.tasks.data import example_id
from saywhy.tasks.task import Task, load_task
from saywhy.training.models import in_practised_plan
from saywhy.words import candidates, lacks_blanks


@dataclass(frozen=True, slots=True)
class ExplainedText:
    """A text with the model's answer and the rechecked explanations.

    Attributes:
        task: The task.
        text: The text.
        prediction: The model's answer.
        rows: One rechecked explanation for each style and readout.
    """

    task: Task
    text: str
    prediction: Prediction
    rows: tuple[Row, ...]


_PAIR = re.compile(r"(?:context\.)?[A-Za-z_][\w.]*=")


def text_and_pairs(words: Sequence[str]) -> tuple[str, list[str], dict[str, str]]:
    """Return the text, the settings and the task's other fields among the words of ``saywhy explain``.

    Raises:
        SaywhyError: If there is not one text, or if a word is neither a setting nor a field.
    """
    settings = [word for word in words if (key := word.partition("=")[0]) in _SETTINGS or key.startswith("trainer.")]
    named_task = [word.removeprefix("task=") for word in settings if word.startswith("task=")]
    context = load_task(named_task[-1] if named_task else Config.model_fields["task"].default).context
    fields, texts, unknown = dict[str, str](), list[str](), list[str]()
    for word in words:
        key, equals, value = word.partition("=")
        if word in settings:
            continue
        if equals and key.removeprefix("context.") in context:
            fields[key.removeprefix("context.")] = value
        else:
            (unknown if _PAIR.match(word) else texts).append(word)
    if not texts and len(unknown) == 1 and " " in unknown[0]:
        texts, unknown = unknown, []  # a text that begins like a setting
    if unknown:
        key = unknown[0].partition("=")[0]
        hint = did_you_mean(key, (*_SETTINGS, *context), ", ") or "."
        others = ", ".join(f"{name}=..." for name in context) or "none"
        raise SaywhyError(f"no setting or field '{key}'{hint} The task takes these other fields: {others}")
    if len(texts) != 1:
        shown = f", not {len(texts)}: {in_one_line(texts, 160)}" if texts else ""
        raise SaywhyError(f"explain takes one text, in quotes{shown}")
    return texts[0], settings, fields


_SETTINGS = (*Config.model_fields, *OLD_NAMES)


def explain_text(text: str, config: Config, context: Mapping[str, str] | None = None) -> ExplainedText:
    """Classify ``text``, ask for one-word explanations in every style, and recheck each.

    Args:
        text: The explained field.
        config: Model, task and data; the data give calibration texts if the model has no constants of its own.
        context: The task's other fields.

    Raises:
        SaywhyError: If the text has fewer than two words or no blanks between them, or a field is missing or unknown.
    """
    config = in_practised_plan(config)
    task = task_of(config)
    fields = dict(context or {})
    if set(fields) != set(task.context):
        needed = ", ".join(f"{name}=..." for name in task.context) or "none"
        raise SaywhyError(f"task '{task.name}' takes these other fields: {needed}; got: {', '.join(fields) or 'none'}")
    if lacks_blanks(text):
        raise SaywhyError("the text has no blanks between its words: put them in, or have a segmenter do it")
    if len(candidates(text)) < 2:
        raise SaywhyError("the text has fewer than two words: nothing to choose between")
    spec = resolve_model(config.model)
    spec.refuse_plan(config.plan)
    carried = carried_calibration(spec, task)
    if carried:
        constants, pinned = carried.constants, carried.pinned
        model = open_model(config.model, config.token_budget, config.precision)
    else:
        corpus = assemble_corpus(config)  # before the model: loading that takes longer
        labels = [example.label for example in corpus.lexicon]
        if any(label is None for label in labels):
            raise SaywhyError("explain needs labelled data, or an adapter that brings its words: model=ADAPTER")
        pinned = dict(pinned_of_corpus(corpus, corpus_associations(corpus, labels), config.pinned_words))
        model = open_model(config.model, config.token_budget, config.precision)
        constants = no_calibration(task)
        if config.calibration:
            with progress("calibrate", len(corpus.calibration)) as bar:
                constants = calibrate(model, task, corpus.calibration, bar.tick)
    classifier = Classifier(model, task, constants if config.calibration else no_calibration(task))
    example = Example(example_id(task.name, text, fields), text, fields)
    # A valid explanation of every text, where the model can be held to it.
    written: Readout = "guided" if "guide" in model.answers else "generated"
    plan = AuditPlan("asked", pinned, config.styles, ("one-word",), (written, "constrained"))
    if set_aside := audit.unusable(classifier, [example]):
        raise SaywhyError(f"the text cannot be used: {set_aside[0].reason}")
    result = audit.audit(classifier, [example], plan)
    return ExplainedText(task, text, classifier.predict_examples([example])[0], tuple(result.rows))


MOST_FLOOR = 0.5
"""Share of a text's words from which on a word that changes the answer is no better than another."""


def verdict(row: Row) -> tuple[str, str]:
    """Return what a recheck says of an explanation, beside what other words of the text would have done; its colour."""
    if not row.valid:
        return "invalid", "red"
    if row.hit and row.floor < MOST_FLOOR:
        return "holds", "green"
    if row.hit:
        return f"too close ({100 * row.floor:.0f} % of the words would do)", "yellow"
    return ("does not hold", "red") if row.ceiling else ("no single word can", "yellow")


def print_explained(explained: ExplainedText) -> None:
    """Print prediction, explanations and verdicts."""
    from rich.table import Table
    from rich.text import Text

    console = PlainConsole()
    words, prediction = explained.task.labels, explained.prediction
    raw = "" if prediction.raw_label == prediction.label else f"; before calibration: {words[prediction.raw_label]}"
    answer = Text(words[prediction.label], "bold")
    console.print(answer.append(f"  (log-odds {prediction.margin:+.2f}{raw}; task {explained.task.name})", "not bold"))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("style", "readout", "explanation", "verdict", "recheck", "drop"):
        table.add_column(column, no_wrap=column not in ("explanation", "verdict"), overflow="fold")
    for row in explained.rows:
        explanation = row.edited if row.style != "attribution" else ", ".join(row.words)
        if row.valid:
            cells = [Text(explanation or ""), Text(words[str(row.recheck)]), Text(f"{row.drop:+.2f}")]
        else:
            cells = [Text(row.reply or "", "dim").append(f" ({row.reason})", "not dim red"), Text(), Text()]
        table.add_row(row.style, row.readout, cells[0], Text(*verdict(row)), *cells[1:])
    console.print(table)
    console.print(
        Text(
            "holds: acting on the explanation changes the model's own answer, as a recheck in a fresh chat shows, and "
            f"less than {100 * MOST_FLOOR:.0f} % of the text's words would; drop: by how much the answer's log-odds "
            "fall (nats)",
            "dim",
        )
    )
