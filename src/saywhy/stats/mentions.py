"""What the words that an explanation mentions are worth, of one text: pure numbers (docs/definitions.md, *Sentences*).

A value that does not exist for a text is None with a reason. Where explanations are compared it counts as what a random
set of words gets (``sentences.CHANCE_VALUES``): one that mentions nothing, or everything, picks nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

LEAST_MENTION_ROOM = 1e-6
"""Least difference (nats, or a share of hits) between the best set and the mean random one that can be divided by."""


class Missing(StrEnum):
    """Why a metric of an explanation in sentences does not exist for a text: all that ``sentences.jsonl`` may say."""

    NO_MENTION = "mentions no word of the text"
    ALL_MENTIONED = "mentions every word of the text"
    SHORT_TEXT = "the text has fewer than two words"
    EVEN_MENTION = "all words are mentioned equally often"
    EVEN_EFFECTS = "all words move the answer alike"
    NO_BETTER_SET = "no set of this size does more than a random one"
    NO_INSERTION = "no word was inserted"
    ONE_KIND_OF_INSERTION = "no inserted word moved the answer, or every one did"
    ONE_KIND_OF_EDIT = "no word changes the answer, or every one does"
    NO_STEPS = "the reply has no steps"
    NO_CHANGEABLE_STEPS = "the reply has no steps that could be changed"
    NO_ROOM = "steps and answer do not fit the model's context"


class TextValue(NamedTuple):
    """The value of a metric for one explanation of one text.

    Attributes:
        value: The value; None if there is none.
        reason: Why there is none.
    """

    value: float | None
    reason: Missing | None = None


def mention_auroc(shares: Sequence[float], effects: Sequence[float]) -> TextValue:
    """Return the chance that of two words the one mentioned more often moves the answer more (ties count half).

    AUROC = P(abs e_i > abs e_j) + P(abs e_i = abs e_j) / 2 over the pairs of words with m_i > m_j. With one explanation
    m is 0 or 1, and this is the area under the ROC curve of the effects for *is mentioned*. The word-level form of
    causal concept faithfulness (Matton et al., ICLR 2025, arXiv 2504.14150), which correlates what an explanation
    implies of a concept with the concept's effect.

    Args:
        shares: Share of the explanations that mention each word of the text, 0 to 1.
        effects: Fall of the answer's log-odds (nats) without each word; its size counts, not its sign.
    """
    if reason := _same_everywhere(shares, effects):
        return TextValue(None, reason)
    sizes = [abs(effect) for effect in effects]
    wins = [
        1.0 if sizes[i] > sizes[j] else 0.5 if sizes[i] == sizes[j] else 0.0
        for i, more in enumerate(shares)
        for j, less in enumerate(shares)
        if more > less
    ]
    return TextValue(math.fsum(wins) / len(wins))


def mention_correlation(shares: Sequence[float], effects: Sequence[float]) -> TextValue:
    """Return Spearman's correlation of how often words are mentioned with the size of their effects.

    rho = Pearson's correlation of the ranks of m_i and abs e_i, ties at their mean rank. Like the AUROC a word-level
    form of Matton et al. (ICLR 2025); it depends on how many words are mentioned, which the AUROC does not.

    Args:
        shares: As for ``mention_auroc``.
        effects: As for ``mention_auroc``.
    """
    if reason := _same_everywhere(shares, effects):
        return TextValue(None, reason)
    from scipy.stats import spearmanr

    return TextValue(float(spearmanr(shares, [abs(effect) for effect in effects]).statistic))


def _same_everywhere(shares: Sequence[float], effects: Sequence[float]) -> Missing | None:
    """Return why mention cannot be compared with effect."""
    if len(shares) < 2:
        return Missing.SHORT_TEXT
    if len(set(shares)) == 1:
        return unpicked(shares[0]) or Missing.EVEN_MENTION
    if len({abs(effect) for effect in effects}) == 1:
        return Missing.EVEN_EFFECTS
    return None


def unpicked(share: float) -> Missing | None:
    """Return why an explanation that mentions this share of the text's words picks none; None if it does."""
    if share == 0:
        return Missing.NO_MENTION
    return Missing.ALL_MENTIONED if share == 1 else None


class SetOutcome(NamedTuple):
    """What is done by the mentioned set of words, by random sets of its size, and by the greedy best one.

    Attributes:
        mentioned: Of the mentioned set.
        random_mean: Mean over the random sets of equal size.
        best: Of the best set that is known, of equal size.
    """

    mentioned: float
    random_mean: float
    best: float


def set_excess(outcome: SetOutcome) -> TextValue:
    """Return what the mentioned set does beyond random sets of its size: x - mean of x_random.

    Necessity: x is the fall of the answer's log-odds without the set (nats). Sufficiency: x is minus the fall where
    only the set is left. The two are comprehensiveness and sufficiency (DeYoung et al., ACL 2020) in log-odds, each
    beyond chance at equal size, since a longer explanation takes more of the text with it.
    """
    return TextValue(outcome.mentioned - outcome.random_mean)


def set_share(outcome: SetOutcome) -> TextValue:
    """Return the excess as a share of what the greedy best set of equal size has of it.

    share = (x - mean of x_random) / (x_best - mean of x_random): 0 is a random set, 1 the best that is known. As the
    effect share of docs/definitions.md, for one text; all styles and sizes stand on one axis.
    """
    room = outcome.best - outcome.random_mean
    if room < LEAST_MENTION_ROOM:
        return TextValue(None, Missing.NO_BETTER_SET)
    return TextValue((outcome.mentioned - outcome.random_mean) / room)


def divergence(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return KL(before, after) in nats: sum over labels of p (log p - log q).

    >>> round(divergence({"a": math.log(0.5), "b": math.log(0.5)}, {"a": math.log(0.25), "b": math.log(0.75)}), 4)
    0.1438

    Args:
        before: Log-probability of each label in the first answer.
        after: That of the same labels afterwards.
    """
    terms = (math.exp(score) * (score - after[label]) for label, score in before.items())
    return max(0.0, math.fsum(terms))  # rounding can fall below 0


def consistency_excess(mentioned: Sequence[float], random_sets: Sequence[float]) -> TextValue:
    """Return how much nearer the answer stays if the mentioned words stay, than if random ones do (nats).

    mean KL(first answer, answer with only a random set of equal size left as it was) - mean KL(first answer, answer
    with only the mentioned set left): the other words are replaced by pinned ones, so that what is classified stays a
    text of words. Our own form of self-consistency as a test of sufficiency (in the sense of the sufficient-reason
    objective of Bassan et al., arXiv 2502.03391).

    Args:
        mentioned: KL (nats) of each draw of replacements around the mentioned set.
        random_sets: The same around each random set.
    """
    return TextValue(math.fsum(random_sets) / len(random_sets) - math.fsum(mentioned) / len(mentioned))
