"""Whether a released bank leaks the texts behind it: sequences of their words in any of its files."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from saywhy.attribution.scores import WordScores
from saywhy.checks import Curve, Judged, Probe, Spare
from saywhy.folders.checksums import CHECKSUMS_FILE
from saywhy.folders.store import GZIP_SUFFIX, parsed_json, read_object, read_text
from saywhy.measure import retention as retained
from saywhy.protocol import styles
from saywhy.records import CounterfactualGrid, Decision, Example, Prediction, Row, SetAside, Table
from saywhy.report.load import LOSS_FILES
from saywhy.stats.insertions import Insertion
from saywhy.stats.mentions import Missing
from saywhy.stats.sentences import SENTENCE_METRICS, SampledReply, SentenceScores, simulation_names
from saywhy.stats.simulation import EDIT_COUNTS
from saywhy.tasks.data import example_id
from saywhy.words import occurrences

MANIFEST_FILES = ("run.json", "study.json", "frozen.json", CHECKSUMS_FILE)
"""Files that hold sentences of the project itself: settings, questions, prompts, names of files."""

EXAMPLES_SUBFOLDER = "examples"
"""Folder of a bank with runs on built-in texts, which may be shown."""

LEAK_IN_DATA = 2
"""Number of words of a text in a row that are a leak in a file of data."""

LEAK_IN_PROSE = 6
"""The same for sentences of the project, which share shorter sequences with texts by chance."""

PAGE_SUFFIXES = (".csv", ".html", ".md", ".svg", ".tex", ".txt", ".yaml")
"""Endings of the other files that are read; the remaining files of a bank are pictures."""

SET_ASIDE_REASONS = (
    "broken Unicode",
    "fewer than two words",
    "holds a control token of the model",
    "holds signs that the model's tokenizer does not have",
    "refused by the model's chat template",
    "refused by the server",
    "longer than the model's context",
    "more than # words",
    "no blanks between its words",
    "the model has no loss for it",
)
"""Reasons of several words for which texts and instructions are set aside; ``#`` stands for a number."""

KNOWN_REASONS = frozenset(
    (*styles.INVALID_REASONS, *retained.UNPLAIN_REASONS, *SET_ASIDE_REASONS, *Missing, "built-in instructions")
)

_PLAIN_DIGESTS = ("sha256", "sha1", "md5")
_LEAST_DIGITS = 12
"""From so many hexadecimal digits on, those of an id, a string is no hash of a word by chance."""

_MASKED = re.compile(r"#\d+|#\?|sha256:[0-9a-f]+")
_RECORDS = (
    Row,
    Table,
    CounterfactualGrid,
    Decision,
    Judged,
    Probe,
    Curve,
    Spare,
    Example,
    SetAside,
    WordScores,
    Prediction,
    SampledReply,
    SentenceScores,
    Insertion,
)
_FIELDS = frozenset(field.name for kind in _RECORDS for field in dataclasses.fields(kind))
_OTHER_FIELDS = frozenset(
    (
        *("picks", "replay", "plain", "asked", "reasons", "ids", "losses", "hits", "n", "set_aside", "source"),
        *("step", *LOSS_FILES.values()),
        *(*SENTENCE_METRICS, *simulation_names(), *EDIT_COUNTS),
    )
)

FlaggedWord = tuple[str, bool]
"""A word (folded core), and whether its string is one of the pinned words or labels."""


def leaks(bank: Path, texts: Iterable[str], hashes: Collection[str] = ()) -> list[str]:
    """Return where words of ``texts`` stand in a bank in their order: ``FILE: the words``, one a sequence.

    In files of data, a leak is two words in a row, in any string, list of strings or names of fields; in manifests and
    pages, which hold sentences of the project, six. Lists may hold pinned words and label words in any order.

    Args:
        bank: The folder; its built-in examples are not looked at.
        texts: The texts that the bank must not leak.
        hashes: Hashes of texts that anybody can compute, who guesses the text; none may stand in a file of data, nor
            one of a word or of two in a row of ``texts``.
    """
    plain, texts = frozenset(hashes), list(texts)
    guesses = _Guesses(texts, _task_names(bank))
    data_windows, prose_windows = set[tuple[str, ...]](), set[tuple[str, ...]]()
    for text in texts:
        keys = [word.key for word in occurrences(text)]
        data_windows.update(_windows(keys, LEAK_IN_DATA))
        prose_windows.update(_windows(keys, LEAK_IN_PROSE))
    allowed = _allowed_strings(bank)
    leaked = []
    for path in sorted(path for path in bank.rglob("*") if path.is_file()):
        where = path.relative_to(bank)
        if where.parts[0] == EXAMPLES_SUBFOLDER:
            continue
        if path.name.removesuffix(GZIP_SUFFIX).endswith((".json", ".jsonl")):
            is_manifest = path.name in MANIFEST_FILES
            windows, size = (prose_windows, LEAK_IN_PROSE) if is_manifest else (data_windows, LEAK_IN_DATA)
            sequences: Iterable[str] = chain(_leaked(path, windows, size, allowed), _plain_hashes(path, plain, guesses))
        elif path.suffix in PAGE_SUFFIXES:
            words = occurrences(re.sub(r"<[^<>]*>", " ", path.read_text("utf-8")))
            sequences = _covered_parts([(word.key, False) for word in words], prose_windows, LEAK_IN_PROSE)
        else:
            continue
        leaked += [f"{where.as_posix()}: {sequence}" for sequence in dict.fromkeys(sequences)]
    return leaked


def _windows(keys: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(keys[start : start + size]) for start in range(len(keys) - size + 1))


def _allowed_strings(bank: Path) -> frozenset[str]:
    """Return the strings that lists may hold side by side: pinned words and labels."""
    allowed: set[str] = set()
    for path in bank.rglob("run.json"):
        manifest = read_object(path)
        allowed.update(word for words in manifest.get("pinned", {}).values() for word in words)
        labels = (manifest.get("task") or {}).get("labels") or {}
        allowed.update((*labels, *labels.values()) if isinstance(labels, dict) else labels)
    return frozenset(allowed)


def _leaked(path: Path, windows: set[tuple[str, ...]], size: int, allowed: frozenset[str]) -> Iterator[str]:
    """Yield the sequences of ``size`` words of a file of data that are among ``windows``."""
    for line in _json_texts(path):
        for strings in _strings(parsed_json(line)):
            for sequence in _word_sequences(strings, allowed):
                yield from _covered_parts(sequence, windows, size)


def _json_texts(path: Path) -> list[str]:
    """Return the JSON values of a file, as texts: one, or one a line."""
    content = read_text(path)
    return [content] if path.name.endswith(".json") else [line for line in content.split("\n") if line.strip()]


def _plain_hashes(path: Path, hashes: frozenset[str], guesses: _Guesses) -> Iterator[str]:
    """Yield the strings of a file of data that are among ``hashes``, or are hashes of one of the ``guesses``."""
    for line in _json_texts(path):
        for strings in _strings(parsed_json(line)):
            for string in strings:
                digest = string.rpartition(":")[2]
                if digest in hashes:
                    yield f"plain hash {string}"
                elif guess := guesses.behind(digest):
                    yield f"plain hash {string} of {guess!r}"


class _Guesses:
    """What a dictionary attack would try: each word of some texts, and each two in a row, as plain hashes."""

    def __init__(self, texts: Iterable[str], tasks: Sequence[str]) -> None:
        """Hash the words as ids of texts of ``tasks``, and by themselves."""
        guesses: dict[str, None] = {}
        for text in texts:
            words_of_text = occurrences(text)
            for words in ([word.run for word in words_of_text], [word.key for word in words_of_text]):
                guesses |= dict.fromkeys(chain(words, map(" ".join, pairwise(words))))
        self._by_beginning: dict[str, list[tuple[str, str]]] = {}
        for guess in guesses:
            content = guess.encode("utf-8", "surrogatepass")
            digests = [hashlib.new(name, content, usedforsecurity=False).hexdigest() for name in _PLAIN_DIGESTS]
            for digest in (*digests, *(example_id(task, guess, {}) for task in tasks)):
                self._by_beginning.setdefault(digest[:_LEAST_DIGITS], []).append((digest, guess))

    def behind(self, digest: str) -> str | None:
        """Return the guess of which ``digest`` is a hash, or the beginning of one; None if it is none."""
        guessed = self._by_beginning.get(digest[:_LEAST_DIGITS], ())
        return next((guess for whole, guess in guessed if whole.startswith(digest)), None)


def _task_names(bank: Path) -> list[str]:
    """Return the names of the tasks of a bank's runs, which stand in the ids of their texts."""
    tasks = (read_object(path).get("task") for path in sorted(bank.rglob("run.json")))
    return list(dict.fromkeys(str(task["name"]) for task in tasks if isinstance(task, dict) and "name" in task))


def _covered_parts(sequence: Sequence[FlaggedWord], windows: set[tuple[str, ...]], size: int) -> Iterator[str]:
    """Yield the parts of ``sequence`` that are covered by sequences of ``size`` words among ``windows``."""
    words = [word for word, _ in sequence]
    part_start = part_end = 0
    for start in range(len(sequence) - size + 1):
        all_allowed = all(is_allowed for _, is_allowed in sequence[start : start + size])
        if tuple(words[start : start + size]) in windows and not all_allowed:
            if start >= part_end:  # does not continue the part before
                if part_end:
                    yield " ".join(words[part_start:part_end])
                part_start = start
            part_end = start + size
    if part_end:
        yield " ".join(words[part_start:part_end])


def _strings(value: Any) -> Iterator[list[str]]:
    """Yield every string of a JSON value, those of a list together, as well as the names of fields."""
    if isinstance(value, str):
        yield [value]
    elif isinstance(value, dict):
        yield ["#?" if key in _FIELDS or key in _OTHER_FIELDS else key for key in value]
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        yield [inner if isinstance(inner, str) else "#?" for inner in value]
        for inner in value:
            if not isinstance(inner, str):
                yield from _strings(inner)


def _word_sequences(strings: Sequence[str], allowed: frozenset[str]) -> Iterator[list[FlaggedWord]]:
    """Yield the sequences of words in ``strings``: hashes, indices and known reasons end one."""
    sequence: list[FlaggedWord] = []
    for string in strings:
        for key in _sequence_keys(string):
            if key is None:
                if len(sequence) > 1:
                    yield sequence
                sequence = []
            else:
                sequence.append((key, string in allowed))
    if len(sequence) > 1:
        yield sequence


@lru_cache(maxsize=200_000)
def _sequence_keys(string: str) -> tuple[str | None, ...]:
    """Return the words of a string; None for what is masked, or a reason."""
    if re.sub(r"\d+", "#", string) in KNOWN_REASONS:
        return (None,)
    return tuple(None if _MASKED.fullmatch(word.run) else word.key for word in occurrences(string))
