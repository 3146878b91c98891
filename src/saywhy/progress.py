"""Progress with a rate and what is left: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import codecs
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from saywhy.processes import first, world

console = Console(stderr=True)
LINE_EVERY = 15.0
"""Seconds between two plain lines."""


class Bar:
    """Progress of one stage.

    Attributes:
        pace: How many are done by all processes while this one does one.
    """

    def __init__(self, title: str, total: int, unit: str, bar: Progress | None, pace: int = 1) -> None:
        self.title, self.total, self.unit, self.bar, self.pace = title, total, unit, bar, pace
        self.done, self.began, self.last = 0, time.monotonic(), 0.0
        self.task = bar.add_task(title, total=total, rate="") if bar else None

    def tick(self, count: int = 1) -> None:
        """Say that ``count`` more are done."""
        self.to(min(self.done + count * self.pace, self.total) if self.pace > 1 else self.done + count)

    def of(self, done: int, total: int) -> None:
        """Say how many of how many are done: for stages whose length is known late."""
        self.total = total
        if self.bar and self.task is not None:
            self.bar.update(self.task, total=total)
        self.to(done)

    def to(self, done: int) -> None:
        """Say how many are done in all."""
        self.done = done
        if not first():
            return
        spent = time.monotonic() - self.began
        rate = done / spent if spent > 0 else 0.0
        if self.bar and self.task is not None:
            self.bar.update(self.task, completed=done, rate=f"{rate:.1f} {self.unit}/s")
        elif spent - self.last >= LINE_EVERY or done >= self.total:
            self.last = spent
            left = (self.total - done) / rate if rate else 0.0
            console.print(
                f"{self.title}: {done}/{self.total} {self.unit}, {rate:.1f}/s, {left:.0f} s left",
                highlight=False,
            )


@contextmanager
def progress(title: str, total: int, unit: str = "texts", *, shared: bool = False) -> Iterator[Bar]:
    """Show the progress of a stage of ``total`` steps.

    Args:
        title: What is done.
        total: How many steps it has.
        unit: Of what.
        shared: Whether all processes of a launch do it together; the first one's share then stands for all.
    """
    pace = world() if shared else 1
    if not (console.is_terminal and first()):
        yield Bar(title, total, unit, None, pace)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        yield Bar(title, total, unit, bar, pace)


def say(line: str) -> None:
    """Print one line to the user; of several processes, the first one does."""
    if not first():
        return
    console.print(line, highlight=False, markup=False, soft_wrap=True)


PLAIN = {"\u00a7": "*", "\u2013": "-", "\u2020": "+", "\u2021": "++", "\u2192": ">"}
"""What stands for a sign that an output cannot show; for any other it is ``?``."""


def speak_plainly(*streams: object) -> None:
    """Let text streams print what their encoding lacks (an ASCII terminal, a pipe) in other signs, not fail."""
    codecs.register_error("plain", _plain)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
