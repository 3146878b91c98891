"""How a command ends: in one line, with exit code 2 where a user can mend it, 128 more than its number for a signal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from saywhy.records import SaywhyError


class Stopped(BaseException):
    """A signal that ends the command: none of the exceptions that libraries handle.

    Attributes:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def call_to_clear_end(command: Callable[[], object], name: str) -> None:
    """Call a command; end the process clearly if the command does not end as it should.

    Args:
        command: What is called.
        name: How the process calls itself in its last line.
    """
    handlers = {number: signal.signal(number, _stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        command()
        return
    except Stopped as stopped:
        problem, code = "stopped; what was computed is kept, the same command goes on from there", 128 + stopped.number
    except SaywhyError as error:
        problem, code = str(error), 2
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        problem, code = f"{error.strerror or error}{where}: what was computed is kept; mend it and run again", 2
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    print(f"{name}: {problem}", file=sys.stderr)
    sys.exit(code)


def _stop(number: int, frame: object) -> NoReturn:
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_DFL)  # a second one ends at once
    raise Stopped(number)
