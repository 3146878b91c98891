"""Progress with a rate and what is left: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import codecs
import io
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment

from saywhy.printable import printable
from saywhy.processes import is_first_process, makes_parts, world_size


class PlainConsole(Console):
    """A console on which no text is obeyed: colours are those of its own styles alone, whatever it is given to show.

    Everything that saywhy prints goes through one.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render what is to be shown, each piece of text made printable."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


console = PlainConsole(stderr=True)
SECONDS_BETWEEN_LINES = 15.0
"""Seconds between two plain lines."""


class ProgressBar:
    """Progress of one stage.

    Attributes:
        done: How many steps are done.
        kept: How many of these were done in an earlier sitting: they cost no time in this one.
        pace: How many steps all processes do together while this one does one.
    """

    def __init__(self, title: str, total: int, unit: str, bar: Progress | None, pace: int = 1) -> None:
        self.title, self.total, self.unit, self.bar, self.pace = title, total, unit, bar, pace
        self.done, self.kept = 0, 0
        self.began, self.last = time.monotonic(), 0.0
        self.task = bar.add_task(title, total=total, rate="") if bar else None

    def tick(self, count: int = 1) -> None:
        """Add ``count`` to those that are done."""
        self.advance_to(min(self.done + count * self.pace, self.total) if self.pace > 1 else self.done + count)

    def skip(self, count: int) -> None:
        """Add ``count`` that were done in an earlier sitting."""
        self.kept += count
        self.advance_to(self.done + count)

    def update(self, done: int, total: int) -> None:
        """Set how many are done, and the total: for a stage that goes step by step and whose length is known late.

        The first call comes after one step: what is done beyond that was done in an earlier sitting.
        """
        if not self.done:
            self.kept = done - 1
        self.total = total
        if self.bar and self.task is not None:
            self.bar.update(self.task, total=total)
        self.advance_to(done)

    def advance_to(self, done: int) -> None:
        """Set how many are done in all."""
        previous, self.done = self.done, done
        if not is_first_process():
            return
        elapsed = time.monotonic() - self.began
        rate = (done - self.kept) / elapsed if elapsed > 0 else 0.0
        if self.bar and self.task is not None:
            self.bar.update(self.task, completed=done, rate=f"{rate:.1f} {self.unit}/s")
        elif elapsed - self.last >= SECONDS_BETWEEN_LINES or done >= self.total > previous:
            self.last = elapsed
            remaining = (self.total - done) / rate if rate else 0.0
            console.print(
                f"{self.title}: {done}/{self.total} {self.unit}, {rate:.1f}/s, {remaining:.0f} s left",
                highlight=False,
                markup=False,
            )


@contextmanager
def progress(title: str, total: int, unit: str = "texts", *, shared: bool = False) -> Iterator[ProgressBar]:
    """Show the progress of a stage of ``total`` steps.

    Args:
        title: Name of the stage.
        total: How many steps it has.
        unit: What a step is, in the plural.
        shared: Whether all processes of a launch do it together; the first process's share then stands for all.
    """
    pace = world_size() if shared else 1
    if not console.is_terminal or not is_first_process() or makes_parts():  # where others compute, nothing ticks here
        yield ProgressBar(title, total, unit, None, pace)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        yield ProgressBar(title, total, unit, bar, pace)


def say(line: str) -> None:
    """Print one line to the user; of several processes, only the first prints."""
    if not is_first_process():
        return
    console.print(line, highlight=False, markup=False, soft_wrap=True)


PLAIN_SIGNS = {"\u00a7": "*", "\u2013": "-", "\u2020": "+", "\u2021": "++", "\u2192": ">"}
"""What stands for a sign that an output cannot show; for any other it is ``?``."""


def speak_plainly(*streams: object) -> None:
    """Let text streams print what their encoding lacks (an ASCII terminal, a pipe) in other signs, not fail."""
    codecs.register_error("plain", _plain_sign_handler)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


class _OutlastingStream:
    """A text stream that goes on into nowhere where it cannot be written to."""

    def __init__(self, stream: io.TextIOWrapper, endured: type[OSError]) -> None:
        self._stream, self._endured = stream, endured

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write; return how many signs."""
        try:
            return self._stream.write(text)
        except self._endured:
            self._go_nowhere()
            return len(text)

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            self._stream.flush()
        except self._endured:
            self._go_nowhere()

    def _go_nowhere(self) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)


def outlasting(stream: TextIO, endured: type[OSError]) -> TextIO:
    """Return ``stream`` such that the work behind it goes on when nobody reads it any more, or it is full.

    Args:
        stream: Standard output or error; any other stream is returned as it is.
        endured: The errors after which what is written goes nowhere.
    """
    return cast(TextIO, _OutlastingStream(stream, endured)) if isinstance(stream, io.TextIOWrapper) else stream


def _plain_sign_handler(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN_SIGNS.get(sign, "?") for sign in error.object[error.start : error.end]), error.end
