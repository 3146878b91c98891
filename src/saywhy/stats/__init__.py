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
from saywhy.stats.families import Family, holm
from saywhy.stats.intervals import LEVEL, RESAMPLES, Interval, mean_interval, per_text, rate
from saywhy.stats.kept import FEW, Answer, accuracy, agreeing, agreement, drift, not_worse, right
from saywhy.stats.paired import PERMUTATIONS, Difference, Discordant, Key, discordant, paired_difference
from saywhy.stats.power import MOST, POWER, Needed, texts_needed
from saywhy.stats.scores import EITHER, FLIPPABLE, MIN_ROOM, score, score_on_flippable, start_graded

__all__ = [
    "EITHER",
    "FEW",
    "FLIPPABLE",
    "LEVEL",
    "MIN_ROOM",
    "MOST",
    "PERMUTATIONS",
    "POWER",
    "RESAMPLES",
    "Answer",
    "Difference",
    "Discordant",
    "Family",
    "Interval",
    "Key",
    "Needed",
    "accuracy",
    "agreeing",
    "agreement",
    "auroc",
    "discordant",
    "drift",
    "holm",
    "mean_interval",
    "not_worse",
    "paired_difference",
    "per_text",
    "rate",
    "right",
    "score",
    "score_on_flippable",
    "start_graded",
    "texts_needed",
]
