"""Rows of files: JSON Lines, tables of cells (.csv, .tsv) and Parquet, each with the place where it stands."""

from __future__ import annotations

import codecs
import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from saywhy.file_format import DELIMITER_NAMES, FileFormat
from saywhy.paths import user_path
from saywhy.printable import in_one_line
from saywhy.progress import say
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    import pyarrow

LocatedRow = tuple[str, Mapping[str, Any]]
"""Where a row is, such as FILE:LINE, and its columns."""

LONGEST_VALUE = 160
"""Characters of a value of the data that a message shows."""
_MOST_DIGITS = 4300  # of a whole number that Python reads


def local_rows(
    data: str | Path, split: str, needed: Sequence[str], optional: Sequence[str], file_format: FileFormat
) -> Iterator[LocatedRow]:
    """Yield the rows of a file, or of the file of ``split`` in a folder.

    Args:
        data: The file or folder.
        split: The split.
        needed: Columns that every row must have.
        optional: Columns that are read where they are there.
        file_format: How the file is read.

    Raises:
        SaywhyError: If it cannot be read, with the place and what to do.
    """
    path = user_path(data)
    if path.is_dir():
        split_files = [file for ending in _FILE_READERS if (file := path / (split + ending)).is_file()]
        if len(split_files) > 1:
            raise SaywhyError(f"{path}: holds both {split_files[0].name} and {split_files[1].name}; keep one")
        if not split_files:
            names = ", ".join(sorted(file.name for file in path.iterdir() if file.suffix in _FILE_READERS))
            problem = f"no {split}.jsonl, {split}.csv, {split}.tsv or {split}.parquet; there: {names or 'none'}"
            raise SaywhyError(f"{path}: {problem}. Add the split, or pass one file")
        path = split_files[0]
    if not path.is_file():
        raise SaywhyError(f"{path}: no such file or folder; pass a file, or a folder with one file a split")
    ending = path.suffix.lower()
    if ending not in _FILE_READERS:
        raise SaywhyError(f"{path}: cannot read {path.suffix!r} files; use {', '.join(_FILE_READERS)}")
    taken = {".parquet": (), ".jsonl": ("encoding",), ".json-lines": ("encoding",)}.get(ending, file_format.given)
    if ignored := [name for name in file_format.given if name not in taken]:
        raise SaywhyError(f"{path}: {ignored[0]}= says nothing of a {ending} file: leave it out")
    return _FILE_READERS[ending](path, needed, optional, file_format)


def missing_column(where: str, column: str, columns: Sequence[object], remedy: str = "") -> SaywhyError:
    """Return the problem of a column that is not there."""
    there = in_one_line(", ".join(map(str, columns)) or "none", LONGEST_VALUE)
    return SaywhyError(f"{where}: no column {column!r}; there: {there}. Rename it, or adapt the task{remedy}")


def _decoded_lines(file: Path, needed: Sequence[str], file_format: FileFormat) -> Iterator[str]:
    """Yield the lines of a text file, whichever of the three line ends it has."""
    try:
        with file.open(encoding=file_format.encoding or "utf-8", newline="") as handle:
            for number, line in enumerate(handle):
                # A mark at the beginning, as Excel writes it, belongs to no column.
                yield line if number else line.removeprefix("\ufeff")
    except UnicodeError as error:
        raise _undecodable(file, needed, file_format) from error
    except OSError as error:
        raise SaywhyError(f"{file}: cannot be read ({error.strerror}); check the file") from error


def _undecodable(file: Path, needed: Sequence[str], file_format: FileFormat) -> SaywhyError:
    """Return the problem of a file in another encoding, and of its header, if that lacks a column too."""
    content, place = file.read_bytes(), str(file)
    name = (file_format.encoding or "utf-8").upper()
    try:
        content.decode(file_format.encoding or "utf-8")
        problem = f"not {name}"
    except UnicodeDecodeError as error:
        place += f":{len((content[: error.start] + b'.').splitlines())}"
        problem = f"not {name} at byte {error.start} of the file"
    except UnicodeError:
        problem = f"not {name}"
    likely = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "latin-1"
    remedy = f"save it as UTF-8, or say what it is, such as encoding={likely}"
    lines = content.decode(likely, "replace").splitlines()
    if file.suffix.lower() in TABLE_ENDINGS and lines and not file_format.columns:
        cells = _cells(lines[0], _delimiter(file, lines[0], needed, file_format))
        if not set(needed) <= set(cells):
            remedy += _no_header(cells, needed)
    return SaywhyError(f"{place}: {problem}; {remedy}")


def _jsonl_rows(
    file: Path, needed: Sequence[str], optional: Sequence[str], file_format: FileFormat
) -> Iterator[LocatedRow]:
    """Yield the objects of a JSON Lines file; blank lines are skipped."""
    for number, line in enumerate(_decoded_lines(file, needed, file_format), 1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            row = json.loads(line.strip(), parse_int=_whole_number)
        except (ValueError, RecursionError) as error:
            reason = str(error).replace("line 1 ", "")  # we give the line ourselves
            raise SaywhyError(f"{where}: broken JSON ({reason}); write one object a line") from error
        if not isinstance(row, dict):
            start = in_one_line(line, LONGEST_VALUE)
            raise SaywhyError(f"{where}: {start} is no JSON object; write {{...}}, one a line")
        yield where, row


def _whole_number(digits: str) -> float:
    """Return a whole number; one that is too long to be read is infinite."""
    return int(digits) if len(digits) < _MOST_DIGITS else float(digits)


def _table_rows(
    file: Path, needed: Sequence[str], optional: Sequence[str], file_format: FileFormat
) -> Iterator[LocatedRow]:
    """Yield the rows of a table of cells, whose first line names the columns unless ``file_format`` does."""
    lines = list(_decoded_lines(file, needed, file_format))
    delimiter = _delimiter(file, next((line for line in lines if line.strip()), ""), needed, file_format)
    csv.field_size_limit(sys.maxsize)  # a long text is set aside, as in every other file
    quoting = _quoting(lines, delimiter, file_format.columns)
    if quoting == csv.QUOTE_NONE:
        say(f"{file}: quotes are part of its texts")
    # Strict: else an open quote swallows the rest of the file.
    reader = csv.reader(lines, strict=True, delimiter=delimiter, quoting=quoting)
    header = list(file_format.columns)
    remedy = ""
    where = f"{file}:1"
    try:
        for cells in reader:
            if header and cells:
                if len(cells) != len(header):
                    names = "columns= names" if file_format.columns else "the header has"
                    problem = f"{len(cells)} cells, {names} {len(header)}"
                    raise SaywhyError(f"{where}: {problem}; put texts with commas or line ends in double quotes")
                row = dict(zip(header, cells, strict=True))
                if lacking := [column for column in needed if column not in row]:
                    raise missing_column(where, lacking[0], header, remedy)
                yield where, row
            if not header and cells:
                header = [cell.strip() for cell in cells]
                remedy = _no_header(header, needed)
                _refuse_doubled(file, header, (*needed, *optional))
            where = f"{file}:{reader.line_num + 1}"
    except csv.Error as error:
        raise SaywhyError(f"{where}: broken CSV ({error}); check the quotes of this row") from error


def _quoting(lines: Sequence[str], delimiter: str, columns: Sequence[str]) -> Literal[0, 3]:
    """Return how quotes are to be read: in tables parted by tabs (GLUE's, for one) they may be signs of the texts.

    They are where a pair of them would swallow a cell's end, or has no end, though every line by itself has as many
    cells.
    """
    tabs = {line.count("\t") for line in lines if line.strip()}
    if delimiter == "\t" and len(tabs) == 1:
        widths = {tabs.pop() + 1, len(columns)}
        try:
            swallowed = any(
                len(cells) not in widths or any("\t" in cell and "\n" in cell for cell in cells)
                for cells in csv.reader(lines, strict=True, delimiter=delimiter)
                if cells
            )
        except csv.Error:
            swallowed = True
        if swallowed:
            return csv.QUOTE_NONE
    return csv.QUOTE_MINIMAL


def _refuse_doubled(file: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if header.count(column) > 1:
            raise SaywhyError(f"{file}:1: two columns are called {column!r}; rename one")


def _delimiter(file: Path, first: str, needed: Sequence[str], file_format: FileFormat) -> str:
    """Return what parts the cells: as told, else that with which the first line fits, else that of the file's kind."""
    if file_format.delimiter:
        return file_format.delimiter
    usual = "\t" if file.suffix.lower() == ".tsv" else ","
    for sign in dict.fromkeys((usual, *DELIMITER_NAMES.values())):
        cells = _cells(first, sign)
        if 1 < len(cells) == len(file_format.columns) or (not file_format.columns and set(needed) <= set(cells)):
            return sign
    return usual


def _cells(line: str, delimiter: str) -> list[str]:
    """Return the stripped cells of a line, which may be no whole row."""
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _no_header(cells: Sequence[str], needed: Sequence[str]) -> str:
    """Return what to do where the first line is no header."""
    names = ["label", *["_"] * max(0, len(cells) - 1 - len(needed)), *needed]
    return (
        f"; if its first line is no header, name all {len(cells)} columns in their order, such as "
        f"columns={','.join(names[-len(cells) :])} (_: not needed)"
    )


def _parquet_rows(
    file: Path, needed: Sequence[str], optional: Sequence[str], file_format: FileFormat
) -> Iterator[LocatedRow]:
    """Yield the rows of a Parquet file; only the columns that are needed are read."""
    import pyarrow.parquet

    try:
        schema = pyarrow.parquet.read_schema(file)
        if lacking := [column for column in needed if column not in schema.names]:
            raise missing_column(f"{file} row 1", lacking[0], schema.names)
        names = [column for column in (*needed, *optional) if column in schema.names]
        table = pyarrow.parquet.read_table(file, columns=names)
        values = {name: _column_values(table.column(name), _class_names(schema, name)) for name in names}
    except (ValueError, OSError, NotImplementedError, OverflowError) as error:  # pyarrow's own errors are these
        problem = in_one_line(error, LONGEST_VALUE)
        raise SaywhyError(f"{file}: broken Parquet file ({problem}); write it anew") from error
    rows = (dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True))
    return ((f"{file} row {number}", row) for number, row in enumerate(rows, 1))


def _column_values(column: pyarrow.ChunkedArray, class_names: Sequence[str]) -> list[Any]:
    """Return the values of a column; text that is no UTF-8 with halves of characters, by which it is set aside."""
    import pyarrow

    kind = column.type.value_type if pyarrow.types.is_dictionary(column.type) else column.type
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        encoded = column.cast(pyarrow.large_binary()) if column.type == kind else _plain_binary(column)
        return [None if text is None else text.decode("utf-8", "surrogateescape") for text in encoded.to_pylist()]
    values: list[Any] = column.to_pylist()
    named = range(len(class_names))
    return [class_names[value] if isinstance(value, int) and value in named else value for value in values]


def _plain_binary(column: pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """Return a categorical column of text as bytes, one value a row."""
    import pyarrow

    chunks = [chunk.dictionary.cast(pyarrow.large_binary()).take(chunk.indices) for chunk in column.iterchunks()]
    return pyarrow.chunked_array(chunks, pyarrow.large_binary())


def _class_names(schema: pyarrow.Schema, column: str) -> Sequence[str]:
    """Return the names of the classes that ``datasets`` notes beside a column of numbers; empty if it has none."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, TypeError, ValueError):  # no file of datasets, or no such column
        return ()
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()


TABLE_ENDINGS = (".csv", ".tsv")
"""Kinds of files whose rows are cells."""

_Reader = Callable[[Path, Sequence[str], Sequence[str], FileFormat], Iterator[LocatedRow]]
_FILE_READERS: dict[str, _Reader] = {
    ".jsonl": _jsonl_rows,
    ".json-lines": _jsonl_rows,
    ".csv": _table_rows,
    ".tsv": _table_rows,
    ".parquet": _parquet_rows,
}
