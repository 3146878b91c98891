"""``saywhy attribute``: word scores of several methods on the same texts, kept chunk by chunk (``docs/rows.md``).

A run folder of its own, with the texts, the model and the calibration of ``saywhy audit``: each method is a stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saywhy.attribution import METHODS, TAKE_OUT, Options, check, passes
from saywhy.config import Config
from saywhy.folders.store import read_records
from saywhy.measure.edits import Item
from saywhy.progress import progress
from saywhy.records import Operator, Prediction
from saywhy.report.agreement import FOLDER, PREDICTIONS
from saywhy.runs.run import AUDITED, Run


@dataclass(frozen=True, slots=True)
class Pass:
    """One method with one operator.

    Attributes:
        method: Its name in ``METHODS``.
        operator: How it takes words out, if it does.
        name: What it is called in files and tables: with its operator, unless that is ``redact``.
    """

    method: str
    operator: Operator
    name: str


def planned(config: Config) -> list[Pass]:
    """Return what is to be computed.

    Raises:
        SaywhyError: For a method that does not exist or is not installed.
    """
    check(config.methods)
    return [
        Pass(method, operator, method if operator == "redact" or method not in TAKE_OUT else f"{method}-{operator}")
        for method, operator in passes(config.methods, config.operators)
    ]


def attribute(config: Config, out: Path) -> Path:
    """Score the words of the texts of ``config`` by each of its methods; return the run folder.

    What is already there is not computed again.

    Raises:
        SaywhyError: For what cannot be computed, or if no text can be used.
    """
    runs = planned(config)
    run = Run(config, out, arms=(AUDITED,))
    run.write_texts()
    run.folder.note(methods=[one.name for one in runs])
    items = predicted(run)
    for one in runs:
        _stage(run, one, items)
    return run.folder.path


def predicted(run: Run) -> list[Item]:
    """Return the texts with the predictions that are explained, made once."""
    examples = run.corpus.audited

    def lines(part: Sequence[int], tick: Any) -> list[dict[str, Any]]:
        some = [examples[at] for at in part]
        found = run.classifier(AUDITED, run.config.seeds[0]).predict_examples(some, tick)
        return [{"id": one.id, **prediction.to_dict()} for one, prediction in zip(some, found, strict=True)]

    run.constants(AUDITED, run.config.seeds[0])
    _chunks(run, PREDICTIONS, len(examples), lines)
    told = read_records(run.folder.path / FOLDER / f"{PREDICTIONS}.jsonl", Prediction)
    return [Item(*pair) for pair in zip(examples, told, strict=True)]


def _stage(run: Run, one: Pass, items: Sequence[Item]) -> None:
    config = run.config
    found_in_corpus = run.associations if one.method == "lexical" else {}

    def lines(part: Sequence[int], tick: Any) -> list[dict[str, Any]]:
        options = Options(
            operator=one.operator,
            steps=config.steps,
            samples=config.samples,
            seed=config.seeds[0],
            associations=found_in_corpus,
        )
        some = [items[at] for at in part]
        found = METHODS[one.method](run.classifier(AUDITED, config.seeds[0]), some, options, tick)
        return [
            {"id": item.example.id, **scores.to_dict(), "method": one.name}
            for item, scores in zip(some, found, strict=True)
        ]

    _chunks(run, one.name, len(items), lines)


def _chunks(run: Run, name: str, total: int, lines: Any) -> None:
    """Run the stage ``name``: ``lines`` makes the lines of some of the ``total`` texts."""
    size = run.config.chunk
    if run.folder.done(FOLDER, (name,)):
        return
    with run.folder.timed(name), progress(name.replace("_", " "), total, shared=True) as bar:

        def chunk(number: int) -> dict[str, list[dict[str, Any]]]:
            part = range(number * size, min(total, (number + 1) * size))
            return {name: lines(part, bar.tick)}

        run.folder.stage(FOLDER, (name,), -(-total // size), chunk)
