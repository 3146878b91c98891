"""Greedy replies: saywhy / transformers.generate, all six explanations and the decode phase of the copying styles.

What is computed: the generated explanations of each text in 3 styles and 2 settings. Both sides have the same float32
model, chats, room for new tokens by text and style, and the same end of turn; replies that differ are counted.

  ours          LocalModel.generate, all chats of a round at once
  transformers  model.generate, one style and setting at a time (so that the room is its own), sorted by length, left
                padding, the fastest of several batch sizes; prompt lookup decoding (one chat at a time, its only way)
                is one of the candidates

The decode phase cannot be had alone: each side also generates one token only, and that time is taken off.

The model is the adapted one (it has learned the formats from random words; made once, some minutes), for untrained
small models do not copy, and what is measured would be the length limit. --base takes the model as it is.

Examples:
  python -m benchmarks.generation
  python -m benchmarks.generation --texts 16 --rounds 2 --base
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.asking import COPYING, SIZES, asks, fastest_sizes, first_only, ours, transformers
from benchmarks.common import Ledger, Outcome, alternate, grid, progress
from benchmarks.script import STATE, Texts, arguments, begin, finish, positive, run, source_of, texts
from benchmarks.work import Bare, Counter, Machine, exact_products, load_bare, load_exact
from saywhy.measure.edits import Item
from saywhy.measure.predict import Classifier
from saywhy.models.local import LocalModel
from saywhy.records import STYLES
from saywhy.runs.run import Run
from saywhy.settings import parse

TASK = "sentiment140"
FIRST = ", first token"
"""Ends the name of a side that generates one token only."""


def adapted(options: argparse.Namespace) -> str:
    """Return the folder of an adapter that has learned the formats; made once and kept."""
    where = f"adapted-{Path(options.model).name}-{options.adapt_rows}"
    data = source_of(TASK, options.data) or "pocket"
    progress("generation: the adapted model (made once, with saywhy's own training)")
    config = parse(
        [
            f"model={options.model}",
            f"task={TASK}",
            f"data={data}",
            "settings=one-word,free",
            "readouts=generated",
            f"adapt_rows={options.adapt_rows}",
            "rows=1",
            "decide_rows=1",
            "train_rows=1",
            "calibration_rows=64",
        ]
    )
    folder: Path = STATE / where
    run = Run(config, folder)
    run.ensure_trained("adapted", 0)
    exact_products()
    return str(run.models.adapter("adapted", 0))


def measure(
    model: LocalModel, bare: Bare, drawn: Texts, options: argparse.Namespace, ledger: Ledger, count: Counter
) -> dict[str, Outcome]:
    """Run both comparisons: all six explanations, then the copying styles with one token and with all."""
    classifier = Classifier(model, drawn.task, dict.fromkeys(drawn.task.labels, 0.0))
    predictions = classifier.predict_examples(drawn.examples)
    items = [Item(*pair) for pair in zip(drawn.examples, predictions, strict=True)]
    six = asks(drawn.task, items, STYLES)
    copies = asks(drawn.task, items[: options.decode_texts], COPYING)
    tried = asks(drawn.task, items, COPYING[:1])
    sizes = ledger.once("batch", lambda: [SIZES[0]] if options.quick else fastest_sizes(bare, tried))

    def agree(_: int, answers: dict[str, Any]) -> dict[str, float]:
        wanted = [name for name in ("ours", "transformers") if name in answers]
        pairs = zip(*(answers[name] for name in wanted), strict=True)
        return {"different replies": float(sum(len(set(pair)) > 1 for pair in pairs))}

    whole = alternate(
        {"ours": lambda _: ours(model, six), "transformers": lambda _: transformers(bare, six, sizes)},
        options.rounds,
        ledger,
        "six explanations",
        agree,
        count.so_far,
    )
    parts = alternate(
        {
            "ours": lambda _: ours(model, copies),
            "transformers": lambda _: transformers(bare, copies, sizes),
            f"ours{FIRST}": lambda _: ours(model, first_only(copies)),
            f"transformers{FIRST}": lambda _: transformers(bare, first_only(copies), sizes),
        },
        options.rounds,
        ledger,
        "copying styles",
        agree,
        count.so_far,
    )
    return {"six": whole, "copying": parts}


def decode_ratio(parts: Outcome) -> float:
    """Return the median ratio of the decode phases: all tokens minus the first one, round by round."""
    taken = {
        side: [
            whole.seconds - first.seconds
            for whole, first in zip(parts.laps[side], parts.laps[f"{side}{FIRST}"], strict=True)
        ]
        for side in ("ours", "transformers")
    }
    return statistics.median(
        theirs / max(own, 1e-9) for own, theirs in zip(taken["ours"], taken["transformers"], strict=True)
    )


def section(outcomes: dict[str, Outcome], drawn: Texts, machine: Machine, sizes: Sequence[int], note: str) -> str:
    """Return the section of RESULTS.md."""
    rows = []
    for title, key, first in (
        (f"six explanations of {len(drawn.examples)} texts", "six", ""),
        ("copying styles", "copying", ""),
        ("copying styles, first token only", "copying", FIRST),
    ):
        outcome = outcomes[key]
        own, theirs = outcome.total(f"ours{first}"), outcome.total(f"transformers{first}")
        rows.append(
            [
                title,
                f"{outcome.ratio(f'transformers{first}', f'ours{first}'):.2f}",
                f"{own.units / own.seconds:.2f} / {theirs.units / theirs.seconds:.2f}",
                str(own.units),
                f"{own.tokens:,} / {theirs.tokens:,}",
                f"{machine.share(own):.0%} / {machine.share(theirs):.0%}",
                "" if first else f"{outcome.worst('different replies'):.0f} of {own.units // len(outcome.checks)}",
            ]
        )
    rows.append(["copying styles, decode phase", f"{decode_ratio(outcomes['copying']):.2f}", "", "", "", "", ""])
    header = [
        "what",
        "transformers' seconds / ours (median)",
        "replies a second, ours / transformers",
        "replies",
        "tokens computed",
        "share of GEMM rate",
        "different replies",
    ]
    batch = ", ".join(str(size) if size else "prompt lookup" for size in sizes)
    note = (
        f"{note} Texts: {drawn.task.name}, {drawn.source}. Ways of transformers.generate tried, the fastest first: "
        f"{batch}. A decode step multiplies few rows with every weight, so that memory and not the GEMM rate bounds it."
    )
    return f"## Generation\n\n{machine.facts()}\n\n{note}\n\n{grid(header, rows)}"


def main() -> None:
    """Measure, and write the section."""
    parser = arguments(__doc__ or "", "2 texts, 1 round, the base model, batches of 8", texts=64, rounds=2)
    parser.add_argument(
        "--decode-texts", type=positive, default=32, help="texts of the decode phase (default %(default)s)"
    )
    parser.add_argument("--adapt-rows", type=positive, default=80, help="texts the adapted model learns from")
    parser.add_argument("--base", action="store_true", help="take the model as it is")
    options = parser.parse_args()
    if options.quick:
        options.texts, options.decode_texts, options.rounds, options.base = 2, 1, 1, True
    ledger = begin("generation", options)
    name = options.model if options.base else adapted(options)
    model, bare = load_exact(name), load_bare(name)
    machine = Machine(model)
    drawn = texts(TASK, options.texts, options.data)
    with Counter(machine.vocabulary) as count:
        outcomes = measure(model, bare, drawn, options, ledger, count)
    sizes = ledger.once("batch", list)
    note = (
        "The model as it is." if options.base else f"The model has learned the formats from {options.adapt_rows} texts."
    )
    machine.measure()
    finish("generation", options, section(outcomes, drawn, machine, sizes, note), ledger)


if __name__ == "__main__":
    run("generation", main)
