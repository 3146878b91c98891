"""A folder in an object store, and its copy on this machine (docs/cluster.md, *In an object store*).

A store has neither locks nor renaming, so nobody works in it: each machine works in a copy, fetches what is newer in
the store, and publishes what is newer here. That is enough where each file has one writer: the leader of a study, or
the worker that trains a model.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.lock import LOCK_FILE, FolderLock
from saywhy.folders.store import HALF_WRITTEN, read_object, write_bytes, write_json
from saywhy.printable import in_one_line
from saywhy.records import SaywhyError

_VERSION_KEYS = ("ETag", "etag", "generation", "LastModified", "last_modified", "mtime", "created", "size")
"""What stores say of an object that changes with its content."""
_STAYS_HERE = {"checkpoints"}
"""Folders that are of use to the process only that writes them."""


def _belongs(name: str) -> bool:
    """Whether a file, in the store or in the copy, is one of those kept the same; no marker of a folder, no way out."""
    parts = name.split("/")
    stays = parts[-1].startswith(LOCK_FILE) or HALF_WRITTEN.search(parts[-1]) or _STAYS_HERE & {*parts}
    return not stays and not {"", ".", ".."} & {*parts}


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
        protocol, _, place = url.partition("://")
        if not place.strip("/") or (protocol in ("file", "local") and not place.startswith("/")):
            raise SaywhyError(f"{url} names no folder of a store: write s3://bucket/folder, or file:///folder")
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
        self._synced = {
            name: _Synced(there, tuple(here)) for name, (there, here) in kept.items() if not self._is_lost(name, kept)
        }

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

    def _is_lost(self, name: str, kept: Mapping[str, Any]) -> bool:
        """Whether a file is gone here that no study has removed: it takes the checksum away first."""
        if (self.path / name).is_file():
            return False
        for folder in Path(name).parents:
            if (sums := (folder / CHECKSUMS_FILE).as_posix()) in kept:
                path = self.path / sums
                return not path.is_file() or Path(name).relative_to(folder).as_posix() in read_object(path)
        return False

    def refuse_others(self, manifest: str) -> None:
        """Refuse a store that holds something else, before any of it is copied.

        Args:
            manifest: The file that a folder of this kind has.

        Raises:
            SaywhyError: If there is something, and not that, nor in the copy.
        """
        with self._trouble():
            versions = self._versions()
        if versions and manifest not in versions and not (self.path / manifest).is_file():
            raise SaywhyError(
                f"{self.url} holds {min(versions)}, and no {manifest}: give the address of a study, or of nothing yet"
            )

    def lock(self) -> None:
        """Keep other processes of this machine out of the copy, as long as this one lives.

        Raises:
            SaywhyError: If one works in it.
        """
        self._lock = FolderLock(self.path)

    def fetch(self) -> None:
        """Bring what was changed in the store since it was last the same, and remove what is gone there.

        Raises:
            SaywhyError: If the store cannot be read, or a file was changed both there and here.
        """
        with self._one_at_a_time, self._trouble():
            versions = self._versions()
            if self._synced and not versions:
                raise SaywhyError(
                    f"{self.url} is empty, and was not when {self.path} was copied: is it reached as it was then? "
                    f"Else remove {self.path} to begin anew"
                )
            try:
                for name, there in versions.items():
                    if name not in self._synced or self._synced[name].there != there:
                        self._fetch_file(name, there)
                for name in [name for name in self._synced if name not in versions]:
                    if self._here(name) == self._synced.pop(name).here:
                        self._remove(name)
            finally:  # else what was fetched would seem to be changed here
                self._keep_record()

    def _remove(self, name: str) -> None:
        """Remove a file of the copy, and folders that are empty then: a store has none."""
        path = self.path / name
        path.unlink(missing_ok=True)
        with suppress(OSError):  # up to one that is not empty
            for folder in path.parents[: len(Path(name).parts) - 1]:
                folder.rmdir()

    def _fetch_file(self, name: str, there: str) -> None:
        path = self.path / name
        try:
            content = self._files.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:  # removed since it was listed
            return
        here = self._here(name)
        is_changed_here = here is not None and (name not in self._synced or self._synced[name].here != here)
        if is_changed_here and path.read_bytes() != content:
            raise self._conflict(name)
        if not is_changed_here:
            write_bytes(path, content)
        self._synced[name] = _Synced(there, self._here(name) or (0, 0))

    def _conflict(self, name: str) -> SaywhyError:
        return SaywhyError(
            f"{self.url} was gone on with elsewhere, and {self.path / name} was changed here, too: remove {self.path} "
            "to go on from the store"
        )

    def _refuse_newer(self, changed: list[str], gone: list[str]) -> None:
        """Refuse to write over, or to remove, what is not in the store as it was left or found there."""
        versions = self._versions()
        for name in [*changed, *gone]:
            if name not in versions or (name in self._synced and self._synced[name].there == versions[name]):
                continue
            with suppress(FileNotFoundError):
                if name in gone or self._files.cat_file(f"{self._root}/{name}") != (self.path / name).read_bytes():
                    raise self._conflict(name)

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
            self._refuse_newer(changed, gone)
            for name in [*gone, *(name for name in changed if name.endswith(CHECKSUMS_FILE))]:
                with suppress(FileNotFoundError):
                    self._files.rm_file(f"{self._root}/{name}")
                self._synced.pop(name, None)
            # A model's weights behind what else it needs: where they are, it is whole.
            last = CHECKSUMS_FILE, ".safetensors"
            self._send(sorted(changed, key=lambda name: [name.endswith(end) for end in last] + [name]), stamps)

    def _send(self, names: Sequence[str], stamps: Mapping[str, tuple[int, int]]) -> None:
        """Copy files to the store, in this order, and keep that they are the same now.

        Args:
            names: The files.
            stamps: How all files of the copy were before.
        """
        sent = []
        try:
            for name in names:
                try:
                    content = (self.path / name).read_bytes()
                except FileNotFoundError:  # removed since, by another thread
                    continue
                if name.endswith(CHECKSUMS_FILE) and any(self._here(other) != stamps[other] for other in stamps):
                    continue  # of files that other threads have written since: next time
                self._files.pipe_file(f"{self._root}/{name}", content)
                sent.append(name)
        finally:  # else what was sent would seem to be changed elsewhere
            versions = self._versions()
            self._synced |= {name: _Synced(versions[name], stamps[name]) for name in sent if name in versions}
            self._keep_record()

    def take(self, name: str) -> bool:
        """Remove the file ``name`` from the store; return whether it was there."""
        with self._trouble():
            if is_there := bool(self._files.exists(f"{self._root}/{name}")):
                self._files.rm_file(f"{self._root}/{name}")
        return is_there

    def _names(self) -> Iterator[str]:
        """Yield the files of the copy that belong into the store."""
        for folder, _, files in os.walk(self.path):  # passes over what another thread removes meanwhile
            for path in (Path(folder, file) for file in files):
                name = path.relative_to(self.path).as_posix()
                if _belongs(name) and path.is_file() and not path.is_symlink():
                    yield name

    def _here(self, name: str) -> tuple[int, int] | None:
        try:
            stat = (self.path / name).stat()
        except FileNotFoundError:
            return None
        return stat.st_size, stat.st_mtime_ns

    def _versions(self) -> dict[str, str]:
        """Return what the store says of each of the folder's files."""
        self._files.invalidate_cache()
        listed = self._files.find(self._root, detail=True) if self._files.async_impl else dict(self._listed())
        return {
            name: "|".join(str(facts.get(key, "")) for key in _VERSION_KEYS)
            for path, facts in listed.items()
            if _belongs(name := path.removeprefix(self._root).removeprefix("/"))
        }

    def _listed(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield what ``find`` would, which passes over folders that cannot be listed as if nothing were in them."""
        pending = [self._root]
        while pending:
            with suppress(FileNotFoundError):
                for facts in self._files.ls(pending.pop(), detail=True):
                    if facts["type"] == "directory":
                        pending.append(facts["name"])
                    else:
                        yield facts["name"], facts

    def _keep_record(self) -> None:
        write_json(self._record, {name: [of.there, list(of.here)] for name, of in sorted(self._synced.items())})
