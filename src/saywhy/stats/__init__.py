"""Rates, excess, score, intervals and paired tests over rows (docs/definitions.md). Pure: no files, no torch.

The unit of every interval and test is the text: rows of one text under several seeds are averaged first,
because they are not independent. Nothing is ever NaN: what cannot be computed is ``None`` with a reason.

>>> rate([True, True, False, False]).value
0.5
>>> mean_interval([]).reason
'no values'
"""

from __future__ import annotations

from saywhy.stats.discrimination import auroc
from saywhy.stats.effects import (
    LEAST_EFFECTIVE_TEXTS,
    Effect,
    Effects,
    effect_share,
    effect_share_difference,
    own_effects,
    start_effects,
)
from saywhy.stats.families import Family, holm
from saywhy.stats.intervals import CONFIDENCE_LEVEL, LEAST_TEXTS, RESAMPLES, Interval, mean_interval, per_text, rate
from saywhy.stats.paired import PERMUTATIONS, Difference, Discordant, TextSeed, discordant, paired_difference
from saywhy.stats.power import MOST_PLANNED_TEXTS, PLANNED_POWER, TextsNeeded, texts_needed
from saywhy.stats.retention import (
    FEW_CHANGED_TEXTS,
    LossAnswer,
    accuracy,
    agreement,
    correctness,
    label_agreement,
    not_worse,
    table_drift,
)
from saywhy.stats.scores import (
    LEAST_FLIPPABLE_TEXTS,
    LEAST_HITS_AND_MISSES,
    LEAST_MEAN_ROOM,
    score,
    score_on_flippable,
    start_graded,
)
from saywhy.stats.unpaired import total_variation, unpaired_difference

__all__ = [
    "CONFIDENCE_LEVEL",
    "FEW_CHANGED_TEXTS",
    "LEAST_EFFECTIVE_TEXTS",
    "LEAST_FLIPPABLE_TEXTS",
    "LEAST_HITS_AND_MISSES",
    "LEAST_MEAN_ROOM",
    "LEAST_TEXTS",
    "MOST_PLANNED_TEXTS",
    "PERMUTATIONS",
    "PLANNED_POWER",
    "RESAMPLES",
    "Difference",
    "Discordant",
    "Effect",
    "Effects",
    "Family",
    "Interval",
    "LossAnswer",
    "TextSeed",
    "TextsNeeded",
    "accuracy",
    "agreement",
    "auroc",
    "correctness",
    "discordant",
    "effect_share",
    "effect_share_difference",
    "holm",
    "label_agreement",
    "mean_interval",
    "not_worse",
    "own_effects",
    "paired_difference",
    "per_text",
    "rate",
    "score",
    "score_on_flippable",
    "start_effects",
    "start_graded",
    "table_drift",
    "texts_needed",
    "total_variation",
    "unpaired_difference",
]
