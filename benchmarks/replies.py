"""Generated replies in shorter number formats: what drafting changes, and what the format changes.

What is computed: the six explanations of some texts by `saywhy`, which guesses copies and checks them many tokens a
step, and by `transformers.generate`, token by token, in

  float32    where both must say the same
  products   float32 weights and sums, bfloat16 products, emulated on both sides (see precision.py)
  bfloat16   weights, activations and sums in bfloat16, on few texts where it is slow

In float32 sums differ in the seventh digit with the shape of a product, in bfloat16 in the third: where two tokens are
that close, guessed and unguessed decoding may part. Both are counted: replies that differ from transformers' in the
same format, and replies that differ from saywhy's own in float32. This compares answers, not speed.

Examples:
  python -m benchmarks.replies
  python -m benchmarks.replies --texts 8 --bfloat16-texts 2
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from benchmarks.asking import asks, ours, transformers
from benchmarks.common import Ledger, grid, progress
from benchmarks.generation import TASK, adapted
from benchmarks.precision import Rounding
from benchmarks.script import Texts, arguments, begin, finish, positive, run, texts
from benchmarks.work import Bare, Machine, exact_products, load_bare, load_exact
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.backends import open_model
from saywhy.models.local import LocalModel
from saywhy.records import STYLES


@dataclass(frozen=True)
class Format:
    """A number format: both sides' model in it, what must hold while they generate, and on how many texts."""

    name: str
    model: LocalModel
    bare: Bare
    within: Callable[[], AbstractContextManager[None]]
    texts: int


def formats(name: str, exact: LocalModel, rounding: Rounding, options: argparse.Namespace) -> Iterator[Format]:
    """Yield the formats; bfloat16 weights are loaded when their turn comes."""
    bare = load_bare(name)
    yield Format("float32", exact, bare, nullcontext, options.texts)
    yield Format("products", exact, bare, rounding.rounding, options.texts)
    short = open_model(name, precision="bfloat16")
    assert isinstance(short, LocalModel)
    exact_products()
    yield Format(
        "bfloat16", short, load_bare(name, torch.bfloat16), nullcontext, min(options.texts, options.bfloat16_texts)
    )


def replies(tried: Format, drawn: Texts, items: list[Item], batch: int) -> dict[str, list[str]]:
    """Return both sides' replies to the six requests of the first texts, in the same order."""
    chats = asks(drawn.task, items[: tried.texts], STYLES)
    with tried.within():
        own = ours(tried.model, chats).answer
    with tried.within():
        theirs = transformers(tried.bare, chats, [batch]).answer
    progress(f"replies: {tried.name}: {len(chats)} requests answered by both")
    return {"ours": list(own), "transformers": list(theirs)}


def unlike(some: list[str], others: list[str]) -> str:
    """Return how many of the first replies differ, of how many."""
    return f"{sum(a != b for a, b in zip(some, others, strict=False))} of {min(len(some), len(others))}"


def section(replies_by_format: dict[str, dict[str, list[str]]], drawn: Texts, machine: Machine) -> str:
    """Return the section of RESULTS.md."""
    exact = replies_by_format["float32"]["ours"]
    rows = [
        [
            name,
            unlike(of_format["ours"], of_format["transformers"]),
            "" if name == "float32" else unlike(of_format["ours"], exact),
        ]
        for name, of_format in replies_by_format.items()
    ]
    header = ["format", "replies unlike transformers.generate's in the same format", "unlike our own in float32"]
    note = (
        f"Texts: {drawn.task.name}, {drawn.source}; six requests each. bfloat16 products are emulated (precision.py)."
    )
    return f"## Replies in shorter number formats\n\n{machine.facts()}\n\n{note}\n\n{grid(header, rows)}"


def main() -> None:
    """Compare, and write the section."""
    parser = arguments(__doc__ or "", "2 texts, one of them in bfloat16", texts=16)
    parser.add_argument("--bfloat16-texts", type=positive, default=4, help="texts in pure bfloat16 (default 4)")
    parser.add_argument("--adapt-rows", type=positive, default=80, help="texts the model learns the formats from")
    parser.add_argument("--batch", type=positive, default=32, help="batch size of transformers.generate (default 32)")
    options = parser.parse_args()
    if options.quick:
        options.texts, options.bfloat16_texts, options.adapt_rows = 2, 1, 4
    ledger: Ledger = begin("replies", options)
    name = adapted(options)
    exact = load_exact(name)
    machine = Machine(exact)
    drawn = texts(TASK, options.texts, options.data)
    classifier = Classifier(exact, drawn.task, dict.fromkeys(drawn.task.labels, 0.0))
    items = [Item(*pair) for pair in zip(drawn.examples, classifier.predict_examples(drawn.examples), strict=True)]
    rounding = Rounding()
    replies_by_format: dict[str, Any] = {}
    for tried in formats(name, exact, rounding, options):
        replies_by_format[tried.name] = ledger.once(tried.name, partial(replies, tried, drawn, items, options.batch))
    finish("replies", options, section(replies_by_format, drawn, machine), ledger)


if __name__ == "__main__":
    run("replies", main)
