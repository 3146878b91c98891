"""A folder in which the processes of a launch work together: what is made in chunks, and what is made once.

A stage is planned in fixed chunks. Each finished chunk is one file, written under another name and renamed; when
all are there they are merged. What exists is never computed again.

The processes of a launch share the chunks of a stage: each computes those that fall to it, the first one merges. What
comes of a chunk hangs on that chunk alone, so the whole is that of one process.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.folders.lock import Sitting
from saywhy.folders.store import read_json, read_object, write_json, write_lines
from saywhy.processes import first, rank, world

Chunk = Mapping[str, Sequence[Mapping[str, Any]]]
"""File stem -> the lines that a chunk adds to it."""


class SharedFolder:
    """A folder on disk and this process's part in it.

    Attributes:
        path: The folder.
        sitting: This process's part in the work on it.
    """

    def __init__(self, path: Path) -> None:
        """Come in.

        Raises:
            SaywhyError: If another process, of another launch, is at work there.
        """
        self.path = path
        self.sitting = Sitting(path)
        self._in_chunk = False

    def keep_json(self, name: str, data: Any) -> None:
        """Write the JSON file ``name``; of several processes, which must agree on it, the first one does."""
        if first():
            write_json(self.path / name, data)

    def keep_lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the JSONL file ``name``; of several processes, which must agree on it, the first one does."""
        if first():
            write_lines(self.path / name, rows)

    def json(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the JSON file ``name``, made once: by the first process, for which the others wait.

        Within a chunk, whoever needs it makes it: the first process may have none that needs it.
        """
        path = self.path / name
        if not path.is_file() and (first() or self._in_chunk):
            made = make()
            if not path.is_file():
                write_json(path, made)
        self.sitting.wait(path.is_file, name)
        return read_json(path)

    def json_of_chunks(
        self, name: str, chunks: int, compute: Callable[[int], Any], join: Callable[[list[Any]], Any]
    ) -> Any:
        """Return the JSON file ``name``, made once, by all processes together.

        Args:
            name: The file, below the folder.
            chunks: How many chunks it is planned in.
            compute: Makes one chunk; the same in any process and at any time.
            join: Makes the content of the file from what the chunks gave, in their order.
        """
        path = self.path / name
        parts = _parts(path.parent, path.stem, chunks)
        self._compute(parts, compute, path.is_file)
        if first() and not path.is_file():
            self._wait_for(parts)
            write_json(path, join([read_json(part) for part in parts]))
        if first():
            _drop(path.parent, path.stem)
        self.sitting.wait(path.is_file, name)
        return read_json(path)

    def stage(self, folder: str, files: Sequence[str], chunks: int, compute: Callable[[int], Chunk]) -> None:
        """Run a stage of ``chunks`` chunks, except for what is already there; return when all processes are through.

        Args:
            folder: Where its files are, below the folder.
            files: Stems of the JSONL files that it makes.
            chunks: How many chunks it is planned in.
            compute: Makes one chunk; the same chunk in any process and at any time.
        """
        where = self.path / folder
        parts = _parts(where, files[0], chunks)

        def done() -> bool:
            return self.done(folder, files)

        self._compute(parts, lambda number: {name: list(lines) for name, lines in compute(number).items()}, done)
        if first() and not done():
            self._wait_for(parts)
            made = [read_object(part) for part in parts]
            for name in files:
                write_lines(where / f"{name}.jsonl", (line for part in made for line in part.get(name, [])))
            _drop(where, files[0])
        self.sitting.wait(done, f"{folder}/{files[0]}.jsonl")

    def done(self, folder: str, files: Sequence[str]) -> bool:
        """Whether a stage is complete."""
        where = self.path / folder
        return not _place(where, files[0]).exists() and all((where / f"{name}.jsonl").is_file() for name in files)

    def begun(self, folder: str, files: Sequence[str]) -> bool:
        """Whether a stage has anything yet, be it a chunk."""
        where = self.path / folder
        return _place(where, files[0]).exists() or any((where / f"{name}.jsonl").is_file() for name in files)

    def _compute(self, parts: Sequence[Path], compute: Callable[[int], Any], done: Callable[[], bool]) -> None:
        """Compute the chunks that fall to this process, as far as they are not there."""
        if self._in_chunk and not done():
            raise RuntimeError(f"{parts[0].parent} within a chunk: the other processes may never come to it")
        for number in range(rank(), len(parts), world()):
            # The first process may have merged between two looks: what was in the parts is done then.
            if not parts[number].is_file() and not done():
                self._in_chunk = True
                try:
                    write_json(parts[number], compute(number))
                finally:
                    self._in_chunk = False

    def _wait_for(self, parts: Sequence[Path]) -> None:
        for part in parts:
            self.sitting.wait(part.is_file, str(part.relative_to(self.path)))


def _place(where: Path, name: str) -> Path:
    """Return the folder of the chunks of what is called ``name`` in ``where``."""
    return where / f".{name}-parts"


def _parts(where: Path, name: str, chunks: int) -> list[Path]:
    return [_place(where, name) / f"{number:05d}.json" for number in range(chunks)]


def _drop(where: Path, name: str) -> None:
    """Remove the chunks of what is merged, at once: another process must see all of them or none."""
    place = _place(where, name)
    if place.exists():
        merged = place.with_name(f"{place.name}-merged")
        shutil.rmtree(merged, ignore_errors=True)
        place.rename(merged)
        shutil.rmtree(merged, ignore_errors=True)
