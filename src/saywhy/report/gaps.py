"""Whether the files of an arm are whole by their shape: also where no checksums were kept (older folders)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from saywhy.checks import Judged
from saywhy.folders.store import existing_file, repair_advice
from saywhy.records import CounterfactualGrid, Record, Row, SaywhyError, Table

Ways = Mapping[Hashable, set[str]]
"""Texts by style, setting, readout and operator of their explanations."""


def refuse_gaps(arm_folder: Path, texts: set[str], records: Mapping[str, Sequence[Record]]) -> None:
    """Refuse an arm whose files hold a text twice, lack one, or do not fit together.

    Args:
        arm_folder: Its folder.
        texts: The ids of the explained texts; empty if they are not known.
        records: The content of its files, by stem: rows, tables, grids, decisions.

    Raises:
        SaywhyError: With the file.
    """
    rows = [record for record in records["rows"] if isinstance(record, Row)]
    texts = texts or {row.id for row in rows}
    for stem, file_records in records.items():
        path = existing_file(arm_folder / f"{stem}.jsonl")
        if path is None:
            continue
        keys = Counter(map(_key, file_records))
        if repeated := next((key for key, count in keys.items() if count > 1), None):
            raise _damage(path, f"{repeated} stands there more than once")
        if not keys and (stem != "grids" or any(row.style == "counterfactual" for row in rows)):
            raise _damage(path, "it is empty")
        for record in file_records:
            if isinstance(record, Table | CounterfactualGrid) and len(set(_lengths(record))) > 1:
                raise _damage(path, f"text {record.id} has not as many words as labels and numbers")
        if stem != "decisions":
            _refuse_missing(path, _texts_by_way(file_records), dict.fromkeys(_texts_by_way(file_records), texts))


def refuse_check_gaps(path: Path, records: Sequence[Record], rows: Iterable[Row]) -> None:
    """Refuse the file of a robustness check that judges a text twice, or not all texts of a way of explaining.

    Args:
        path: The file.
        records: Its content.
        rows: The rows of the arm, of which it judges some ways again.

    Raises:
        SaywhyError: With the file.
    """
    if repeated := next((key for key, count in Counter(map(_key, records)).items() if count > 1), None):
        raise _damage(path, f"{repeated} stands there more than once")
    judged = [record for record in records if isinstance(record, Judged)]
    by_variation: dict[str, list[Judged]] = {}
    for record in judged:
        by_variation.setdefault(record.variation, []).append(record)
    texts_by_way = _texts_by_way(list(rows))
    for of_variation in by_variation.values():
        _refuse_missing(path, _texts_by_way(of_variation), texts_by_way)


def _key(record: Any) -> tuple[Any, ...]:
    """Return what no two records of a file share."""
    names = ("id", "variation", "style", "setting", "readout", "operator")
    return tuple(value for name in names if (value := getattr(record, name, None)) is not None)


def _texts_by_way(records: Sequence[Any]) -> dict[Hashable, set[str]]:
    texts: dict[Hashable, set[str]] = {}
    for record in records:
        way = tuple(getattr(record, name, None) for name in ("style", "setting", "readout", "operator"))
        texts.setdefault(way, set()).add(record.id)
    return texts


def _refuse_missing(path: Path, texts_by_way: Ways, expected: Ways) -> None:
    for way, texts in texts_by_way.items():
        if difference := expected.get(way, texts) ^ texts:
            verb = "stands there, and is not among the texts" if min(difference) in texts else "is missing"
            raise _damage(path, f"text {min(difference)} {verb}")


def _lengths(record: Table | CounterfactualGrid) -> Iterable[int]:
    lists = [record.words, record.labels, record.drops]
    if isinstance(record, CounterfactualGrid):
        lists += [record.inserted, *([record.rises] if record.rises else [])]
    return map(len, lists)


def _damage(path: Path, problem: str) -> SaywhyError:
    return SaywhyError(f"{path} is damaged ({problem}): {repair_advice(path)}")
