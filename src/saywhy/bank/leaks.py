"""Whether a released bank tells anything of the texts behind it: sequences of their words, wherever they stand."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from saywhy.checks import Curve, Judged, Probe, Spare
from saywhy.folders.store import PACKED, read, read_object
from saywhy.measure import retention as retained
from saywhy.protocol import styles
from saywhy.records import Decision, Example, Grid, Prediction, Row, SetAside, Table, WordScores
from saywhy.words import occurrences

MANIFESTS = ("run.json", "study.json", "frozen.json")
"""Files that hold the project's own sentences: settings, questions, prompts."""

BUILT_IN = "examples"
"""Folder of a bank with built-in texts, which are nobody's."""

LEAST = 2
"""So many words of a text in a row are a leak, in every file of data."""

PROSE = 6
"""In sentences of the project, fewer words in a row stand in a text by chance."""

PAGES = (".csv", ".html", ".md", ".svg", ".tex", ".txt", ".yaml")
"""Other files that are read; the rest of a bank is pictures."""

SET_ASIDE = (
    "broken Unicode",
    "fewer than two words",
    "holds a control token of the model",
    "longer than the model's context",
    "more than # words",
    "the model has no loss for it",
)
"""Reasons of several words for which texts and instructions are set aside; ``#`` stands for a number."""

KNOWN = frozenset((*styles.REASONS, *retained.REASONS, *SET_ASIDE, "built-in instructions"))

_MASKED = re.compile(r"#\d+|#\?|sha256:[0-9a-f]+")
_RECORDS = (Row, Table, Grid, Decision, Judged, Probe, Curve, Spare, Example, SetAside, WordScores, Prediction)
_FIELDS = frozenset(field.name for kind in _RECORDS for field in dataclasses.fields(kind))
_OTHERS = frozenset(
    ("picks", "replay", "plain", "asked", "reasons", "ids", "losses", "hits", "n", "set_aside", "source")
)

Token = tuple[str, bool]
"""A word (folded core), and whether it is one of the pinned words or label words."""


def leaks(bank: Path, texts: Iterable[str]) -> list[str]:
    """Return where words of ``texts`` stand in a bank in their order: ``FILE: the words``, one a sequence.

    Two words in a row are one, in any string, list of strings or names of fields of any file of data. In manifests and
    pages, which hold sentences of the project, six. Lists may hold pinned words and label words in any order.

    Args:
        bank: The folder; its built-in examples are not looked at.
        texts: What must not be found.
    """
    short, long = set[tuple[str, ...]](), set[tuple[str, ...]]()
    for text in texts:
        keys = [word.key for word in occurrences(text)]
        short.update(_windows(keys, LEAST))
        long.update(_windows(keys, PROSE))
    free = _free(bank)
    found = []
    for path in sorted(path for path in bank.rglob("*") if path.is_file()):
        where = path.relative_to(bank)
        if where.parts[0] == BUILT_IN:
            continue
        if path.name.removesuffix(PACKED).endswith((".json", ".jsonl")):
            own = path.name in MANIFESTS
            hits = _leaked(path, long if own else short, PROSE if own else LEAST, free)
        elif path.suffix in PAGES:
            words = occurrences(re.sub(r"<[^<>]*>", " ", path.read_text("utf-8")))
            hits = _among([(word.key, False) for word in words], long, PROSE)
        else:
            continue
        found += [f"{where.as_posix()}: {hit}" for hit in dict.fromkeys(hits)]
    return found


def _windows(keys: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(keys[at : at + size]) for at in range(len(keys) - size + 1))


def _free(bank: Path) -> frozenset[str]:
    """Return the strings that lists may hold side by side: pinned words and labels."""
    found: set[str] = set()
    for path in bank.rglob("run.json"):
        told = read_object(path)
        found.update(word for words in told.get("pinned", {}).values() for word in words)
        labels = (told.get("task") or {}).get("labels") or {}
        found.update((*labels, *labels.values()) if isinstance(labels, dict) else labels)
    return frozenset(found)


def _leaked(path: Path, wanted: set[tuple[str, ...]], size: int, free: frozenset[str]) -> Iterator[str]:
    """Yield the sequences of ``size`` words of a file of data that are among ``wanted``."""
    content = read(path)
    values = [content] if path.name.endswith(".json") else content.split("\n")
    for line in values:
        for strings in _strings(json.loads(line)) if line.strip() else ():
            for run in _runs(strings, free):
                yield from _among(run, wanted, size)


def _among(run: Sequence[Token], wanted: set[tuple[str, ...]], size: int) -> Iterator[str]:
    """Yield the parts of ``run`` that are covered by sequences of ``size`` words among ``wanted``."""
    words = [word for word, _ in run]
    first = end = 0
    for at in range(len(run) - size + 1):
        if tuple(words[at : at + size]) in wanted and not all(free for _, free in run[at : at + size]):
            if at >= end:  # does not go on where the part before stopped
                if end:
                    yield " ".join(words[first:end])
                first = at
            end = at + size
    if end:
        yield " ".join(words[first:end])


def _strings(value: Any) -> Iterator[list[str]]:
    """Yield every string of a JSON value, those of a list together, as well as the names of fields."""
    if isinstance(value, str):
        yield [value]
    elif isinstance(value, dict):
        yield ["#?" if key in _FIELDS or key in _OTHERS else key for key in value]
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        yield [one if isinstance(one, str) else "#?" for one in value]
        for inner in value:
            if not isinstance(inner, str):
                yield from _strings(inner)


def _runs(strings: Sequence[str], free: frozenset[str]) -> Iterator[list[Token]]:
    """Yield the runs of words in ``strings``: hashes, indices and known reasons end one."""
    run: list[Token] = []
    for string in strings:
        for key in _keys(string):
            if key is None:
                if len(run) > 1:
                    yield run
                run = []
            else:
                run.append((key, string in free))
    if len(run) > 1:
        yield run


@lru_cache(maxsize=200_000)
def _keys(string: str) -> tuple[str | None, ...]:
    """Return the words of a string; None for what is masked, or a reason."""
    if re.sub(r"\d+", "#", string) in KNOWN:
        return (None,)
    return tuple(None if _MASKED.fullmatch(word.run) else word.key for word in occurrences(string))
