"""The facts of ``run.json`` on how a run was made: versions, git revision, model, precision, every sentence."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from saywhy import __version__
from saywhy.config import Config
from saywhy.folders.run import TEXT_ORDER
from saywhy.measure.sentence_replies import SAMPLING_TEMPERATURE
from saywhy.models.backends import open_api_model, precision_of
from saywhy.models.fingerprints import adapter_fingerprint, base_weights_fingerprint
from saywhy.models.spec import ModelSpec
from saywhy.protocol import prompts
from saywhy.protocol.wordings import length_prompts
from saywhy.records import Setting, StepsOrder
from saywhy.tasks.corpus import Corpus
from saywhy.tasks.data import read_messages
from saywhy.tasks.task import Task
from saywhy.words import CANDIDATES_RULE

NOTED_PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "scikit-learn",
    "scipy",
    "statsmodels",
)
"""Packages whose versions are noted."""


_UNNOTED = {"paraphrases", "verbaliser", "source", "label_map"}
"""Keys of a task on which no row of a run depends, or which came later."""


def run_facts(
    config: Config,
    spec: ModelSpec,
    corpus: Corpus,
    arms: Sequence[str],
    settings: Collection[Setting] = (),
    orders: Collection[StepsOrder] = (),
) -> dict[str, Any]:
    """Return the facts of a run: how it was made; in which settings it is explained, and in which orders of steps."""
    task = corpus.task
    return {
        # The questions of robustness checks are noted when they are asked: a run may get checks later.
        "task": task.model_dump(mode="json", exclude=_UNNOTED if task.prompt else {*_UNNOTED, "prompt"}),
        "source": task.source,  # beside the task, so that a run of a version without it can be gone on with
        "model": model_facts(config, spec),
        "arms": list(arms),
        "data": {"rows": corpus.fingerprint(), "replay": _replay_hash(config)},
        "versions": package_versions(),
        "git": git_revision(),
        "prompts": {"version": str(prompts.PROMPTS_VERSION), **_templates(config, task, settings, orders)},
        "candidates_rule": CANDIDATES_RULE,
        "text_order": TEXT_ORDER,
    } | ({"sampling": sampling_facts(config)} if config.mention_samples > 1 else {})


def sampling_facts(config: Config) -> dict[str, Any]:
    """Return how replies in sentences are drawn: each has a seed of its own, made of these and of what is asked."""
    return {"samples": config.mention_samples, "temperature": SAMPLING_TEMPERATURE, "seeds": list(config.seeds)}


def _templates(
    config: Config, task: Task, settings: Collection[Setting], orders: Collection[StepsOrder]
) -> dict[str, str]:
    """Return the templates with which the run asks for explanations."""
    if "sentences" not in settings:
        return prompts.prompt_sentences(task.plan)
    templates = prompts.prompt_sentences(task.plan) | prompts.sentence_prompts(orders)
    return templates | (length_prompts(task.steps_order) if config.insertion_lengths else {})


def model_facts(config: Config, spec: ModelSpec) -> dict[str, Any]:
    """Return the facts of a model: its name, weights, adapter, precision and device, or how it is asked behind an API.

    Raises:
        SaywhyError: If it is behind an API and cannot be asked.
    """
    if spec.api:
        return _api_facts(spec)
    from saywhy.models.chat import template_fingerprint
    from saywhy.models.template import TEMPLATE_DATE

    precision = precision_of(spec, config.precision, config.quantize)
    return {
        "name": config.model,
        "public_id": spec.public_id,
        "fingerprint": base_weights_fingerprint(spec),
        "adapter": adapter_fingerprint(spec),
        "trained_with": spec.extras.get("trained_with"),
        "note": spec.note,
        "template": template_fingerprint(spec),
        "template_date": TEMPLATE_DATE.date().isoformat(),
        "dtype": str(precision.dtype).removeprefix("torch."),
        "products": precision.products,
        "device": precision.device,
        "reason": precision.reason,
        **_vllm_facts(spec),
    }


def _vllm_facts(spec: ModelSpec) -> dict[str, str]:
    """Return what computes a model, where it is not transformers."""
    if not spec.vllm:
        return {}
    from saywhy.models.vllm import vllm_package

    return {"computed_by": vllm_package()}


def _api_facts(spec: ModelSpec) -> dict[str, Any]:
    """Return the facts of a model behind an API, whose server is tried."""
    way = open_api_model(spec).label_way
    return {
        "name": spec.name,
        "public_id": spec.public_id,
        "fingerprint": base_weights_fingerprint(spec),
        "adapter": None,
        "note": f"{spec.note}, label words {way}",
        "template": f"label words {way}",  # the server has its own; what is known is how it was asked
        "client": f"openai {importlib.metadata.version('openai')}",
    }


def _replay_hash(config: Config) -> str | None:
    """Return a hash of the conversations that are mixed in, wherever they are read from."""
    if not config.replay:
        return None
    serialised = json.dumps(read_messages(config.replay), sort_keys=True)
    return hashlib.sha256(serialised.encode()).hexdigest()[:16]


def package_versions() -> dict[str, str]:
    """Return the versions of Python, saywhy and what it computes with."""
    python_and_saywhy = {"python": platform.python_version(), "saywhy": __version__}
    return python_and_saywhy | {package: importlib.metadata.version(package) for package in NOTED_PACKAGES}


def git_revision() -> str | None:
    """Return the git revision of the checkout that saywhy runs from, None outside one."""
    here = Path(__file__).resolve().parent
    if not any((parent / ".git").exists() for parent in here.parents):
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # a checkout, and no git program
        return None
    return described.stdout.strip() or None
