"""Print random rows of the built-in texts as Markdown: `python -m saywhy.pocket [rows a task] [seed]`."""

import re
import sys
from typing import Any

from saywhy.pocket import POCKET_TASKS, rows
from saywhy.pocket.grammar import Dice


def markdown_row(row: dict[str, Any]) -> str:
    """Return a row as a Markdown line: causes bold, competing words in italics."""
    explained = row["text"] if "text" in row else row["hypothesis"]
    for words, mark in ((row["causes"], "**"), (row["competing"], "_")):
        for word in words:
            explained = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", f"{mark}{word}{mark}", explained)
    premise = f"{row['premise']} / " if "premise" in row else ""
    return f"- {row['label']}: {premise}{explained}"


def print_sample_rows(count: int = 20, seed: int = 0) -> None:
    """Print `count` rows of every task's test split."""
    for task in POCKET_TASKS:
        drawn = Dice(f"{task}/{seed}").shuffled(rows(task, "test"))[:count]
        sys.stdout.write("\n".join([f"### {task}", "", *map(markdown_row, drawn), "", ""]))


if __name__ == "__main__":
    print_sample_rows(*map(int, sys.argv[1:]))
