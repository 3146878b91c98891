"""The built-in texts: three small tasks written by a seeded grammar, whose deciding words are known.

Nothing is downloaded. A row is a plain dict with the columns of its task and two more: `causes`, the words of
the explained field that decide the label, and `competing`, words of that field that speak for another label.

>>> row = rows("sentiment140", "test")[0]
>>> sorted(row)
['causes', 'competing', 'label', 'text']
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from saywhy.pocket import news, sentiment, snli
from saywhy.pocket.grammar import Dice

SPLIT_SIZES: dict[str, int] = {"train": 1100, "validation": 200, "test": 300}
"""Split to its number of rows, in every task."""


@dataclass(frozen=True)
class TaskGrammar:
    """The grammar of a built-in task.

    Attributes:
        labels: The labels of the task.
        draw: Draws rows: (label, whether with competing words, how many, dice, what was drawn before) to rows.
    """

    labels: tuple[str, ...]
    draw: Callable[[str, bool, int, Dice, set[str]], list[dict[str, Any]]]


_GRAMMARS = {
    "sentiment140": TaskGrammar(sentiment.TWEET_LABELS, sentiment.draw_tweets),
    "snli": TaskGrammar(snli.SNLI_LABELS, snli.draw_snli_pairs),
    "ag_news": TaskGrammar(news.NEWS_LABELS, news.draw_news),
}

POCKET_TASKS: tuple[str, ...] = tuple(_GRAMMARS)
"""The tasks that have built-in texts."""


def rows(task: str, split: str, seed: int = 0) -> list[dict[str, Any]]:
    """Return the rows of one split of a built-in task.

    Splits of one seed are disjoint, their labels balanced, and half of the rows of each have competing words.
    The same seed gives the same rows on every machine. Two seeds share rows.

    Args:
        task: One of `POCKET_TASKS`.
        split: `train` (1,100 rows), `validation` (200) or `test` (300).
        seed: Seed of the draw from the grammar.

    Returns:
        Dicts with `text` (snli: `premise` and `hypothesis`), `label`, `causes` and `competing`; they are
        copies.

    Raises:
        ValueError: If the task or the split is unknown; the message names those there are.
    """
    if task not in _GRAMMARS:
        raise ValueError(f"no built-in texts for task {task!r}; there are {', '.join(POCKET_TASKS)}")
    if split not in SPLIT_SIZES:
        raise ValueError(f"no split {split!r} in the built-in texts; there are {', '.join(SPLIT_SIZES)}")
    split_rows = _drawn_splits(task, seed)[split]
    return [{**row, "causes": list(row["causes"]), "competing": list(row["competing"])} for row in split_rows]


def instructions() -> list[tuple[str, str, str]]:
    """Return plain instructions with answers, as (id, instruction, answer); each asks for a sentence or more.

    They belong to no task and are never trained on.
    """
    source = resources.files("saywhy.pocket").joinpath("instructions.txt").read_text("utf-8")
    pairs = [block.removeprefix("Q: ").split("\nA: ") for block in source.strip().split("\n\n")]
    return [(f"plain-{number}", instruction, answer) for number, (instruction, answer) in enumerate(pairs, 1)]


@lru_cache(maxsize=16)
def _drawn_splits(task: str, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Draw the rows of every split of a task."""
    grammar = _GRAMMARS[task]
    dice = Dice(f"saywhy pocket/{task}/{seed}")
    shares = {split: _balanced_counts(grammar.labels, size) for split, size in SPLIT_SIZES.items()}
    splits: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLIT_SIZES}
    seen: set[str] = set()
    for label in grammar.labels:
        for contested in (False, True):
            counts = {split: shares[split][label, contested] for split in SPLIT_SIZES}
            drawn = grammar.draw(label, contested, sum(counts.values()), dice, seen)
            drawn = dice.shuffled(drawn)
            for split, count in counts.items():
                splits[split] += drawn[:count]
                drawn = drawn[count:]
    return {split: dice.shuffled(split_rows) for split, split_rows in splits.items()}


def _balanced_counts(labels: Sequence[str], size: int) -> dict[tuple[str, bool], int]:
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
