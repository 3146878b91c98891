"""Training texts that are nearly texts that are tested on: what was practised must not be measured again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz import fuzz, process

from saywhy.records import Example
from saywhy.words import fold

COMPARED_AT_ONCE = 1000
"""Training texts whose similarities are in memory at once."""


def without_near_duplicates(
    training: Sequence[Example], tested: Sequence[Example], similarity: float
) -> tuple[Example, ...]:
    """Return the training texts that are not at least ``similarity`` alike to any text tested on.

    Two texts are as alike as their fields, folded and joined: 1 minus the insertions and deletions between them, by
    their lengths together (normalised Indel similarity, as ``rapidfuzz`` computes it).

    Args:
        training: Texts to learn from.
        tested: Texts that are audited or classified.
        similarity: From which on they are left out, above 0 to 1.
    """
    if not tested:
        return tuple(training)
    compared = [_folded(example) for example in tested]
    kept: list[Example] = []
    for first in range(0, len(training), COMPARED_AT_ONCE):
        block = training[first : first + COMPARED_AT_ONCE]
        texts = [_folded(example) for example in block]
        alike = process.cdist(
            texts, compared, scorer=fuzz.ratio, score_cutoff=100 * similarity, dtype=np.float32, workers=1
        )
        duplicates = set(np.flatnonzero(alike.any(axis=1)).tolist())
        kept += [example for number, example in enumerate(block) if number not in duplicates]
    return tuple(kept)


def _folded(example: Example) -> str:
    return fold(" ".join((*example.context.values(), example.text)))
