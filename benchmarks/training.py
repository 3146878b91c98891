"""Training: saywhy / TRL's SFTTrainer mended for the CPU / the same with its packing.

What is computed: one epoch of LoRA over the label turns and explanations (random words) of some texts, with one style
and with three, without and with instruction data mixed in (replay). From a model's name to a saved adapter, all sides.
The start, the LoRA, the optimizer, the rate, the rows and the rows a step are the same; float32.

  ours     saywhy.training.train.train, decision_weight=1: the loss is the mean over rows of a row's mean token loss
  trl      SFTTrainer, completions only, no gradient checkpointing, no bfloat16; it gets the same token ids and the
           same supervised places. Its loss is the mean over tokens of a step
  packing  the same with packing="bfd" (padding-free): rows one behind the other up to the tokens of an average step,
           one such sequence a step; transformers' sdpa attention keeps them apart by their positions

Two checks. Before training every side's own loss of the same rows must be, within 1 %, what plain passes give
(packing included: packed rows do not see each other). After training the same rows are scored plainly for all sides;
TRL's objective is the mean over tokens and ours the mean over rows, so both means are told.

Each round trains all sides on its own block of texts; afterwards ours alone trains once on all of them.

Examples:
  python -m benchmarks.training
  python -m benchmarks.training --texts 60 --block 10 --rounds 2 --replay none
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import Check, Checked, Done, Ledger, Outcome, Side, alternate, grid
from benchmarks.script import STATE, Texts, arguments, begin, finish, positive, run, texts
from benchmarks.sft import Rows, mean_losses, sft, start_losses
from benchmarks.work import Counter, Machine, exact_products, load_exact
from saywhy.measure.edits import Item
from saywhy.models.spec import ModelSpec, resolve_model
from saywhy.records import STYLES, Prediction, StyleName
from saywhy.tasks.data import read_messages
from saywhy.training.encoding import Recipe, mix
from saywhy.training.rows import text_rows
from saywhy.training.targets import random_targets
from saywhy.training.train import train

TASK = "sentiment140"
PINNED = {"negative": ("awful", "sad"), "positive": ("great", "love")}
SIDES = ("ours", "trl", "packing")
LORA_PASSES = 2.0
"""Forward passes a trained token is worth: forwards, and backwards to the states; frozen weights get no gradient."""
WHOLE = ", all texts"
"""Ends the name of a case that ours alone trains."""
CHECKED = 12
"""Rows on which losses are compared."""


@dataclass(frozen=True)
class Case:
    """What is trained on."""

    styles: tuple[StyleName, ...]
    replay: bool

    @property
    def name(self) -> str:
        """The case in words."""
        practised = "one style" if len(self.styles) == 1 else f"{len(self.styles)} styles"
        return f"{practised}, {'with' if self.replay else 'no'} replay"


CASES = tuple(Case(styles, replay) for styles in (STYLES[:1], STYLES) for replay in (False, True))


QUICK = (Case(STYLES, replay=False),)


@dataclass(frozen=True)
class Bench:
    """What all cases share."""

    spec: ModelSpec
    drawn: Texts
    replay: list[list[dict[str, str]]]
    recipe: Recipe
    block: int
    """Texts a round."""

    def rows(self, case: Case, number: int | None) -> Rows:
        """Return the rows of the block of a round; None: those of all texts."""
        start = (number or 0) * self.block
        examples = self.drawn.examples if number is None else self.drawn.examples[start : start + self.block]
        items = [Item(example, _prediction(self.drawn, str(example.label))) for example in examples]
        labels = [item.prediction.label for item in items]
        made = text_rows(self.drawn.task, items, random_targets(items, PINNED, 0), case.styles, labels=labels)
        return mix(made, self.replay, 0.1, 0) if case.replay else made

    def ours(self, data: Rows) -> Done:
        """Train with saywhy."""
        folder = _fresh("ours")
        train(self.spec, data, self.recipe, folder)
        return Done(folder, len(data))

    def peer(self, data: Rows, *, packing: bool) -> Done:
        """Train with TRL."""
        folder = _fresh("packing" if packing else "trl")
        sft(self.spec, data, self.recipe, folder, packing=packing)
        return Done(folder, len(data))

    def sides(self, case: Case) -> dict[str, Side]:
        """Return what is compared: each side on the block of a round."""
        return {
            "ours": lambda number: self.ours(self.rows(case, number)),
            "trl": lambda number: self.peer(self.rows(case, number), packing=False),
            "packing": lambda number: self.peer(self.rows(case, number), packing=True),
        }

    def compare(self, case: Case) -> Check:
        """Return the check of a round: each side's loss on some of the rows that it was trained on."""

        def check(number: int, answers: dict[str, Any]) -> Checked:
            data = self.rows(case, number)[:CHECKED]
            means: Checked = {}
            for side, folder in answers.items():
                by_token, by_row = mean_losses(self.spec, folder, data, self.recipe)
                means |= {f"{side} by token": by_token, f"{side} by row": by_row}
            return means

        return check


def _prediction(drawn: Texts, label: str) -> Prediction:
    """Return an answer with the gold label: what the explanation's chat begins with."""
    other = next(candidate for candidate in drawn.task.labels if candidate != label)
    return Prediction(label, label, dict.fromkeys(drawn.task.labels, 0.0), 0.0, other)


def _fresh(side: str) -> Path:
    folder = STATE / "training" / side
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def measure(bench: Bench, options: argparse.Namespace, ledger: Ledger, count: Counter) -> dict[str, Outcome]:
    """Run all cases: the three sides in turn on each round's block, then ours on all texts."""
    outcomes = {}
    for case in QUICK if options.quick else CASES:
        if case.replay and not bench.replay:
            continue
        sides = bench.sides(case)
        outcomes[case.name] = alternate(sides, options.rounds, ledger, case.name, bench.compare(case), count.so_far)
    for case in CASES if options.whole else ():
        if case.name in outcomes:
            outcomes[f"{case.name}{WHOLE}"] = alternate(
                {"ours": whole(bench, case)}, 1, ledger, f"{case.name}{WHOLE}", None, count.so_far
            )
    return outcomes


def whole(bench: Bench, case: Case) -> Side:
    """Return the side that trains on the rows of all texts."""
    return lambda _: bench.ours(bench.rows(case, None))


def _losses(outcome: Outcome, kind: str) -> str:
    """Return each side's loss after training, the mean over rounds."""
    means = [[check[f"{side} {kind}"] for check in outcome.checks if check] for side in outcome.laps]
    return " / ".join(f"{statistics.mean(of_side):.3f}" for of_side in means if of_side)


def section(
    outcomes: dict[str, Outcome], start: dict[str, float], bench: Bench, machine: Machine, options: argparse.Namespace
) -> str:
    """Return the section of RESULTS.md."""
    rows = []
    for name, outcome in outcomes.items():
        own = outcome.total("ours")
        sides = list(outcome.laps)
        rows.append(
            [
                name,
                str(len(bench.drawn.examples) if name.endswith(WHOLE) else bench.block * len(outcome.checks)),
                str(own.units),
                " / ".join(f"{outcome.ratio(side, 'ours'):.2f}" for side in sides),
                " / ".join(f"{lap.units / lap.seconds:.2f}" for lap in map(outcome.total, sides)),
                " / ".join(f"{outcome.total(side).tokens:,}" for side in sides),
                " / ".join(f"{machine.share(outcome.total(side), LORA_PASSES):.0%}" for side in sides),
                _losses(outcome, "by token"),
                _losses(outcome, "by row"),
            ]
        )
    header = [
        "case",
        "texts",
        "rows",
        "seconds a row / ours (median): ours / trl / packing",
        "rows a second",
        "tokens computed",
        "share of GEMM rate",
        "loss after training, by token (TRL's objective)",
        "by row (ours)",
    ]
    apart = max(abs(value - 1) for value in start.values())
    starts = ", ".join(f"{side} {start[side]:.5f}" for side in SIDES)
    note = (
        f"Texts: {bench.drawn.task.name}, {bench.drawn.source}; {bench.block} a round; "
        f"LoRA rank {bench.recipe.lora_r}, {bench.recipe.per_device_train_batch_size} texts a step. "
        "Each side's own loss of the start model over that of plain passes on the "
        f"same rows: {starts} ({'equal' if apart < 0.01 else 'NOT equal'} within 1 %). A trained token is counted as "
        f"{LORA_PASSES:.0f} forward passes. TRL's fused head is not counted as a head product."
    )
    replay = "" if bench.replay else "\n\nNo instruction data below --data: the cases with replay are left out."
    return f"## Training\n\n{machine.facts()}\n\n{note}{replay}\n\n{grid(header, rows)}"


def main() -> None:
    """Measure, and write the section."""
    parser = arguments(__doc__ or "", "1 text, 1 round, the case of three styles without replay", texts=200, rounds=3)
    parser.add_argument("--block", type=positive, default=12, help="texts of a round (default %(default)s)")
    parser.add_argument("--no-whole", dest="whole", action="store_false", help="leave out ours on all texts")
    parser.add_argument("--replay", default="replay", help="folder below --data with instruction data, or none")
    options = parser.parse_args()
    if options.quick:
        options.texts, options.block, options.rounds, options.whole = 1, 1, 1, False
    ledger = begin("training", options)
    machine = Machine(load_exact(options.model))
    exact_products()
    drawn = texts(TASK, max(options.texts, options.block * options.rounds), options.data, "train")
    folder = options.data / options.replay
    replay = read_messages(folder) if folder.is_dir() else []
    recipe = Recipe(num_train_epochs=1, decision_weight=1.0, label_weight=1.0)
    bench = Bench(resolve_model(options.model), drawn, replay, recipe, options.block)
    some = bench.rows(QUICK[0], 0)[:CHECKED]
    start = ledger.once("start", lambda: start_losses(bench.spec, some, recipe, STATE / "training" / "start"))
    with Counter(machine.vocabulary) as count:
        outcomes = measure(bench, options, ledger, count)
    machine.measure()
    finish("training", options, section(outcomes, start, bench, machine, options), ledger)


if __name__ == "__main__":
    run("training", main)
