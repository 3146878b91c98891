"""A folder in which the processes of a launch work together: files made in chunks, and files made once.

A stage is planned in fixed chunks. Each finished chunk is one file, written under another name and renamed; when
all are there they are merged. What exists is never computed again.

The processes of a launch share the chunks of a stage: each computes its own (chunk n belongs to process n modulo their
number), the first one merges. The content of a chunk depends on nothing but the chunk, so several processes
write the same files as one. On a cluster the leader has chunks computed by workers, in whatever order, and alone
writes (``processes.PartMaker``); its threads, a step each, share its folders.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.folders.checksums import Checksums, manifest_copy
from saywhy.folders.chunks import (
    ChunkItem,
    chunk_files_of,
    chunk_folder_of,
    chunks_of,
    clear_left_files,
    read_chunk,
    remove_chunks,
    split_into_chunks,
    write_chunk,
)
from saywhy.folders.entries import refuse_links
from saywhy.folders.lock import FolderLock
from saywhy.folders.store import (
    json_text,
    lines_text,
    read_json,
    write_bytes,
    write_text,
)
from saywhy.processes import computed_parts, is_first_process, makes_parts, process_rank, world_size

ChunkLines = Mapping[str, Sequence[Mapping[str, Any]]]
"""File stem -> the lines that a chunk adds to it."""


class SharedFolder:
    """A folder on disk and this process's part in it.

    Attributes:
        path: The folder.
        lock: This process's lock on it.
        writing: Held by the thread that changes what all threads share: manifest and checksums.
    """

    def __init__(self, path: Path, manifest: str) -> None:
        """Take the lock on the folder.

        Args:
            path: The folder.
            manifest: The file that says what it is: ``run.json`` or ``study.json``.

        Raises:
            SaywhyError: If another process, of another launch, holds it, the folder holds a link, or a finished file
                in it was changed.
        """
        self.path = path
        refuse_links(path)
        self.lock = FolderLock(path)
        self._in_chunk = False
        self.writing = threading.RLock()
        self._making: defaultdict[Path, threading.RLock] = defaultdict(threading.RLock)
        """By file or folder of chunks: held by the thread that makes it, for which the others wait."""
        if is_first_process():
            clear_left_files(path)
            self._checksums = Checksums(path, manifest)

    def keep_manifest(self, name: str, data: Any) -> None:
        """Write the manifest ``name``, and a copy of it, from which it is restored if it is damaged and deleted."""
        if not is_first_process():
            return
        text = json_text(data)
        with self.writing:
            if (self.path / name).is_file():
                self._write({name: text})
            else:  # before its checksum: a folder that has anything without its manifest is none
                write_text(self.path / name, text)
                self._finish(name)
            write_text(manifest_copy(self.path / name), text)

    def keep_json(self, name: str, data: Any) -> None:
        """Write the JSON file ``name``; of several processes, which must agree on it, the first one does."""
        if is_first_process():
            self._write({name: json_text(data)})

    def keep_lines(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the JSONL file ``name``; of several processes, which must agree on it, the first one does."""
        if is_first_process():
            self._write({name: lines_text(rows)})

    def _write(self, text_by_name: Mapping[str, str]) -> None:
        """Write files, over what may be there, so that their checksums are right at any moment.

        Of several processes, the first one keeps them.
        """
        contents = {name: text.encode("utf-8") for name, text in text_by_name.items()}
        with self.writing:
            if is_first_process():
                self._checksums.expect(contents)
            for name, content in contents.items():
                write_bytes(self.path / name, content)
            self._finish(*contents)

    def _finish(self, *names: str) -> None:
        """Keep the checksums of files that are finished."""
        if is_first_process():
            with self.writing:
                self._checksums.add(*(name for name in names if not self._checksums.has(name)))

    def keep_chunks(
        self, folder: str, files: Sequence[str], ids: Sequence[str], size: int, is_kept: Callable[[Sequence[str]], bool]
    ) -> None:
        """Take a stage, finished or begun, back to some of its chunks; ``stage_over`` goes on from there.

        Args:
            folder: Where its files are, below the folder.
            files: Stems of the JSONL files that it makes; each of their lines has an ``id``.
            ids: What it went over, in order.
            size: Items a chunk.
            is_kept: Whether a chunk of these ids is kept.

        Raises:
            SaywhyError: If a file of it is damaged.
        """
        split_into_chunks(self.path / folder, files, chunks_of(ids, size), is_kept)
        self.remove(*((self.path / folder / f"{name}.jsonl").relative_to(self.path).as_posix() for name in files))

    def remove(self, *names: str) -> None:
        """Remove files, which are to be made anew; of several processes, the first one does."""
        if is_first_process():
            with self.writing:
                self._checksums.remove(*names)

    def json(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the content of the JSON file ``name``, made once: by the first process, for which the others wait.

        Within a chunk, the process that needs it makes it: the first process may have no chunk that needs it.
        """
        path = self.path / name
        with self._making[path]:
            if not path.is_file() and (is_first_process() or self._in_chunk or makes_parts()):
                whole = [(0, make())] if self._in_chunk else computed_parts(path, (0,), lambda _: make())
                for _, content in whole:
                    if not path.is_file():
                        self._write({name: json_text(content)})
        self.lock.wait(path.is_file, name)
        self._finish(name)
        return read_json(path)

    def json_over(
        self,
        name: str,
        items: Sequence[ChunkItem],
        size: int,
        compute: Callable[[Sequence[ChunkItem]], Any],
        join: Callable[[list[Any]], Any],
        skip: Callable[[int], object] | None = None,
    ) -> Any:
        """Return the content of the JSON file ``name``, made once, by all processes together.

        Args:
            name: The file, below the folder.
            items: What it is made from.
            size: Items a chunk.
            compute: Makes one chunk from its items; the same in any process and at any time.
            join: Makes the content of the file from the chunks, in their order.
            skip: Called with the number of items whose chunks are there already.
        """
        path = self.path / name
        chunks = chunks_of(items, size)
        chunk_files = chunk_files_of(path.parent, path.stem, len(chunks))
        with self._making[path]:
            _skip_kept(chunk_files, chunks, skip)
            self._compute(chunk_files, lambda number: compute(chunks[number]), path.is_file)
            if is_first_process() and not path.is_file():
                self._wait_for(chunk_files)
                self._write({name: json_text(join([read_chunk(chunk_file) for chunk_file in chunk_files]))})
            if is_first_process():
                remove_chunks(path.parent, path.stem)
        self.lock.wait(path.is_file, name)
        self._finish(name)
        return read_json(path)

    def made(self, name: str) -> bool:
        """Whether the JSON file ``name``, made from chunks, is there, and its chunks are removed."""
        path = self.path / name
        return path.is_file() and not chunk_folder_of(path.parent, path.stem).exists()

    def stage_over(
        self,
        folder: str,
        files: Sequence[str],
        items: Sequence[ChunkItem],
        size: int,
        compute: Callable[[Sequence[ChunkItem]], ChunkLines],
        skip: Callable[[int], object] | None = None,
    ) -> None:
        """Run a stage over ``items`` in fixed chunks, except for those already there; return when it is complete.

        Args:
            folder: Where its files are, below the folder.
            files: Stems of the JSONL files that it makes.
            items: What it goes over, in order.
            size: Items a chunk.
            compute: Makes the lines of one chunk from its items; the same in any process and at any time.
            skip: Called with the number of items whose chunks are there already.
        """
        directory = self.path / folder
        chunks = chunks_of(items, size)
        chunk_files = chunk_files_of(directory, files[0], len(chunks))
        finished = [(directory / f"{name}.jsonl").relative_to(self.path).as_posix() for name in files]

        def done() -> bool:
            return self.done(folder, files)

        def lines_of(number: int) -> dict[str, list[Mapping[str, Any]]]:
            return {name: list(lines) for name, lines in compute(chunks[number]).items()}

        with self._making[directory / files[0]]:
            _skip_kept(chunk_files, chunks, skip)
            self._compute(chunk_files, lines_of, done)
            if is_first_process() and not done():
                self._wait_for(chunk_files)
                contents = [read_chunk(chunk_file, files) for chunk_file in chunk_files]
                texts = (lines_text(line for content in contents for line in content[name]) for name in files)
                self._write(dict(zip(finished, texts, strict=True)))
                remove_chunks(directory, files[0])
        self.lock.wait(done, f"{folder}/{files[0]}.jsonl")
        self._finish(*finished)

    def done(self, folder: str, files: Sequence[str]) -> bool:
        """Whether a stage is complete."""
        directory = self.path / folder
        return not chunk_folder_of(directory, files[0]).exists() and all(
            (directory / f"{name}.jsonl").is_file() for name in files
        )

    def begun(self, folder: str, files: Sequence[str]) -> bool:
        """Whether a stage has written anything yet: a file or a chunk."""
        directory = self.path / folder
        return chunk_folder_of(directory, files[0]).exists() or any(
            (directory / f"{name}.jsonl").is_file() for name in files
        )

    def _compute(self, chunk_files: Sequence[Path], compute: Callable[[int], Any], done: Callable[[], bool]) -> None:
        """Compute the chunks of this process, or of the workers that it leads, that are not yet there."""
        if self._in_chunk and not done():
            raise RuntimeError(f"{chunk_files[0].parent} within a chunk: the other processes may never come to it")

        def missing() -> Iterator[int]:
            for number in range(process_rank(), len(chunk_files), world_size()):
                # The first process may have merged between the two checks: then the stage is done.
                if not chunk_files[number].is_file() and not done():
                    yield number

        def compute_chunk(number: int) -> Any:
            self._in_chunk = True
            try:
                return compute(number)
            finally:
                self._in_chunk = False

        if chunk_files:
            for number, content in computed_parts(chunk_files[0].parent, missing(), compute_chunk):
                write_chunk(chunk_files[number], content)

    def _wait_for(self, chunk_files: Sequence[Path]) -> None:
        for chunk_file in chunk_files:
            self.lock.wait(chunk_file.is_file, str(chunk_file.relative_to(self.path)))


def _skip_kept(
    chunk_files: Sequence[Path], chunks: Sequence[Sequence[Any]], skip: Callable[[int], object] | None
) -> None:
    kept = sum(len(chunk) for chunk_file, chunk in zip(chunk_files, chunks, strict=True) if chunk_file.is_file())
    if skip and kept:
        skip(kept)
