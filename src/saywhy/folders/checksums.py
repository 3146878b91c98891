"""Checksums of the finished files of a folder (``checksums.json``): what was damaged since is told by them, by name.

Folders of older versions have none; of these, readers look at the shape of what they read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from saywhy.folders.entries import is_plain_name
from saywhy.folders.store import DELETE_AND_REPEAT, json_text, read_object, write_bytes, write_json
from saywhy.records import SaywhyError

CHECKSUMS_FILE = "checksums.json"
_ABSENT = "absent"
"""Stands before the checksum of a file that is about to be written: until then there is none."""


def checksum(content: bytes) -> str:
    """Return the checksum of a file's content: 32 hex digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:32]


def checksums_of(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Return the checksums of ``files`` by their place below ``folder``, in the order of their names."""
    return {
        name: checksum((folder / name).read_bytes())
        for name in sorted(file.relative_to(folder).as_posix() for file in files)
    }


def read_checksums(folder: Path) -> dict[str, str]:
    """Return the checksums that ``folder`` keeps by the name of the file; {} if it keeps none.

    Raises:
        SaywhyError: If they are damaged.
    """
    path = folder / CHECKSUMS_FILE
    by_name = read_object(path) if path.is_file() else {}
    if by_name and by_name.pop(CHECKSUMS_FILE, None) != checksum(json_text(by_name).encode()):
        raise SaywhyError(f"{path} is damaged (other content than when it was written): delete it")
    for name, sums in by_name.items():
        if not isinstance(sums, str) or not all(map(is_plain_name, name.split("/"))):
            raise SaywhyError(f"{path} is damaged ({name[:80]!r} has no checksum): delete it")
    return by_name


def first_damage(folder: Path, checksums: Mapping[str, str]) -> str | None:
    """Return which file is missing or not as it was finished, in words; None if all are whole."""
    for name, sums in checksums.items():
        path = folder / name
        if not path.is_file():
            if _ABSENT in sums.split():
                continue
            return f"{path} is missing"
        if checksum(path.read_bytes()) not in sums.split():
            return f"{path} is damaged (other content than when it was finished)"
    return None


def manifest_copy(manifest: Path) -> Path:
    """Return where the copy of ``run.json`` or ``study.json`` lies, from which a deleted one is restored."""
    return manifest.with_name(f".{manifest.name}.copy")


def is_begun(manifest: Path) -> bool:
    """Whether a folder has its ``run.json`` or ``study.json``, or a copy of it."""
    return manifest.is_file() or manifest_copy(manifest).is_file()


def remedy_of(manifest: Path) -> str:
    """Return what to do about a damaged ``run.json`` or ``study.json``: a bank or an older folder has no copy of it."""
    return DELETE_AND_REPEAT if manifest_copy(manifest).is_file() else "restore it, or begin anew with out=FOLDER"


def refuse_damage(manifest: Path) -> None:
    """Refuse the folder of a ``run.json`` or ``study.json`` in which a finished file was changed or lost.

    Raises:
        SaywhyError: With the file.
    """
    if damage := first_damage(manifest.parent, read_checksums(manifest.parent)):
        if not manifest_copy(manifest).is_file():  # a bank, which no run makes again
            raise SaywhyError(f"{damage}: restore it")
        raise SaywhyError(f"{damage}: " + DELETE_AND_REPEAT.removeprefix("delete it and " * damage.endswith("missing")))


def seal(folder: Path) -> None:
    """Write the checksums of all files of a folder that is finished."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS_FILE]
    _write_checksums(folder, checksums_of(folder, files))


def _write_checksums(folder: Path, by_name: Mapping[str, str]) -> None:
    """Write the checksums of a folder, and that of themselves."""
    write_json(folder / CHECKSUMS_FILE, {**by_name, CHECKSUMS_FILE: checksum(json_text(by_name).encode())})


class Checksums:
    """The checksums of a folder that is being written, by one process."""

    def __init__(self, folder: Path, manifest: str) -> None:
        """Read what is there; the ``manifest`` is restored if it was deleted, other files are made anew.

        Raises:
            SaywhyError: If a finished file was changed.
        """
        self.folder = folder
        self._by_name = read_checksums(folder)
        self._restore(manifest)
        self._by_name = {name: sums for name, sums in self._by_name.items() if (folder / name).is_file()}
        if damage := first_damage(folder, self._by_name):
            raise SaywhyError(f"{damage}: {DELETE_AND_REPEAT}")
        # What was being written when a process was killed is there, as it was or as it was to be.
        self._by_name |= checksums_of(folder, [folder / name for name, sums in self._by_name.items() if " " in sums])
        copy = manifest_copy(folder / manifest)
        if copy.is_file() and copy.read_bytes() != (content := (folder / manifest).read_bytes()):
            write_bytes(copy, content)  # of before the last change, if a process was killed then
        if self._by_name != read_checksums(folder):  # a report is to miss no file that nothing makes again
            _write_checksums(folder, self._by_name)

    def has(self, name: str) -> bool:
        """Whether the file ``name`` has its checksum, and that alone: two stand there while it is written."""
        return name in self._by_name and " " not in self._by_name[name]

    def add(self, *names: str) -> None:
        """Keep the checksums of finished files."""
        self._keep(self._by_name | checksums_of(self.folder, [self.folder / name for name in names]))

    def remove(self, *names: str) -> None:
        """Remove files and their checksums: they are to be made anew."""
        self._keep({name: sums for name, sums in self._by_name.items() if name not in names})
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def _restore(self, name: str) -> None:
        """Put the manifest ``name`` in its place again, if it was deleted; the copy of it must be whole.

        Raises:
            SaywhyError: If it is not.
        """
        path = self.folder / name
        copy = manifest_copy(path)
        if path.is_file() or not copy.is_file():
            return
        content = copy.read_bytes()
        if checksum(content) not in self._by_name.get(name, "").split():
            raise SaywhyError(f"{path} is missing and its copy {copy.name} is damaged: begin anew with out=FOLDER")
        write_bytes(path, content)

    def expect(self, contents: Mapping[str, bytes]) -> None:
        """Keep the checksums of what files will hold by their names, beside those of what they hold until then."""
        expected = dict(self._by_name)
        for name, content in contents.items():
            path = self.folder / name
            present = checksum(path.read_bytes()) if path.is_file() else _ABSENT
            expected[name] = " ".join(dict.fromkeys([present, checksum(content)]))
        self._keep(expected)

    def _keep(self, by_name: dict[str, str]) -> None:
        if by_name != self._by_name:
            self._by_name = dict(sorted(by_name.items()))
            _write_checksums(self.folder, self._by_name)
