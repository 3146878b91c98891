"""The verbs that only list what there is: tasks, models, settings."""

from __future__ import annotations

from saywhy.config import Config
from saywhy.progress import say


def tasks() -> None:
    """List the tasks that ship; any .yaml path is a task too."""
    from saywhy.tasks.task import catalog, load_task

    for name in catalog():
        task = load_task(name)
        say(f"{name}: {task.question} [{', '.join(task.labels)}]")


def models() -> None:
    """List the models that need no hub, and what else `model=` takes."""
    from saywhy.models.spec import BUILT_IN_MODELS

    for name, note in BUILT_IN_MODELS.items():
        say(f"{name}: {note}")
    say("FOLDER: a transformers model with a chat template (safetensors), or a PEFT adapter")
    say("FILE.gguf: any architecture that transformers can dequantise")
    say("OWNER/NAME: a Hugging Face hub id, e.g. allenai/tulu-2-7b")


def settings() -> None:
    """List every KEY=VALUE with its default and what it means."""
    for key, field in Config.model_fields.items():
        default = field.default
        default_text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
        say(f"{key}={default_text}\n    {field.description}")
    say("out=FOLDER\n    Where the run goes; the default is runs/VERB.")
