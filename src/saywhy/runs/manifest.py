"""What ``run.json`` says of how a run was made: versions, git revision, model, precision, every sentence."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saywhy import __version__
from saywhy.config import Config
from saywhy.models.spec import Spec, adapter_fingerprint, fingerprint
from saywhy.protocol import prompts
from saywhy.tasks.corpus import Corpus
from saywhy.tasks.data import read_messages

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "scipy", "statsmodels")


def facts(config: Config, spec: Spec, corpus: Corpus, arms: Sequence[str]) -> dict[str, Any]:
    """Return the facts of a run."""
    task = corpus.task
    return {
        # What only robustness checks ask is noted when it is asked: a run may get checks later.
        "task": task.model_dump(mode="json", exclude={"paraphrases", "verbaliser", "source"}),
        "source": task.source,  # beside the task: a run of before it was told goes on
        "model": model_facts(config, spec),
        "arms": list(arms),
        "data": {"rows": corpus.fingerprint(), "replay": _replay_hash(config)},
        "versions": versions(),
        "git": revision(),
        "prompts": {"version": str(prompts.VERSION), **prompts.sentences()},
    }


def model_facts(config: Config, spec: Spec) -> dict[str, Any]:
    """Return which weights a run asks, and how they compute."""
    from saywhy.models.precision import choose

    precision = choose(config.precision)
    return {
        "name": config.model,
        "public_id": spec.public_id,
        "fingerprint": fingerprint(spec),
        "adapter": adapter_fingerprint(spec),
        "trained_with": spec.extras.get("trained_with"),
        "note": spec.note,
        "dtype": str(precision.dtype).removeprefix("torch."),
        "products": precision.products,
        "device": precision.device,
        "reason": precision.reason,
    }


def _replay_hash(config: Config) -> str | None:
    """Return a hash of the conversations that are mixed in, wherever they are read from."""
    if not config.replay:
        return None
    told = json.dumps(read_messages(config.replay), sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of Python, saywhy and what it computes with."""
    found = {"python": platform.python_version(), "saywhy": __version__}
    return found | {package: importlib.metadata.version(package) for package in PACKAGES}


def revision() -> str | None:
    """Return the git revision of the checkout that saywhy runs from, None outside one."""
    here = Path(__file__).resolve().parent
    if not any((parent / ".git").exists() for parent in here.parents):
        return None
    try:
        asked = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # a checkout, and no git program
        return None
    return asked.stdout.strip() or None
