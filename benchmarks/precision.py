"""The noise floor of number formats: which leave-one-word-out verdicts change, and how far the log-odds move.

What is computed: all tables of 200 real tweets (some 2,500 verdicts) in float32, then again with

  products   float32 weights and sums, bfloat16 products (precision=mixed), with kept copies of the weights where the
             CPU has units; on one without, they are emulated: both operands of every product with a weight are
             rounded to bfloat16 and multiplied in float32, which is what hardware with float32 accumulators does
  bfloat16   weights, activations and sums in bfloat16: the real thing, on few texts where it is slow

against float32 on the same texts, with the same calibration constants (measured in float32; they are frozen). A
verdict is whether the label of the text without the word differs from the same model's own label for the text.
Both sides compute the same tables in alternating rounds, so that their seconds compare, too, where nothing is emulated:
by the clock, and of the processor, which other work on the machine hardly changes.

Examples:
  python -m benchmarks.precision
  python -m benchmarks.precision --texts 40 --bfloat16-texts 10
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from benchmarks.common import Checked, Done, Ledger, Outcome, alternate, grid
from benchmarks.script import Texts, arguments, begin, finish, positive, run, texts
from benchmarks.work import Counter, Machine, exact_products, load_exact
from saywhy.measure.calibration import calibrate
from saywhy.measure.edits import Item, every_edit
from saywhy.measure.predict import Classifier
from saywhy.models.backends import open_model
from saywhy.models.local import LocalModel
from saywhy.models.precision import has_bfloat16_units
from saywhy.models.spec import resolve_model
from saywhy.models.weights import load_base
from saywhy.records import Example, SaywhyError

TASK = "sentiment140"


@dataclass
class Rounding:
    """Rounds both operands of every product with a weight to bfloat16, and multiplies in float32.

    Attributes:
        weights: Rounded parameters by their place in memory: each is rounded once.
        used: Whether any product was rounded.
    """

    weights: dict[int, torch.Tensor] = field(default_factory=dict)
    used: bool = False

    @contextmanager
    def rounding(self) -> Iterator[None]:
        """Round within; a forward pass that rounds nothing is an error, for it would be float32 under another name."""
        plain: Callable[..., Any] = torch.nn.functional.linear
        products = 0

        def linear(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Any:
            nonlocal products
            products += 1
            return plain(_rounded(states), self._weight(weight), bias)

        torch.nn.functional.linear = linear  # type: ignore[assignment]
        try:
            yield
        finally:
            torch.nn.functional.linear = plain
        if not products:
            raise SaywhyError("benchmark: this model's products cannot be rounded: it does not use linear layers")
        self.used = True

    def _weight(self, weight: torch.Tensor) -> torch.Tensor:
        place = weight.data_ptr()
        if place not in self.weights:
            self.weights[place] = _rounded(weight.detach())
        return self.weights[place]


def _rounded(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.bfloat16).to(torch.float32)


def mixed(name: str) -> LocalModel | None:
    """Load a model with bfloat16 products by this processor's own units; None without units."""
    if not has_bfloat16_units():
        return None
    model = open_model(name, precision="mixed")
    assert isinstance(model, LocalModel)
    exact_products()
    return model


@dataclass(frozen=True)
class Format:
    """A number format: the model that has it, what must hold while it computes, on how many texts it is tried."""

    name: str
    model: LocalModel
    within: Callable[[], AbstractContextManager[None]]
    texts: int


@dataclass
class Bench:
    """One format against float32 on the same texts, with the same calibration constants.

    Attributes:
        drawn: The texts.
        constants: Measured in float32.
        exact: The model in float32.
        items: Of the current round: texts with float32's predictions.
    """

    drawn: Texts
    constants: dict[str, float]
    exact: LocalModel
    items: list[Item] = field(default_factory=list)

    def float32(self, examples: Sequence[Example]) -> Done:
        """Compute the tables in float32."""
        classifier = Classifier(self.exact, self.drawn.task, self.constants)
        predictions = classifier.predict_examples(examples)
        self.items = [Item(*pair) for pair in zip(examples, predictions, strict=True)]
        return self._tables(classifier, [prediction.label for prediction in predictions])

    def other(self, number_format: Format, examples: Sequence[Example]) -> Done:
        """Compute the tables of the same texts in another format."""
        with number_format.within():
            classifier = Classifier(number_format.model, self.drawn.task, self.constants)
            labels = [prediction.label for prediction in classifier.predict_examples(examples)]
            return self._tables(classifier, labels)

    def _tables(self, classifier: Classifier, labels: list[str]) -> Done:
        """Return, for each text, its label, the labels of its edits, and the falls of float32's log-odds."""
        # The items are float32's in every format, so that the falls are of one label from one height.
        tables = every_edit(classifier, self.items, ("redact",), None)[0]["redact"]
        verdicts = [(label, table.labels, table.drops) for label, table in zip(labels, tables, strict=True)]
        return Done(verdicts, sum(len(table.words) for table in tables))


def compare(exact: Sequence[Any], other: Sequence[Any]) -> Checked:
    """Count the labels and verdicts that differ from float32's, and how far (nats) the log-odds moved."""
    moved: list[float] = []
    verdicts = labels = 0
    for (label, edits, drops), (its_label, its_edits, its_drops) in zip(exact, other, strict=True):
        labels += label != its_label
        verdicts += sum(
            (edit_label != label) != (its_edit_label != its_label)
            for edit_label, its_edit_label in zip(edits, its_edits, strict=True)
        )
        moved += [abs(a - b) for a, b in zip(drops, its_drops, strict=True)]
    return {
        "labels": float(labels),
        "verdicts": float(verdicts),
        "moved in all": math.fsum(moved),
        "moved over 0.05": float(sum(move > 0.05 for move in moved)),
        "moved at most": max(moved),
    }


def measure(bench: Bench, tried: Format, rounds: int, ledger: Ledger, count: Counter) -> Outcome:
    """Run float32 and another format in turn, over ``rounds`` blocks of texts."""
    rounds = max(1, rounds * tried.texts // len(bench.drawn.examples))
    examples = bench.drawn.examples[: tried.texts]
    return alternate(
        {
            "float32": lambda number: bench.float32(examples[number::rounds]),
            tried.name: lambda number: bench.other(tried, examples[number::rounds]),
        },
        rounds,
        ledger,
        tried.name,
        lambda _, answers: compare(answers["float32"], answers[tried.name]),
        count.so_far,
    )


def formats(model: LocalModel, rounding: Rounding, options: argparse.Namespace) -> Iterator[Format]:
    """Yield the formats; a bfloat16 model is loaded when its turn comes."""
    shortened = mixed(options.model)
    yield Format("products", shortened or model, nullcontext if shortened else rounding.rounding, options.texts)
    yield Format("bfloat16", load_bfloat16(options.model), nullcontext, min(options.texts, options.bfloat16_texts))


def load_bfloat16(name: str) -> LocalModel:
    """Load a model whose weights, activations and sums are bfloat16."""
    weights, tokenizer = load_base(resolve_model(name), torch.bfloat16)
    return LocalModel(name, weights, tokenizer)


def section(outcomes: dict[str, Outcome], rounding: Rounding, drawn: Texts, machine: Machine) -> str:
    """Return the section of RESULTS.md."""
    rows = []
    for name, outcome in outcomes.items():
        exact, other = outcome.total("float32"), outcome.total(name)
        total = {key: math.fsum(check[key] for check in outcome.checks) for key in outcome.checks[0]}
        rows.append(
            [
                name,
                f"{other.units:,}",
                f"{total['verdicts']:.0f} ({total['verdicts'] / other.units:.2%})",
                f"{total['labels']:.0f}",
                f"{total['moved in all'] / other.units:.4f}",
                f"{outcome.worst('moved at most'):.3f}",
                f"{total['moved over 0.05'] / other.units:.1%}",
                f"{exact.seconds:.0f} / {other.seconds:.0f}",
                f"{exact.processor:.0f} / {other.processor:.0f}",
                f"{outcome.processor_ratio('float32', name):.2f}",
                f"{exact.tokens:,} / {other.tokens:,}",
            ]
        )
    header = [
        "format",
        "verdicts",
        "verdicts that differ from float32",
        "labels of whole texts that differ",
        "log-odds moved, mean (nats)",
        "at most",
        "by over 0.05",
        "seconds, float32 / format",
        "processor seconds",
        "ratio (median)",
        "tokens computed",
    ]
    made = (
        "emulated on this CPU, which has no units for them: both operands of every product with a weight (the linear "
        "layers and the head; not the products within attention) rounded to bfloat16, multiplied and summed in float32"
        if rounding.used
        else "computed by this CPU's units from kept copies of the weights of all layers but the head"
    )
    note = f"Texts: {drawn.task.name}, {drawn.source}. bfloat16 products are {made}. bfloat16 is the real thing."
    return f"## The noise floor of number formats\n\n{machine.facts()}\n\n{note}\n\n{grid(header, rows)}"


def main() -> None:
    """Measure, and write the section."""
    parser = arguments(__doc__ or "", "4 texts", texts=200, rounds=10)
    parser.add_argument(
        "--bfloat16-texts", type=positive, default=20, help="texts in pure bfloat16 (default %(default)s)"
    )
    options = parser.parse_args()
    if options.quick:
        options.texts, options.bfloat16_texts, options.rounds = 4, 2, 2
    ledger = begin("precision", options)
    model = load_exact(options.model)
    machine = Machine(model)
    drawn = texts(TASK, options.texts, options.data)
    training = texts(TASK, 8 if options.quick else 128, options.data, "train")
    constants = ledger.once("constants", lambda: calibrate(model, drawn.task, training.examples))
    rounding = Rounding()
    bench = Bench(drawn, constants, model)
    with Counter(machine.vocabulary) as count:
        outcomes = {
            tried.name: measure(bench, tried, options.rounds, ledger, count)
            for tried in formats(model, rounding, options)
        }
    rounding.used = ledger.once("emulated", lambda: rounding.used)
    machine.measure()
    finish("precision", options, section(outcomes, rounding, drawn, machine), ledger)


if __name__ == "__main__":
    run("precision", main)
