"""Calibration for decisions: what travels with the weights, else what was measured before, else measured once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saywhy.config import Config
from saywhy.file_format import FileFormat
from saywhy.folders.store import read_object, write_json
from saywhy.measure.audit import refused, unusable
from saywhy.measure.calibration import (
    calibration_constants,
    calibration_scores,
    carried_calibration,
    no_calibration,
    say_unread,
)
from saywhy.measure.predict import Classifier
from saywhy.models.api.model import ApiModel
from saywhy.models.backends import precision_of
from saywhy.models.fingerprints import base_weights_fingerprint
from saywhy.models.interface import Model
from saywhy.models.shipped import CalibrationKey, SavedCalibration, calibration_entry, finite_constants
from saywhy.models.spec import ADAPTER_CONFIG, ModelSpec, cache_folder
from saywhy.paths import VLLM_PREFIX, is_vllm_name, user_path
from saywhy.progress import progress, say
from saywhy.records import Example, SaywhyError, SetAside
from saywhy.settings import resolved
from saywhy.tasks.corpus import assemble_corpus, corpus_associations, data_argument, pinned_of_corpus
from saywhy.tasks.task import Task
from saywhy.words import CANDIDATES_RULE

CALIBRATION_SETTINGS = (
    "calibration_rows", "lexicon_rows", "pinned_words", "most_words", "data_seed", "split", "rows", "decide_rows",
    "decontaminate", "precision", *FileFormat.model_fields,
)  # fmt: skip
"""Settings on which constants and pinned words depend."""
_TEXT_FIELDS = {"name", "text", "label", "label_map", "hub"}
"""Fields of a task on which they depend beside what is asked (``calibration_key``): where its texts are."""


EXPLAINER_SETTINGS = frozenset(
    (
        *("model", "precision", "token_budget", "tensor_parallel_size", "quantize", "task", "plan"),
        *("data", "calibration", *CALIBRATION_SETTINGS),
    )
)
"""Settings that an explainer goes by: the model, how it computes, its task, and the texts that it is calibrated on."""


def refuse_other_settings(config: Config, *more: str) -> None:
    """Refuse settings that would change nothing in a single decision, which is rechecked with ``[REDACTED]``.

    Args:
        config: What was given.
        more: Names of settings that the caller uses by itself.

    Raises:
        SaywhyError: For the first of them.
    """
    for name in sorted(config.model_fields_set - EXPLAINER_SETTINGS - {*more}):
        raise SaywhyError(f"{name}= changes nothing in a single decision (docs/explainer.md): leave it out")


@dataclass(frozen=True, slots=True)
class TaskCalibration:
    """What a model was calibrated to on a task.

    Attributes:
        saved: Constants and pinned words.
        label_shares: Share of the calibration texts that the model gives each label; None where that is not known.
    """

    saved: SavedCalibration
    label_shares: Mapping[str, float] | None = None


def calibration_of(
    spec: ModelSpec, task: Task, config: Config, key: CalibrationKey, model: Callable[[], Model]
) -> TaskCalibration:
    """Return what a model is calibrated to on a task.

    It is measured once for the same weights, chat template, prompts, task and texts, and kept in the cache folder.

    Args:
        spec: The model.
        task: The task.
        config: The data, and how many texts of it.
        key: What constants must belong to.
        model: Opens the model; called if something is left to measure.
    """
    if carried := carried_calibration(spec, task, config.quantize):
        calibration = TaskCalibration(carried)
        say_unread(config, {"data", *CALIBRATION_SETTINGS} - {"precision"})
    else:
        file = _cache_file(spec, key, task, config)
        calibration = _cached(file, task) or _measured(task, config, model, file, key)
    if config.calibration is None:
        saved = dataclasses.replace(calibration.saved, constants=no_calibration(task))
        return TaskCalibration(saved)
    return calibration


def _cache_file(spec: ModelSpec, key: CalibrationKey, task: Task, config: Config) -> Path:
    """Return where the calibration for the data of ``config`` is kept."""
    settings = {name: value for name, value in resolved(config).items() if name in CALIBRATION_SETTINGS}
    if spec.api is None and (products := precision_of(spec, config.precision, config.quantize).products) != "float32":
        settings["products"] = products  # what precision=auto comes to differs from machine to machine
    origin = task.model_dump(include=_TEXT_FIELDS, mode="json")
    belongs = [dict(key), settings, origin, _data_state(task, config), CANDIDATES_RULE]
    if spec.adapter and "base" not in spec.extras:  # of one that saywhy did not train, no base is checked
        belongs += [base_weights_fingerprint(spec), read_object(spec.adapter / ADAPTER_CONFIG)]
    if is_vllm_name(config.model):  # the same weights, rounded otherwise
        belongs.append(VLLM_PREFIX)
    name = hashlib.sha256(json.dumps(belongs, sort_keys=True, default=str).encode()).hexdigest()[:24]
    return cache_folder() / "calibrations" / f"{name}.json"


def _data_state(task: Task, config: Config) -> list[Any]:
    """Return what changes when the data do: of files on disk that are read their sizes and times."""
    given = data_argument(config)
    argument = given or (task.hub.id if task.hub else None)
    path = user_path(argument) if argument else None
    if path is None or not path.exists():
        return [argument]
    if path.is_dir():  # beside the files of the splits there may be logs and runs; of a copy of the hub all is read
        files = [file for file in path.glob("*") if file.stem in ("train", config.split)] if given else path.rglob("*")
        files = sorted(file for file in files if file.is_file())
    else:
        files = [path]
    return [str(path.resolve()), *((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)]


def _cached(file: Path, task: Task) -> TaskCalibration | None:
    """Return what was kept; None if nothing was, or if it is damaged, which is said."""
    if not file.is_file():
        return None
    try:
        content = read_object(file)
        constants, shares = (finite_constants(content[name]) for name in ("constants", "label_shares"))
        pinned = {str(label): tuple(map(str, words)) for label, words in content["pinned"].items()}
        if not set(constants) == set(pinned) == set(shares) == set(task.labels):
            raise ValueError("other labels")
    except (SaywhyError, TypeError, AttributeError, KeyError, ValueError):
        say(f"{file} is damaged: measured anew")
        return None
    return TaskCalibration(SavedCalibration(constants, pinned), shares)


def _measured(
    task: Task, config: Config, model: Callable[[], Model], file: Path, key: CalibrationKey
) -> TaskCalibration:
    """Measure constants and pinned words, and keep them where that can be."""
    corpus = assemble_corpus(config)  # before the model: loading that takes longer
    texts = {example.id: example for example in corpus.calibration}
    is_labelled = all(example.label is not None for example in corpus.lexicon)
    if not is_labelled:  # the words are then those of the model's own answers
        texts |= {example.id: example for example in corpus.lexicon[: 2 * len(texts)]}
    opened = model()
    uncalibrated = Classifier(opened, task, no_calibration(task))
    set_aside = unusable(uncalibrated, list(texts.values()))
    if isinstance(opened, ApiModel):
        set_aside += refused(uncalibrated, _without(texts, set_aside), config.chunk)
    texts = {example.id: example for example in _without(texts, set_aside)}
    corpus = corpus.without(set_aside)
    if not corpus.calibration:
        raise SaywhyError(
            f"no training text is left to calibrate '{task.name}' on: give more, of at least two words, not above "
            f"most_words=, without control tokens, and other ones than those of split={config.split}"
        )
    with progress("calibrate", len(texts)) as bar:
        scores = dict(zip(texts, calibration_scores(opened, task, list(texts.values()), bar.tick), strict=True))
    constants = calibration_constants(task, [scores[example.id] for example in corpus.calibration])
    answers = {id_: _label(of_text, constants) for id_, of_text in scores.items()}
    if not is_labelled:
        corpus = dataclasses.replace(corpus, lexicon=tuple(texts.values()))
    labels = [example.label if is_labelled else answers[example.id] for example in corpus.lexicon]
    pinned = pinned_of_corpus(corpus, corpus_associations(corpus, labels), config.pinned_words)
    counts = Counter(answers[example.id] for example in corpus.calibration)
    shares = {label: counts[label] / len(corpus.calibration) for label in task.labels}
    saved = SavedCalibration(constants, dict(pinned))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {**calibration_entry(saved, key), "label_shares": shares})
    except OSError as error:  # as in a container whose home is read-only
        say(f"{file} cannot be written ({error.strerror}): calibration is not kept; SAYWHY_CACHE=FOLDER moves it")
    return TaskCalibration(saved, shares)


def _without(texts: Mapping[str, Example], set_aside: Collection[SetAside]) -> list[Example]:
    ids = {record.id for record in set_aside}
    return [example for id_, example in texts.items() if id_ not in ids]


def _label(scores: Mapping[str, float], constants: Mapping[str, float]) -> str:
    """Return the calibrated answer."""
    return max(scores, key=lambda label: scores[label] - constants[label])
