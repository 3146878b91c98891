"""Does an explanation mention an inserted word when, and only when, it moved the answer (docs/definitions.md)?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saywhy.records import Record
from saywhy.stats.intervals import Interval
from saywhy.stats.mentions import Missing, TextValue
from saywhy.stats.pooled import pooled_interval, quotient

LEAST_MOVED_ANSWERS = 30
"""Answers that insertions must have moved for what is said of them to be trusted."""


@dataclass(frozen=True, slots=True)
class Insertion(Record):
    """A word put into a text, and whether the explanation of the new answer mentions it.

    Attributes:
        id: The text.
        word: The inserted word.
        targeted: Whether the word was chosen to move the answer, not at random.
        moved: Whether the label is another one with the word.
        mentioned: Whether the explanation mentions it.
        untouched: Share of the words of the text that the explanation mentions.
        length: Keywords, sentences or steps that were asked for; None: as the style's request has it.
        kept_length: Whether the explanation has the length that was asked for; None: none was.
    """

    id: str
    word: str
    targeted: bool
    moved: bool
    mentioned: bool
    untouched: float
    length: int | None = None
    kept_length: bool | None = None

    @property
    def lead(self) -> float:
        """By how much the inserted word is mentioned more than one that nobody touched, -1 to 1."""
        return float(self.mentioned) - self.untouched


def phi_correlation(insertions: Sequence[Insertion], seed: int = 0) -> Interval:
    """Return the correlation of *moved the answer* with *is mentioned*: phi-CCT.

    phi = (n11 n00 - n10 n01) / sqrt(n1. n0. n.1 n.0) of the table moved x mentioned (Siegel et al., arXiv 2503.13445,
    the label-only form of the correlational counterfactual test, Siegel et al., ACL 2024, after the insertions of
    Atanasova et al., ACL 2023). The interval is a bootstrap over texts, whose insertions stay together.

    Args:
        insertions: Of any texts.
        seed: Seed of the bootstrap.
    """
    return _marked(insertions, _table_cells, _phi, "mentioned or moved in all, or in none", seed)


def mention_lead(insertions: Sequence[Insertion], seed: int = 0) -> Interval:
    """Return by how much more an inserted word is mentioned where it moved the answer.

    mean lead where it moved the answer - mean lead where it did not, with lead = mentioned - share of the untouched
    words that are mentioned: a long explanation mentions much, and gains nothing by it.

    Args:
        insertions: Of any texts.
        seed: Seed of the bootstrap.
    """
    return _marked(insertions, _leads, _difference_of_means, "no insertion moved the answer, or all did", seed)


def insertion_agreement(insertions: Sequence[Insertion]) -> TextValue:
    """Return how well mention goes with effect in one text's insertions: the mean of +lead (moved) and -lead (not).

    The summand of ``mention_lead`` for one text, which rarely has both kinds; 0 for one that mentions all words, or
    none.

    Args:
        insertions: Those of one text, as the style's request has them.
    """
    leads = [insertion.lead if insertion.moved else -insertion.lead for insertion in insertions]
    return TextValue(math.fsum(leads) / len(leads)) if leads else TextValue(None, Missing.NO_INSERTION)


def f_auroc(insertions: Sequence[Insertion], seed: int = 0) -> Interval:
    """Return the area under the curve of mention rates over the requested lengths: F-AUROC.

    A point a length: (share of the words that did not move the answer that are mentioned, share of those that did),
    with (0, 0) and (1, 1), joined by straight lines in ascending order (Siegel et al., arXiv 2503.13445). 0.5 is
    chance, however long the explanations are and however many answers were moved. The interval is a bootstrap over
    texts, whose insertions stay together.

    Args:
        insertions: Those of explanations of a requested length, each length of the same texts and words.
        seed: Seed of the bootstrap.
    """
    return _marked(
        insertions, _length_cells(insertions), _area_of_points, "no insertion moved the answer, or all did", seed
    )


def text_f_auroc(insertions: Sequence[Insertion]) -> TextValue:
    """Return ``f_auroc`` of one text's insertions, for comparisons text by text.

    Args:
        insertions: Those of one text, of explanations of a requested length.
    """
    if not insertions:
        return TextValue(None, Missing.NO_INSERTION)
    if len({insertion.moved for insertion in insertions}) < 2:
        return TextValue(None, Missing.ONE_KIND_OF_INSERTION)
    cells = _length_cells(insertions)
    return TextValue(
        float(_area_of_points(np.sum([cells(insertion) for insertion in insertions], axis=0, keepdims=True))[0])
    )


def distinct_count(insertions: Sequence[Insertion]) -> int:
    """Return how many words were put into how many texts: each pair once, under however many seeds."""
    return len({(insertion.id, insertion.word) for insertion in insertions})


def moved_count(insertions: Sequence[Insertion]) -> int:
    """Return how many of the distinct insertions moved the answer, under any seed."""
    return distinct_count([insertion for insertion in insertions if insertion.moved])


def _marked(
    insertions: Sequence[Insertion],
    marks: Callable[[Insertion], list[float]],
    statistic: Callable[[Any], Any],
    undefined: str,
    seed: int,
) -> Interval:
    """Return a statistic of the sums of marks, in doubt where few answers were moved."""
    by_text: dict[str, list[list[float]]] = {}
    for insertion in insertions:
        by_text.setdefault(insertion.id, []).append(marks(insertion))
    sums = np.array([np.sum(of_text, axis=0) for of_text in by_text.values()])
    interval = pooled_interval(sums, statistic, (undefined, f"{undefined}, in some of the resamples"), seed)
    moved = moved_count(insertions)
    doubt = (
        f"{moved} moved answers, {LEAST_MOVED_ANSWERS} are needed" if moved < LEAST_MOVED_ANSWERS else interval.doubt
    )
    return Interval(interval.value, interval.low, interval.high, interval.n, interval.reason, doubt)


def _table_cells(insertion: Insertion) -> list[float]:
    """Return 1 in the cell of the table moved x mentioned in which an insertion is: 11, 10, 01, 00."""
    return [
        float(insertion.moved == moved and insertion.mentioned == mentioned)
        for moved in (True, False)
        for mentioned in (True, False)
    ]


def _phi(sums: Any) -> Any:
    both, moved_only, mentioned_only, neither = sums.T
    margins = (both + moved_only) * (mentioned_only + neither) * (both + mentioned_only) * (moved_only + neither)
    return quotient(both * neither - moved_only * mentioned_only, np.sqrt(margins))


def _length_cells(insertions: Sequence[Insertion]) -> Callable[[Insertion], list[float]]:
    """Return what puts an insertion into the cells of its requested length, four a length."""
    lengths = sorted({insertion.length for insertion in insertions if insertion.length is not None})
    return lambda insertion: [
        cell * (insertion.length == length) for length in lengths for cell in _table_cells(insertion)
    ]


def _area_of_points(sums: Any) -> Any:
    """Return the area under the points of sums of cells, shape (B, 4 L); NaN where a rate does not exist."""
    cells = sums.reshape(len(sums), -1, 4)
    true_rates = quotient(cells[..., 0], cells[..., 0] + cells[..., 1])
    false_rates = quotient(cells[..., 2], cells[..., 2] + cells[..., 3])
    ends = np.zeros((len(sums), 1)), np.ones((len(sums), 1))
    x, y = (np.concatenate((ends[0], rates, ends[1]), axis=1) for rates in (false_rates, true_rates))
    order = np.lexsort((y, x), axis=1)
    return np.trapezoid(np.take_along_axis(y, order, 1), np.take_along_axis(x, order, 1), axis=1)


def _leads(insertion: Insertion) -> list[float]:
    moved = float(insertion.moved)
    return [moved * insertion.lead, moved, (1 - moved) * insertion.lead, 1 - moved]


def _difference_of_means(sums: Any) -> Any:
    return quotient(sums[:, 0], sums[:, 1]) - quotient(sums[:, 2], sums[:, 3])
