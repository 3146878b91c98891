"""Calibration for decisions: what travels with the weights, else what was measured before, else measured once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from saywhy.config import Config
from saywhy.file_format import FileFormat
from saywhy.folders.store import read_object, write_json
from saywhy.measure.calibration import (
    calibration_constants,
    calibration_key,
    calibration_scores,
    carried_calibration,
    no_calibration,
)
from saywhy.models.interface import Model
from saywhy.models.shipped import CalibrationKey, SavedCalibration, calibration_entry, shipped_calibration
from saywhy.models.spec import ModelSpec, cache_folder
from saywhy.paths import user_path
from saywhy.progress import progress, say
from saywhy.records import SaywhyError
from saywhy.settings import resolved
from saywhy.tasks.corpus import assemble_corpus, corpus_associations, data_argument, pinned_of_corpus
from saywhy.tasks.task import Task
from saywhy.words import CANDIDATES_RULE

_TEXT_SETTINGS = (
    "calibration_rows", "lexicon_rows", "pinned_words", "most_words", "data_seed", "split", "rows", "decide_rows",
    "decontaminate", *FileFormat.model_fields,
)  # fmt: skip
"""Settings on which it depends which texts a model is calibrated on, and which words are pinned."""


def calibration_of(
    spec: ModelSpec, task: Task, config: Config, model: Callable[[], Model]
) -> tuple[SavedCalibration, CalibrationKey]:
    """Return the constants and pinned words of a model on a task, and what they belong to.

    They are measured once for the same weights, chat template, prompts, task and texts, and kept in the cache folder.

    Args:
        spec: The model.
        task: The task.
        config: The data, and how many texts of it.
        model: Opens the model; called if something is left to measure.
    """
    key = calibration_key(spec, task)
    saved = carried_calibration(spec, task)
    if saved is None:
        file = _cache_file(key, config)
        saved = _cached(file, task) or _measured(task, config, model, file, key)
    if config.calibration is None:
        saved = dataclasses.replace(saved, constants=no_calibration(task))
    return saved, key


def _cache_file(key: CalibrationKey, config: Config) -> Path:
    """Return where the calibration for the data of ``config`` is kept."""
    settings = {name: value for name, value in resolved(config).items() if name in _TEXT_SETTINGS}
    belongs = [dict(key), settings, _data_state(config), CANDIDATES_RULE]
    name = hashlib.sha256(json.dumps(belongs, sort_keys=True, default=str).encode()).hexdigest()[:24]
    return cache_folder() / "calibrations" / f"{name}.json"


def _data_state(config: Config) -> list[Any]:
    """Return what changes when the data do: of files on disk their sizes and times."""
    argument = data_argument(config)
    path = user_path(argument) if argument else None
    if path is None or not path.exists():
        return [argument]
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return [str(path.resolve()), *((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)]


def _cached(file: Path, task: Task) -> SavedCalibration | None:
    """Return what was kept; None if nothing was, or if it is damaged, which is said."""
    if not file.is_file():
        return None
    try:
        return shipped_calibration({"tasks": {task.name: _entry(read_object(file))}}, task.name)
    except (SaywhyError, TypeError, AttributeError, KeyError, ValueError):
        say(f"{file} is damaged: measured anew")
        return None


def _entry(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"constants": {k: float(v) for k, v in content["constants"].items()}, "pinned": dict(content["pinned"])}


def _measured(
    task: Task, config: Config, model: Callable[[], Model], file: Path, key: CalibrationKey
) -> SavedCalibration:
    """Measure constants and pinned words, and keep them."""
    corpus = assemble_corpus(config)  # before the model: loading that takes longer
    labels: list[str | None] = [example.label for example in corpus.lexicon]
    texts = corpus.calibration
    if any(label is None for label in labels):  # no labels: the words are those of the model's own answers
        corpus = dataclasses.replace(corpus, lexicon=tuple(dict.fromkeys((*corpus.lexicon[: 2 * len(texts)], *texts))))
        texts = corpus.lexicon
    opened = model()
    with progress("calibrate", len(texts)) as bar:
        scores = calibration_scores(opened, task, texts, bar.tick)
    constants = calibration_constants(task, scores[-len(corpus.calibration) :])
    if texts is corpus.lexicon:
        labels = [max(of_text, key=lambda label: of_text[label] - constants[label]) for of_text in scores]
    pinned = pinned_of_corpus(corpus, corpus_associations(corpus, labels), config.pinned_words)
    saved = SavedCalibration(constants, dict(pinned))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, calibration_entry(saved, key))
    return saved
