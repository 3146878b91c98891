"""The prefix tree: many prompts that share beginnings become one packed sequence (ARCHITECTURE.md, *The engine*).

A token sees its ancestors only, and its position is its depth, so every prompt is computed exactly as if it
stood alone, while each shared token is computed once.

>>> tree = grow([(5, 6, 7), (5, 6, 8), (5, 9)])
>>> tree.tokens, tree.depths, tree.parents
((5, 6, 7, 8, 9), (0, 1, 2, 2, 1), (-1, 0, 1, 1, 0))
>>> tree.paths
((0, 1, 2), (0, 1, 3), (0, 4))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tree:
    """One packed sequence.

    Attributes:
        tokens: Token ids, parents before children, shape (n,).
        depths: Position of each token in its prompt.
        parents: Index of the token before it; -1 at a root.
        paths: For each input sequence, the node of each of its tokens.
    """

    tokens: Ids
    depths: Ids
    parents: Ids
    paths: tuple[Ids, ...]

    def mask(self) -> npt.NDArray[np.bool_]:
        """Return the ancestor mask, shape (n, n): [i, j] is true if token i sees token j."""
        seen = np.eye(len(self.tokens), dtype=np.bool_)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                seen[node] |= seen[parent]
        return seen


def grow(sequences: Sequence[Ids]) -> Tree:
    """Merge ``sequences`` into one tree."""
    children: dict[tuple[int, int], int] = {}
    tokens: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    paths: list[Ids] = []
    for ids in sequences:
        path: list[int] = []
        at = -1
        for depth, token in enumerate(ids):
            node = children.setdefault((at, token), len(tokens))
            if node == len(tokens):
                tokens.append(token)
                depths.append(depth)
                parents.append(at)
            path.append(node)
            at = node
        paths.append(tuple(path))
    return Tree(tuple(tokens), tuple(depths), tuple(parents), tuple(paths))


def shared_prefix(sequences: Sequence[Ids]) -> Ids:
    """Return the longest beginning that all ``sequences`` have in common."""
    if not sequences:
        return ()
    low, high = min(sequences), max(sequences)
    return low[: _common(low, high)]


def plots(groups: Sequence[Sequence[Ids]], limit: int) -> list[list[int]]:
    """Return which consecutive groups share a tree: as many as stay within about ``limit`` tokens.

    Variants of one text follow each other, so a tree holds what they have in common once. The size is an upper
    bound: a sequence is compared with its predecessor and with the first of its tree only.
    """
    planted: list[list[int]] = []
    size, first, last = limit + 1, Ids(), Ids()
    for index, group in enumerate(groups):
        fresh = _fresh(group, first, last)
        if size + fresh > limit:
            planted.append([])
            size, first, last = 0, group[0] if group else Ids(), Ids()
            fresh = _fresh(group, last, last)
        planted[-1].append(index)
        size += fresh
        last = group[-1] if group else last
    return planted


def _fresh(group: Sequence[Ids], first: Ids, last: Ids) -> int:
    """Return how many tokens a group adds, at most, to a tree that holds ``first`` and ``last``."""
    size = 0
    for ids in group:
        size += len(ids) - max(_common(ids, last), _common(ids, first))
        last = ids
    return size


def _common(one: Ids, other: Ids) -> int:
    """Return how many leading tokens two sequences share."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def batches(sizes: Sequence[int], budget: int) -> list[list[int]]:
    """Pack items of ``sizes`` tokens into batches of at most ``budget`` padded tokens, like sizes together.

    An item larger than the budget gets a batch of its own. The order within equal sizes is that of the input,
    so the same input always gives the same batches.
    """
    packed: list[list[int]] = []
    for item in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        if packed and sizes[packed[-1][0]] * (len(packed[-1]) + 1) <= budget:
            packed[-1].append(item)
        else:
            packed.append([item])
    return packed
