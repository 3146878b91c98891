"""saywhy on a graphics card: four parts, each kept, budgeted for under 8 minutes on an H100 or H200.

  a   every way and number format of the prefix tree against plain prompts on the card, and against the processor's
      numbers, with small random Llama, Qwen and Gemma models
  b   the default model (its shape, where its file is not at hand): table, explanations, LoRA steps and decisions
      beside plain batched transformers, with the share of the card's measured GEMM rate
  c   random weights in the shape of Llama 2 7B: the same at several token budgets, with the most memory
  d   what happens when memory runs out

Needs torch 2.11 or later, transformers and this repository, nothing else: what needs a package that is missing is left
out with a line. Without a card it runs on the processor, for which --tiny makes everything small.

It prints one JSON and a section of RESULTS.md, and writes both into --out beside a file a part. What a part has
measured is kept there and not measured again; a step that fails is told, costs the others nothing, and ends the
command with code 1.

Examples:
  python -m benchmarks.gpu --out out
  python -m benchmarks.gpu --parts a,d --out out --seconds 60
  python -m benchmarks.gpu --tiny --out tiny
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.common import Ledger, write_section
from benchmarks.gpu import exhaustion, ways
from benchmarks.gpu.card import device, facts, products, release, run_steps
from benchmarks.gpu.large import LargeModel
from benchmarks.gpu.section import section
from benchmarks.gpu.small import DefaultModel, default_products
from benchmarks.script import STATE, positive, run
from saywhy.folders.store import write_json, write_text
from saywhy.records import SaywhyError

PARTS = ("a", "b", "c", "d")


def parts_of(written: str) -> tuple[str, ...]:
    """Return the parts that an option names."""
    names = {name.strip() for name in written.split(",")}
    if not names <= set(PARTS):
        raise argparse.ArgumentTypeError(f"{written!r}: the parts are {', '.join(PARTS)}")
    return tuple(part for part in PARTS if part in names)


def options_of() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", type=parts_of, default=PARTS, help="some of a,b,c,d (default all)")
    parser.add_argument("--out", type=Path, default=STATE / "gpu", help="folder of the results (default %(default)s)")
    parser.add_argument(
        "--seconds", type=positive, default=105, help="no step of a part begins later (default %(default)s)"
    )
    parser.add_argument("--texts", type=positive, default=0, help="texts (default 64; 4 with --tiny)")
    parser.add_argument("--model", default="smollm2-135m", help="of part b, as model= of saywhy (default %(default)s)")
    parser.add_argument("--tiny", action="store_true", help="models of a few thousand weights: is the script whole?")
    parser.add_argument("--results", type=Path, help="file whose section is replaced, such as benchmarks/RESULTS.md")
    return parser.parse_args()


def measured_part(part: str, options: argparse.Namespace, about: dict[str, Any]) -> dict[str, Any]:
    """Return what a part has measured, now or before; before only, if it is not asked for."""
    here, texts = device(), options.texts or (4 if options.tiny else 64)
    settings = {"tiny": options.tiny, "texts": texts, "model": options.model, "about": {**about, "date": ""}}
    settings["about"].pop("free memory, GiB")
    ledger = Ledger(options.out / f"{part}.json", settings)
    if part not in options.parts:
        return {"results": ledger.kept["facts"], "left out": {}, "failed": {}}
    if part == "a":
        return run_steps(ways.steps(here, tiny=options.tiny), ledger, options.seconds)
    if part == "d":
        with products("ieee"):
            return run_steps(exhaustion.steps(here, texts, tiny=options.tiny), ledger, options.seconds)
    if part == "c":
        return run_steps(LargeModel(here, ledger, texts, tiny=options.tiny).steps(), ledger, options.seconds)
    with default_products(here):
        model = DefaultModel(options.model, here, ledger, texts, tiny=options.tiny)
        return run_steps(model.steps(), ledger, options.seconds)


def main() -> None:
    """Measure, print, and write."""
    options = options_of()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaywhyError(f"--out {options.out}: {error.strerror}: name a folder that can be written") from error
    about = facts()
    parts = {}
    for part in PARTS:
        parts[part] = measured_part(part, options, about)
        release()
    parts = {part: of_part for part, of_part in parts.items() if any(of_part.values())}
    body = section(about, parts)
    print(json.dumps({"about": about, "parts": parts}))
    print(f"\n{body}")
    write_json(options.out / "gpu.json", {"about": about, "parts": parts})
    write_text(options.out / "gpu.md", body)
    if options.results:
        write_section(options.results, "gpu", body)
    if any(of_part["failed"] for of_part in parts.values()):
        sys.exit(1)


if __name__ == "__main__":
    run("gpu", main)
