"""The decision log of a service: one line of JSON a decision, in files that are kept small (docs/serve.md)."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from saywhy.folders.store import parsed_json
from saywhy.holding import CheckStatus
from saywhy.records import Record, SaywhyError, StyleName

LOG_SCHEMA = 1
"""Version of a line of the log. Raised whenever a field changes its meaning."""
FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Between these a decision was made; a line that says otherwise is damaged."""
MOST_OLDER_FILES = 1000
"""Files of a log with higher numbers are not its own: a date, such as tools that rotate logs write."""
_APPENDED = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclasses.dataclass(frozen=True, slots=True)
class LoggedDecision(Record):
    """What the log keeps of a decision.

    Attributes:
        time: When it was made, ISO 8601 in UTC.
        task: Name of the task.
        model: Which model of the service made it.
        label: The answer.
        probability: Its calibrated probability.
        margin: Its log-odds (nats) against the best other label.
        status: What the recheck says of the reason.
        effort: How far a reason was looked for.
        style: The style of the reason.
        rechecks: How many edited texts were rechecked.
        seconds: How long it took, with those that were made together with it.
        confidence: Probability that the reason holds, before the recheck; None where it was never fitted.
        made_with: Hashes of the weights, chat template, prompts and task.
        text: The text; None unless the service was asked to log texts.
        context: Its other fields; likewise.
        schema: Version of the line.
    """

    time: str
    task: str
    model: str
    label: str
    probability: float
    margin: float
    status: CheckStatus
    effort: str
    style: StyleName
    rechecks: int
    seconds: float
    confidence: float | None = None
    made_with: Mapping[str, str] = dataclasses.field(default_factory=dict)
    text: str | None = None
    context: Mapping[str, str] | None = None
    schema: int = LOG_SCHEMA

    @property
    def when(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.time).astimezone(UTC)


class DecisionLog:
    """A log that is being written: each line at once, so that a crash costs a line at most.

    Only its owner may read it. Behind ``most_bytes`` it goes on in a new file; FILE.1 is the newest of the older ones.
    """

    def __init__(self, path: Path, most_bytes: int, older_files: int) -> None:
        """Open the log, to go on behind what it holds.

        Raises:
            SaywhyError: If another service writes it.
            OSError: If it cannot be written.
        """
        self.path, self._most_bytes, self._older_files = path, most_bytes, older_files
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = self._open()
        for number, older in _numbered_parts(path).items():  # of a time when more were to be kept
            if older_files < number <= MOST_OLDER_FILES:
                older.unlink()

    def write(self, decision: LoggedDecision) -> None:
        """Append a decision.

        Raises:
            OSError: If it cannot be written, as on a full disk.
            SaywhyError: If another service took the file that it was to go on in.
        """
        fields = {name: value for name, value in decision.to_dict().items() if value is not None}
        line = json.dumps(fields, ensure_ascii=False).encode() + b"\n"
        if not self._is_in_place():  # removed, or moved away, while it was written
            self._reopen()
        if os.fstat(self._handle).st_size + len(line) > self._most_bytes and os.fstat(self._handle).st_size:
            self._rotate()
        size = os.fstat(self._handle).st_size
        try:
            while line:
                line = line[os.write(self._handle, line) :]
        except OSError:
            os.ftruncate(self._handle, size)  # half a line would spoil the next one
            raise

    def close(self) -> None:
        """End the log."""
        os.close(self._handle)

    def _open(self) -> int:
        handle = os.open(self.path, _APPENDED, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise SaywhyError(f"log={self.path} is no file: give another one")
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(handle, 0o600)
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                os.write(handle, b"\n")  # behind half a line, which a crash left
        except BlockingIOError:
            os.close(handle)
            raise SaywhyError(f"log={self.path} is being written by another service: give another file") from None
        except BaseException:
            os.close(handle)
            raise
        return handle

    def _rotate(self) -> None:
        # Where the last rotation found no room for a new file, only that is left to do.
        for number in range(self._older_files, 0, -1) if self.path.exists() else ():
            newer = part_of_log(self.path, number - 1)
            if newer.exists():
                newer.replace(part_of_log(self.path, number))
        self._reopen()

    def _reopen(self) -> None:
        before, self._handle = self._handle, self._open()
        os.close(before)

    def _is_in_place(self) -> bool:
        """Whether the file that is written is still the one of that name."""
        try:
            return os.path.samestat(self.path.stat(follow_symlinks=False), os.fstat(self._handle))
        except FileNotFoundError:
            return False


def part_of_log(path: Path, number: int) -> Path:
    """Return the file of a log; 0: that which is being written, 1: the newest of the older ones."""
    return path.with_name(f"{path.name}.{number}") if number else path


@dataclasses.dataclass(frozen=True, slots=True)
class ReadLog:
    """What a log holds.

    Attributes:
        decisions: In the order in which they were written.
        damaged: How many lines are no decisions.
        files: How many files it has.
    """

    decisions: tuple[LoggedDecision, ...]
    damaged: int
    files: int


def read_decision_log(path: Path) -> ReadLog:
    """Read a log with its older files; what is damaged is counted and left out.

    Raises:
        SaywhyError: If there is no such file, or no decision in it.
        OSError: If it cannot be read.
    """
    parts = _parts_of_log(path)
    if not parts:
        raise SaywhyError(f"{path} is no file: give the log of a service (saywhy serve log=FILE)")
    decisions, damaged = [], 0
    for part in parts:
        for line in part.read_bytes().split(b"\n"):
            if line.strip():
                decision = _logged(line)
                damaged += decision is None
                decisions += [decision] if decision else []
    if not decisions:
        content = "its lines are no decisions" if damaged else "it is empty"
        raise SaywhyError(f"{path} is no log of decisions, {content}: give that of a service (saywhy serve log=FILE)")
    return ReadLog(tuple(decisions), damaged, len(parts))


def _parts_of_log(path: Path) -> list[Path]:
    """Return the files of a log, the oldest first."""
    numbered = _numbered_parts(path)
    return [numbered[number] for number in sorted(numbered, reverse=True)]


def _numbered_parts(path: Path) -> dict[int, Path]:
    """Return the files of a log that are there, by their numbers."""
    numbered: dict[int, Path] = {0: path}
    for older in path.parent.glob("*") if path.parent.is_dir() else ():
        number = older.name.removeprefix(f"{path.name}.")
        if older.name != number and number.isascii() and number.isdigit() and not number.startswith("0"):
            numbered[int(number)] = older
    return {number: part for number, part in numbered.items() if part.is_file()}


def _logged(line: bytes) -> LoggedDecision | None:
    """Return a line as a decision, None if it is none."""
    try:
        decision = LoggedDecision.from_dict(parsed_json(line.decode("utf-8")))
        json.dumps(decision.to_dict(), ensure_ascii=False).encode("utf-8")  # no halves of characters
        year = decision.when.year
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None
    return decision if decision.schema == LOG_SCHEMA and FIRST_YEAR <= year < LAST_YEAR else None


def opened_log(path: Path, most_bytes: int, older_files: int) -> DecisionLog:
    """Open a log for writing.

    Raises:
        SaywhyError: If it cannot be written: one line with the file and why.
    """
    try:
        return DecisionLog(path, most_bytes, older_files)
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise SaywhyError(f"log={path} cannot be written ({why}): give another file") from error
