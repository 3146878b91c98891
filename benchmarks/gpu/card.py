"""The device that is measured: what it is, what it holds at most, how products are set, what a part leaves out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.common import Ledger, progress
from benchmarks.script import revision
from saywhy.models.memory import free_memory
from saywhy.records import SaywhyError

OPTIONAL = ("accelerate", "captum", "datasets", "peft", "pydantic", "rapidfuzz", "trl")
"""Dependencies of saywhy that may be missing here."""

Step = Callable[[], Any]
"""Measures something; what it returns is kept as JSON."""


class LeftOutError(SaywhyError):
    """Something that is not measured here, with the reason."""


def device() -> torch.device:
    """Return the card, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def facts() -> dict[str, Any]:
    """Return what a reader needs to know to judge the numbers."""
    here = device()
    named = "processor"
    if here.type == "cuda":
        major, minor = torch.cuda.get_device_capability()
        named = f"{torch.cuda.get_device_name()} (compute capability {major}.{minor}, CUDA {torch.version.cuda})"
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
    return {
        "device": named,
        "free memory, GiB": round(free_memory(here) / 2**30, 1),
        "python": platform.python_version(),
        **versions,
        **{name: importlib.metadata.version(name) for name in OPTIONAL if is_there(name)},
        "missing": [name for name in OPTIONAL if not is_there(name)],
        "saywhy": revision(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def is_there(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def need(*packages: str) -> None:
    """Leave a step out where a package is missing.

    Raises:
        LeftOutError: With the packages.
    """
    if missing := [name for name in packages if not is_there(name)]:
        raise LeftOutError(f"missing: {', '.join(missing)}")


@contextmanager
def products(precision: str) -> Iterator[None]:
    """Multiply float32 on the card in ``ieee`` or ``tf32`` within."""
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = precision
    try:
        yield
    finally:
        matmul.fp32_precision = before


def release() -> None:
    """Give back what torch keeps unused, so that a peak is that of what follows."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak() -> float | None:
    """Return the most memory (GiB) that was in use since ``release``; None where there is no card."""
    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if torch.cuda.is_available() else None


def run_steps(steps: Mapping[str, Step], ledger: Ledger, seconds: float) -> dict[str, Any]:
    """Make the measurements of a part that are not kept yet, none of them begun after so many seconds.

    A step that fails costs the others nothing: it is told with its reason, and ``failed`` ends the command with 1.

    Returns: ``results``, ``left out`` and ``failed``, by the step's name.
    """
    began = time.monotonic()
    left_out, failed = dict[str, str](), dict[str, str]()
    for name, step in steps.items():
        if name not in ledger.kept["facts"] and time.monotonic() - began > seconds:
            left_out[name] = f"the part's {seconds:g} seconds were over: the same command goes on"
            continue
        try:
            ledger.once(name, step)
        except LeftOutError as reason:
            left_out[name] = str(reason)
        except Exception as error:  # a card may fail in any way: the other measurements must not be lost
            traceback.print_exc()
            failed[name] = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
        if problem := left_out.get(name) or failed.get(name):
            progress(f"gpu: {name}: {problem}")
    facts_of_steps = ledger.kept["facts"]
    results = {name: facts_of_steps[name] for name in steps if name in facts_of_steps}
    return {"results": results, "left out": left_out, "failed": failed}
