"""The prefix tree: many prompts that share beginnings become one packed sequence (ARCHITECTURE.md, *The engine*).

A token sees its ancestors only, and its position is its depth, so every prompt is computed exactly as if it
stood alone, while each shared token is computed once.

>>> tree = build_tree([(5, 6, 7), (5, 6, 8), (5, 9)])
>>> tree.tokens, tree.depths, tree.parents
((5, 6, 7, 8, 9), (0, 1, 2, 2, 1), (-1, 0, 1, 1, 0))
>>> tree.paths
((0, 1, 2), (0, 1, 3), (0, 4))
>>> [(branch.first, branch.size, branch.above) for branch in tree.branches()]
[(0, 3, ()), (3, 1, (0, 1)), (4, 1, (0,))]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """Tokens that follow one another without a fork before them.

    Attributes:
        first: Where its first token is in the packed sequence; the others follow.
        size: How many tokens it has.
        above: The nodes that all its tokens see, root first.
    """

    first: int
    size: int
    above: TokenIds


@dataclass(frozen=True, slots=True)
class Tree:
    """One packed sequence.

    Attributes:
        tokens: Token ids, parents before children, shape (n,).
        depths: Position of each token in its prompt.
        parents: Index of the token before it; -1 at a root.
        paths: For each input sequence, the node of each of its tokens.
    """

    tokens: TokenIds
    depths: TokenIds
    parents: TokenIds
    paths: tuple[TokenIds, ...]

    def mask(self) -> npt.NDArray[np.bool_]:
        """Return the ancestor mask, shape (n, n): [i, j] is true if token i sees token j."""
        seen = np.eye(len(self.tokens), dtype=np.bool_)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                seen[node] |= seen[parent]
        return seen

    def branches(self) -> Iterator[Branch]:
        """Yield the tree in pieces, in packed order: what each sequence added to those before it."""
        size = 0
        for path in self.paths:
            fork = next((depth for depth, node in enumerate(path) if node >= size), len(path))
            if fork < len(path):
                yield Branch(size, len(path) - fork, path[:fork])
                size = path[-1] + 1


def build_tree(sequences: Sequence[TokenIds]) -> Tree:
    """Merge ``sequences`` into one tree."""
    children: dict[tuple[int, int], int] = {}
    tokens: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    paths: list[TokenIds] = []
    for ids in sequences:
        path: list[int] = []
        parent = -1
        for depth, token in enumerate(ids):
            node = children.setdefault((parent, token), len(tokens))
            if node == len(tokens):
                tokens.append(token)
                depths.append(depth)
                parents.append(parent)
            path.append(node)
            parent = node
        paths.append(tuple(path))
    return Tree(tuple(tokens), tuple(depths), tuple(parents), tuple(paths))


def shared_prefix(sequences: Sequence[TokenIds]) -> TokenIds:
    """Return the longest beginning that all ``sequences`` have in common."""
    if not sequences:
        return ()
    low, high = min(sequences), max(sequences)
    return low[: _common_length(low, high)]


def longest_paths(sequences: Sequence[TokenIds]) -> tuple[list[TokenIds], list[list[int]]]:
    """Return the sequences that no other goes on from, and which of all begin each of them: themselves, too.

    >>> longest_paths([(5, 6), (7,), (5, 6, 8), (5, 6)])
    ([(7,), (5, 6, 8)], [[1], [2, 0, 3]])
    """
    paths: list[TokenIds] = []
    on_path: list[list[int]] = []
    # Backwards in dictionary order a sequence that begins others comes right behind these.
    for number in sorted(range(len(sequences)), key=lambda i: sequences[i], reverse=True):
        ids = sequences[number]
        if not paths or paths[-1][: len(ids)] != ids:
            paths.append(ids)
            on_path.append([])
        on_path[-1].append(number)
    return paths, on_path


def tree_batches(sequences: Sequence[TokenIds], limit: int) -> list[list[int]]:
    """Return which sequences share a tree, so that no tree has more than ``limit`` tokens, as few as can be.

    In dictionary order a sequence has the most in common with the one before it, so a tree's size is known
    without growing it. A sequence longer than ``limit`` gets a tree of its own.

    >>> tree_batches([(5, 6, 7), (1, 2), (5, 6, 8)], 4)
    [[1], [0, 2]]
    """
    groups: list[list[int]] = []
    size, last = limit + 1, TokenIds()
    for index in sorted(range(len(sequences)), key=lambda i: sequences[i]):
        ids = sequences[index]
        added = len(ids) - _common_length(ids, last)
        if size + added > limit:
            groups.append([])
            size, added = 0, len(ids)
        groups[-1].append(index)
        size, last = size + added, ids
    return groups


def padded_batches(sequences: Sequence[TokenIds], limit: int) -> list[list[int]]:
    """Return which sequences share a padded batch of at most ``limit`` tokens, the longest first.

    A sequence longer than ``limit`` gets a batch of its own.

    >>> padded_batches([(5, 6), (5, 6, 7, 8), (5, 6, 7)], 8)
    [[1, 2], [0]]
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(sequences)), key=lambda i: -len(sequences[i])):
        if groups and len(sequences[groups[-1][0]]) * (len(groups[-1]) + 1) <= limit:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _common_length(first: TokenIds, second: TokenIds) -> int:
    """Return how many leading tokens two sequences share."""
    return next(
        (i for i, (left, right) in enumerate(zip(first, second, strict=False)) if left != right),
        min(len(first), len(second)),
    )
