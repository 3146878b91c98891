"""Hashes of weights, by which runs and adapters are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from saywhy.models.kept import kept
from saywhy.models.spec import ModelSpec


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
    """Return what changes with the base weights: a hash of their files, the hub id, or a hash of the address.

    An adapter that is merged into them first belongs to them.
    """
    if spec.api:
        address = f"{spec.api.url} {spec.api.model}"  # no weights are seen; runs of two servers are two runs
        return f"api:{hashlib.sha256(address.encode()).hexdigest()[:16]}"
    if spec.inner:
        merged = f"{base_weights_fingerprint(spec.inner)} {adapter_fingerprint(spec.inner)}"
        return f"sha256:{hashlib.sha256(merged.encode()).hexdigest()[:16]}"
    folder = Path(spec.base)
    if not folder.is_dir():
        return f"hub:{spec.base}"
    files = [folder / spec.gguf] if spec.gguf else sorted(folder.glob("*.safetensors"))
    return kept("weights", files, None, lambda: _digest(files))


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"
