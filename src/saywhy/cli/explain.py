"""One text: the prediction and three explanations, each rechecked before it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from saywhy.config import Config
from saywhy.measure import audit
from saywhy.measure.audit import Plan
from saywhy.measure.predict import Classifier, calibrate
from saywhy.models.spec import resolve
from saywhy.models.weights import load
from saywhy.progress import progress
from saywhy.records import Example, Prediction, Row, SaywhyError
from saywhy.tasks.corpus import assemble, associate, pin
from saywhy.tasks.data import example_id
from saywhy.tasks.task import Task, load_task
from saywhy.words import candidates


@dataclass(frozen=True, slots=True)
class Explained:
    """What ``explain`` found.

    Attributes:
        task: The task.
        text: The text.
        prediction: The model's answer.
        rows: One judged explanation a style and readout.
    """

    task: Task
    text: str
    prediction: Prediction
    rows: tuple[Row, ...]


def explain(text: str, config: Config, context: Mapping[str, str] | None = None) -> Explained:
    """Classify ``text``, ask for one-word explanations in every style, and recheck each.

    Args:
        text: The explained field.
        config: Model, task and data; the data give calibration texts where the model brings no constants.
        context: The task's other fields.

    Raises:
        SaywhyError: If the text has fewer than two words, or a field is missing or unknown.
    """
    task = load_task(config.task)
    given = dict(context or {})
    if set(given) != set(task.context):
        need = ", ".join(f"{name}=..." for name in task.context) or "none"
        raise SaywhyError(f"task '{task.name}' takes these other fields: {need}; got: {', '.join(given) or 'none'}")
    if len(candidates(text)) < 2:
        raise SaywhyError("the text has fewer than two words: nothing to choose between")
    told = resolve(config.model).travelled(task.name)
    model = load(config.model, config.token_budget, config.precision)
    if told:
        constants, pinned = told.constants, told.pinned
    else:
        corpus = assemble(config)
        if any(one.label is None for one in corpus.lexicon):
            raise SaywhyError("explain needs labelled data, or an adapter that brings its words: model=ADAPTER")
        pinned = dict(pin(corpus, associate(corpus, [one.label for one in corpus.lexicon]), config.pinned_words))
        with progress("calibrate", len(corpus.calibration)) as bar:
            constants = calibrate(model, task, corpus.calibration, bar.tick)
    classifier = Classifier(model, task, constants)
    example = Example(example_id(task, text, given), text, given)
    plan = Plan("asked", pinned, config.styles, ("one-word",), ("generated", "constrained"))
    if aside := audit.unusable(classifier, [example]):
        raise SaywhyError(f"the text cannot be used: {aside[0].reason}")
    found = audit.audit(classifier, [example], plan)
    return Explained(task, text, classifier.predict_examples([example])[0], tuple(found.rows))


def show(found: Explained) -> None:
    """Print prediction, explanations and verdicts."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    prediction = found.prediction
    console.print(f"[bold]{escape(found.task.labels[prediction.label])}[/]  (log-odds {prediction.margin:+.2f})")
    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("style", "readout", "explanation", "faithful?", "recheck", "drop"):
        table.add_column(head, no_wrap=head != "explanation", overflow="fold")
    for row in found.rows:
        said = row.edited if row.style != "attribution" else ", ".join(row.words)
        if row.valid:
            verdict = "[green]yes[/]" if row.hit else "[red]no[/]"
            cells = [escape(said or ""), verdict, found.task.labels[str(row.recheck)], f"{row.drop:+.2f}"]
        else:
            cells = [f"[dim]{escape(row.reply or '')}[/] [red]({row.reason})[/]", "[red]invalid[/]", "", ""]
        table.add_row(row.style, row.readout, *cells)
    console.print(table)
    console.print(
        "[dim]faithful: acting on the explanation changes the model's own answer, as a recheck in a fresh chat shows; "
        "drop: by how much the answer's log-odds fall (nats)[/]"
    )
