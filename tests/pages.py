"""What no report may have, in any form: a number that is none, an empty table."""

import csv
import re
from html.parser import HTMLParser
from pathlib import Path

_HOLES = re.compile(r"(?<![\w-])(?:[Nn]a[Nn]|NAN|inf|-inf|Infinity|None)(?![\w-])")


class _Tables(HTMLParser):
    """Counts the rows and cells behind the head of each table, and keeps what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[int] = []
        self.said: list[str] = []
        self.skipped = 0

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.cells.append(0)
        self.cells[-1:] = [self.cells[-1] + (tag == "td")] if self.cells else []
        self.skipped += tag in ("style", "title")

    def handle_endtag(self, tag):
        self.skipped -= tag in ("style", "title")

    def handle_data(self, data):
        if not self.skipped:
            self.said.append(data)


def holes(text: str, kind: str) -> list[str]:
    """Return what is wrong with a report's ``text``: ``html``, ``md``, ``csv`` or what a terminal shows (``txt``)."""
    empty = []
    if kind == "html":
        found = _Tables()
        found.feed(text)
        empty = [f"table {number} is empty" for number, cells in enumerate(found.cells) if not cells]
        text = " ".join(found.said)
    if kind == "md":
        lines = [*text.split("\n"), ""]
        heads = [at for at, line in enumerate(lines) if re.fullmatch(r"\|[ :|-]+\|", line)]
        empty = [f"the table at line {at} is empty" for at in heads if not lines[at + 1].startswith("|")]
    if kind == "csv":
        rows = list(csv.reader(text.splitlines()))
        empty = ["the file is empty"] * (len(rows) < 2)
        empty += [f"line {at} has {len(row)} cells" for at, row in enumerate(rows) if len(row) != len(rows[0])]
    return empty + [match.group() for match in _HOLES.finditer(text)]


def holes_of(folder: Path) -> list[str]:
    """Return what is wrong with the reports of a run folder."""
    files = [file for file in sorted(folder.iterdir()) if file.suffix in (".html", ".md", ".csv")]
    assert files, "no report was written"
    return [f"{file.name}: {hole}" for file in files for hole in holes(file.read_text("utf-8"), file.suffix[1:])]
