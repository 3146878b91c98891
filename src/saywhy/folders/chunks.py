"""The chunks of a stage: finished parts of a file, each a file of its own, in a folder beside what they make."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from saywhy.folders.checksums import checksum
from saywhy.folders.store import (
    DELETE_AND_REPEAT,
    json_text,
    object_problem,
    parsed_json,
    read_lines,
    read_text,
    remove_parts,
    write_text,
)
from saywhy.records import SaywhyError

ChunkItem = TypeVar("ChunkItem")

_MERGED_SUFFIX, _CHECKSUM_SIGN = "-merged", "# sha256 "


def chunks_of(items: Sequence[ChunkItem], size: int) -> list[Sequence[ChunkItem]]:
    """Return ``items`` in chunks of ``size``; the last one may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def chunk_folder_of(directory: Path, name: str) -> Path:
    """Return the folder that holds the chunks of the file or stage ``name`` in ``directory``."""
    return directory / f".{name}-parts"


def chunk_files_of(directory: Path, name: str, chunks: int) -> list[Path]:
    """Return where the chunks of the file or stage ``name`` in ``directory`` are, or will be."""
    return [chunk_folder_of(directory, name) / f"{number:05d}.json" for number in range(chunks)]


def write_chunk(path: Path, content: Any) -> None:
    """Write a chunk, with its checksum in a last line."""
    text = json_text(content)
    write_text(path, f"{text}{_CHECKSUM_SIGN}{checksum(text.encode())}\n")


def read_chunk(path: Path, keys: Sequence[str] = ()) -> Any:
    """Read a chunk; one of an older version has no checksum.

    Raises:
        SaywhyError: If it is damaged, or lacks one of ``keys``.
    """
    content_text, sign, noted = read_text(path).partition(f"\n{_CHECKSUM_SIGN}")  # JSON escapes line breaks of texts
    text = f"{content_text}\n" if sign else content_text
    try:
        if sign and noted.strip() != checksum(text.encode()):
            raise ValueError("other content than when it was finished")
        content = parsed_json(text)
        if keys and (problem := object_problem(content, keys)):
            raise ValueError(problem)
    except ValueError as error:
        raise SaywhyError(f"{path} is damaged ({error}): {DELETE_AND_REPEAT}") from error
    return content


def clear_left_files(folder: Path) -> None:
    """Remove what killed processes left: merged chunks and half-written files."""
    for merged in list(folder.rglob(f".*-parts{_MERGED_SUFFIX}")):
        shutil.rmtree(merged, ignore_errors=True)
    remove_parts(folder)


def remove_chunks(directory: Path, name: str) -> None:
    """Remove all merged chunks at once: another process must see all of them or none."""
    chunk_folder = chunk_folder_of(directory, name)
    if chunk_folder.exists():
        merged = chunk_folder.with_name(f"{chunk_folder.name}{_MERGED_SUFFIX}")
        shutil.rmtree(merged, ignore_errors=True)
        chunk_folder.rename(merged)
        shutil.rmtree(merged, ignore_errors=True)


def split_into_chunks(
    directory: Path, names: Sequence[str], chunks: Sequence[Sequence[str]], is_kept: Callable[[Sequence[str]], bool]
) -> None:
    """Make chunks again of what a finished stage has merged, all at once; of one that was begun, remove the others.

    Args:
        directory: Where its files are.
        names: Stems of the files that it makes.
        chunks: The ids of what each of its chunks went over.
        is_kept: Whether there is to be a chunk of these ids.

    Raises:
        SaywhyError: If a file of it is damaged.
    """
    folder, files = chunk_folder_of(directory, names[0]), chunk_files_of(directory, names[0], len(chunks))
    if folder.exists():
        for file, chunk in zip(files, chunks, strict=True):
            if not is_kept(chunk):
                file.unlink(missing_ok=True)
        return
    if not all((directory / f"{name}.jsonl").is_file() for name in names):
        return
    lines = {name: read_lines(directory / f"{name}.jsonl", "id") for name in names}
    unfinished = folder.with_name(f"{folder.name}{_MERGED_SUFFIX}")  # cleared away, if this process is killed
    unfinished.mkdir(exist_ok=True)
    for file, chunk in zip(files, chunks, strict=True):
        if is_kept(chunk):
            of_chunk = {name: [line for line in lines[name] if line["id"] in chunk] for name in names}
            write_chunk(unfinished / file.name, of_chunk)
    unfinished.rename(folder)
