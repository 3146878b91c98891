"""How far attribution methods agree on the same texts: the same top word, the same order of words."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar

from saywhy.folders.store import existing, read_lines, read_records
from saywhy.records import Example, Prediction, Record, SaywhyError, WordScores
from saywhy.report.format import Sheet, Shown, estimate, number, sheet
from saywhy.report.load import load_run
from saywhy.stats import Interval, mean_interval, rate

R = TypeVar("R", bound=Record)

FOLDER = "attribution"
"""Where word scores lie in a run folder, a file a method."""
PREDICTIONS = "predictions"
"""The file of the predictions that are explained."""


@dataclass(frozen=True)
class Attributed:
    """Word scores, read.

    Attributes:
        folder: The run folder.
        manifest: ``run.json``.
        texts: By id, in the order in which they were scored.
        predictions: By id.
        scores: By method and id.
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
        first: A method.
        second: Another.
        top: Share of texts in which both give the highest score to the same word (of equals, the first).
        rank: Mean of Spearman's rank correlation of the words' scores in a text.
    """

    first: str
    second: str
    top: Interval
    rank: Interval


def has_scores(folder: Path) -> bool:
    """Whether a run folder was written by ``saywhy attribute``."""
    return (folder / FOLDER).is_dir()


def load_scores(folder: Path) -> Attributed:
    """Read the word scores of a run folder.

    Raises:
        SaywhyError: If there are none, or a method has not been finished.
    """
    run = load_run(folder)
    where = folder / FOLDER
    again = "run the same 'saywhy attribute' again to finish it"
    methods = run.manifest.get("methods", [])
    for name in (PREDICTIONS, *methods):
        if existing(where / f"{name}.jsonl") is None:
            raise SaywhyError(f"{folder} has no {name}.jsonl: {again}")
    scores = {name: _by_id(where / f"{name}.jsonl", WordScores) for name in methods}
    predictions = _by_id(where / f"{PREDICTIONS}.jsonl", Prediction)
    if not predictions or not scores:
        raise SaywhyError(f"{folder} holds no word scores: run 'saywhy attribute' again")
    for name, ids in {"texts": run.texts, **scores}.items():
        if missing := predictions.keys() - ids.keys():
            raise SaywhyError(f"{folder}: {name}.jsonl lacks {len(missing)} of {len(predictions)} texts: {again}")
    return Attributed(
        folder=folder,
        manifest=run.manifest,
        texts={one: run.texts[one] for one in predictions},
        predictions=predictions,
        scores=scores,
        aside=len(run.set_aside),
    )


def _by_id(path: Path, kind: type[R]) -> dict[str, R]:
    """Read the records of a file whose lines also say which text they are of."""
    return {line["id"]: one for line, one in zip(read_lines(path, "id"), read_records(path, kind), strict=True)}


def agreements(found: Attributed) -> list[Agreement]:
    """Return the agreement of every two methods, in the order in which they were asked for."""
    return [
        _agreement(first, second, found.scores[first], found.scores[second])
        for first, second in combinations(found.scores, 2)
    ]


def _agreement(first: str, second: str, one: Mapping[str, WordScores], other: Mapping[str, WordScores]) -> Agreement:
    pairs = [
        (mine, other[text]) for text, mine in one.items() if _tells(mine) and text in other and _tells(other[text])
    ]
    if not pairs:
        nothing = Interval(None, None, None, 0, "no text in which both methods tell words apart")
        return Agreement(first, second, nothing, nothing)
    return Agreement(
        first,
        second,
        rate([mine.best() == others.best() for mine, others in pairs]),
        mean_interval(_correlation(mine, others) for mine, others in pairs),
    )


def _tells(scores: WordScores) -> bool:
    """Whether the words have different scores: where all are equal there is neither top word nor order."""
    return len(set(scores.scores)) > 1


def _correlation(one: WordScores, other: WordScores) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one.scores, other.scores).statistic)


def agreement_sheet(found: Attributed) -> Sheet | None:
    """Return the agreements as a table; None for a single method."""
    rows: list[list[Shown | str]] = [
        [one.first, one.second, estimate(one.top), estimate(one.rank), Shown(str(one.top.n))]
        for one in agreements(found)
    ]
    if not rows:
        return None
    chance = statistics.fmean(1 / len(one.words) for one in next(iter(found.scores.values())).values())
    note = (
        "top-1: share of texts in which both methods give the highest score to the same word (two random words: "
        f"{number(chance)}); rank correlation: Spearman's, of the words of a text, mean over texts; 95 % intervals; "
        "n: texts in which both methods tell words apart."
    )
    return sheet("Agreement between methods", ("method", "and", "top-1", "rank correlation", "n"), rows, note)


def gap_sheet(found: Attributed) -> Sheet | None:
    """Return the completeness gaps as a table; None where no method promises completeness."""
    rows: list[list[Shown | str]] = []
    for name, mine in found.scores.items():
        gaps = [abs(one.gap) for one in mine.values() if one.gap is not None]
        changes = [abs(one.change) for one in mine.values() if one.change is not None]
        if gaps:
            numbers = (statistics.fmean(gaps), max(gaps), statistics.fmean(changes) if changes else None)
            rows.append([name, *(Shown(number(value, 4)) for value in numbers), Shown(str(len(gaps)))])
    note = (
        "Gap: what the scores of a text's tokens add up to, minus the change of the margin from the baseline to the "
        "text (nats). Where it is not small beside the change, raise steps."
    )
    header = ("method", "mean gap", "largest gap", "mean change", "n")
    return sheet("Completeness", header, rows, note, texts=1) if rows else None


def agreement_csv(found: Attributed) -> str:
    """Return the agreements as CSV, in full precision."""
    lines = ["first,second,n,top1,top1_low,top1_high,rank,rank_low,rank_high"]
    for one in agreements(found):
        values = (one.top.value, one.top.low, one.top.high, one.rank.value, one.rank.low, one.rank.high)
        cells = ["" if value is None else json.dumps(value) for value in values]
        lines.append(",".join([one.first, one.second, str(one.top.n), *cells]))
    return "\n".join(lines) + "\n"
