"""The attribution libraries as their users run them: captum in this process, inseq in an environment of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from benchmarks import plain
from benchmarks.common import progress
from benchmarks.script import STATE
from benchmarks.work import Bare
from saywhy.models.spec import resolve_model
from saywhy.records import Example, SaywhyError
from saywhy.tasks.task import Task
from saywhy.words import REDACTED_MARK, candidates, take_out

INSEQ = "0.7.1"
INSEQ_SIZES = (8, 1)
"""Perturbations a pass that are tried."""
NEEDED = (f"inseq=={INSEQ}", "jaxtyping", "wadler-lindig", "typeguard<=2.13.3", "treescope", "protobuf")
"""inseq without its dependencies, some of which are CUDA libraries, and the pure Python ones that it imports."""


@torch.inference_mode()
def captum_drops(model: Bare, task: Task, example: Example) -> list[list[float]]:
    """Return log P(label | text) - log P(label | text without the word), one list a label, one value a word.

    FeatureAblation over the distinct words, absent words as ``[REDACTED]``, through LLMAttribution with the whole
    target in one pass (its faster way). One target a call is all that it takes, so a task of K labels is K calls; it
    runs one perturbation a forward pass, for its own forward function stands for a batch of one.
    """
    from captum.attr import FeatureAblation, LLMAttribution, TextTemplateInput

    words = candidates(example.text)

    def template(*values: str) -> str:
        gone = {word.key for word, value in zip(words, values, strict=True) if value == REDACTED_MARK}
        text = take_out(example.text, gone)
        return plain.rendered(model.chat, task, text, dict(example.context))

    asked = template(*(word.core for word in words))
    if tuple(model.chat.tokenizer.encode(asked)) != model.chat.ids([asked])[0]:
        raise SaywhyError("benchmark: captum would add special tokens to this model's prompts: choose another model")
    attribution = LLMAttribution(FeatureAblation(model.model), model.chat.tokenizer)
    drops = []
    for token in plain.label_tokens(model.chat, task):
        features = TextTemplateInput(
            template=template, values=[word.core for word in words], baselines=[REDACTED_MARK] * len(words)
        )
        attributed = attribution.attribute(features, target=torch.tensor([token]), forward_in_tokens=False)
        drops.append([float(value) for value in attributed.seq_attr])
    return drops


class Inseq:
    """A process that answers with inseq's occlusion."""

    def __init__(self, model_name: str, threads: int) -> None:
        python = _environment()
        request = json.dumps({"model": resolve_model(model_name).base, "threads": threads or torch.get_num_threads()})
        worker = Path(__file__).with_name("inseq_worker.py")
        self._log = (STATE / "inseq.log").open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            [str(python), str(worker), request],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._answer()  # the model is loaded
        self.size = INSEQ_SIZES[0]

    def settle(self, prompt: str, target: str) -> int:
        """Return with how many perturbations a pass inseq is fastest here."""
        size = int(self._ask({"prompt": prompt, "target": target, "sizes": INSEQ_SIZES})["size"])
        progress(f"inseq: {size} perturbations a pass are fastest")
        return size

    def occlude(self, prompt: str, target: str) -> dict[str, Any]:
        """Return how many prompts inseq computed for one text, their tokens, and P(target | prompt)."""
        return self._ask({"prompt": prompt, "target": target, "size": self.size})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            last = (STATE / "inseq.log").read_text("utf-8").strip().splitlines()[-1:]
            raise SaywhyError(f"inseq {INSEQ} does not run with the installed packages: {' '.join(last)}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _environment() -> Path:
    """Return the Python of an environment with inseq, made once; everything else comes from ours."""
    folder = STATE / "inseq"
    python = folder / "bin" / "python"
    if (folder / "ready").is_file():
        return python
    progress(f"inseq: making an environment for inseq {INSEQ} (once)")
    venv.create(folder, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", *NEEDED]
    try:
        subprocess.run(install, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:]
        raise SaywhyError(f"inseq {INSEQ} cannot be installed: {' '.join(last)}") from error
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    ours = sysconfig.get_paths()["purelib"]
    (folder / "lib" / version / "site-packages" / "ours.pth").write_text(ours + "\n", "utf-8")
    (folder / "ready").touch()
    return python
