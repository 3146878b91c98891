"""How likely a reason holds, before it is rechecked: fitted on audited decisions from what is known before."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from saywhy.holding import check_status
from saywhy.records import Record, Row, SaywhyError, StyleName
from saywhy.stats.selective import exact_share

FOLDS = 5
"""Parts of the texts: what is said of one was fitted on the others."""

LEAST_FITTED_TEXTS = 40
"""Least number of texts that a confidence is fitted on."""

LEAST_OF_EACH = FOLDS
"""Least number of texts with a reason that holds, and of texts with one that does not: each fold has both."""

MOST_BINS = 10
LEAST_OF_BIN = 20
"""Bins of decisions alike (``ConfidenceModel.decisions_like``): so many at most, of so many decisions at least."""


@dataclass(frozen=True, slots=True)
class ConfidenceFeatures(Record):
    """What is known of an explained decision before its reason is rechecked.

    Attributes:
        log_probability: Of the named word among all one-word explanations of the style (nats).
        margin: Log-odds of the answer against the best other label (nats).
        words: Number of candidate words of the text.
        agreement: Share of the other styles that name the same word; None where only one style was asked for.
    """

    log_probability: float
    margin: float
    words: int
    agreement: float | None = None

    def vector(self, *, agreement: bool) -> tuple[float, ...]:
        """Return the numbers that a model weighs; the count of words by its logarithm."""
        numbers = (self.log_probability, self.margin, math.log(self.words))
        return (*numbers, self.agreement or 0.0) if agreement else numbers


class HeldShare(NamedTuple):
    """How often the reasons of some decisions held.

    Attributes:
        share: Share that held.
        low: Lower end of its 95 % interval (Clopper-Pearson).
        high: Its upper end.
        n: Number of decisions.
    """

    share: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class ConfidenceModel(Record):
    """A logistic regression on features, maybe with an isotonic one on what it gives; plain numbers.

    Attributes:
        means: Mean of each feature.
        scales: Standard deviation of each; 1 for one that does not vary.
        coefficients: Of the standardised features; the fourth, if there is one, is the agreement's.
        intercept: Log-odds of a decision with mean features.
        knots: Logistic probabilities at which the isotonic regression has ``levels``, ascending; between them it is
            linear. Empty: what the logistic regression gives is taken as it is.
        levels: The probabilities there.
        edges: Lower ends of the bins of cross-fitted probabilities, but for the first one, ascending.
        counts: Decisions of each bin.
        held: How many of them held.
    """

    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    knots: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    held: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse numbers that do not fit together, as of a file that was changed by hand: a TypeError."""
        sizes = {len(self.means), len(self.scales), len(self.coefficients)}
        bins = {len(self.edges) + 1, len(self.counts), len(self.held)} if self.counts else {1}
        fewest = len(ConfidenceFeatures(0.0, 0.0, 1).vector(agreement=False))
        is_whole = sizes in ({fewest}, {fewest + 1}) and len(bins) == 1 and len(self.knots) == len(self.levels)
        counts_fit = all(0 <= held <= count and count for held, count in zip(self.held, self.counts, strict=False))
        if not (is_whole and counts_fit) or 0 in self.scales:
            raise TypeError("its numbers do not fit together")

    @property
    def weighs_agreement(self) -> bool:
        """Whether the agreement of styles is one of the features."""
        return len(self.coefficients) > len(ConfidenceFeatures(0.0, 0.0, 1).vector(agreement=False))

    def probability(self, features: ConfidenceFeatures) -> float:
        """Return how likely a reason holds.

        Raises:
            SaywhyError: If the agreement of styles is weighed and unknown.
        """
        [probability] = self.probabilities([features])
        return probability

    def probabilities(self, features: Sequence[ConfidenceFeatures]) -> list[float]:
        """Return how likely each of several reasons holds.

        Raises:
            SaywhyError: If the agreement of styles is weighed and unknown.
        """
        if self.weighs_agreement and any(of_reason.agreement is None for of_reason in features):
            raise SaywhyError("this confidence weighs the agreement of styles: ask for several, or fit one without it")
        numbers = np.array([of_reason.vector(agreement=self.weighs_agreement) for of_reason in features])
        log_odds = self.intercept + ((numbers - self.means) / self.scales * self.coefficients).sum(1)
        logistic = 0.5 + 0.5 * np.tanh(log_odds / 2)
        return (np.interp(logistic, self.knots, self.levels) if self.knots else logistic).tolist()  # type: ignore[no-any-return]

    def decisions_like(self, probability: float) -> HeldShare:
        """Return how often the reasons of the fitted decisions held whose cross-fitted probability is like this one."""
        at = int(np.searchsorted(self.edges, probability, side="right"))
        held, count = self.held[at], self.counts[at]
        return HeldShare(held / count, *exact_share(held, count), count)


@dataclass(frozen=True, slots=True)
class RecheckedReason:
    """A decision whose reason was rechecked.

    Attributes:
        text: Its text.
        features: What was known before.
        held: Whether the reason holds (``holding.check_status``).
    """

    text: str
    features: ConfidenceFeatures
    held: bool


def outcomes_of(rows: Sequence[Row], words: Mapping[str, int], style: StyleName) -> list[RecheckedReason]:
    """Return the decisions of a style whose word's log-probability is known: valid one-word explanations.

    Args:
        rows: Rows of one arm under one readout and operator; those of other styles tell the agreement.
        words: Number of candidate words of each text.
        style: The style.
    """
    named = {(row.id, row.seed, row.style): row.words for row in rows if row.valid}
    others = {row.style for row in rows} - {style}

    def agreement_of(row: Row) -> float | None:
        same = [named.get((row.id, row.seed, other)) == row.words for other in others]
        return sum(same) / len(same) if same else None

    return [
        RecheckedReason(
            row.id,
            ConfidenceFeatures(row.log_probability, row.margin, words[row.id], agreement_of(row)),
            check_status(hit=row.hit, chance=row.floor, possible=row.ceiling) == "holds",
        )
        for row in rows
        if row.style == style and row.log_probability is not None and row.id in words
    ]


def fitting_problem(outcomes: Sequence[RecheckedReason]) -> str | None:
    """Return why no confidence can be fitted on these decisions; None if one can."""
    texts = len({outcome.text for outcome in outcomes})
    if texts < LEAST_FITTED_TEXTS:
        return f"{texts} texts with a known log-probability, {LEAST_FITTED_TEXTS} are needed"
    for held, verb in ((True, "holds"), (False, "does not hold")):
        count = len({outcome.text for outcome in outcomes if outcome.held is held})
        if count < LEAST_OF_EACH:
            return f"the reason {verb} in {count} of {texts} texts, {LEAST_OF_EACH} are needed"
    return None


def fit_confidence(outcomes: Sequence[RecheckedReason]) -> ConfidenceModel:
    """Fit a confidence on decisions whose reasons were rechecked.

    Whether an isotonic regression stands on the logistic one is decided by their log loss, cross-validated over texts.

    Args:
        outcomes: The decisions; the agreement of styles is weighed if it is known of all of them.

    Raises:
        SaywhyError: If they are too few, or (nearly) all hold, or (nearly) none does.
    """
    if problem := fitting_problem(outcomes):
        raise SaywhyError(f"no confidence can be fitted: {problem}")
    probabilities, held = np.array(cross_fitted(outcomes)), np.array([outcome.held for outcome in outcomes])
    parts = np.array_split(np.sort(probabilities), max(1, min(MOST_BINS, len(held) // LEAST_OF_BIN)))
    edges = np.unique([part[0] for part in parts if part[0] > probabilities.min()])
    bins = np.searchsorted(edges, probabilities, side="right")
    return replace(
        _fitted(outcomes),
        edges=tuple(edges.tolist()),
        counts=tuple(np.bincount(bins, minlength=len(edges) + 1).tolist()),
        held=tuple(np.bincount(bins[held], minlength=len(edges) + 1).tolist()),
    )


def cross_fitted(outcomes: Sequence[RecheckedReason]) -> list[float]:
    """Return the probability of each decision by a model that was fitted on the other folds of texts."""
    return _over_folds(outcomes, _fitted)


def _over_folds(
    outcomes: Sequence[RecheckedReason], fit: Callable[[Sequence[RecheckedReason]], ConfidenceModel]
) -> list[float]:
    """Return the probability of each decision by what ``fit`` makes of the decisions of the other folds.

    A fold has texts of every kind: those of which few reasons hold are dealt out first, the others after them.
    """
    by_text: dict[str, list[bool]] = {}
    for outcome in outcomes:
        by_text.setdefault(outcome.text, []).append(outcome.held)
    dealt = sorted(by_text, key=lambda text: (sum(by_text[text]) / len(by_text[text]), text))
    fold_of = {text: at % FOLDS for at, text in enumerate(dealt)}
    models = [fit([outcome for outcome in outcomes if fold_of[outcome.text] != fold]) for fold in range(FOLDS)]
    probabilities = [0.0] * len(outcomes)
    for fold, model in enumerate(models):
        places = [at for at, outcome in enumerate(outcomes) if fold_of[outcome.text] == fold]
        for at, probability in zip(places, model.probabilities([outcomes[at].features for at in places]), strict=True):
            probabilities[at] = probability
    return probabilities


def _fitted(outcomes: Sequence[RecheckedReason]) -> ConfidenceModel:
    """Fit both kinds of models; return the one of the lower cross-validated log loss."""
    losses = [_log_loss(_over_folds(outcomes, fit), outcomes) for fit in (_logistic, _isotonic)]
    return (_logistic if losses[0] <= losses[1] else _isotonic)(outcomes)


def _log_loss(probabilities: Sequence[float], outcomes: Sequence[RecheckedReason]) -> float:
    return -math.fsum(  # what was sure and wrong costs much, not all
        math.log(max(probability if outcome.held else 1 - probability, 1e-12))
        for probability, outcome in zip(probabilities, outcomes, strict=True)
    )


def _logistic(outcomes: Sequence[RecheckedReason]) -> ConfidenceModel:
    """Fit a logistic regression (ridge penalty 1) on standardised features."""
    from sklearn.linear_model import LogisticRegression

    agreement = all(outcome.features.agreement is not None for outcome in outcomes)
    numbers = np.array([outcome.features.vector(agreement=agreement) for outcome in outcomes])
    means, spread = numbers.mean(0), numbers.std(0)
    scales = np.where(spread > 0, spread, 1.0)
    regression = LogisticRegression().fit((numbers - means) / scales, [outcome.held for outcome in outcomes])
    [coefficients], [intercept] = regression.coef_, regression.intercept_
    return ConfidenceModel(
        tuple(means.tolist()), tuple(scales.tolist()), tuple(coefficients.tolist()), float(intercept)
    )


def _isotonic(outcomes: Sequence[RecheckedReason]) -> ConfidenceModel:
    """Fit an isotonic regression on what the logistic one gives; it is never quite sure."""
    from sklearn.isotonic import IsotonicRegression

    logistic = _logistic(outcomes)
    least = 1 / (len(outcomes) + 2)
    steps = IsotonicRegression(y_min=least, y_max=1 - least).fit(
        logistic.probabilities([outcome.features for outcome in outcomes]), [outcome.held for outcome in outcomes]
    )
    return replace(logistic, knots=tuple(steps.X_thresholds_.tolist()), levels=tuple(steps.y_thresholds_.tolist()))
