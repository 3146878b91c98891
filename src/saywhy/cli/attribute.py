"""``saywhy attribute``: word scores of several methods on the same texts, kept chunk by chunk (``docs/rows.md``).

A run folder of its own, with the texts, the model and the calibration of ``saywhy audit``: each method is a stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from saywhy.arms import AUDITED
from saywhy.attribution import (
    GRADIENT_METHODS,
    METHODS,
    OPERATOR_METHODS,
    MethodOptions,
    check_methods,
    method_passes,
)
from saywhy.config import Config
from saywhy.folders.run import SCORES_FOLDER
from saywhy.folders.store import read_records
from saywhy.measure.edits import Item
from saywhy.models.backends import require
from saywhy.models.interface import Tick
from saywhy.models.spec import resolve_model
from saywhy.progress import progress
from saywhy.records import Example, Operator, Prediction
from saywhy.report.agreement import PREDICTIONS_STEM
from saywhy.runs.run import Run

TextOrItem = TypeVar("TextOrItem")


@dataclass(frozen=True, slots=True)
class MethodPass:
    """One attribution method with one operator.

    Attributes:
        method: Its name in ``METHODS``.
        operator: How it takes words out, if it does.
        name: Its name in files and tables: with its operator, unless that is ``redact``.
    """

    method: str
    operator: Operator
    name: str


def planned_passes(config: Config) -> list[MethodPass]:
    """Return the methods and operators to compute.

    Raises:
        SaywhyError: For a method that does not exist, is not installed or cannot be asked of the model.
    """
    check_methods(config.methods)
    for method in sorted(GRADIENT_METHODS & set(config.methods)):
        require(resolve_model(config.model), "gradients", method, "leave it out of methods=, or use occlusion")
    return [
        MethodPass(
            method,
            operator,
            method if operator == "redact" or method not in OPERATOR_METHODS else f"{method}-{operator}",
        )
        for method, operator in method_passes(config.methods, config.operators)
    ]


def attribute_texts(config: Config, out: Path) -> Path:
    """Score the words of the texts of ``config`` by each of its methods; return the run folder.

    What is already there is not computed again.

    Raises:
        SaywhyError: For what cannot be computed, or if no text can be used.
    """
    method_passes = planned_passes(config)
    run = Run(config, out, arms=(AUDITED,), explains=False)
    run.write_texts()
    run.folder.note(methods=[method_pass.name for method_pass in method_passes])
    with run.models.counting(run.folder):
        items = predicted_items(run)
        for method_pass in method_passes:
            _score_by_method(run, method_pass, items)
    return run.folder.path


def predicted_items(run: Run) -> list[Item]:
    """Return the texts with their predictions, which are computed once and kept."""
    examples, seed = run.corpus.audited, run.config.seeds[0]
    run.classifiers.ensure_calibrated(AUDITED, seed)

    def predict(part: Sequence[Example], tick: Tick) -> list[dict[str, Any]]:
        predictions = run.classifiers.classifier(AUDITED, seed).predict_examples(part, tick)
        pairs = zip(part, predictions, strict=True)
        return [{"id": example.id, **prediction.to_dict()} for example, prediction in pairs]

    _method_stage(run, PREDICTIONS_STEM, examples, predict)
    predictions = read_records(run.folder.path / SCORES_FOLDER / f"{PREDICTIONS_STEM}.jsonl", Prediction)
    return [Item(*pair) for pair in zip(examples, predictions, strict=True)]


def _score_by_method(run: Run, method_pass: MethodPass, items: Sequence[Item]) -> None:
    """Score the words of the texts by one method."""
    config = run.config
    associations = run.classifiers.associations if method_pass.method == "lexical" else {}

    def score(part: Sequence[Item], tick: Tick) -> list[dict[str, Any]]:
        options = MethodOptions(
            operator=method_pass.operator,
            steps=config.steps,
            samples=config.samples,
            seed=config.seeds[0],
            associations=associations,
        )
        classifier = run.classifiers.classifier(AUDITED, config.seeds[0])
        word_scores = METHODS[method_pass.method](classifier, part, options, tick)
        return [
            {"id": item.example.id, **scores.to_dict(), "method": method_pass.name}
            for item, scores in zip(part, word_scores, strict=True)
        ]

    _method_stage(run, method_pass.name, items, score)


def _method_stage(
    run: Run,
    name: str,
    items: Sequence[TextOrItem],
    compute: Callable[[Sequence[TextOrItem], Tick], list[dict[str, Any]]],
) -> None:
    """Run the stage ``name`` over ``items``; ``compute`` returns the lines of some of them."""
    if run.folder.done(SCORES_FOLDER, (name,)):
        return
    title = name.replace("_", " ")
    with run.folder.timed(name), progress(title, len(items), shared=True) as bar:
        run.folder.stage_over(
            SCORES_FOLDER, (name,), items, run.config.chunk, lambda part: {name: compute(part, bar.tick)}, bar.skip
        )
