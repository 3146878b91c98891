"""Rates, excess, score, intervals and paired tests over rows (docs/definitions.md). Pure: no files, no torch.

The unit of every interval and test is the text: rows of one text under several seeds are averaged first,
because they are not independent. Nothing is ever NaN: what cannot be computed is ``None`` with a reason.

>>> rate([True, True, False, False]).value
0.5
>>> mean_interval([]).reason
'no values'
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saywhy.records import Decision, Row, Table

Key = tuple[str, int]
"""(text id, seed): what two arms are paired by."""

RESAMPLES = 2000
"""Bootstrap resamples of texts behind each interval."""

PERMUTATIONS = 9999
"""Sign flips behind each p-value (all of them if there are fewer)."""

LEVEL = 0.95
"""Confidence level of every interval."""

MIN_ROOM = 0.01
"""Least mean of (ceiling - floor) for which a score is a number rather than a division by nearly nothing."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        value: The estimate; None if it cannot be computed.
        low: Lower bound; None if there is no interval.
        high: Upper bound; None if there is no interval.
        n: Number of texts behind it.
        reason: Why ``value`` or the bounds are None.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Difference(Interval):
    """A paired difference: an interval and the p of a sign-flip permutation test (None if not testable)."""

    p: float | None = None


def _spread(means: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Average the finite values of each text; texts in alphabetical order, whatever the order of the rows."""
    found: dict[str, list[float]] = defaultdict(list)
    for text, value in means:
        if math.isfinite(value):
            found[text].append(value)
    return {text: math.fsum(values) / len(values) for text, values in sorted(found.items())}


def per_text(rows: Iterable[Row], value: Callable[[Row], float | None]) -> dict[str, float]:
    """Return the mean of ``value`` over the rows of each text; rows for which it is None are left out."""
    return _spread((row.id, number) for row in rows if (number := value(row)) is not None)


def rate(hits: Sequence[bool], texts: int | None = None) -> Interval:
    """Return a share with its Wilson interval.

    Args:
        hits: One truth value a row.
        texts: Number of distinct texts, if a text has several rows. The interval then is that of so many
            observations: rows of one text under several seeds count as one, which errs on the wide side.
    """
    if not hits:
        return Interval(None, None, None, 0, "no rows")
    from statsmodels.stats.proportion import proportion_confint

    share, n = sum(hits) / len(hits), len(hits) if texts is None else texts
    low, high = proportion_confint(share * n, n, alpha=1 - LEVEL, method="wilson")
    return Interval(share, max(0.0, float(low)), min(1.0, float(high)), n)


def mean_interval(values: Iterable[float], seed: int = 0) -> Interval:
    """Return the mean with its percentile bootstrap interval; equal values give an interval of no width."""
    numbers = np.array([v for v in values if math.isfinite(v)], dtype=float)
    n = len(numbers)
    if n == 0:
        return Interval(None, None, None, 0, "no values")
    if n == 1:
        return Interval(float(numbers[0]), None, None, 1, "one text has no interval")
    if np.ptp(numbers) == 0:
        same = float(numbers[0])
        return Interval(same, same, same, n)
    low, high = _percentiles(_resample((numbers,), _mean, seed))
    return Interval(float(numbers.mean()), low, high, n)


def _mean(sample: Any, axis: int = -1) -> Any:
    return np.mean(sample, axis=axis)


def _ratio(top: Any, room: Any, axis: int = -1) -> Any:
    """Sum of ``top`` by sum of ``room``; NaN (only inside the bootstrap) where there is no room."""
    total = np.sum(room, axis=axis)
    enough = total > MIN_ROOM * room.shape[axis] / 10
    return np.where(enough, np.sum(top, axis=axis) / np.where(enough, total, 1.0), np.nan)


def _resample(data: tuple[Any, ...], statistic: Callable[..., Any], seed: int) -> Any:
    """Return the bootstrap distribution of ``statistic`` over jointly resampled texts."""
    from scipy.stats import DegenerateDataWarning, bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            data,
            statistic,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=100,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    return found.bootstrap_distribution


def _percentiles(distribution: Any) -> tuple[float, float]:
    low, high = np.quantile(distribution, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired_difference(a: Mapping[Key, float], b: Mapping[Key, float], seed: int = 0) -> Difference:
    """Return the mean of ``a - b`` over the (text, seed) keys that both have.

    Seeds are averaged within a text; the interval is a bootstrap over texts, p a two-sided sign-flip
    permutation test (exact if all flips can be listed, exactly 1 if every difference is 0).
    """
    shared = [key for key in a if key in b]
    by_text = _spread((key[0], a[key] - b[key]) for key in shared)
    numbers = np.array(list(by_text.values()), dtype=float)
    mean = mean_interval(numbers, seed)
    if mean.value is None:
        return Difference(None, None, None, 0, "no shared texts")
    p = 1.0 if not numbers.any() else _sign_flip(numbers[numbers != 0], seed)
    return Difference(mean.value, mean.low, mean.high, mean.n, mean.reason, p)


def _sign_flip(differences: Any, seed: int) -> float:
    """Return the two-sided p of ``sum(differences)`` under independent sign flips; none of them is 0."""
    if len(differences) < 2:
        return 1.0
    from scipy.stats import permutation_test

    found = permutation_test(
        (differences,),
        lambda sample, axis: np.sum(sample, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        batch=500,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number (Holm 1979)."""
    if not ps:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(list(ps), method="holm")[1]]


def score(rows: Sequence[Row], seed: int = 0) -> Interval:
    """Return sum of excess / sum of (ceiling - floor): 0 is a random word, 1 the best that one could do.

    The ratio is recomputed in each bootstrap resample of the texts. The value is None where (nearly) no text
    can flip; the bounds are None where more than 1 % of the resamples have that fate.
    """
    top = per_text(rows, lambda row: row.excess)
    room = per_text(rows, lambda row: row.ceiling - row.floor)
    texts = list(top)
    n = len(texts)
    if not texts:
        return Interval(None, None, None, 0, "no rows")
    tops, rooms = np.array([top[t] for t in texts]), np.array([room[t] for t in texts])
    if rooms.mean() < MIN_ROOM:
        reason = f"hardly any text can flip (mean ceiling - floor {rooms.mean():.3f})"
        return Interval(None, None, None, n, reason)
    value = float(tops.sum() / rooms.sum())
    if n == 1:
        return Interval(value, None, None, 1, "one text has no interval")
    drawn = _resample((tops, rooms), _ratio, seed)
    finite = drawn[np.isfinite(drawn)]
    if len(finite) < 0.99 * len(drawn):
        return Interval(value, None, None, n, "too few texts can flip for an interval")
    low, high = _percentiles(finite)
    return Interval(value, low, high, n)


def score_on_flippable(rows_a: Sequence[Row], rows_b: Sequence[Row], seed: int = 0) -> tuple[Interval, Interval]:
    """Return the two arms' scores on the (text, seed) pairs that can flip (ceiling) in both arms."""
    able_a, able_b = ({(r.id, r.seed) for r in rows if r.ceiling} for rows in (rows_a, rows_b))
    both = able_a & able_b
    if not both:
        none = Interval(None, None, None, 0, "no text can flip in both arms")
        return none, none
    kept = [[row for row in rows if (row.id, row.seed) in both] for rows in (rows_a, rows_b)]
    return score(kept[0], seed), score(kept[1], seed)


def start_graded(rows: Sequence[Row], start: Mapping[Key, Table], seed: int = 0) -> Interval:
    """Return the excess of one-word attributions and redactions as graded by the frozen start model.

    A word hits if taking it out changes the *start model's* own label; the start table's mean hit is
    subtracted. Invalid rows are no hits. A model that only became brittle gains nothing here.

    Args:
        rows: Rows of one cell.
        start: The start model's leave-one-word-out tables, same operator, by (text, seed).
        seed: Seed of the bootstrap.
    """
    graded = []
    for row in rows:
        table = start.get((row.id, row.seed))
        if row.style == "counterfactual" or row.setting != "one-word" or table is None or not table.words:
            continue
        hits = dict(zip(table.words, table.hits(), strict=True))
        hit = row.valid and bool(row.words) and hits.get(row.words[0], False)
        graded.append((row.id, float(hit) - sum(hits.values()) / len(hits)))
    if not graded:
        return Interval(None, None, None, 0, "no one-word row with a table of the start model")
    return mean_interval(_spread(graded).values(), seed)


def drift(tables: Mapping[Key, Table], start: Mapping[Key, Table], seed: int = 0) -> dict[str, Difference]:
    """Return how far floor, ceiling and margin (nats) of the tables moved from the start model's."""
    reads: dict[str, Callable[[Table], float]] = {
        "floor": lambda t: sum(t.hits()) / len(t.words),
        "ceiling": lambda t: float(any(t.hits())),
        "margin": lambda t: t.margin,
    }
    found = {}
    for name, read in reads.items():
        new, old = ({k: read(t) for k, t in side.items() if t.words} for side in (tables, start))
        found[name] = paired_difference(new, old, seed)
    return found


def right(decisions: Iterable[Decision]) -> dict[Key, float]:
    """Return 1 or 0 for each labelled (text, seed): whether its calibrated label is the gold label."""
    return {(d.id, d.seed): float(d.label == d.gold) for d in decisions if d.gold is not None}


def accuracy(decisions: Sequence[Decision], *, raw: bool = False) -> Interval:
    """Return the share of labelled texts that are classified right (``raw``: before calibration)."""
    known = [d for d in decisions if d.gold is not None]
    if not known:
        return Interval(None, None, None, 0, "no gold labels")
    right = [(d.raw_label if raw else d.label) == d.gold for d in known]
    return rate(right, len({d.id for d in known}))


def agreement(decisions_a: Sequence[Decision], decisions_b: Sequence[Decision]) -> Interval:
    """Return the share of shared (text, seed) pairs to which both give the same calibrated label."""
    other = {(d.id, d.seed): d.label for d in decisions_b}
    shared = [d for d in decisions_a if (d.id, d.seed) in other]
    if not shared:
        return Interval(None, None, None, 0, "no shared texts")
    return rate([d.label == other[d.id, d.seed] for d in shared], len({d.id for d in shared}))
