"""How far attribution methods agree on the same texts: the same top word, the same order of words."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from saywhy.attribution.scores import WordScores
from saywhy.folders.entries import refuse_path
from saywhy.folders.run import SCORES_FOLDER
from saywhy.folders.store import existing_file, read_lines, read_records
from saywhy.records import Example, Prediction, Record, SaywhyError
from saywhy.report.format import Sheet, SheetCell, estimate_cell, number, sheet_of
from saywhy.report.load import load_run
from saywhy.report.tables import csv_text
from saywhy.stats import Interval, mean_interval, rate

LineRecord = TypeVar("LineRecord", bound=Record)

PREDICTIONS_STEM = "predictions"
"""The file of the predictions that are explained."""


@dataclass(frozen=True)
class Attributions:
    """The word scores of a run folder.

    Attributes:
        folder: The run folder.
        manifest: ``run.json``.
        texts: The scored texts by id, in the order in which they were scored.
        predictions: The prediction of each text by id.
        scores: The word scores by method and text id.
        aside: How many texts could not be used.
    """

    folder: Path
    manifest: Mapping[str, Any]
    texts: Mapping[str, Example]
    predictions: Mapping[str, Prediction]
    scores: Mapping[str, Mapping[str, WordScores]]
    aside: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two methods on the texts on which both tell words apart.

    Attributes:
        first: The first method.
        second: The second method.
        top: Share of texts in which both give the highest score to the same word (of equals, the first).
        rank: Mean of Spearman's rank correlation of the words' scores in a text.
    """

    first: str
    second: str
    top: Interval
    rank: Interval


def has_scores(folder: Path) -> bool:
    """Whether a run folder was written by ``saywhy attribute``."""
    return (folder / SCORES_FOLDER).is_dir()


def load_scores(folder: Path) -> Attributions:
    """Read the word scores of a run folder.

    Raises:
        SaywhyError: If there are none, or a method has not been finished.
    """
    run = load_run(folder)
    scores_folder = folder / SCORES_FOLDER
    remedy = "run the same 'saywhy attribute' again to finish it"
    methods = run.manifest.get("methods", [])
    for name in (PREDICTIONS_STEM, *methods):
        refuse_path(name, folder / "run.json")
        if existing_file(scores_folder / f"{name}.jsonl") is None:
            raise SaywhyError(f"{folder} has no {name}.jsonl: {remedy}")
    scores = {name: _records_by_text(scores_folder / f"{name}.jsonl", WordScores) for name in methods}
    predictions = _records_by_text(scores_folder / f"{PREDICTIONS_STEM}.jsonl", Prediction)
    if not predictions or not scores:
        raise SaywhyError(f"{folder} holds no word scores: run 'saywhy attribute' again")
    for name, records in {"texts": run.texts, **scores}.items():
        if missing := predictions.keys() - records.keys():
            raise SaywhyError(f"{folder}: {name}.jsonl lacks {len(missing)} of {len(predictions)} texts: {remedy}")
    return Attributions(
        folder=folder,
        manifest=run.manifest,
        texts={text_id: run.texts[text_id] for text_id in predictions},
        predictions=predictions,
        scores=scores,
        aside=len(run.set_aside),
    )


def _records_by_text(path: Path, kind: type[LineRecord]) -> dict[str, LineRecord]:
    """Read a file of records, one a text, by the text id that stands beside each record."""
    return {line["id"]: record for line, record in zip(read_lines(path, "id"), read_records(path, kind), strict=True)}


def agreements(attributions: Attributions) -> list[Agreement]:
    """Return the agreement of every two methods, in the order in which they were asked for."""
    return [
        _methods_agreement(first, second, attributions.scores[first], attributions.scores[second])
        for first, second in combinations(attributions.scores, 2)
    ]


def _methods_agreement(
    first: str, second: str, first_scores: Mapping[str, WordScores], second_scores: Mapping[str, WordScores]
) -> Agreement:
    pairs = [
        (left, second_scores[text_id])
        for text_id, left in first_scores.items()
        if _tells_words_apart(left) and text_id in second_scores and _tells_words_apart(second_scores[text_id])
    ]
    if not pairs:
        nothing = Interval(None, None, None, 0, "no text in which both methods tell words apart")
        return Agreement(first, second, nothing, nothing)
    return Agreement(
        first,
        second,
        rate([left.best() == right.best() for left, right in pairs]),
        mean_interval(_rank_correlation(left, right) for left, right in pairs),
    )


def _tells_words_apart(scores: WordScores) -> bool:
    """Whether the words have different scores: where all are equal there is neither top word nor order."""
    return len(set(scores.scores)) > 1


def _rank_correlation(left: WordScores, right: WordScores) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(left.scores, right.scores).statistic)


def agreement_sheet(attributions: Attributions) -> Sheet | None:
    """Return the agreements as a table; None for a single method."""
    rows: list[list[SheetCell | str]] = [
        [
            agreement.first,
            agreement.second,
            estimate_cell(agreement.top),
            estimate_cell(agreement.rank),
            SheetCell(str(agreement.top.n)),
        ]
        for agreement in agreements(attributions)
    ]
    if not rows:
        return None
    chance = statistics.fmean(1 / len(scores.words) for scores in next(iter(attributions.scores.values())).values())
    note = (
        "top-1: share of texts in which both methods give the highest score to the same word (two random words: "
        f"{number(chance)}); rank correlation: Spearman's, of the words of a text, mean over texts; 95 % intervals; "
        "n: texts in which both methods tell words apart."
    )
    return sheet_of("Agreement between methods", ("method", "and", "top-1", "rank correlation", "n"), rows, note)


def gap_sheet(attributions: Attributions) -> Sheet | None:
    """Return the completeness gaps as a table; None where no method promises completeness."""
    rows: list[list[SheetCell | str]] = []
    for name, by_text in attributions.scores.items():
        gaps = [abs(scores.gap) for scores in by_text.values() if scores.gap is not None]
        changes = [abs(scores.change) for scores in by_text.values() if scores.change is not None]
        if gaps:
            numbers = (statistics.fmean(gaps), max(gaps), statistics.fmean(changes) if changes else None)
            rows.append([name, *(SheetCell(number(value, 4)) for value in numbers), SheetCell(str(len(gaps)))])
    note = (
        "Gap: what the scores of a text's tokens add up to, minus the change of the margin from the baseline to the "
        "text (nats). Where it is not small beside the change, raise steps."
    )
    header = ("method", "mean gap", "largest gap", "mean change", "n")
    return sheet_of("Completeness", header, rows, note, texts=1) if rows else None


def agreement_csv(attributions: Attributions) -> str:
    """Return the agreements as CSV, in full precision."""
    return csv_text(
        [
            {
                "first": agreement.first,
                "second": agreement.second,
                "n": agreement.top.n,
                **{
                    f"{name}{bound}": getattr(interval, bound.strip("_") or "value")
                    for name, interval in (("top1", agreement.top), ("rank", agreement.rank))
                    for bound in ("", "_low", "_high")
                },
            }
            for agreement in agreements(attributions)
        ]
    )
