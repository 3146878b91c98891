"""Position, length and frequency of the words that a readout names: its biases."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saywhy import stats
from saywhy.checks import Curve
from saywhy.records import Row
from saywhy.report.format import Sheet, SheetCell, estimate_cell, number, sheet_of
from saywhy.report.load import NO_TEXTS, LoadedRun
from saywhy.report.summary import Summary
from saywhy.stats import Interval

THIRDS = 3
"""Parts of a text in which named words are counted."""


@dataclass(frozen=True, slots=True)
class Bias:
    """Where the named words of a cell stand among the words of their texts.

    Each rank is the share of the text's words below the named one, ties and itself counted half: 0.5 on average
    if words are named at random.

    Attributes:
        n: Number of valid one-word rows whose word is among the words of its text.
        position: Mean rank by position in the text: 0 is the first word.
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


def named_word_bias(run: LoadedRun, rows: Sequence[Row], counts: Mapping[str, int], seed: int = 0) -> Bias | None:
    """Return the bias of valid one-word explanations; None if there are none.

    Args:
        run: The run; in a bank only the positions of the words are known.
        rows: The rows of one cell.
        counts: In how many texts each word stands (``document_counts``).
        seed: Seed of the resampling.
    """
    ranks: list[tuple[str, tuple[float, float, float]]] = []
    named_thirds, chance_thirds = Counter[int](), [0.0] * THIRDS
    for row in rows:
        words = run.words.get(row.id, ())
        if not row.valid or len(row.words) != 1 or row.words[0] not in words:
            continue
        at = words.index(row.words[0])
        lengths, frequencies = [float(len(word)) for word in words], [float(counts.get(word, 0)) for word in words]
        ranks.append((row.id, ((at + 0.5) / len(words), _rank(lengths, at), _rank(frequencies, at))))
        named_thirds[_third(at, len(words))] += 1
        for position in range(len(words)):
            chance_thirds[_third(position, len(words))] += 1 / len(words)
    if not ranks:
        return None
    n = len(ranks)

    def mean(column: int) -> Interval:
        if run.bank and column:
            return Interval(None, None, None, 0, NO_TEXTS)
        by_text: dict[str, list[float]] = {}
        for text, word_ranks in ranks:
            by_text.setdefault(text, []).append(word_ranks[column])
        return stats.mean_interval([math.fsum(text_ranks) / len(text_ranks) for text_ranks in by_text.values()], seed)

    return Bias(
        n=n,
        position=mean(0),
        thirds=tuple(named_thirds[third] / n for third in range(THIRDS)),
        expected=tuple(chance_thirds[third] / n for third in range(THIRDS)),
        length=mean(1),
        frequency=mean(2),
    )


def document_counts(run: LoadedRun) -> Counter[str]:
    """Return the number of texts that hold each word; of no meaning for a bank, whose words are numbers."""
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


def score_correlations(curves: Sequence[Curve], seed: int = 0, *, bank: bool = False) -> dict[str, Interval]:
    """Return the mean within-text Spearman correlation of a word's score with its position, length and frequency.

    Frequency is the number of lexicon texts that hold the word. A text in which the scores or the property are constant
    has no correlation. In a ``bank`` the lengths of the words are not known.
    """
    from scipy.stats import rankdata

    coefficients: dict[str, dict[str, list[float]]] = {"position": {}, "length": {}, "frequency": {}}
    for curve in curves:
        properties = {
            "position": [float(at) for at in range(len(curve.words))],
            "length": [float(len(word)) for word in curve.words],
            "frequency": [float(count) for count in curve.counts],
        }
        for name, values in properties.items():
            if bank and name == "length":
                continue
            if len(set(values)) > 1 and len(set(curve.scores)) > 1:
                coefficients[name].setdefault(curve.id, []).append(_pearson(rankdata(curve.scores), rankdata(values)))
    return {
        name: stats.mean_interval(
            [math.fsum(text_coefficients) / len(text_coefficients) for text_coefficients in by_text.values()], seed
        )
        for name, by_text in coefficients.items()
    }


def _pearson(a: Sequence[float], b: Sequence[float]) -> float:
    mean_a, mean_b = math.fsum(a) / len(a), math.fsum(b) / len(b)
    cross = math.fsum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    norm = math.fsum((x - mean_a) ** 2 for x in a) * math.fsum((y - mean_b) ** 2 for y in b)
    return cross / math.sqrt(norm)


def bias_sheet(summary: Summary) -> Sheet | None:
    """Return where the words that the constrained readout names stand, and how long and frequent they are."""
    run, counts = summary.run, document_counts(summary.run)
    primary = summary.cells[0].key.operator if summary.cells else None
    rows: list[list[SheetCell | str]] = []
    for cell in summary.cells:
        if (cell.key.readout, cell.key.operator) != ("constrained", primary):
            continue
        cell_rows = [row for row in run.rows if (row.arm, row.style, row.readout, row.operator)
                == (cell.key.arm, cell.key.style, "constrained", primary)]  # fmt: skip
        leaning = named_word_bias(run, cell_rows, counts)
        if leaning is not None:
            thirds = SheetCell(", ".join(map(number, leaning.thirds)), f"({', '.join(map(number, leaning.expected))})")
            ranks = (leaning.position, leaning.length, leaning.frequency)
            rows.append([cell.key.style, cell.key.arm, str(leaning.n), thirds, *map(estimate_cell, ranks)])
    header = ("style", "arm", "n", "first, middle, last third", "position", "length", "frequency")
    note = (
        "Constrained readout. Thirds of the text in which the named word stands; in brackets: random words. Position, "
        "length, frequency (texts of this run with the word): mean share of the text's words below the named one, "
        "ties halved; 0.50 for random words, 0 is the first, the shortest, the rarest word."
    ) + bank_note(summary)
    return sheet_of("Position, length and frequency of the named word", header, rows, note) if rows else None


def score_sheet(summary: Summary) -> Sheet | None:
    """Return how the readout's scores correlate with the words' position, length and frequency."""
    header = ("arm", "n", "position", "length", "frequency")
    run, rows = summary.run, list[list[SheetCell | str]]()
    for arm in run.arms:
        curves = [curve for curve in run.curves if curve.arm == arm]
        if curves:
            means = score_correlations(curves, bank=run.bank)
            rows.append([arm, str(len(curves)), *(estimate_cell(means[name]) for name in header[2:])])
    note = (
        "Mean Spearman correlation within a text of a word's constrained attribution score with its place, its number "
        "of characters, and the number of training texts that hold it."
    ) + bank_note(summary)
    return sheet_of("What the scores go with", header, rows, note, texts=1) if rows else None


def bank_note(summary: Summary) -> str:
    """Say why columns are missing from the report of a bank."""
    return f" What is not shown is not known: {NO_TEXTS}." if summary.run.bank else ""
