"""What a readout leans on besides the answer: where a word stands, how long and how frequent it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saywhy import stats
from saywhy.checks import Curve
from saywhy.records import Row
from saywhy.report.load import NO_TEXTS, Run
from saywhy.stats import Interval

THIRDS = 3
"""Parts of a text in which named words are counted."""


@dataclass(frozen=True, slots=True)
class Bias:
    """Where the named words of a cell stand among the words of their texts.

    Each rank is the share of the text's words below the named one, ties and itself counted half: 0.5 on average
    if words are named at random.

    Attributes:
        n: Valid rows of texts that are known.
        position: Mean rank by place in the text: 0 is the first word.
        thirds: Share of named words in the first, second and last third of their texts.
        expected: The same for random words of these texts.
        length: Mean rank by number of characters: 1 is the longest word.
        frequency: Mean rank by the number of explained texts that hold the word: 1 is the most frequent word.
    """

    n: int
    position: Interval
    thirds: tuple[float, ...]
    expected: tuple[float, ...]
    length: Interval
    frequency: Interval


def bias(run: Run, rows: Sequence[Row], counts: Mapping[str, int], seed: int = 0) -> Bias | None:
    """Return the bias of valid one-word explanations; None if there are none.

    Args:
        run: The run; of a bank only the places of the words are known.
        rows: Its rows that are looked at.
        counts: In how many texts each word stands (``document_counts``).
        seed: Seed of the resampling.
    """
    ranks: list[tuple[str, tuple[float, float, float]]] = []
    spread, uniform = Counter[int](), [0.0] * THIRDS
    for row in rows:
        words = run.words.get(row.id, ())
        if not row.valid or len(row.words) != 1 or row.words[0] not in words:
            continue
        at = words.index(row.words[0])
        lengths, known = [float(len(word)) for word in words], [float(counts.get(word, 0)) for word in words]
        ranks.append((row.id, ((at + 0.5) / len(words), _rank(lengths, at), _rank(known, at))))
        spread[_third(at, len(words))] += 1
        for place in range(len(words)):
            uniform[_third(place, len(words))] += 1 / len(words)
    if not ranks:
        return None
    n = len(ranks)

    def mean(column: int) -> Interval:
        if run.bank and column:
            return Interval(None, None, None, 0, NO_TEXTS)
        of_text: dict[str, list[float]] = {}
        for text, of_word in ranks:
            of_text.setdefault(text, []).append(of_word[column])
        return stats.mean_interval([math.fsum(v) / len(v) for v in of_text.values()], seed)

    return Bias(
        n=n,
        position=mean(0),
        thirds=tuple(spread[third] / n for third in range(THIRDS)),
        expected=tuple(uniform[third] / n for third in range(THIRDS)),
        length=mean(1),
        frequency=mean(2),
    )


def document_counts(run: Run) -> Counter[str]:
    """Return in how many of the texts each word stands; of a bank it says nothing."""
    return Counter(key for words in run.words.values() for key in words)


def _third(at: int, words: int) -> int:
    return min(THIRDS - 1, int(THIRDS * (at + 0.5) / words))


def _rank(values: Sequence[float], at: int) -> float:
    """Return the share of values below the one at ``at``, equals counted half.

    >>> _rank([1.0, 2.0, 3.0], 2)
    0.8333333333333334
    """
    below = sum(value < values[at] for value in values)
    return (below + 0.5 * sum(value == values[at] for value in values)) / len(values)


def correlations(curves: Sequence[Curve], seed: int = 0, *, bank: bool = False) -> dict[str, Interval]:
    """Return the mean within-text Spearman correlation of a word's score with its position, length and frequency.

    Frequency is the number of lexicon texts that hold the word. Texts in which either side is constant have none. Of
    a ``bank`` the lengths of the words are not known.
    """
    from scipy.stats import rankdata

    found: dict[str, dict[str, list[float]]] = {"position": {}, "length": {}, "frequency": {}}
    for one in curves:
        sides = {
            "position": [float(at) for at in range(len(one.words))],
            "length": [float(len(word)) for word in one.words],
            "frequency": [float(count) for count in one.counts],
        }
        for name, side in sides.items():
            if bank and name == "length":
                continue
            if len(set(side)) > 1 and len(set(one.scores)) > 1:
                found[name].setdefault(one.id, []).append(_pearson(rankdata(one.scores), rankdata(side)))
    return {
        name: stats.mean_interval([math.fsum(v) / len(v) for v in of_text.values()], seed)
        for name, of_text in found.items()
    }


def _pearson(a: Sequence[float], b: Sequence[float]) -> float:
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    cross = math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    norm = math.fsum((x - mean_a) ** 2 for x in a) * math.fsum((y - mean_b) ** 2 for y in b)
    return cross / math.sqrt(norm)
