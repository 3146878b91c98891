"""How a command ends: in one line, with exit code 2 where a user can mend it, 128 more than its number for a signal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from saywhy.printable import in_one_line
from saywhy.processes import process_rank, world_size
from saywhy.records import SaywhyError

RESUMABLE = "stopped; what was computed is kept, the same command goes on from there"
"""What a signal makes of a command that keeps what it computes."""


class Stopped(BaseException):
    """A signal that ends the command: none of the exceptions that libraries handle.

    Attributes:
        number: Of the signal.
        message: What the last line says.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(number)
        self.number, self.message = number, message


LONGEST_PROBLEM = 4000
"""Characters of what is printed of a problem."""


def call_to_clear_end(command: Callable[[], object], *, resumable: bool) -> None:
    """Call a command; end the process clearly if the command does not end as it should.

    Args:
        command: What to call.
        resumable: Whether it keeps what it computes, and goes on from there if it is called again.
    """
    stops: list[Stopped] = []

    def stop(number: int, frame: object) -> NoReturn:
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, signal.SIG_DFL)  # a second one ends at once
        stops.append(Stopped(number, RESUMABLE if resumable else "stopped"))
        raise stops[0]

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        command()
        return
    except BaseException as error:
        # Compiled modules that a signal meets as they are imported raise an ImportError in its place.
        problem, code = _problem_and_code(error if isinstance(error, Stopped) or not stops else stops[0])
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    print(f"{_name()}: {in_one_line(problem, LONGEST_PROBLEM)}", file=sys.stderr)
    sys.exit(code)


def _problem_and_code(error: BaseException) -> tuple[str, int]:
    """Return what the last line says of an error and the exit code; raise what is neither a signal's nor a user's."""
    match error:
        case Stopped():
            return error.message, 128 + error.number
        case SaywhyError():
            return str(error), 2
        case typer.TyperException():  # words that typer does not understand
            context = getattr(error, "ctx", None)
            verb = f"{context.info_name} " if context and context.parent else ""
            return f"{error.format_message().rstrip('.')}: see 'saywhy {verb}--help'", 2
        case OSError():
            where = f" ({error.filename})" if error.filename else ""
            return f"{error.strerror or error}{where}: what was computed is kept; mend it and run again", 2
        case _:
            raise error


def _name() -> str:
    """Return how the process calls itself in its last line."""
    try:
        return f"saywhy (process {process_rank()} of {world_size()})" if world_size() > 1 else "saywhy"
    except SaywhyError:  # what says so is what is wrong
        return "saywhy"
