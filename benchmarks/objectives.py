"""Objectives: texts practised a second, on the best word (`word`) and on what every word does (`table`).

What is computed: one epoch of LoRA in three styles over some texts, from a model's name to a saved adapter: the same
texts, start, LoRA, optimizer and texts a step. The lessons (every removal rechecked, replacements at the best three
words) are made before, by the same model, and their time is told by itself.

  word       the best explanation of each style, written out, and the model's own label
  table      all candidates of each style, beside a share of `word`
  anchored   the same with the label probabilities of each text and of four edited texts
  autocast   `anchored`, products in bfloat16 (as float32 where the machine has no units for it)

Checks: the loss of a text in attribution is by its tree, within 1e-3, what it is row by row; and the training losses of
`autocast` are to be those of `anchored`, which has the same rows in the same order.

Examples:
  python -m benchmarks.objectives
  python -m benchmarks.objectives --texts 8 --rounds 2 --block 4
"""

from __future__ import annotations

import dataclasses
import shutil
import statistics
import time
from pathlib import Path

import torch

from benchmarks.common import Checked, Done, Outcome, Side, alternate, grid, progress
from benchmarks.script import STATE, Texts, arguments, begin, finish, positive, run, texts
from benchmarks.work import Counter, Machine, exact_products, load_exact
from saywhy.config import Config
from saywhy.folders.store import read_json
from saywhy.measure.calibration import calibrate
from saywhy.measure.predict import Classifier
from saywhy.models.forward import Forward
from saywhy.models.local import LocalModel
from saywhy.models.spec import resolve_model
from saywhy.training.encoding import Recipe, recipe_of, samples
from saywhy.training.lessons import Lesson
from saywhy.training.objectives import objective_of
from saywhy.training.rows import arm_rows
from saywhy.training.targets import lessons_of
from saywhy.training.train import train

PINNED = {"negative": ("awful", "sad"), "positive": ("great", "love")}
CALIBRATION_TEXTS = 16
SIDES = {
    "word": Config(num_train_epochs=1),
    "table": Config(num_train_epochs=1, objective="table"),
    "anchored": Config(num_train_epochs=1, objective="table", anchor=0.3),
    "autocast": Config(num_train_epochs=1, objective="table", anchor=0.3, practice_precision="autocast"),
}


def _recipe(config: Config) -> Recipe:
    return recipe_of(config, 0, adapting=False, autocast=config.practice_precision == "autocast")


@dataclasses.dataclass(frozen=True)
class Bench:
    """What all sides share."""

    name: str
    model: LocalModel
    plain: Forward
    """The same weights, that compute every row by itself."""
    drawn: Texts
    lessons: list[Lesson]
    block: int

    def side(self, name: str) -> Side:
        """Return the side that trains on the texts of a round."""
        config, folder = SIDES[name], STATE / "objectives" / name

        def practise(number: int) -> Done:
            shutil.rmtree(folder, ignore_errors=True)
            lessons = self.lessons[number * self.block : (number + 1) * self.block]
            rows = arm_rows(config, self.drawn.task, lessons, lessons)
            train(resolve_model(self.name), rows, _recipe(config), folder)
            return Done(folder, len(lessons))

        return practise

    def check(self, number: int, answers: dict[str, Path]) -> Checked:
        """Return how far the loss of a text's tree is from that of its rows, in float32, and the training losses."""
        lessons = self.lessons[number * self.block :][:1]  # row by row, three styles of a text are some hundred prompts
        apart: Checked = {}
        for name, config in SIDES.items():
            recipe = _recipe(config)
            one_style = config.model_copy(update={"train_styles": ("attribution",)})
            rows = arm_rows(one_style, self.drawn.task, lessons, lessons)
            encoded = samples(self.model.chat, rows, recipe, self.model.context)
            with torch.inference_mode():
                tree, alone = (objective_of(recipe)(way, encoded).item() for way in (self.model.forward, self.plain))
            apart[f"{name} apart"] = abs(tree - alone)
            apart[f"{name} loss"] = statistics.mean(step["loss"] for step in read_json(answers[name] / "losses.json"))
        return apart


def section(outcome: Outcome, bench: Bench, lesson_seconds: float, machine: Machine) -> str:
    """Return the section of RESULTS.md."""
    rows = []
    for name in SIDES:
        lap = outcome.total(name)
        rows.append(
            [
                name,
                f"{lap.units / lap.seconds:.2f}",
                f"{outcome.ratio(name, 'word'):.2f}",
                f"{outcome.processor_ratio(name, 'word'):.2f}",
                f"{lap.tokens / lap.units:.0f}",
                f"{statistics.median(check[f'{name} apart'] for check in outcome.checks):.1e}",
                f"{statistics.mean(check[f'{name} loss'] for check in outcome.checks):.4f}",
            ]
        )
    header = [
        "side",
        "texts a second",
        "seconds a text / word (median)",
        "processor seconds",
        "tokens a text",
        "tree and rows apart (nats)",
        "training loss (mean)",
    ]
    note = (
        f"Texts: {bench.drawn.task.name}, {bench.drawn.source}; {bench.block} a round, {len(outcome.checks)} rounds; "
        f"lessons: {len(bench.lessons) / lesson_seconds:.2f} texts a second."
    )
    return f"## Objectives\n\n{machine.facts()}\n\n{note}\n\n{grid(header, rows)}"


def main() -> None:
    """Measure, and write the section."""
    parser = arguments(__doc__ or "", "2 texts, 1 round", texts=36, rounds=3)
    parser.add_argument("--block", type=positive, default=12, help="texts of a round (default %(default)s)")
    options = parser.parse_args()
    if options.quick:
        options.texts, options.block, options.rounds = 2, 2, 1
    ledger = begin("objectives", options)
    model = load_exact(options.model)
    machine = Machine(model)
    exact_products()
    drawn = texts("sentiment140", options.block * options.rounds + CALIBRATION_TEXTS, options.data, "train")
    constants = calibrate(model, drawn.task, drawn.examples[-CALIBRATION_TEXTS:])
    classifier, practised = Classifier(model, drawn.task, constants), drawn.examples[:-CALIBRATION_TEXTS]
    began = time.perf_counter()
    lessons = lessons_of(classifier, practised, PINNED, SIDES["table"])
    lesson_seconds = time.perf_counter() - began
    progress(f"lessons: {len(lessons)} texts in {lesson_seconds:.0f} s")
    plain = Forward(load_exact(options.model).model, options.model, ("rows",))
    bench = Bench(options.model, model, plain, drawn, lessons, options.block)
    with Counter(machine.vocabulary) as count:
        sides = {name: bench.side(name) for name in SIDES}
        outcome = alternate(sides, options.rounds, ledger, "objectives", bench.check, count.so_far)
    machine.measure()
    finish("objectives", options, section(outcome, bench, lesson_seconds, machine), ledger)


if __name__ == "__main__":
    run("objectives", main)
