"""More words than one, and fewer: how many have to go, and which of those named could have stayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saywhy.checks import K_CURVE_SIZES, MOST_SPARED, Curve, Spare
from saywhy.measure.bounds import open_removals, size_bounds
from saywhy.measure.edits import recheck, stand_in
from saywhy.measure.likelihoods import word_scores
from saywhy.measure.predict import Classifier
from saywhy.records import Operator, is_hit
from saywhy.robustness.audited import AuditedText
from saywhy.words import take_out


def curves(
    classifier: Classifier, texts: Sequence[AuditedText], operator: Operator, seed: int, counts: Mapping[str, int]
) -> list[Curve]:
    """Take out ``K_CURVE_SIZES`` words of each text: those with the highest scores, random ones, the greedy best.

    Args:
        classifier: Who classifies, and whose constrained attribution readout gives the scores.
        texts: The texts, with their tables.
        operator: How words are taken out.
        seed: Seed of the random sets.
        counts: In how many texts of a corpus each word stands.
    """
    items, filler = [text.item for text in texts], stand_in(classifier.task, operator)
    scores = word_scores(classifier.model, classifier.task, items)
    several = [size for size in K_CURVE_SIZES if size > 1]
    removals = [open_removals(text.item, text.table, filler, frozenset(several)) for text in texts]
    limits = size_bounds(classifier, removals, seed)
    ranked = [sorted(of_text, key=lambda key: -of_text[key]) for of_text in scores]
    edits = [
        [take_out(text.item.example.text, words[:size], filler) for size in several]
        for text, words in zip(texts, ranked, strict=True)
    ]
    rechecks = recheck(classifier, items, edits)
    lines = []
    for text, of_text, best_first, limit, after in zip(texts, scores, ranked, limits, rechecks, strict=True):
        single = text.table.hits()[text.table.words.index(best_first[0])]
        hits = (single, *(is_hit(prediction.label, text.item.prediction.label) for prediction in after))
        best, random = zip(*((limit[size].ceiling, limit[size].floor) for size in K_CURVE_SIZES), strict=True)
        row, words = text.rows[0], text.table.words
        of_words = tuple(of_text[key] for key in words), tuple(counts.get(key, 0) for key in words)
        lines.append(Curve(row.id, row.arm, row.seed, operator, words, *of_words, K_CURVE_SIZES, hits, best, random))
    return lines


def spares(classifier: Classifier, texts: Sequence[AuditedText], operator: Operator) -> list[Spare]:
    """Return which words of each free removal that hits could have stayed; of a single word none could."""
    filler = stand_in(classifier.task, operator)
    removals = [
        [
            row
            for row in text.rows
            if row.setting == "free" and row.style != "counterfactual" and row.hit and len(row.words) <= MOST_SPARED
        ]
        for text in texts
    ]
    edits = [
        [
            take_out(text.item.example.text, [other for other in row.words if other != word], filler)
            for row in rows
            if len(row.words) > 1
            for word in row.words
        ]
        for text, rows in zip(texts, removals, strict=True)
    ]
    rechecks = recheck(classifier, [text.item for text in texts], edits)
    lines = []
    for rows, predictions in zip(removals, rechecks, strict=True):
        after = iter(predictions)
        for row in rows:
            without_each = [next(after) for _ in row.words] if len(row.words) > 1 else []
            spare = tuple(is_hit(prediction.label, row.prediction) for prediction in without_each) or (False,)
            lines.append(Spare(row.id, row.arm, row.seed, row.style, row.readout, row.operator, row.words, spare))
    return lines
