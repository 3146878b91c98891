"""The leave-one-word-out table: saywhy / plain well-batched prompts / captum / inseq.

What is computed: for each text, the log-odds of its predicted label, for the text itself and for the text without
each of its distinct words ([REDACTED] in its place). All sides have the same float32 weights and products, the same
chats, the same texts; their log-odds must agree to 1e-3.

  ours     saywhy.measure.edits.every_edit (with the prediction of the text itself)
  plain    every prompt in full: sorted by length, left padding, the fastest batch size of four, logits at the last
           position only, inference mode
  captum   FeatureAblation in LLMAttribution, absent words as [REDACTED], the whole target in one pass. Its interface
           takes one target a call and runs one perturbation a pass, so K labels are K calls
  inseq    occlusion (--with-inseq; in an environment of its own, made once), the faster of 1 and 8 perturbations a
           pass. It takes out every TOKEN of the prompt by its embedding and gives absolute values, which is another
           answer: only its pace, in prompts a second, and the label's probability for the whole text are compared

captum and inseq are slow and get fewer texts; ours does the same few texts in the same rounds.

Examples:
  python -m benchmarks.table
  python -m benchmarks.table --tasks sentiment140 --texts 16 --rounds 2 --with-inseq
"""

from __future__ import annotations

import argparse
import importlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import plain
from benchmarks.common import Check, Checked, Done, Ledger, Outcome, Side, alternate, grid
from benchmarks.peers import Inseq, captum_drops
from benchmarks.script import Texts, arguments, begin, finish, run, texts
from benchmarks.work import Bare, Counter, Machine, load_bare, load_exact
from saywhy.measure.edits import Item, every_edit
from saywhy.measure.predict import Classifier
from saywhy.models.local import LocalModel
from saywhy.records import Example, SaywhyError
from saywhy.tasks.task import Task
from saywhy.words import candidates, take_out

TASKS = ("sentiment140", "snli", "ag_news")
TRIED = 40
"""Prompts on which the batch size of the plain side is tried."""


@dataclass(frozen=True)
class Bench:
    """One task: its texts, and what every side needs."""

    model: LocalModel
    bare: Bare
    texts: Texts

    @property
    def task(self) -> Task:
        """The task."""
        return self.texts.task

    def ours(self, examples: Sequence[Example]) -> Done:
        """Compute the log-odds with saywhy."""
        # Calibration constants would shift all sides alike.
        classifier = Classifier(self.model, self.task, dict.fromkeys(self.task.labels, 0.0))
        predictions = classifier.predict_examples(examples)
        items = [Item(*pair) for pair in zip(examples, predictions, strict=True)]
        tables = every_edit(classifier, items, ("redact",), None)[0]["redact"]
        odds = [[table.margin, *(table.margin - drop for drop in table.drops)] for table in tables]
        return Done(odds, sum(map(len, odds)))

    def prompts(self, example: Example) -> list[plain.Ids]:
        """Return the prompts of a text and of its edits."""
        words = candidates(example.text)
        edited = [example.text, *(take_out(example.text, {word.key}) for word in words)]
        context = dict(example.context)
        return self.bare.chat.ids([plain.rendered(self.bare.chat, self.task, text, context) for text in edited])

    def scores(self, examples: Sequence[Example], budget: int) -> list[list[list[float]]]:
        """Return log P of each label for each prompt of each text, computed plainly."""
        asked = [self.prompts(example) for example in examples]
        flat = [ids for of_text in asked for ids in of_text]
        scores = iter(plain.log_probs(self.bare, flat, plain.label_tokens(self.bare.chat, self.task), budget))
        return [[next(scores) for _ in of_text] for of_text in asked]

    def plain(self, examples: Sequence[Example], budget: int) -> Done:
        """Compute the log-odds with plain prompts."""
        odds = [_odds(of_text) for of_text in self.scores(examples, budget)]
        return Done(odds, sum(map(len, odds)))

    def captum(self, examples: Sequence[Example]) -> Done:
        """Compute the falls of every label's log-probability with captum."""
        drops = [captum_drops(self.bare, self.task, example) for example in examples]
        return Done(drops, sum(len(of_label[0]) + 1 for of_label in drops))

    def check_captum(self, examples: Sequence[Example], answers: dict[str, Any]) -> Checked:
        """Compare captum's falls, added to the plain scores of the whole text, with our log-odds."""
        flat = [self.prompts(example)[0] for example in examples]
        whole = plain.log_probs(self.bare, flat, plain.label_tokens(self.bare.chat, self.task), plain.BUDGETS[0])
        odds = [
            _odds(
                [start, *([s - d for s, d in zip(start, of_word, strict=True)] for of_word in zip(*drops, strict=True))]
            )
            for start, drops in zip(whole, answers["captum"], strict=True)
        ]
        return {"max difference": _difference(answers["ours"], odds)}

    def _asked(self, example: Example) -> tuple[str, str]:
        """Return the prompt of a text, and its first label as the target."""
        word = next(iter(self.task.labels.values()))
        return plain.rendered(self.bare.chat, self.task, example.text, dict(example.context)), f" {word}"

    def settle(self, worker: Inseq) -> int:
        """Let inseq find its batch size on the first text."""
        return worker.settle(*self._asked(self.texts.examples[0]))

    def inseq(self, examples: Sequence[Example], worker: Inseq) -> Done:
        """Let inseq occlude every token of the prompts, towards the first label."""
        answers = [worker.occlude(*self._asked(example)) for example in examples]
        answer = [math.log(reply["probability"]) for reply in answers]
        return Done(answer, sum(reply["prompts"] for reply in answers), sum(reply["tokens"] for reply in answers))

    def check_inseq(self, examples: Sequence[Example], answers: dict[str, Any]) -> Checked:
        """Compare the first label's log-probability, for the whole text, with the plain one."""
        flat = [self.prompts(example)[0] for example in examples]
        token = plain.label_tokens(self.bare.chat, self.task)[:1]
        scores = plain.log_probs(self.bare, flat, token, plain.BUDGETS[0])
        pairs = zip(scores, answers["inseq"], strict=True)
        return {"max difference": max(abs(score[0] - theirs) for score, theirs in pairs)}


def _odds(scores: Sequence[Sequence[float]]) -> list[float]:
    """Return the log-odds of the label that is likeliest in the first prompt, in every prompt."""
    label = max(range(len(scores[0])), key=scores[0].__getitem__)
    return [of_prompt[label] - max(value for i, value in enumerate(of_prompt) if i != label) for of_prompt in scores]


def _difference(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> float:
    pairs = [(a, b) for own, other in zip(ours, theirs, strict=True) for a, b in zip(own, other, strict=True)]
    return max(abs(a - b) for a, b in pairs)


def measure(bench: Bench, options: argparse.Namespace, ledger: Ledger, count: Counter) -> dict[str, Outcome]:
    """Run all comparisons of one task: the plain side on all texts, the slow peers on some of each round."""
    name, rounds = bench.task.name, options.rounds
    tried = [ids for example in bench.texts.examples[:TRIED] for ids in bench.prompts(example)][:TRIED]
    tokens = plain.label_tokens(bench.bare.chat, bench.task)
    budget = ledger.once(f"{name}, batch", lambda: plain.best_budget(bench.bare, tried, tokens))

    def block(number: int) -> tuple[Example, ...]:
        return bench.texts.block(number, rounds)

    def few(number: int) -> tuple[Example, ...]:
        return block(number)[: max(1, options.peer_texts // rounds)]

    def agree(number: int, answers: dict[str, Any]) -> Checked:
        return {"max difference": _difference(answers["ours"], answers["plain"])}

    def run_all(peer: str, side: Side, ours: Side, check: Check) -> Outcome:
        return alternate({"ours": ours, peer: side}, rounds, ledger, f"{name}, {peer}", check, count.so_far)

    outcomes = {
        "plain": run_all("plain", lambda n: bench.plain(block(n), budget), lambda n: bench.ours(block(n)), agree)
    }
    if options.peer_texts:
        importlib.import_module("captum.attr")  # before the clock starts
        outcomes["captum"] = run_all(
            "captum",
            lambda n: bench.captum(few(n)),
            lambda n: bench.ours(few(n)),
            lambda n, answers: bench.check_captum(few(n), answers),
        )
    if options.with_inseq:
        try:
            with Inseq(options.model, options.threads) as worker:
                worker.size = ledger.once("inseq, batch", lambda: bench.settle(worker))
                outcomes["inseq"] = run_all(
                    "inseq",
                    lambda n: bench.inseq(few(n), worker),
                    lambda n: bench.ours(few(n)),
                    lambda n, answers: bench.check_inseq(few(n), answers),
                )
        except SaywhyError as error:  # that it does not run is a result too
            options.with_inseq, reason = False, str(error)
            ledger.once("inseq", lambda: reason)
    return outcomes


NOTE = (
    "A prompt is a text, or a text without one of its words, put to the model. Every text is computed once by each "
    "side, in alternating blocks. The difference is that of the log-odds (nats); it must stay below 1e-3. captum "
    "passes over each prompt once a label. inseq occludes every token of a prompt, which is another answer: its "
    "prompts are such passes, its difference is that of log P(label | whole text), its head products are not counted."
)


def section(
    outcomes: dict[str, tuple[Texts, dict[str, Outcome]]], machine: Machine, options: argparse.Namespace, failed: str
) -> str:
    """Return the section of RESULTS.md; ``failed`` says why inseq did not run."""
    rows = []
    for name, (drawn, by_peer) in outcomes.items():
        each = max(1, options.peer_texts // options.rounds)
        for peer, outcome in by_peer.items():
            own, theirs = outcome.total("ours"), outcome.total(peer)
            texts_of_peer = len(drawn.examples) if peer == "plain" else each * len(outcome.checks)
            rows.append(
                [
                    f"{name} ({drawn.source})",
                    str(texts_of_peer),
                    peer,
                    f"{outcome.ratio(peer, 'ours'):.2f}",
                    f"{own.units / own.seconds:.1f} / {theirs.units / theirs.seconds:.1f}",
                    f"{own.units:,} / {theirs.units:,}",
                    f"{own.tokens:,} / {theirs.tokens:,}",
                    f"{machine.share(own):.0%} / {machine.share(theirs):.0%}",
                    f"{outcome.worst('max difference'):.1e}",
                ]
            )
    header = [
        "task",
        "texts",
        "peer",
        "peer's seconds a prompt / ours (median)",
        "prompts a second, ours / peer",
        "prompts",
        "tokens computed",
        "share of GEMM rate",
        "largest difference",
    ]
    trouble = f"\n\ninseq could not be measured: {failed}" if failed else ""
    return f"## The leave-one-word-out table\n\n{machine.facts()}\n\n{NOTE}{trouble}\n\n{grid(header, rows)}"


def main() -> None:
    """Measure, and write the section."""
    parser = arguments(__doc__ or "", "one task, 4 texts, 2 rounds, captum on 2 texts", texts=64, rounds=4)
    parser.add_argument("--tasks", default=",".join(TASKS), help="comma-separated (default %(default)s)")
    parser.add_argument("--peer-texts", type=int, default=4, help="texts of captum and inseq; 0: neither")
    parser.add_argument("--with-inseq", action="store_true", help="run inseq too, in an environment made for it")
    options = parser.parse_args()
    if options.quick:
        options.tasks, options.texts, options.rounds = "sentiment140", 4, 2
        options.peer_texts = min(options.peer_texts, 2)
    ledger = begin("table", options)
    model = load_exact(options.model)
    bare = load_bare(options.model)
    machine = Machine(model)
    outcomes = {}
    with Counter(machine.vocabulary) as count:
        for name in options.tasks.split(","):
            drawn = texts(name, options.texts, options.data)
            outcomes[name] = (drawn, measure(Bench(model, bare, drawn), options, ledger, count))
    failed = ledger.kept["facts"].get("inseq", "")
    machine.measure()
    finish("table", options, section(outcomes, machine, options, failed), ledger)


if __name__ == "__main__":
    run("table", main)
