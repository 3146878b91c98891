"""Files: written whole or not at all, read strictly; compressed ones like others (``docs/rows.md``)."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from saywhy.processes import rank
from saywhy.records import Record, SaywhyError

T = TypeVar("T")
R = TypeVar("R", bound=Record)

PACKED = ".gz"
"""Behind the name of a file that is compressed (released banks)."""


def write(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all; compressed if its name ends in ``.gz``.

    Raises:
        OSError: If it cannot be written, as on a full disk; it names the file, and half of it is not left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{rank()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(_packed(text) if path.suffix == PACKED else text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Say in one line what torch, safetensors and tokenizers say in their own ways: they cannot write ``folder``."""
    try:
        yield
    except (OSError, SaywhyError):
        raise
    except Exception as error:  # each has a kind of its own for a full disk
        said = str(error).strip().partition("\n")[0][:120]
        raise SaywhyError(
            f"{folder} cannot be written ({said}): what was computed is kept; free space and run the same command again"
        ) from error


def _packed(text: str) -> bytes:
    """Compress without time or name, so that the same text gives the same bytes."""
    whole = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=whole, mtime=0) as stream:
        stream.write(text.encode("utf-8"))
    return whole.getvalue()


def existing(path: Path) -> Path | None:
    """Return ``path``, or its compressed twin where only that is there; None if neither is."""
    twin = path.with_name(path.name + PACKED)
    return path if path.is_file() else twin if twin.is_file() else None


def read(path: Path) -> str:
    """Return the text of a file, or of its compressed twin where only that is there.

    Raises:
        SaywhyError: If it is damaged.
    """
    found = existing(path) or path
    try:
        content = found.read_bytes()
        return (gzip.decompress(content) if found.suffix == PACKED else content).decode("utf-8")
    except (gzip.BadGzipFile, EOFError, ValueError, zlib.error) as error:
        raise SaywhyError(f"{found} is damaged ({error}): {_mend(found, 'delete it and run again')}") from error


def _mend(path: Path, otherwise: str) -> str:
    """Return what to do about a damaged file: a compressed one is of a bank, which no run makes again."""
    return "restore it" if path.suffix == PACKED else otherwise


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as readable JSON, whole or not at all."""
    write(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSONL, whole or not at all."""
    write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


@contextmanager
def placed(out: Path, what: str, is_one: Callable[[Path], bool]) -> Iterator[Path]:
    """Give a folder to fill, which takes the place of ``out`` (absolute) if all goes well; else that stays as it was.

    Raises:
        SaywhyError: If there is something else than nothing, an empty folder, or a ``what``, as ``is_one`` says.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not is_one(out))):
        raise SaywhyError(f"{out} is no {what} and not empty: give another folder")
    part, old = (out.with_name(f".{out.name}.{end}") for end in ("part", "old"))
    shutil.rmtree(part, ignore_errors=True)
    try:
        yield part
        _put(part, out, old)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)


def _put(part: Path, out: Path, old: Path) -> None:
    """Put the folder ``part`` in the place of ``out``, which goes to ``old``, and comes back if that fails."""
    if out.exists():
        out.rename(old)
    try:
        part.rename(out)
    except BaseException:  # a keyboard interrupt, too
        if old.exists() and not out.exists():
            old.rename(out)
        raise


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        SaywhyError: If it is damaged.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise SaywhyError(f"{path} is damaged ({error}): delete it and run again") from error


def read_object(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        SaywhyError: If it is damaged, or lacks one of ``keys``.
    """
    found = read_json(path)
    if problem := lacks(found, keys):
        raise SaywhyError(f"{path} is damaged ({problem}): delete it and run again")
    return cast(dict[str, Any], found)


def read_lines(path: Path, *keys: str) -> list[dict[str, Any]]:
    """Read JSONL, compressed or not.

    Raises:
        SaywhyError: If a line is damaged, or lacks one of ``keys``.
    """

    def checked(line: Any) -> dict[str, Any]:
        if problem := lacks(line, keys):
            raise ValueError(problem)
        return cast(dict[str, Any], line)

    return list(_read(path, checked))


def read_records(path: Path, kind: type[R], *, unfinished: bool = False) -> list[R]:
    """Read one record a line, compressed or not.

    Args:
        path: The file.
        kind: What it holds.
        unfinished: Leave out a last line that a killed run left half-written.

    Raises:
        SaywhyError: If a line is no such record.
    """
    return list(_read(path, kind.from_dict, kind.__name__, unfinished=unfinished))


def _read(path: Path, make: Callable[[Any], T], name: str = "object", *, unfinished: bool = False) -> Iterator[T]:
    found = existing(path) or path
    lines = read(found).split("\n")  # and nothing else: texts may hold other line ends
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield make(json.loads(line))
        except (ValueError, TypeError, AttributeError) as error:
            if unfinished and number == len(lines):
                return
            what = f"line {number} of {found} is no {name} ({error})"
            raise SaywhyError(f"{what}: {_mend(found, 'delete the line, or the file and run again')}") from error


def lacks(found: Any, keys: Sequence[str]) -> str | None:
    """Return why ``found`` is no object with ``keys``, None if it is."""
    if not isinstance(found, dict):
        return "no JSON object"
    missing = [key for key in keys if key not in found]
    return f"it lacks {missing[0]!r}" if missing else None
