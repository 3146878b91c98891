"""The verbs that only list what there is: tasks, models, settings, configurations of launches."""

from __future__ import annotations

from importlib import resources
from typing import Annotated

import typer

from saywhy.config import Config
from saywhy.file_format import FileFormat
from saywhy.hints import did_you_mean
from saywhy.progress import say
from saywhy.records import SaywhyError


def tasks() -> None:
    """List the tasks that ship; any .yaml path is a task too."""
    from saywhy.tasks.task import catalog, load_task

    for name in catalog():
        task = load_task(name)
        say(f"{name}: {task.question} [{', '.join(task.labels)}]")


def models() -> None:
    """List the models that need no hub, and what else `model=` takes."""
    from saywhy.models.spec import built_in_models

    for name, note in built_in_models().items():
        say(f"{name}: {note}")
    say("FOLDER: a transformers model with a chat template (safetensors), or a PEFT adapter")
    say("FILE.gguf: any architecture that transformers can dequantise")
    say("OWNER/NAME: a Hugging Face hub id, e.g. allenai/tulu-2-7b")
    say("vllm:MODEL: one of these but .gguf, computed by vLLM (docs/vllm.md)")
    say("openai:NAME@http://HOST/v1: behind an API that speaks chat completions (docs/api.md)")


def settings() -> None:
    """List every KEY=VALUE with its default and what it means."""
    # How a file is read stands last: few need it.
    for key, field in sorted(Config.model_fields.items(), key=lambda item: item[0] in FileFormat.model_fields):
        default = field.default or None if key in FileFormat.model_fields else field.default
        default_text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default).lower()
        say(f"{key}={default_text}\n    {field.description}")
    say("out=FOLDER\n    Where the run goes; the default is runs/VERB, with task and data if they are not built in.")


def accelerate_config(
    name: Annotated[str, typer.Argument(help="fsdp2 (weights in shards), ddp (a copy a card) or cpu.")],
) -> None:
    """Print the path of a configuration of `accelerate launch` that ships with saywhy.

    Example: `accelerate launch --config_file $(saywhy accelerate-config fsdp2) -m saywhy train model=... data=...`
    """
    folder = resources.files("saywhy") / "accelerate_configs"
    names = sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))
    if name not in names:
        hint = did_you_mean(name, names, behind=" ")
        raise SaywhyError(f"no configuration '{name}': {hint}there are {', '.join(names)}")
    typer.echo(folder / f"{name}.yaml")
