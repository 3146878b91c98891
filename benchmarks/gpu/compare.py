"""saywhy beside plain batched transformers on one model: the table, explanations, training steps, decisions."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch

from benchmarks import plain
from benchmarks.asking import Ask, asks, ours, transformers
from benchmarks.common import Done, Ledger, Outcome, alternate, fastest
from benchmarks.gpu.card import is_there, peak, release
from benchmarks.gpu.lora import lora
from benchmarks.gpu.subject import Subject
from benchmarks.naive import PlainModel
from benchmarks.work import Counter, Machine, finish_kernels
from saywhy.explainer.decision import Effort, ExplainRequest
from saywhy.explainer.inquiry import Inquiry
from saywhy.explainer.steps import look_for_reasons
from saywhy.measure.chats import explanation_chat
from saywhy.measure.edits import every_edit, items_of
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Model
from saywhy.records import STYLES, Example
from saywhy.training.completions import completion
from saywhy.training.encoding import Encoded, Recipe, samples
from saywhy.training.label_rows import label_row
from saywhy.training.lessons import Target
from saywhy.training.objectives import objective_of
from saywhy.words import candidates

LORA_PASSES = 2.0
"""Forward passes a trained token is worth: forwards, and backwards to the states; frozen weights get no gradient."""
RECIPE = Recipe(decision_weight=1.0)
LEARNING_RATE = 1e-4
SERVED_TEXTS = 32
"""Requests in all; plain transformers takes long for them one at a time."""


def table(subject: Subject, chosen: Sequence[Example]) -> Done:
    """Compute the leave-one-out tables with saywhy: the log-odds of each text and of its edits."""
    items = items_of(subject.classifier, chosen)
    tables = every_edit(subject.classifier, items, ("redact",), None)[0]["redact"]
    odds = [[of_text.margin, *(of_text.margin - drop for drop in of_text.drops)] for of_text in tables]
    return Done(odds, sum(map(len, odds)))


def plain_table(subject: Subject, chosen: Sequence[Example], budget: int) -> Done:
    """Compute the same with every prompt in full, ``budget`` padded tokens a batch."""
    prompts = subject.prompts(chosen)
    labels = plain.label_tokens(subject.bare.chat, subject.task)
    flat = [ids for of_text in prompts for ids in of_text]
    scores = iter(plain.log_probs(subject.bare, flat, labels, budget))
    odds = []
    for of_text in prompts:
        pairs = [next(scores) for _ in of_text]
        label = max(range(len(labels)), key=pairs[0].__getitem__)
        odds.append([pair[label] - max(pair[:label] + pair[label + 1 :]) for pair in pairs])
    return Done(odds, len(flat))


def most_apart(first: Sequence[Sequence[float]], second: Sequence[Sequence[float]]) -> float:
    """Return the largest difference (nats) of two tables; texts that were answered otherwise have other signs."""
    pairs = [(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x, y, strict=True)]
    return max(min(abs(a - b), abs(a + b)) for a, b in pairs)


def explanations(subject: Subject) -> list[Ask]:
    """Return the six explanations of each text, to be asked for."""
    return asks(subject.task, subject.items(), STYLES)


def training_rows(subject: Subject) -> list[dict[str, Any]]:
    """Return the rows of each text: its answer, and one explanation a style about its first word."""
    rows: list[dict[str, Any]] = []
    for item in subject.items():
        example, first = item.example, candidates(item.example.text)[0]
        rows.append(label_row(subject.task, example, item.prediction.label))
        for style in STYLES:
            target = Target((first.key,), ("great",) if style == "counterfactual" else ())
            content, decision = completion(example.text, style, target)
            chat = explanation_chat(subject.task, item, style, "one-word")
            answer = [{"role": "assistant", "content": content}]
            rows.append({"id": example.id, "style": style, "prompt": chat, "completion": answer, "decision": decision})
    return rows


def encoded_rows(subject: Subject) -> list[Encoded]:
    """Return the same as token ids, text by text."""
    return samples(subject.local.chat, training_rows(subject), RECIPE, subject.local.context)


def tree_loss(subject: Subject, texts: Sequence[Encoded]) -> torch.Tensor:
    """Return the mean loss of the rows of some texts, computed as one tree."""
    return objective_of(RECIPE)(subject.local.forward, texts)


def plain_loss(subject: Subject, texts: Sequence[Encoded]) -> torch.Tensor:
    """Return the same from a padded batch of rows, as a skilled user of transformers computes it."""
    rows = [row for text in texts for row in text]
    ids, seen = plain.left_padded([tuple(row["ids"]) for row in rows], subject.bare)
    positions = (seen.cumsum(-1) - 1).clamp(min=0)
    output = subject.bare.model(input_ids=ids, attention_mask=seen, position_ids=positions, use_cache=False)
    weights = torch.zeros(ids.shape, device=ids.device)
    for number, row in enumerate(rows):
        weights[number, -len(row["weights"]) :] = weights.new_tensor(row["weights"])
    values = torch.nn.functional.cross_entropy(
        output.logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
    )
    return (values * weights[:, 1:].flatten()).sum() / len(rows)


LossOfTexts = Callable[[Subject, Sequence[Encoded]], torch.Tensor]


def train(subject: Subject, model: Any, loss_of: LossOfTexts, texts: Sequence[Encoded], at_once: int) -> Done:
    """Take one LoRA step a ``at_once`` texts; the answer is the loss of each, in nats."""
    losses = []
    with lora(model) as weights:
        optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.0)
        for first in range(0, len(texts), at_once):
            loss = loss_of(subject, texts[first : first + at_once])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        answer: list[float] = torch.stack(losses).tolist()
    finish_kernels()
    return Done(answer, sum(map(len, texts)))


def decisions(model: Model, subject: Subject, effort: Effort, together: int) -> Done:
    """Decide and explain all texts, so many requests at once: a label and the words of the reason each."""
    classifier = Classifier(model, subject.task, dict.fromkeys(subject.task.labels, 0.0))
    verdicts = []
    for first in range(0, len(subject.examples), together):
        items = items_of(classifier, subject.examples[first : first + together])
        inquiries = [Inquiry(ExplainRequest(item.example.text, effort=effort), item) for item in items]
        look_for_reasons(classifier, {}, inquiries)
        verdicts += [[inquiry.item.prediction.label, list(inquiry.reason_keys)] for inquiry in inquiries]
    return Done(verdicts, len(subject.examples))


class Comparisons:
    """Comparisons on one model whose rounds are kept; each returns numbers for the report.

    Attributes:
        rounds: Rounds of each comparison; a first one, that is not counted, warms up.
    """

    def __init__(self, subject: Subject, ledger: Ledger, prefix: str, rounds: int, budgets: Sequence[int]) -> None:
        self.subject, self.ledger, self.prefix, self.rounds, self.budgets = subject, ledger, prefix, rounds, budgets
        self.machine = Machine(subject.local)

    def table(self) -> dict[str, Any]:
        """Compare the leave-one-out tables; the plain side at the fastest of several batch sizes."""
        subject, chosen = self.subject, self.subject.examples
        table(subject, chosen[:4])
        budget = fastest(self.budgets, lambda size: plain_table(subject, chosen[:16], size), "plain, tokens a batch")[0]
        outcome = self._alternate(
            "table",
            lambda: table(subject, chosen),
            lambda: plain_table(subject, chosen, budget),
            lambda ours, theirs: {"most apart, nats": most_apart(ours, theirs)},
        )
        return self._numbers(outcome, "prompts") | {"plain tokens a batch": budget}

    def explanations(self, sizes: Sequence[int]) -> dict[str, Any]:
        """Compare the six explanations of each text; the plain side at the fastest of several batch sizes."""
        subject, chats = self.subject, explanations(self.subject)
        ours(subject.local, chats[:6])
        size = fastest(sizes, lambda size: transformers(subject.bare, chats[:48], [size]), "generate, batch size")[0]
        outcome = self._alternate(
            "explanations",
            lambda: ours(subject.local, chats),
            lambda: transformers(subject.bare, chats, [size]),
            lambda a, b: {"different replies": float(sum(x != y for x, y in zip(a, b, strict=True)))},
        )
        return self._numbers(outcome, "replies") | {"plain batch": size}

    def training(self, at_once: int) -> dict[str, Any]:
        """Compare LoRA steps on the same rows, ``at_once`` texts a step."""
        subject, texts = self.subject, encoded_rows(self.subject)
        sides: dict[str, tuple[Any, LossOfTexts]] = {
            "ours": (subject.local.model, tree_loss),
            "plain": (subject.bare.model, plain_loss),
        }
        peaks: dict[str, float | None] = {}

        def step(side: str) -> Done:
            release()
            done = train(subject, *sides[side], texts, at_once)
            peaks[side] = peak()
            return done

        train(subject, *sides["ours"], texts[:at_once], at_once)
        train(subject, *sides["plain"], texts[:at_once], at_once)
        outcome = self._alternate(
            "training",
            lambda: step("ours"),
            lambda: step("plain"),
            lambda a, b: {"first loss apart, nats": abs(a[0] - b[0])},
        )
        made = "PEFT's" if is_there("peft") else "of the benchmark's own (peft is missing)"
        more = {"peak, GiB, ours / plain": [peaks.get("ours"), peaks.get("plain")], "LoRA": made}
        return self._numbers(outcome, "rows", LORA_PASSES) | more

    def serving(self, effort: Effort, together: int) -> dict[str, Any]:
        """Compare decisions with reasons, so many requests computed together on both sides."""
        subject = dataclasses.replace(self.subject, examples=self.subject.examples[:SERVED_TEXTS])
        other = cast(Model, PlainModel(subject.bare, together))  # what it lacks, no step asks for at this effort
        outcome = self._alternate(
            f"serving {effort} {together}",
            lambda: decisions(subject.local, subject, effort, together),
            lambda: decisions(other, subject, effort, together),
            lambda a, b: {"different verdicts": float(sum(x != y for x, y in zip(a, b, strict=True)))},
        )
        return self._numbers(outcome, "decisions")

    def _alternate(
        self,
        name: str,
        ours_once: Callable[[], Done],
        plain_once: Callable[[], Done],
        check: Callable[[Any, Any], dict[str, float]],
    ) -> Outcome:
        with Counter(self.machine.vocabulary) as count:
            return alternate(
                {"ours": lambda _: ours_once(), "plain": lambda _: plain_once()},
                self.rounds,
                self.ledger,
                f"{self.prefix}: {name}",
                lambda _, answers: check(answers["ours"], answers["plain"]),
                count.so_far,
            )

    def _numbers(self, outcome: Outcome, unit: str, passes: float = 1.0) -> dict[str, Any]:
        laps = [outcome.total("ours"), outcome.total("plain")]
        return {
            "plain seconds / ours": round(outcome.ratio("plain", "ours"), 2),
            f"{unit} a second, ours / plain": [round(lap.units / lap.seconds, 2) for lap in laps],
            "tokens, ours / plain": [lap.tokens for lap in laps],
            "share of GEMM rate, ours / plain": [round(self.machine.share(lap, passes), 4) for lap in laps],
            "GEMM rate, TFLOP/s": round(self.machine.rate / 1e12, 3),
            **{name: outcome.worst(name) for name in outcome.checks[0]},
        }


def timed(run: Callable[[], Done]) -> tuple[Done, float, float | None]:
    """Return what ``run`` returns, its seconds, and the most memory (GiB) in use meanwhile."""
    release()
    began = time.perf_counter()
    done = run()
    finish_kernels()
    return done, time.perf_counter() - began, peak()
