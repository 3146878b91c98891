"""The process that runs inseq (started by ``benchmarks.peers``; it imports nothing of saywhy).

It reads lines ``{"prompt": ..., "target": ..., "size": ...}`` and answers each with what inseq's occlusion did; with
``sizes`` instead of ``size`` it says with how many perturbations a pass inseq is fastest.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    """Load the model, say so, answer line by line."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")
    import inseq
    import torch

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request["threads"])
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"  # type: ignore[attr-defined]
    model = inseq.load_model(request["model"], "occlusion", model_kwargs={"dtype": torch.float32}, device="cpu")
    _say(answers, {"ready": True})
    for line in sys.stdin:
        asked = json.loads(line)
        if "sizes" in asked:
            _say(answers, {"size": min(asked["sizes"], key=lambda size: _timed(model, asked, size))})
        else:
            _say(answers, _occlude(model, asked, asked["size"]))


def _timed(model: Any, asked: dict[str, Any], size: int) -> float:
    """Return the seconds that an attribution takes with ``size`` perturbations a pass; the first is a warm-up."""
    _occlude(model, asked, size)
    began = time.perf_counter()
    _occlude(model, asked, size)
    return time.perf_counter() - began


def _occlude(model: Any, asked: dict[str, Any], size: int) -> dict[str, Any]:
    """Attribute the target to every token of the prompt; return what was computed and P(target | prompt)."""
    count = {"prompts": 0, "tokens": 0}

    def counting(_module: Any, _arguments: Any, named: Any) -> None:
        ids = named.get("input_ids")
        states = ids if ids is not None else named["inputs_embeds"]
        count["prompts"] += states.shape[0]
        count["tokens"] += states.shape[0] * states.shape[1]

    hook = model.model.register_forward_pre_hook(counting, with_kwargs=True)
    attributed = model.attribute(
        asked["prompt"],
        asked["prompt"] + asked["target"],
        step_scores=["probability"],
        show_progress=False,
        perturbations_per_eval=size,
    )
    hook.remove()
    return {**count, "probability": float(attributed[0].step_scores["probability"][0])}


def _say(stream: Any, answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
