"""Files: written whole or not at all, read strictly; compressed ones like others (``docs/rows.md``)."""

from __future__ import annotations

import glob
import gzip
import io
import json
import os
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from saywhy.records import Record, SaywhyError

Parsed = TypeVar("Parsed")
AnyRecord = TypeVar("AnyRecord", bound=Record)

GZIP_SUFFIX = ".gz"
"""Behind the name of a file that is compressed (released banks)."""
DELETE_AND_REPEAT = "delete it and run the same command again"
"""What to do about a damaged file of a run, which then makes it anew."""
MOST_EXPANSION, SMALL_FILE = 200, 2**24
"""A compressed file may expand to so many times its size, or to so many bytes; saywhy's own, to some 20 times."""
PART_SUFFIX = ".part"
"""Behind the name of what is being written."""
HALF_WRITTEN = re.compile(rf"\.[0-9a-f]{{16}}{re.escape(PART_SUFFIX)}$")  # the end of what _fresh_path gives
LONGEST_WRITE = 600.0
"""Seconds after which a file that is being written counts as left by a killed process."""
_FRESH_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all; compressed if its name ends in ``.gz``.

    Raises:
        OSError: As ``write_bytes``.
    """
    write_bytes(path, _gzipped(text) if path.suffix == GZIP_SUFFIX else text.encode("utf-8"))


def write_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file so that it is there whole or not at all, with the rights ``mode``.

    It is written under a name that nobody can foresee, and takes the place of what stands at ``path``: a link that
    somebody left there is replaced, never followed.

    Raises:
        OSError: If it cannot be written, as on a full disk; it names the file, and no half-written file is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _fresh_path(path)
    try:
        with os.fdopen(os.open(part, _FRESH_FILE, mode), "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException as error:  # an interrupt, too
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path) if error.filename in (None, str(part)) else error.filename
        raise


def _fresh_path(path: Path) -> Path:
    """Return a path beside ``path`` under which nothing can be yet."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}{PART_SUFFIX}")


def remove_parts(folder: Path) -> None:
    """Remove the half-written files that killed processes left in a folder, at any depth.

    Those of the last minutes stay: another process may be writing one just now.
    """
    for path in folder.rglob(f".*{PART_SUFFIX}"):
        with suppress(FileNotFoundError):
            if path.is_file() and time.time() - path.stat().st_mtime > LONGEST_WRITE:
                path.unlink()


@contextmanager
def readable_save_errors(folder: Path) -> Iterator[None]:
    """Turn the errors of torch, safetensors and tokenizers into one line: ``folder`` cannot be written.

    Raises:
        SaywhyError: If a library cannot write; an OSError stays what it is.
    """
    try:
        yield
    except (OSError, SaywhyError):
        raise
    except Exception as error:  # each library raises its own kind for a full disk
        message = str(error).strip().partition("\n")[0][:120]
        raise SaywhyError(
            f"{folder} cannot be written ({message}): what was computed is kept; "
            "free space and run the same command again"
        ) from error


def _gzipped(text: str) -> bytes:
    """Compress without time or name, so that the same text gives the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as stream:
        stream.write(text.encode("utf-8"))
    return buffer.getvalue()


def existing_file(path: Path) -> Path | None:
    """Return ``path``, or its compressed twin where only that is there; None if neither is."""
    twin = path.with_name(path.name + GZIP_SUFFIX)
    return path if path.is_file() else twin if twin.is_file() else None


def read_text(path: Path) -> str:
    """Return the text of a file, or of its compressed twin where only that is there.

    Raises:
        SaywhyError: If it is damaged.
    """
    file = existing_file(path) or path
    try:
        content = file.read_bytes()
        return (_expanded(content) if file.suffix == GZIP_SUFFIX else content).decode("utf-8")
    except (gzip.BadGzipFile, EOFError, ValueError, zlib.error) as error:
        raise SaywhyError(f"{file} is damaged ({error}): {repair_advice(file)}") from error


def _expanded(content: bytes) -> bytes:
    """Decompress, as far as an honest file would expand: a small one may be made to fill all memory."""
    limit = max(MOST_EXPANSION * len(content), SMALL_FILE)
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        expanded = stream.read(limit + 1)
    if len(expanded) > limit:
        raise ValueError(f"it expands to more than {limit} bytes")
    return expanded


def repair_advice(path: Path) -> str:
    """Return what to do about a damaged file: a compressed one belongs to a bank, which no run makes again."""
    return "restore it" if path.suffix == GZIP_SUFFIX else DELETE_AND_REPEAT


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as readable JSON, whole or not at all."""
    write_text(path, json_text(data))


def json_text(data: Any) -> str:
    """Return ``data`` as readable JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSONL, whole or not at all."""
    write_text(path, lines_text(rows))


def lines_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return ``rows`` as JSONL."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@contextmanager
def replacing_folder(out: Path, kind: str, is_kind: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a new folder that takes the place of ``out`` (absolute) if the block ends without an error.

    Else ``out`` stays as it was.

    Raises:
        SaywhyError: If ``out`` is something else than nothing, an empty folder, or a ``kind``, as ``is_kind`` says.
    """
    restore_replaced(out)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not is_kind(out))):
        raise SaywhyError(f"{out} is no {kind} and not empty: give another folder")
    part, old = _fresh_path(out), _replaced_path(out)
    if out.exists():
        shutil.rmtree(old, ignore_errors=True)
    for killed in out.parent.glob(f".{glob.escape(out.name)}.{'[0-9a-f]' * 16}{PART_SUFFIX}"):
        shutil.rmtree(killed, ignore_errors=True)
    try:
        yield part
        _swap_folders(part, out, old)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)


def _replaced_path(folder: Path) -> Path:
    """Return where a folder lies while another takes its place."""
    return folder.with_name(f".{folder.name}.old")


def restore_replaced(folder: Path) -> None:
    """Put a folder back that a process killed between two renames had moved aside (``replacing_folder``)."""
    folder = folder.resolve()
    old = _replaced_path(folder) if folder.name else folder
    if not folder.exists() and old.is_dir() and not old.is_symlink():
        old.rename(folder)


def _swap_folders(part: Path, out: Path, old: Path) -> None:
    """Move the folder ``part`` to ``out``, and ``out`` to ``old``; move it back if that fails."""
    if out.exists():
        out.rename(old)
    try:
        part.rename(out)
    except BaseException:  # a keyboard interrupt, too
        if old.exists() and not out.exists():
            old.rename(out)
        raise


def parsed_json(text: str) -> Any:
    """Return what JSON says; ValueError for NaN, infinity and what is nested too deeply, too."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_number(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")


def read_json(path: Path, *, remedy: str = DELETE_AND_REPEAT) -> Any:
    """Read JSON; ``remedy``: what the user is told to do if it is damaged.

    Raises:
        SaywhyError: If it is damaged.
    """
    try:
        return parsed_json(path.read_text("utf-8"))
    except ValueError as error:
        raise SaywhyError(f"{path} is damaged ({error}): {remedy}") from error


def read_object(path: Path, *keys: str, remedy: str = DELETE_AND_REPEAT) -> dict[str, Any]:
    """Read a JSON object; ``remedy``: what the user is told to do if it is damaged.

    Raises:
        SaywhyError: If it is damaged, or lacks one of ``keys``.
    """
    data = read_json(path, remedy=remedy)
    if problem := object_problem(data, keys):
        raise SaywhyError(f"{path} is damaged ({problem}): {remedy}")
    return cast(dict[str, Any], data)


def read_lines(path: Path, *keys: str) -> list[dict[str, Any]]:
    """Read JSONL, compressed or not.

    Raises:
        SaywhyError: If a line is damaged, or lacks one of ``keys``.
    """

    def checked(line: Any) -> dict[str, Any]:
        if problem := object_problem(line, keys):
            raise ValueError(problem)
        return cast(dict[str, Any], line)

    return list(_parsed_lines(path, checked))


def read_records(path: Path, kind: type[AnyRecord]) -> list[AnyRecord]:
    """Read one record a line, compressed or not.

    Raises:
        SaywhyError: If a line is no such record.
    """
    return list(_parsed_lines(path, kind.from_dict, kind.__name__))


def _parsed_lines(path: Path, make: Callable[[Any], Parsed], name: str = "object") -> Iterator[Parsed]:
    file = existing_file(path) or path
    # Texts may hold other line ends than this one.
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield make(parsed_json(line))
        except (ValueError, TypeError, AttributeError) as error:
            problem = f"line {number} of {file} is no {name} ({error})"
            raise SaywhyError(f"{problem}: {repair_advice(file)}") from error


def object_problem(data: Any, keys: Sequence[str]) -> str | None:
    """Return why ``data`` is no JSON object with ``keys``, None if it is."""
    if not isinstance(data, dict):
        return "no JSON object"
    missing = [key for key in keys if key not in data]
    return f"it lacks {missing[0]!r}" if missing else None
