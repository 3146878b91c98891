"""The built-in texts: three small tasks written by a seeded grammar, with the deciding words known.

Nothing is downloaded. A row is a plain dict with the columns of its task and two more: `causes`, the words of
the explained field that decide the label, and `competing`, words of that field that speak for another label.

>>> row = rows("sentiment140", "test")[0]
>>> sorted(row)
['causes', 'competing', 'label', 'text']
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

from saywhy.pocket import news, sentiment, snli
from saywhy.pocket.grammar import Dice

SIZES: dict[str, int] = {"train": 1100, "validation": 200, "test": 300}
"""Split to its number of rows, in every task."""

_GRAMMARS = {"sentiment140": sentiment, "snli": snli, "ag_news": news}

TASKS: tuple[str, ...] = tuple(_GRAMMARS)
"""The tasks there are texts for."""


def rows(task: str, split: str, seed: int = 0) -> list[dict[str, Any]]:
    """Return the rows of one split of a built-in task.

    Splits of one seed are disjoint, their labels balanced, and half of the rows of each have competing words.
    The same seed gives the same rows on every machine. Two seeds share rows.

    Args:
        task: One of `TASKS`.
        split: `train` (1,100 rows), `validation` (200) or `test` (300).
        seed: Which draw from the grammar.

    Returns:
        Dicts with `text` (snli: `premise` and `hypothesis`), `label`, `causes` and `competing`; yours
        to change.

    Raises:
        ValueError: If the task or the split is unknown; the message names those there are.
    """
    if task not in _GRAMMARS:
        raise ValueError(f"no built-in texts for task {task!r}; there are {', '.join(TASKS)}")
    if split not in SIZES:
        raise ValueError(f"no split {split!r} in the built-in texts; there are {', '.join(SIZES)}")
    made = _splits(task, seed)[split]
    return [{**row, "causes": list(row["causes"]), "competing": list(row["competing"])} for row in made]


def instructions() -> list[tuple[str, str, str]]:
    """Return plain instructions with answers, as (id, instruction, answer): no task's, and never trained on.

    Each asks for a sentence or more.
    """
    written = resources.files("saywhy.pocket").joinpath("instructions.txt").read_text("utf-8")
    pairs = [block.removeprefix("Q: ").split("\nA: ") for block in written.strip().split("\n\n")]
    return [(f"plain-{number}", asked, answer) for number, (asked, answer) in enumerate(pairs, 1)]


@lru_cache(maxsize=16)
def _splits(task: str, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Write every split of a task."""
    grammar = _GRAMMARS[task]
    dice = Dice(f"saywhy pocket/{task}/{seed}")
    shares = {split: _shares(grammar.LABELS, size) for split, size in SIZES.items()}
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in SIZES}
    seen: set[str] = set()
    for label in grammar.LABELS:
        for contested in (False, True):
            counts = {split: shares[split][label, contested] for split in SIZES}
            drawn = grammar.draw(label, contested, sum(counts.values()), dice, seen)
            drawn = dice.shuffled(drawn)
            for split, count in counts.items():
                splits[split] += drawn[:count]
                drawn = drawn[count:]
    return {split: dice.shuffled(made) for split, made in splits.items()}


def _shares(labels: Sequence[str], size: int) -> dict[tuple[str, bool], int]:
    """Divide a split over (label, has competing words) as evenly as whole numbers allow."""
    shares: dict[tuple[str, bool], int] = {}
    extra = True
    for index, label in enumerate(labels):
        count = size // len(labels) + (index < size % len(labels))
        contested = count // 2 + (count % 2 and extra)
        if count % 2:
            extra = not extra
        shares[label, True] = contested
        shares[label, False] = count - contested
    return shares
