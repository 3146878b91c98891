"""The examples of a task: from the hub, a local folder or file, or the built-in texts (``docs/tasks.md``).

A row that cannot be used is set aside with its reason; data that cannot be used ends in one line.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from saywhy.hints import did_you_mean
from saywhy.paths import user_path
from saywhy.records import Example, SaywhyError, SetAside
from saywhy.tasks.task import Hub, Split, Task
from saywhy.words import candidates

POCKET_DATA = "pocket"  # the ``data`` that names the built-in texts
SPLITS: tuple[str, ...] = get_args(Split)

_SPLIT_BOUNDS = (70, 80)  # percent: a file that holds all splits is 70 % train, 10 % validation, 20 % test
_SURROGATE = re.compile("[\ud800-\udfff]")  # half an emoji: valid JSON, but no tokenizer takes it
_LocatedRow = tuple[str, Mapping[str, Any]]  # where a row is, such as FILE:LINE, and its columns


@dataclass(frozen=True)
class LoadedSplit:
    """The rows of a split: ``examples`` that can be used, in file order, and the others, ``set_aside``."""

    examples: tuple[Example, ...]
    set_aside: tuple[SetAside, ...]


def load_examples(task: Task, split: str, data: str | None = None) -> LoadedSplit:
    """Return the examples of ``train``, ``validation`` or ``test``.

    ``data`` is None for the hub, ``"pocket"`` for the built-in texts, a folder with one file a split
    (``train.jsonl``, ``.csv`` or ``.parquet``), or one file, which is split 70/10/20 by id.
    Data that cannot be reached or read, or does not fit the task, raises ``SaywhyError``.
    """
    if split not in SPLITS:
        raise SaywhyError(f"no split {split!r}{did_you_mean(split, SPLITS, ': ') or '.'} Splits: {', '.join(SPLITS)}")
    split_by_id = None
    if data is None:
        rows = _hub_rows(task, split)
    elif data == POCKET_DATA:
        rows = _pocket_rows(task, split)
    else:
        rows = _local_rows(data, split)
        split_by_id = None if user_path(data).is_dir() else split
    where = f"{data or 'hub data'} ({task.name}, {split})"
    return _usable_and_set_aside(task, rows, where, split_by_id)


def nested_sample(examples: Sequence[Example], n: int | None, seed: int) -> list[Example]:
    """Return ``n`` examples at random; None, or more than there are, gives all.

    Samples of one seed are nested, whatever the order of ``examples``: the first 100 of 400 are the 100.
    """
    if n is not None and n < 0:
        raise ValueError(f"cannot sample {n} examples")
    return sorted(examples, key=lambda example: hashlib.sha256(f"{seed}:{example.id}".encode()).digest())[:n]


def example_id(task: Task, text: str, context: Mapping[str, str]) -> str:
    """Return the id of a text: 12 hex digits of a hash over the task's name and the fields, not the label."""
    canonical = json.dumps([task.name, dict(context), text], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:12]


def read_messages(path: str | Path) -> list[list[dict[str, str]]]:
    """Return the conversations of replay data: JSONL with ``messages``, or a folder with ``train.jsonl``."""
    chats = []
    for where, row in _local_rows(path, "train"):
        if problem := _chat_problem(row.get("messages")):
            raise SaywhyError(f"{where}: {problem}; write {{'messages': [user turn, assistant turn, ...]}}")
        chats.append([{"role": turn["role"], "content": turn["content"]} for turn in row["messages"]])
    if not chats:
        raise SaywhyError(f"{path}: is empty; give at least one row with 'messages'")
    return chats


def _chat_problem(messages: Any) -> str | None:
    """Return why ``messages`` is no conversation: [system,] user, assistant, user, assistant, ..."""
    if not isinstance(messages, list) or not messages:
        return "no list 'messages'"
    expected_role = "user"
    for number, turn in enumerate(messages, 1):
        types = [type(turn.get(key)) for key in ("role", "content")] if isinstance(turn, dict) else []
        if types != [str, str]:
            return f"message {number} has no texts 'role' and 'content'"
        if number == 1 and turn["role"] == "system":
            continue
        if turn["role"] != expected_role:
            return f"message {number} has the role {turn['role']!r} where {expected_role!r} is due"
        expected_role = "assistant" if expected_role == "user" else "user"
    last = messages[-1]["role"]
    return None if last == "assistant" else f"the last message is the {last}'s, not the assistant's"


def _usable_and_set_aside(task: Task, rows: Iterable[_LocatedRow], where: str, split_by_id: str | None) -> LoadedSplit:
    """Separate the usable rows from the others; if ``split_by_id`` is given, only of rows whose id falls into it."""
    examples: list[Example] = []
    set_aside: list[SetAside] = []
    seen: set[str] = set()
    total = 0
    for total, (location, row) in enumerate(rows, 1):  # noqa: B007
        example = _row_example(task, row, location)
        if split_by_id is not None and split_by_id != SPLITS[bisect(_SPLIT_BOUNDS, int(example.id, 16) % 100)]:
            continue
        reason = _unusable(example) or ("duplicate" if example.id in seen else None)
        seen.add(example.id)
        if reason:
            set_aside.append(SetAside(example.id, task.name, reason))
        else:
            examples.append(example)
    if not seen:
        problem = f"none of the {total} rows falls into {split_by_id!r} (70/10/20 by id)" if total else "is empty"
        raise SaywhyError(f"{where}: {problem}; give more rows, or a folder of splits")
    return LoadedSplit(tuple(examples), tuple(set_aside))


def _row_example(task: Task, row: Mapping[str, Any], where: str) -> Example:
    """Return the example of a row, or say why the row does not fit the task."""
    values = {}
    for column in task.fields:
        if column not in row:
            columns = _one_line(", ".join(map(str, row)) or "none")
            raise SaywhyError(f"{where}: no column {column!r}; there: {columns}. Rename it, or adapt the task")
        value = "" if row[column] is None else row[column]
        if not isinstance(value, str):
            problem = f"column {column!r} holds {_one_line(repr(value))}"
            raise SaywhyError(f"{where}: {problem}, which is not text; put it in quotes")
        values[column] = value
    text = values.pop(task.text).lstrip()  # else the tokenizer would merge its blanks with what stands before
    label = _label_key(row.get(task.label))
    if label and label not in task.labels:
        problem = f"label {_one_line(repr(label))} is not one of the task's"
        hint = did_you_mean(label, task.labels, ": ") or "."
        raise SaywhyError(f"{where}: {problem}{hint} Column {task.label!r} holds {', '.join(task.labels)}")
    causes = row["causes"] if isinstance(row.get("causes"), list) else ()
    return Example(example_id(task, text, values), text, values, label or None, tuple(map(str, causes)))


def _label_key(value: Any) -> str:
    """Return a label as YAML writes it: ``1``, ``true``; empty for None."""
    return value.strip() if isinstance(value, str) else "" if value is None else json.dumps(value, default=str)


def _unusable(example: Example) -> str | None:
    """Return why a text cannot be explained, None if it can."""
    if not example.text.strip():
        return "empty"
    if _SURROGATE.search(" ".join((example.text, *example.context.values()))):
        return "broken Unicode"
    opening = " ".join(example.text.split(maxsplit=3)[:3])  # enough for nearly all texts, and much faster
    has_two_words = len(candidates(opening)) > 1 or len(candidates(example.text)) > 1
    return None if has_two_words else "fewer than two words"


def _one_line(value: object) -> str:
    """Return a value for an error message: one line, not long."""
    line = " ".join(str(value).split())
    return line if len(line) <= 160 else f"{line[:157]}..."


def _local_rows(data: str | Path, split: str) -> Iterator[_LocatedRow]:
    """Yield the rows of a file, or of the file of ``split`` in a folder."""
    path = user_path(data)
    if path.is_dir():
        split_files = [file for ending in _FILE_READERS if (file := path / (split + ending)).is_file()]
        if len(split_files) > 1:
            raise SaywhyError(f"{path}: holds both {split_files[0].name} and {split_files[1].name}; keep one")
        if not split_files:
            names = ", ".join(sorted(file.name for file in path.iterdir() if file.suffix in _FILE_READERS))
            problem = f"no {split}.jsonl, {split}.csv or {split}.parquet; there: {names or 'none'}"
            raise SaywhyError(f"{path}: {problem}. Add the split, or pass one file")
        path = split_files[0]
    if not path.is_file():
        raise SaywhyError(f"{path}: no such file or folder; pass a file, or a folder with one file a split")
    if path.suffix.lower() not in _FILE_READERS:
        raise SaywhyError(f"{path}: cannot read {path.suffix!r} files; use {', '.join(_FILE_READERS)}")
    return _FILE_READERS[path.suffix.lower()](path)


def _decoded_lines(file: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file."""
    number, offset = 1, 0
    try:
        with file.open("rb") as handle:
            for number, line in enumerate(handle, 1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
                offset += len(line)
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 at byte {offset + error.start} of the file"
        raise SaywhyError(f"{file}:{number}: {problem}; save it as UTF-8") from error
    except OSError as error:
        raise SaywhyError(f"{file}: cannot be read ({error.strerror}); check the file") from error


def _jsonl_rows(file: Path) -> Iterator[_LocatedRow]:
    """Yield the objects of a JSON Lines file; blank lines are skipped."""
    for number, line in enumerate(_decoded_lines(file), 1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            row = json.loads(line.strip())
        except (ValueError, RecursionError) as error:
            reason = str(error).replace("line 1 ", "")  # we give the line ourselves
            raise SaywhyError(f"{where}: broken JSON ({reason}); write one object a line") from error
        if not isinstance(row, dict):
            raise SaywhyError(f"{where}: {_one_line(line)} is no JSON object; write {{...}}, one a line")
        yield where, row


def _csv_rows(file: Path) -> Iterator[_LocatedRow]:
    """Yield the rows of a CSV file with a header line."""
    reader = csv.reader(_decoded_lines(file), strict=True)  # else an open quote swallows the rest of the file
    header: list[str] = []
    where = f"{file}:1"
    try:
        for cells in reader:
            if header and cells:
                if len(cells) != len(header):
                    problem = f"{len(cells)} cells, the header has {len(header)}"
                    raise SaywhyError(f"{where}: {problem}; put texts with commas or line ends in double quotes")
                yield where, dict(zip(header, cells, strict=True))
            header = header or [cell.strip() for cell in cells]
            where = f"{file}:{reader.line_num + 1}"
    except csv.Error as error:
        raise SaywhyError(f"{where}: broken CSV ({error}); check the quotes of this row") from error


def _parquet_rows(file: Path) -> Iterator[_LocatedRow]:
    """Yield the rows of a Parquet file."""
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(file)
    except (ValueError, OSError) as error:  # pyarrow's own errors are these
        raise SaywhyError(f"{file}: broken Parquet file ({_one_line(error)}); write it anew") from error
    return ((f"{file} row {number}", row) for number, row in enumerate(table.to_pylist(), 1))


_FILE_READERS = {".jsonl": _jsonl_rows, ".json-lines": _jsonl_rows, ".csv": _csv_rows, ".parquet": _parquet_rows}


def _pocket_rows(task: Task, split: str) -> Iterator[_LocatedRow]:
    """Yield the built-in texts of a task."""
    from saywhy import pocket

    try:
        rows = pocket.rows(task.name, split)
    except ValueError as error:
        raise SaywhyError(f"no pocket texts of {task.name!r} ({error}); pass data=FOLDER_OR_FILE") from error
    return ((f"pocket texts of {task.name!r}, row {number}", row) for number, row in enumerate(rows, 1))


def _hub_rows(task: Task, split: str) -> Iterator[_LocatedRow]:
    """Yield the rows of a split on the hub, in the task's columns and labels."""
    if task.hub is None:
        raise SaywhyError(f"task {task.name!r} has no 'hub' in its YAML; add it, or pass data=FOLDER_OR_FILE")
    expression = task.hub.splits.get(cast(Split, split))
    if expression is None:
        problem = f"no {split!r} in hub.splits; there: {', '.join(task.hub.splits)}"
        raise SaywhyError(f"task {task.name!r}: {problem}. Add it, or pass data=FOLDER_OR_FILE")
    dataset = _hub_dataset(task.hub, expression)
    if missing := set(task.hub.columns.values()) - set(dataset.column_names):
        problem = f"no column {min(missing)!r}; there: {', '.join(dataset.column_names)}"
        raise SaywhyError(f"hub data {task.hub.id!r}: {problem}. Mend hub.columns in the task's YAML")
    for number, hub_row in enumerate(dataset, 1):
        row = hub_row | {column: hub_row[hub_column] for column, hub_column in task.hub.columns.items()}
        label = _label_key(row.get(task.label))
        if label not in task.hub.labels or task.hub.labels[label] is not None:
            row[task.label] = task.hub.labels.get(label, label)
            yield f"hub data {task.hub.id!r} {expression!r} row {number}", row


def _hub_dataset(hub: Hub, expression: str) -> Any:
    """Return a data set of the hub; if it is a script there, the hub's Parquet copy of it."""
    try:
        from datasets import load_dataset

        try:
            return load_dataset(hub.id, hub.config, split=expression, revision=hub.revision)
        except RuntimeError as error:
            if hub.revision or "scripts are no longer supported" not in str(error):
                raise
            return load_dataset(hub.id, hub.config, split=expression, revision="refs/convert/parquet")
    except Exception as error:  # whatever fails at the hub, the remedy is the same
        problem = f"hub data {hub.id!r} {expression!r}: {type(error).__name__}: {_one_line(error)}"
        raise SaywhyError(f"{problem}; pass data=FOLDER_OR_FILE instead") from error
