"""A folder in an object store, and its copy on this machine (docs/cluster.md, *In an object store*).

A store has neither locks nor renaming, so nobody works in it: each machine works in a copy, fetches what is newer in
the store, and publishes what is newer here. That is enough where each file has one writer: the leader of a study, or
the worker that trains a model.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.lock import LOCK_FILE
from saywhy.folders.store import read_object, write_bytes, write_json
from saywhy.printable import in_one_line
from saywhy.records import SaywhyError

_VERSION_KEYS = ("ETag", "etag", "generation", "LastModified", "last_modified", "mtime", "created", "size")
"""What stores say of an object that changes with its content."""
_HALF_WRITTEN = re.compile(r"\.[0-9a-f]{16}\.part$")
"""The end of the name of what ``store.write_bytes`` is writing."""
_STAYS_HERE = {"checkpoints"}
"""Folders that are of use to the process only that writes them."""


class _Synced(NamedTuple):
    """How a file was when it was last the same in the store and here.

    Attributes:
        there: What the store says of it.
        here: Its size in bytes and when it was written, in nanoseconds.
    """

    there: str
    here: tuple[int, int]


class ObjectFolder:
    """A folder in an object store.

    Attributes:
        url: Its address, as fsspec has them.
        path: The copy.
    """

    def __init__(self, url: str, path: Path) -> None:
        """Reach the store; nothing is copied yet.

        Args:
            url: The address: ``s3://bucket/folder``.
            path: Where the copy is, or is to be. What was last the same is kept beside it.

        Raises:
            SaywhyError: If there is no such store, or what reads it is not installed.
        """
        self.url, self.path = url.rstrip("/"), path
        self._record = path.with_name(f"{path.name}.synced.json")
        self._one_at_a_time = threading.Lock()
        with self._trouble():
            import fsspec

            options = {"auto_mkdir": True} if url.startswith(("file:", "local:")) else {}
            self._files, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False, **options)
        self._root = root.rstrip("/")
        path.mkdir(parents=True, exist_ok=True)
        # Without the copy its record would say that all of it was removed, to be removed from the store, too.
        is_kept = self._record.is_file() and any(path.iterdir())
        kept: Mapping[str, Any] = read_object(self._record) if is_kept else {}
        self._synced = {name: _Synced(there, tuple(here)) for name, (there, here) in kept.items()}

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Turn what goes wrong with a store into one line: each store's client has errors of its own."""
        try:
            yield
        except SaywhyError:
            raise
        except ImportError as error:
            raise SaywhyError(f"{self.url}: {in_one_line(str(error), 200)}, here and on all workers") from error
        except Exception as error:  # whatever it is, the copy is whole
            problem = in_one_line(str(error) or type(error).__name__, 200)
            raise SaywhyError(
                f"{self.url} cannot be read or written ({problem}): what was computed is in {self.path}; mend it, and "
                "the same command goes on"
            ) from error

    def fetch(self) -> None:
        """Bring what was changed in the store since it was last the same, and remove what is gone there.

        Raises:
            SaywhyError: If the store cannot be read, or a file was changed both there and here.
        """
        with self._one_at_a_time, self._trouble():
            versions = self._versions()
            for name, there in versions.items():
                if name not in self._synced or self._synced[name].there != there:
                    self._fetch_file(name, there)
            for name in [name for name in self._synced if name not in versions]:
                if self._here(name) == self._synced.pop(name).here:
                    self._remove(name)
            self._keep_record()

    def _remove(self, name: str) -> None:
        """Remove a file of the copy, and folders that are empty then: a store has none."""
        path = self.path / name
        path.unlink()
        for folder in path.parents:
            if folder == self.path or any(folder.iterdir()):
                break
            folder.rmdir()

    def _fetch_file(self, name: str, there: str) -> None:
        path, here = self.path / name, self._here(name)
        try:
            content = self._files.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:  # removed since it was listed
            return
        is_changed_here = here is not None and (name not in self._synced or self._synced[name].here != here)
        if is_changed_here and path.read_bytes() != content:
            raise SaywhyError(
                f"{self.url} was gone on with elsewhere, and {path} was changed here, too: remove {self.path} to go "
                "on from the store"
            )
        if not is_changed_here:
            write_bytes(path, content)
        self._synced[name] = _Synced(there, self._here(name) or (0, 0))

    def publish(self) -> None:
        """Copy to the store what was changed here since it was last the same, and remove what is gone here.

        Checksums go out last, and are missing meanwhile: who is stopped in between leaves nothing that seems damaged.

        Raises:
            SaywhyError: If the store cannot be written.
        """
        with self._one_at_a_time, self._trouble():
            stamps = {name: stamp for name in self._names() if (stamp := self._here(name))}
            changed = [name for name in stamps if name not in self._synced or self._synced[name].here != stamps[name]]
            gone = [name for name in self._synced if name not in stamps]
            if not changed and not gone:
                return
            for name in [*gone, *(name for name in changed if name.endswith(CHECKSUMS_FILE))]:
                with suppress(FileNotFoundError):
                    self._files.rm_file(f"{self._root}/{name}")
                self._synced.pop(name, None)
            for name in sorted(changed, key=lambda name: (name.endswith(CHECKSUMS_FILE), "model" in name, name)):
                with suppress(FileNotFoundError):  # removed since, by another thread
                    self._files.pipe_file(f"{self._root}/{name}", (self.path / name).read_bytes())
            versions = self._versions()
            self._synced |= {name: _Synced(versions[name], stamps[name]) for name in changed if name in versions}
            self._keep_record()

    def take(self, name: str) -> bool:
        """Remove the file ``name`` from the store; return whether it was there."""
        with self._trouble():
            if is_there := bool(self._files.exists(f"{self._root}/{name}")):
                self._files.rm_file(f"{self._root}/{name}")
        return is_there

    def _names(self) -> Iterator[str]:
        """Yield the files of the copy that belong into the store."""
        for path in sorted(self.path.rglob("*")):
            place = path.relative_to(self.path)
            if path.name.startswith(LOCK_FILE) or _HALF_WRITTEN.search(path.name) or _STAYS_HERE & {*place.parts}:
                continue
            if path.is_file():
                yield place.as_posix()

    def _here(self, name: str) -> tuple[int, int] | None:
        try:
            stat = (self.path / name).stat()
        except FileNotFoundError:
            return None
        return stat.st_size, stat.st_mtime_ns

    def _versions(self) -> dict[str, str]:
        """Return what the store says of each of the folder's files."""
        self._files.invalidate_cache()
        listed = self._files.find(self._root, detail=True)
        return {
            path.removeprefix(self._root).lstrip("/"): "|".join(str(facts.get(key, "")) for key in _VERSION_KEYS)
            for path, facts in listed.items()
        }

    def _keep_record(self) -> None:
        write_json(self._record, {name: [of.there, list(of.here)] for name, of in sorted(self._synced.items())})
