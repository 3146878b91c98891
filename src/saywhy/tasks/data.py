"""The examples of a task: from the hub, a local folder or file, or the built-in texts (``docs/tasks.md``).

A row that cannot be used is set aside with its reason; data that cannot be used ends in one line.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from saywhy.file_format import UNLABELLED_NAMES, FileFormat, label_key, plain_number
from saywhy.hints import did_you_mean
from saywhy.paths import user_path
from saywhy.printable import in_one_line
from saywhy.records import Example, SaywhyError, SetAside
from saywhy.tasks.files import LONGEST_VALUE, LocatedRow, local_rows, missing_column
from saywhy.tasks.parts import Hub, Split
from saywhy.tasks.task import Task
from saywhy.words import candidates, lacks_blanks

POCKET_DATA = "pocket"  # the ``data`` that names the built-in texts
USUAL_FORMAT = FileFormat()
NO_LABEL = "-1"
"""What many data sets write where an example has no label."""
SPLITS: tuple[str, ...] = get_args(Split)

_SPLIT_BOUNDS = (70, 80)  # percent: a file that holds all splits is 70 % train, 10 % validation, 20 % test
_LONGEST_CODE = 20  # characters of a label that is taken for a code
_SURROGATE = re.compile("[\ud800-\udfff]")  # half an emoji: valid JSON, but no tokenizer takes it


@dataclass(frozen=True)
class LoadedSplit:
    """The rows of a split: ``examples`` that can be used, in file order, and the others, ``set_aside``."""

    examples: tuple[Example, ...]
    set_aside: tuple[SetAside, ...]

    @property
    def unlabelled(self) -> int:
        """How many of the examples have no gold label."""
        return sum(example.label is None for example in self.examples)


def load_examples(
    task: Task, split: str, data: str | None = None, file_format: FileFormat = USUAL_FORMAT
) -> LoadedSplit:
    """Return the examples of ``train``, ``validation`` or ``test``.

    Args:
        task: The task.
        split: The split.
        data: None for the hub, ``"pocket"`` for the built-in texts, a folder with one file a split (``train.jsonl``,
            ``.csv``, ``.tsv`` or ``.parquet``), or one file, which is split 70/10/20 by id.
        file_format: How files are read, and what their labels mean.

    Raises:
        SaywhyError: If the data cannot be reached or read, or do not fit the task.
    """
    if split not in SPLITS:
        raise SaywhyError(f"no split {split!r}{did_you_mean(split, SPLITS, ': ') or '.'} Splits: {', '.join(SPLITS)}")
    meanings = _label_meanings(task, file_format)
    split_by_id = None
    if data in (None, POCKET_DATA) and file_format.given:
        name = file_format.given[0]
        raise SaywhyError(f"{name}= says how a file is read, and data={data or 'hub'} is none: leave it out")
    if data is None:
        rows = _hub_rows(task, split)
    elif data == POCKET_DATA:
        rows = _pocket_rows(task, split)
    else:
        rows = local_rows(data, split, task.fields, (task.label, "causes"), file_format)
        split_by_id = None if user_path(data).is_dir() else split
    where = f"{data or 'hub data'} ({task.name}, {split})"
    return _usable_and_set_aside(task, rows, where, split_by_id, meanings)


def nested_sample(examples: Sequence[Example], n: int | None, seed: int) -> list[Example]:
    """Return ``n`` examples at random; None, or more than there are, gives all.

    Samples of one seed are nested, whatever the order of ``examples``: the first 100 of 400 are the 100.
    """
    if n is not None and n < 0:
        raise ValueError(f"cannot sample {n} examples")
    return sorted(examples, key=lambda example: hashlib.sha256(f"{seed}:{example.id}".encode()).digest())[:n]


def example_id(task_name: str, text: str, context: Mapping[str, str]) -> str:
    """Return the id of a text: 12 hex digits of a hash over the task's name and the fields, not the label."""
    canonical = json.dumps([task_name, dict(context), text], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:12]


TextKey = tuple[str, ...]
"""What texts are told apart by."""


def key_of_text(example: Example) -> TextKey:
    """Return what two rows of the same text have in common: all fields, but for blanks at their ends."""
    return (example.text.strip(), *(f"{name}={example.context[name].strip()}" for name in sorted(example.context)))


def read_messages(path: str | Path) -> list[list[dict[str, str]]]:
    """Return the conversations of replay data: JSONL with ``messages``, or a folder with ``train.jsonl``."""
    chats = []
    for where, row in local_rows(path, "train", (), ("messages",), USUAL_FORMAT):
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
        if _SURROGATE.search(turn["content"]):
            return f"message {number} holds half of a character (broken Unicode)"
        if number == 1 and turn["role"] == "system":
            continue
        if turn["role"] != expected_role:
            return f"message {number} has the role {turn['role']!r} where {expected_role!r} is due"
        expected_role = "assistant" if expected_role == "user" else "user"
    last = messages[-1]["role"]
    return None if last == "assistant" else f"the last message is the {last}'s, not the assistant's"


def _label_meanings(task: Task, file_format: FileFormat) -> Mapping[str, str | None]:
    """Return the label of the task that each value of the data means, where it is another one; None: no label."""
    hub_labels = task.hub.labels if task.hub else {}
    for value, label in file_format.label_map.items():
        if label is None and (twin := next((name for name in task.labels if name.lower() in UNLABELLED_NAMES), None)):
            raise SaywhyError(
                f"label_map={value}:none: none means unlabelled, and is a label of task {task.name!r}: say which in "
                f"the task's YAML, label_map: {{{value}: '{twin}'}} or {{{value}: ~}}"
            )
        if label is not None and label not in task.labels:
            hint = did_you_mean(label, task.labels, ": ") or "."
            raise SaywhyError(
                f"label_map={value}:{label}: {label!r} is no label of task {task.name!r}{hint} Labels: "
                f"{', '.join(task.labels)}"
            )
    # What a task calls a label means itself, unless the user says otherwise.
    label_maps = (hub_labels, {label: label for label in task.labels}, task.label_map, file_format.label_map)
    # A label's own spelling means itself, whatever other one is the same number.
    pairs = [(value, label) for label_map in label_maps for value, label in label_map.items()]
    return {**{plain_number(value): label for value, label in pairs}, **dict(pairs)}


def _usable_and_set_aside(
    task: Task,
    rows: Iterable[LocatedRow],
    where: str,
    split_by_id: str | None,
    meanings: Mapping[str, str | None],
) -> LoadedSplit:
    """Separate the usable rows from the others; if ``split_by_id`` is given, only of rows whose id falls into it."""
    examples: list[Example] = []
    set_aside: list[SetAside] = []
    seen: set[TextKey] = set()
    is_any_here = False
    unknown_labels: dict[str, str] = {}
    total = 0
    for total, (location, row) in enumerate(rows, 1):  # noqa: B007
        key = label_key(row.get(task.label))
        label = meanings.get(key, meanings.get(plain_number(key), key))
        if label and label not in task.labels and plain_number(label) != NO_LABEL:
            unknown_labels.setdefault(label, location)
        example = _row_example(task, row, label if label in task.labels else None, location)
        text_key = key_of_text(example)
        is_duplicate = text_key in seen
        seen.add(text_key)  # of a file of all splits in whichever split it falls: equal texts never part
        if split_by_id is not None and split_by_id != SPLITS[bisect(_SPLIT_BOUNDS, int(example.id, 16) % 100)]:
            continue
        is_any_here = True
        reason = _unusable(example) or ("duplicate" if is_duplicate else None)
        if reason:
            set_aside.append(SetAside(example.id, task.name, reason))
        else:
            examples.append(example)
    if unknown_labels:
        raise _unknown_labels(task, unknown_labels)
    if not is_any_here:
        problem = f"none of the {total} rows falls into {split_by_id!r} (70/10/20 by id)" if total else "is empty"
        raise SaywhyError(f"{where}: {problem}; give more rows, or a folder of splits")
    return LoadedSplit(tuple(examples), tuple(set_aside))


def _unknown_labels(task: Task, location_by_label: Mapping[str, str]) -> SaywhyError:
    """Return the problem of labels that the task does not have, with the form of the map that gives them a meaning."""
    label, location = next(iter(location_by_label.items()))
    problem = f"label {in_one_line(repr(label), LONGEST_VALUE)} is not one of the task's"
    hint = did_you_mean(label, task.labels, ": ")
    problem += f"{hint or '.'} Column {task.label!r} holds {in_one_line(', '.join(task.labels), LONGEST_VALUE)}"
    values = sorted(location_by_label, key=lambda value: (len(value), value))[: len(task.labels)]
    if not hint and max(map(len, values)) <= _LONGEST_CODE and not any(set(value) & set(",:\n") for value in values):
        # Which of them a value means is not to be guessed: a wrong guess would be copied.
        pairs = ",".join(f"{value}:LABEL" for value in values)
        problem += f"; or say which LABEL each value means, label_map={pairs}, here or in the task's YAML"
    return SaywhyError(f"{location}: {problem}")


def _row_example(task: Task, row: Mapping[str, Any], label: str | None, where: str) -> Example:
    """Return the example of a row, or say why the row does not fit the task."""
    values = {}
    for column in task.fields:
        if column not in row:
            raise missing_column(where, column, list(row))
        value = "" if row[column] is None else row[column]
        if not isinstance(value, str):
            problem = f"column {column!r} holds {in_one_line(repr(value), LONGEST_VALUE)}"
            raise SaywhyError(f"{where}: {problem}, which is not text; put it in quotes")
        values[column] = value
    text = values.pop(task.text).lstrip()  # else the tokenizer would merge its blanks with what stands before
    causes = row["causes"] if isinstance(row.get("causes"), list) else ()
    known_causes = tuple(cause for cause in map(str, causes) if not _SURROGATE.search(cause))
    return Example(example_id(task.name, text, values), text, values, label, known_causes)


def _unusable(example: Example) -> str | None:
    """Return why a text cannot be explained, None if it can."""
    if not example.text.strip():
        return "empty"
    if _SURROGATE.search(" ".join((example.text, *example.context.values()))):
        return "broken Unicode"
    if lacks_blanks(example.text):
        return "no blanks between its words"
    opening = " ".join(example.text.split(maxsplit=3)[:3])  # enough for nearly all texts, and much faster
    has_two_words = len(candidates(opening)) > 1 or len(candidates(example.text)) > 1
    return None if has_two_words else "fewer than two words"


def _pocket_rows(task: Task, split: str) -> Iterator[LocatedRow]:
    """Yield the built-in texts of a task."""
    from saywhy import pocket

    try:
        rows = pocket.rows(task.name, split)
    except ValueError as error:
        raise SaywhyError(f"no pocket texts of {task.name!r} ({error}); pass data=FOLDER_OR_FILE") from error
    return ((f"pocket texts of {task.name!r}, row {number}", row) for number, row in enumerate(rows, 1))


def _hub_rows(task: Task, split: str) -> Iterator[LocatedRow]:
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
    label_feature = dataset.features.get(task.hub.columns.get(task.label, task.label))
    class_names: list[str] = getattr(label_feature, "names", None) or []
    for number, hub_row in enumerate(dataset, 1):
        row = hub_row | {column: hub_row[hub_column] for column, hub_column in task.hub.columns.items()}
        label = label_key(row.get(task.label))
        if label not in task.hub.labels and label.isdecimal() and int(label) < len(class_names):
            label = class_names[int(label)]
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
        problem = f"hub data {hub.id!r} {expression!r}: {type(error).__name__}: {in_one_line(error, LONGEST_VALUE)}"
        raise SaywhyError(f"{problem}; pass data=FOLDER_OR_FILE instead") from error
