"""Effect share: what the named words move of what the best ones would, beyond random words (docs/definitions.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from saywhy.checks import Judged
from saywhy.records import CounterfactualGrid, Row, Table
from saywhy.stats.graded import start_grades
from saywhy.stats.intervals import Interval, by_text, percentiles, ratio_interval, resampled_ratios
from saywhy.stats.paired import Difference, TextSeed, paired_difference

LEAST_MEAN_EFFECT_ROOM = 0.01
"""Least mean of (effect of the best word - mean effect), in nats, for which an effect share is a number."""

LEAST_EFFECTIVE_TEXTS = 30
"""Least effective number of texts (Kish 1965) behind an effect share and its spread for the interval to be trusted."""


class Effect(NamedTuple):
    """The effect of one explanation beside what other words of its text do, in nats.

    Attributes:
        gain: Its effect minus the mean effect of the text's words (free: of random sets of its size).
        room: The effect of the best word (free: the best set) minus that mean.
    """

    gain: float
    room: float


Effects = Mapping[TextSeed, Effect]
"""(text, seed) -> effect, of one cell."""


def own_effects(rows: Sequence[Row | Judged]) -> dict[TextSeed, Effect]:
    """Return the effects of a cell's explanations by the arm's own tables; an invalid one moves nothing.

    Rows whose effects are unknown (``docs/rows.md``, *Older folders*) are left out.
    """
    effects = {}
    for row in rows:
        effect = row.effect if row.valid else 0.0
        if effect is not None and row.effect_floor is not None and row.effect_ceiling is not None:
            effects[row.id, row.seed] = Effect(effect - row.effect_floor, row.effect_ceiling - row.effect_floor)
    return _finite(effects)


def start_effects(
    rows: Sequence[Row], tables: Mapping[TextSeed, Table], grids: Mapping[TextSeed, CounterfactualGrid]
) -> dict[TextSeed, Effect]:
    """Return the effects of one-word explanations in the frozen start model, on its own answer.

    What the start model cannot grade is left out, as in ``start_graded``, and so are counterfactuals of which its grid
    does not know the rises.

    Args:
        rows: Rows of one cell.
        tables: The start model's leave-one-word-out tables, same operator, by (text, seed).
        grids: The start model's counterfactual grids, by (text, seed).
    """
    effects = {}
    for row, effect, every_effect in start_grades(rows, tables, grids, edit_effects):
        mean = math.fsum(every_effect) / len(every_effect)
        effects[row.id, row.seed] = Effect(effect - mean, max(every_effect) - mean)
    return _finite(effects)


def edit_effects(record: Table | CounterfactualGrid) -> tuple[float, ...]:
    """Return the effect of each edit (nats): the fall of the answer's log-odds, or the rise of the named label's."""
    return record.drops if isinstance(record, Table) else record.rises


def _finite(effects: Effects) -> dict[TextSeed, Effect]:
    return {key: effect for key, effect in effects.items() if all(map(math.isfinite, effect))}


def effect_share(effects: Effects, seed: int = 0) -> Interval:
    """Return sum of gains / sum of rooms: 0 is a random word, 1 the best that one could do.

    The value is None where hardly any word moves the answer, the bounds where that holds for more than 1 % of the
    resamples of the texts, and there is a ``doubt`` where few texts have nearly all of the room, or few deviate from
    the share of all (the limit was chosen by simulation: tests/stats/test_coverage.py).
    """
    gains, rooms = _gains_and_rooms(effects, _texts(effects))
    if not len(gains):
        return Interval(None, None, None, 0, "no explanation of known effect")
    reasons = (
        f"hardly any word moves the answer (best minus mean {rooms.mean():.3f} nats)",
        "too few texts have words that move the answer for an interval",
    )
    return ratio_interval(gains, rooms, LEAST_MEAN_EFFECT_ROOM, reasons, seed, _share_doubt(gains, rooms))


def effect_share_difference(effects_a: Effects, effects_b: Effects, seed: int = 0) -> Difference:
    """Return the difference of two arms' effect shares on the (text, seed) pairs that both have.

    The interval is a bootstrap over texts, both shares recomputed in each resample. p and d_z are those of the paired
    differences of the gains, each in units of its arm's mean room, whose mean is the difference of the shares.
    """
    shared = [key for key in effects_a if key in effects_b]
    sides = [{key: effects[key] for key in shared} for effects in (effects_a, effects_b)]
    shares = [effect_share(side, seed) for side in sides]
    first, second = (share.value for share in shares)
    reason = next((share.reason for share in shares if share.reason), None)
    if first is None or second is None:
        unshared = effects_a and effects_b and not shared
        return Difference(None, None, None, shares[0].n, "no shared texts" if unshared else reason)
    by_text_of_sides = [_gains_and_rooms(side, _texts(side)) for side in sides]
    scaled = [
        {key: effect.gain / rooms.mean() for key, effect in side.items()}
        for side, (_, rooms) in zip(sides, by_text_of_sides, strict=True)
    ]
    test = paired_difference(scaled[0], scaled[1], seed)
    low, high = None, None
    if all(share.low is not None for share in shares):
        ratios = [resampled_ratios(*sums, LEAST_MEAN_EFFECT_ROOM, seed) for sums in by_text_of_sides]
        differences = ratios[0] - ratios[1]
        low, high = percentiles(differences[np.isfinite(differences)])
    doubt = next((share.doubt for share in shares if share.doubt), None)
    return Difference(first - second, low, high, shares[0].n, reason, doubt, p=test.p, effect=test.effect)


def _texts(effects: Effects) -> list[str]:
    return sorted({text for text, _ in effects})


def _gains_and_rooms(effects: Effects, texts: Sequence[str]) -> tuple[Any, Any]:
    """Return gain and room of each text, seeds averaged: two arrays of shape (texts,)."""
    gains, rooms = (by_text((key[0], effect[part]) for key, effect in effects.items()) for part in (0, 1))
    return np.array([gains[text] for text in texts]), np.array([rooms[text] for text in texts])


def _share_doubt(gains: Any, rooms: Any) -> str | None:
    """Return why the interval is not to be trusted: few texts have the room, or deviate from the share of all."""
    deviations = np.abs(gains - gains.sum() / rooms.sum() * rooms) if rooms.any() else rooms
    effective = min(_effective_number(weights) for weights in (rooms, deviations))
    if effective < LEAST_EFFECTIVE_TEXTS:
        return f"it hangs on about {effective:.0f} texts, {LEAST_EFFECTIVE_TEXTS} are needed"
    return None


def _effective_number(weights: Any) -> float:
    """Return how many equal weights are worth as much as these (Kish 1965); 0 if all are 0."""
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0
