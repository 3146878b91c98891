"""Calibration constants: each label's mean log-probability over unlabelled texts (docs/definitions.md, *Prediction*).

A variant of batch calibration (Zhou et al., ICLR 2024): subtracting the constants makes a label as likely as it is on
an average text.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from saywhy.config import Config
from saywhy.folders.run import RunFolder
from saywhy.folders.store import read_json
from saywhy.measure.predict import label_scores
from saywhy.models.chat import template_fingerprint
from saywhy.models.fingerprints import adapter_fingerprint, base_weights_fingerprint
from saywhy.models.interface import Model, Tick
from saywhy.models.shipped import CalibrationKey, SavedCalibration, saved_calibration
from saywhy.models.spec import ModelSpec
from saywhy.progress import progress
from saywhy.protocol.prompts import PROMPTS_VERSION
from saywhy.records import Example, SaywhyError
from saywhy.settings import say_idle
from saywhy.tasks.task import Task


def calibrate(model: Model, task: Task, examples: Sequence[Example], tick: Tick | None = None) -> dict[str, float]:
    """Return each label's mean log-probability (nats) over ``examples``, whose labels are not looked at."""
    return calibration_constants(task, calibration_scores(model, task, examples, tick))


def calibration_scores(
    model: Model, task: Task, examples: Sequence[Example], tick: Tick | None = None
) -> list[dict[str, float]]:
    """Return ``label_scores`` of each example."""
    return label_scores(model, task, [(example.text, example.context) for example in examples], tick)


def calibration_constants(task: Task, scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return each label's mean over the ``label_scores`` of texts: its calibration constant (nats).

    Raises:
        SaywhyError: If there is no text.
    """
    if not scores:
        raise SaywhyError(f"no texts to calibrate '{task.name}' on: the training split is empty")
    return {label: math.fsum(of_text[label] for of_text in scores) / len(scores) for label in task.labels}


def no_calibration(task: Task) -> dict[str, float]:
    """Return constants that leave the labels as the model gives them."""
    return dict.fromkeys(task.labels, 0.0)


def calibration_key(spec: ModelSpec, task: Task, quantize: str | None = None) -> CalibrationKey:
    """Return what constants belong to: the weights that gave them, the chat template, and what was asked."""
    weights = adapter_fingerprint(spec) or base_weights_fingerprint(spec)
    template = "the server's" if spec.api else template_fingerprint(spec)
    return calibration_key_of(weights, template, task, quantize=quantize)


def calibration_key_of(
    weights: str,
    template: str,
    task: Task,
    prompts_version: str = str(PROMPTS_VERSION),
    quantize: str | None = None,
) -> CalibrationKey:
    """Return ``calibration_key`` from the hashes of weights and chat template, as ``run.json`` records them."""
    asked: list[Any] = [task.question, task.lead_in, task.noun, list(task.context), task.labels]
    if task.prompt:
        asked.append([task.text, task.prompt.model_dump()])
    key = {
        "weights": weights,
        "template": template,
        "prompts": prompts_version,
        "task": f"sha256:{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]}",
    }
    return {**key, "quantization": quantize} if quantize else key


def carried_calibration(spec: ModelSpec, task: Task, quantize: str | None = None) -> SavedCalibration | None:
    """Return the constants and pinned words that travel with a model for a task as it is asked; None if none do.

    Raises:
        SaywhyError: If they are damaged.
    """
    return saved_calibration(spec.folder, task.name, partial(calibration_key, spec, task, quantize))


def say_unread(config: Config, settings: Collection[str]) -> None:
    """Say which of ``settings`` were given, though the model brings its own calibration constants and pinned words."""
    say_idle(config, dict.fromkeys(settings, f"{config.model} brings its own calibration constants and pinned words"))


def ensure_constants(
    folder: RunFolder,
    name: str,
    task: Task,
    texts: Sequence[Example],
    model: Callable[[], Model],
    config: Config,
    stage: str,
) -> dict[str, float]:
    """Return the calibration constants in the JSON file ``name``, measured by all processes if it is not there.

    Args:
        folder: The run.
        name: The file, below the folder.
        task: What is asked.
        texts: Calibration texts.
        model: Loads who answers; called only if something is left to compute.
        config: Texts a chunk (``chunk``), and whether there is a calibration at all (``calibration``).
        stage: What this is called in the progress and among the seconds of the run.
    """
    if folder.made(name):
        constants: dict[str, float] = read_json(folder.path / name)
        return constants

    if config.calibration is None:
        return dict(folder.json(name, lambda: no_calibration(task)))

    def scores(part: Sequence[Example]) -> list[dict[str, float]]:
        return calibration_scores(model(), task, part, bar.tick)

    def join(parts: list[list[dict[str, float]]]) -> dict[str, float]:
        return calibration_constants(task, [of_text for part in parts for of_text in part])

    with folder.timed(stage), progress(stage, len(texts), shared=True) as bar:
        measured: dict[str, float] = folder.json_over(name, texts, config.chunk, scores, join, bar.skip)
    return measured
