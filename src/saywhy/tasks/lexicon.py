"""Which words of a corpus go with which label: the ``lexical`` arm and the counterfactual's pinned lists."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from saywhy.words import candidates, fold, is_sign

Associations = Mapping[str, Mapping[str, float]]
"""label -> folded word -> z-score."""

Pinned = Mapping[str, tuple[str, ...]]
"""label -> the words that a counterfactual towards it may insert."""

LEAST_COUNT = 3
"""A pinned word stands in at least this many texts."""


def word_associations(texts: Sequence[str], labels: Sequence[str]) -> Associations:
    """Return how strongly each word goes with each label, against all other labels.

    Log-odds with an informative Dirichlet prior (Monroe, Colaresi, Quinn 2008, eq. 22), as z-scores. A word
    counts once a text; the prior is the word's count in the whole corpus.
    """
    by_label: dict[str, Counter[str]] = {label: Counter() for label in sorted(set(labels))}
    for text, label in zip(texts, labels, strict=True):
        by_label[label].update(word.key for word in candidates(text))
    whole: Counter[str] = sum(by_label.values(), Counter())
    prior = sum(whole.values())
    return {label: _z_scores(counts, whole, prior) for label, counts in by_label.items()}


def _z_scores(counts: Counter[str], whole: Counter[str], prior: int) -> dict[str, float]:
    label_total, other_total = sum(counts.values()), prior - sum(counts.values())
    scores = {}
    for word, alpha in whole.items():
        in_label, elsewhere = counts[word] + alpha, whole[word] - counts[word] + alpha
        label_odds = in_label / (label_total + prior - in_label)
        other_odds = elsewhere / (other_total + prior - elsewhere)
        scores[word] = (math.log(label_odds) - math.log(other_odds)) / math.sqrt(1 / in_label + 1 / elsewhere)
    return scores


def pinned_words_of_labels(
    associations: Associations, texts: Sequence[str], label_words: Sequence[str], size: int
) -> dict[str, tuple[str, ...]]:
    """Return the ``size`` words most associated with each label: the counterfactual's candidate lists.

    Only plain words (letters with their accents and vowel signs, an apostrophe) that stand in at least ``LEAST_COUNT``
    texts; label words are left out.
    """
    text_counts = Counter(word.key for text in texts for word in candidates(text))
    label_keys = {fold(word) for word in label_words}
    lists = {}
    for label, scores in associations.items():
        usable = [
            word
            for word in scores
            if word not in label_keys
            and all(char == "'" or char.isalpha() or is_sign(char) for char in word)
            and len(word) > 1
            and text_counts[word] >= LEAST_COUNT
        ]
        lists[label] = tuple(sorted(usable, key=lambda word: (-scores[word], word))[:size])
    return lists


def most_associated(associations: Associations, text: str, label: str) -> str:
    """Return the text's word that the corpus associates most with ``label``, whatever a model uses."""
    scores = associations.get(label, {})
    return max((word.key for word in candidates(text)), key=lambda key: scores.get(key, 0.0))
