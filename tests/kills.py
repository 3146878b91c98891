"""Commands that are killed at random moments and given again, and what may differ then from one that was left alone.

A moment is a number of changes to files (so it is the same in every repetition, and none that matters on disk is
missed), or a number of seconds (in the middle of a computation, or of what a library writes without Python).
``python kills.py SIGN RANK WORDS...`` is ``saywhy WORDS...`` that kills itself behind a file of ``SIGN``; of a launch,
its process ``RANK`` does.
"""

import fnmatch
import json
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import NamedTuple

from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.lock import LOCK_FILE
from saywhy.folders.store import PART_SUFFIX

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.copyfile")
"""Audit events of Python by which a file or folder is changed; beside them, ``open`` to write."""

MAY_DIFFER = {
    "seconds": "entry of run.json and study.json, and section of their reports: how long stages took",
    "Hours": "section of a study's report: the seconds again",
    "rates.json": "seconds a text, measured",
    "run.json": "entry of checksums.json: of a file that has seconds",
    "study.json": "entry of checksums.json: of a file that has seconds",
    CHECKSUMS_FILE: "entry in itself: of its other entries",
    LOCK_FILE: "a lock ends with its process, the file may stay",
    PART_SUFFIX: "half-written files stay for ten minutes: another process may be writing one (store.remove_parts)",
}
"""Entries of files, sections of reports, files and endings of files that are not compared, with the reason."""
MANIFESTS = ("run.json", "study.json", ".run.json.copy", ".study.json.copy", CHECKSUMS_FILE)
SECTION = re.compile(rb"(?:### |<h3>)(?:seconds|hours)\b.*?(?=\n### |\n## |<h[23]>|\Z)", re.DOTALL | re.IGNORECASE)
"""A section of a report that may differ."""
FIRST_CHANGES = 20
"""Changes to files by which a folder is begun."""


class Moment(NamedTuple):
    """When a command is killed: before a change to files, or after some seconds; and by which signal."""

    change: int | None
    seconds: float | None
    number: int = signal.SIGKILL


class Straight(NamedTuple):
    """What a command that was left alone gives: its results, the changes to files that it makes, its seconds."""

    result: dict[str, bytes]
    changes: int
    seconds: float


class Verb(NamedTuple):
    """A command whose kills are tried.

    Attributes:
        words: Of the command line.
        out: The folder of its results.
        prepare: Makes ``out`` (which does not exist) what the command finds, if it finds something.
        modules: What it imports, of what takes long.
    """

    words: Sequence[str]
    out: Path
    prepare: Callable[[Path], object] = lambda out: None
    modules: Sequence[str] = ("saywhy.training.train", "trl", "saywhy.report.study")


def forks(*modules: str) -> ForkServerContext:
    """Return a context whose processes are forks of one that has imported ``modules``, if it is the first of all.

    It is no fork of this one: torch cannot train in the fork of a process that has trained.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["saywhy.cli.app", *modules])
    first = context.Process(target=int)  # the imports are no part of any command's time
    first.start()
    first.join()
    return context


def start(
    context: ForkServerContext, words: Sequence[str], log: Path, moment: Moment | None = None
) -> ForkServerProcess:
    process = context.Process(target=_command, args=(list(words), log, moment))
    process.start()
    return process


def _command(words: list[str], log: Path, moment: Moment | None) -> None:
    """Run a command in this process, its output in ``log``; the number of its changes goes beside it."""
    for stream in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    if words[0] == "calibrate":
        _let_plants_be_learned()
    from saywhy.cli.app import main

    changes = 0

    def count(event: str, arguments: tuple) -> None:
        nonlocal changes
        if is_change(event, arguments):
            changes += 1
            if moment and changes == moment.change:
                os.kill(os.getpid(), moment.number)

    sys.argv = ["saywhy", *words]
    sys.addaudithook(count)
    try:
        main()
    finally:
        log.with_suffix(".changes").write_text(str(changes))


def _let_plants_be_learned() -> None:
    """Let every plant count as learned, by few texts: a tiny random model follows no rule."""
    import saywhy.report.calibration
    import saywhy.ruler.run

    saywhy.ruler.run.LEAST_FOLLOWED_SHARE = saywhy.report.calibration.LEAST_FOLLOWED_SHARE = 0.0
    saywhy.ruler.run.HELD_OUT_TEXTS = 8


def is_change(event: str, arguments: tuple) -> bool:
    """Whether an audit event changes a file or folder, or may."""
    return event in CHANGES or (event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)))


def kill_behind(sign: str) -> None:
    """Kill this process when it has put a file there whose path is like ``sign``, before it changes another.

    Who watches for the file from another process or thread may be too late on a busy machine.
    """
    is_there = False

    def watch(event: str, arguments: tuple) -> None:
        nonlocal is_there
        if is_change(event, arguments):
            if is_there:
                os.kill(os.getpid(), signal.SIGKILL)
            is_there = any(isinstance(name, str | Path) and fnmatch.fnmatch(str(name), sign) for name in arguments)

    sys.addaudithook(watch)


def left_alone(context: ForkServerContext, verb: Verb, log: Path) -> Straight:
    verb.prepare(verb.out)
    began = time.monotonic()
    process = start(context, verb.words, log)
    process.join()
    seconds = time.monotonic() - began
    assert process.exitcode == 0, log.read_text("utf-8")
    straight = Straight(result_of(verb.out), int(log.with_suffix(".changes").read_text()), seconds)
    shutil.rmtree(verb.out)
    return straight


def moment_of(luck: random.Random, straight: Straight) -> Moment:
    """Draw a moment: two of three before a change to files, half of these while a folder is begun.

    One of ten comes by the signal that asks a command to end.
    """
    number = signal.SIGTERM if luck.random() < 0.1 else signal.SIGKILL
    if luck.random() < 1 / 3:
        return Moment(None, luck.uniform(0, straight.seconds), number)
    return Moment(luck.randint(1, luck.choice((straight.changes, FIRST_CHANGES))), None, number)


def killed(context: ForkServerContext, verb: Verb, moment: Moment, log: Path) -> bool:
    """Run a command and kill it; False if it ended before, which must be well."""
    process = start(context, verb.words, log, moment)
    process.join(moment.seconds)
    if moment.seconds is not None and process.is_alive():
        os.kill(process.pid, moment.number)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL, 128 + signal.SIGTERM, -signal.SIGTERM), log.read_text("utf-8")
    return process.exitcode != 0


def differences_after_kills(verb: Verb, count: int, log: Path) -> dict[str, tuple]:
    """Kill a command ``count`` times, giving it again until it ends; return what differs from one left alone.

    Returns:
        File to the moments after which it differed, its content if left alone, and its content; {} if none did.
    """
    context, luck, differing = forks(*verb.modules), random.Random(verb.words[0]), {}
    straight = left_alone(context, verb, log)
    while count:
        verb.prepare(verb.out)
        moments = []
        while count and killed(context, verb, moment := moment_of(luck, straight), log):
            count -= 1
            moments.append(moment)
        if not count:
            process = start(context, verb.words, log)
            process.join()
            assert process.exitcode == 0, (moments, log.read_text("utf-8"))
        result = result_of(verb.out)
        names = {name for name in result.keys() | straight.result if result.get(name) != straight.result.get(name)}
        differing |= {name: (moments, straight.result.get(name), result.get(name)) for name in sorted(names)}
        shutil.rmtree(verb.out)
    return differing


def result_of(out: Path) -> dict[str, bytes]:
    """Return what lies in a folder and beside it by its name, without what may differ; a folder has no content."""
    return {
        str(path.relative_to(out.parent)): b"" if path.is_dir() else _comparable(path)
        for path in sorted(out.parent.rglob("*"))
        if path.is_dir() or not {path.name, path.suffix} & {"rates.json", LOCK_FILE, PART_SUFFIX}
    }


def _comparable(path: Path) -> bytes:
    """Return the content of a file, without what may differ."""
    if path.name in MANIFESTS:
        content = json.loads(path.read_text("utf-8"))
        kept = {key: value for key, value in content.items() if key not in MAY_DIFFER}
        if path.name == CHECKSUMS_FILE:  # of a file whose writer was killed, what it held before comes first
            kept = {key: sums.split()[-1] for key, sums in kept.items()}
        return json.dumps(kept).encode()
    return SECTION.sub(b"", path.read_bytes()) if path.name in ("report.md", "report.html") else path.read_bytes()


if __name__ == "__main__":
    from saywhy.cli.app import main
    from saywhy.processes import process_rank

    sign, rank, *words = sys.argv[1:]
    if process_rank() == int(rank):
        kill_behind(sign)
    sys.argv = ["saywhy", *words]
    main()
