"""How good a confidence is for each cell of the headline: cross-fitted from the rows, before it is formatted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saywhy import stats
from saywhy.records import Row
from saywhy.report.cells import CellKey
from saywhy.report.load import LoadedRun
from saywhy.report.moves import headline_keys
from saywhy.stats import Interval
from saywhy.stats.confidence import RecheckedReason, cross_fitted, fitting_problem, outcomes_of
from saywhy.stats.selective import (
    RiskAreas,
    RiskCurve,
    brier_score,
    expected_calibration_error,
    risk_areas,
    risk_curve,
    threshold_for,
)

WANTED_SHARE = 0.9
"""Share of the shown reasons that is to hold, in the tables of a report and unless a verb is told another."""

THRESHOLD_DELTA = 0.05
"""How likely the guarantee of a threshold may fail, likewise."""


@dataclass(frozen=True, slots=True)
class ConfidenceQuality:
    """How good a cross-fitted confidence is.

    Attributes:
        auroc: Chance that a reason that holds has a higher confidence than one that does not.
        calibration_error: Expected calibration error (bins of equal mass).
        brier: Brier score.
        areas: Areas under the coverage-risk curve.
        curve: That curve.
        held_at_half: Share that holds where the surer half is shown.
        coverage: Largest coverage at which the wanted share of the shown reasons held.
        threshold: From which confidence on reasons may be shown so that as many hold in future (``threshold_for``).
        guaranteed: Coverage there; 0 if nothing may be shown.
    """

    auroc: Interval
    calibration_error: float
    brier: float
    areas: RiskAreas
    curve: RiskCurve
    held_at_half: float
    coverage: float
    threshold: float | None
    guaranteed: float


@dataclass(frozen=True, slots=True)
class CellConfidence:
    """The confidence of one arm and style.

    Attributes:
        key: The cell of the headline.
        rows: Decisions whose log-probability is known.
        held: Share of them whose reason holds.
        quality: How good the confidence is; None if none can be fitted.
        problem: Why none can.
    """

    key: CellKey
    rows: int
    held: Interval
    quality: ConfidenceQuality | None
    problem: str | None


def confidence_of(
    run: LoadedRun, cells: Mapping[CellKey, Sequence[Row]], keys: Sequence[CellKey], seed: int
) -> tuple[CellConfidence, ...]:
    """Return the confidence of each cell of the headline; nothing for a run whose rows know no log-probability.

    Args:
        run: The run.
        cells: Its rows by cell.
        keys: Cells in table order; those of the headline are taken (``headline_keys``).
        seed: Seed of the resampling.
    """
    chosen = [key for key in headline_keys(keys) if any(row.log_probability is not None for row in cells[key])]
    words = {text: len(of_text) for text, of_text in run.words.items()} if chosen else {}
    confidences = []
    for key in chosen:
        # The other styles of the arm say whether they name the same word.
        rows = [row for other in headline_keys(keys) if other.arm == key.arm for row in cells[other]]
        outcomes = outcomes_of(rows, words, style=key.style)
        confidences.append(_cell_confidence(key, outcomes, seed))
    return tuple(confidences)


def _cell_confidence(key: CellKey, outcomes: Sequence[RecheckedReason], seed: int) -> CellConfidence:
    held = [outcome.held for outcome in outcomes]
    share = stats.rate(held, len({outcome.text for outcome in outcomes}))
    if problem := fitting_problem(outcomes):
        return CellConfidence(key, len(outcomes), share, None, problem)
    return CellConfidence(key, len(outcomes), share, confidence_quality(outcomes, seed), None)


def confidence_quality(
    outcomes: Sequence[RecheckedReason],
    seed: int = 0,
    wanted_share: float = WANTED_SHARE,
    delta: float = THRESHOLD_DELTA,
) -> ConfidenceQuality:
    """Return how good the confidence is that is fitted on decisions, each judged by a fit on other texts.

    Args:
        outcomes: The decisions; a confidence can be fitted on them (``fitting_problem``).
        seed: Seed of the resampling.
        wanted_share: Share of the shown reasons that is to hold.
        delta: How likely the guarantee may fail.
    """
    probabilities = cross_fitted(outcomes)
    held, texts = [outcome.held for outcome in outcomes], [outcome.text for outcome in outcomes]
    of_held: dict[str, list[float]] = {text: [] for text in texts}
    of_others: dict[str, list[float]] = {text: [] for text in texts}
    for text, probability, holds in zip(texts, probabilities, held, strict=True):
        (of_held if holds else of_others)[text].append(probability)
    curve = risk_curve(probabilities, held)
    # Decisions of a text under several seeds are not independent: the first one counts.
    first = list({text: at for at, text in reversed(list(enumerate(texts)))}.values())
    threshold = threshold_for([probabilities[at] for at in first], [held[at] for at in first], wanted_share, delta)
    shown = 0 if threshold is None else sum(probability >= threshold for probability in probabilities)
    return ConfidenceQuality(
        auroc=stats.auroc(list(of_held.values()), list(of_others.values()), seed),
        calibration_error=expected_calibration_error(probabilities, held),
        brier=brier_score(probabilities, held),
        areas=risk_areas(probabilities, held, texts, seed),
        curve=curve,
        held_at_half=1 - curve.risk_at(0.5),
        coverage=curve.coverage_at(1 - wanted_share),
        threshold=threshold,
        guaranteed=shown / len(held),
    )
