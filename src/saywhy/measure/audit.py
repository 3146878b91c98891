"""The audit: predict, ask, read, apply, recheck, judge (docs/definitions.md). No tensors here.

``audit`` takes one chunk of texts through everything and returns rows; the caller stores chunk by chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from saywhy.measure import bounds as free
from saywhy.measure import readouts
from saywhy.measure.edits import Item, Verdicts, drop, every_edit, hits, recheck, stand_in, verdicts
from saywhy.measure.predict import Classifier
from saywhy.models.interface import Tick
from saywhy.protocol import prompts, styles
from saywhy.records import (
    Decision,
    Example,
    Explanation,
    Grid,
    Operator,
    Readout,
    Row,
    SetAside,
    Setting,
    StyleName,
    Table,
)
from saywhy.tasks.lexicon import Pinned

ROOM = 256
"""Tokens kept free behind a text for the request and the reply."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an audit asks for.

    Attributes:
        arm: Name of the model in the rows.
        pinned: The counterfactual's words, by named label.
        styles: Which styles.
        settings: Which settings.
        readouts: Which readouts; the constrained ones are one-word only.
        operators: How words are taken out; the first is primary.
        seed: Seed of the run.
    """

    arm: str
    pinned: Pinned
    styles: tuple[StyleName, ...]
    settings: tuple[Setting, ...]
    readouts: tuple[Readout, ...]
    operators: tuple[Operator, ...] = ("redact",)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """What an audit of some texts found."""

    rows: list[Row] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Said:
    """One explanation of one item, read."""

    style: StyleName
    setting: Setting
    readout: Readout
    reply: str | None
    explanation: Explanation

    @property
    def size(self) -> int:
        """How many words it takes; an invalid one is given size one, the least it could have said."""
        if not self.explanation.valid:
            return 1
        return max(len(self.explanation.words), len(self.explanation.inserted), 1)


def unusable(classifier: Classifier, examples: Sequence[Example]) -> list[SetAside]:
    """Return those of ``examples`` that cannot be put to the model, with the reason.

    A redaction or counterfactual copies the text: there must be room for it twice.
    """
    chats = [
        [*prompts.question(classifier.task, one.text, one.context), {"role": "assistant", "content": one.text}]
        for one in examples
    ]
    reasons = classifier.model.objections(chats, ROOM)
    task = classifier.task.name
    return [SetAside(one.id, task, reason) for one, reason in zip(examples, reasons, strict=True) if reason]


def decide(
    classifier: Classifier, examples: Sequence[Example], arm: str, seed: int, tick: Tick | None = None
) -> list[Decision]:
    """Return the prediction for each example, as kept for accuracy and agreement."""
    task = classifier.task.name
    return [
        Decision(one.id, task, arm, seed, one.label, found.label, found.raw_label, found.margin)
        for one, found in zip(examples, classifier.predict_examples(examples, tick), strict=True)
    ]


def decision(row: Row) -> Decision:
    """Return the prediction that a row explains."""
    return Decision(row.id, row.task, row.arm, row.seed, row.gold, row.prediction, row.raw_prediction, row.margin)


def audit(classifier: Classifier, examples: Sequence[Example], plan: Plan, tick: Tick | None = None) -> Findings:
    """Audit some texts: every style, setting, readout and operator of ``plan``."""
    predictions = classifier.predict_examples(examples)
    items = [Item(*pair) for pair in zip(examples, predictions, strict=True)]
    found = Findings()
    pinned = plan.pinned if "counterfactual" in plan.styles else None
    made, swapped = every_edit(classifier, items, plan.operators, pinned)
    for per_operator in made.values():
        found.tables.extend(per_operator)
    found.grids.extend(swapped)
    said = _ask(classifier, items, plan)
    for operator in plan.operators:
        # A counterfactual takes nothing out: it is judged once, beside the primary operator.
        mine = said if operator == plan.operators[0] else [_removals(one) for one in said]
        found.rows.extend(_Judge(classifier, plan, operator, items, made[operator], found.grids).rows(mine))
    if tick:
        tick(len(examples))
    return found


def _ask(classifier: Classifier, items: Sequence[Item], plan: Plan) -> list[list[Said]]:
    """Return everything that is said about each item."""
    said: list[list[Said]] = [[] for _ in items]
    model, task = classifier.model, classifier.task
    if "generated" in plan.readouts:
        asks = [(style, setting) for style in plan.styles for setting in plan.settings]
        for mine, replies in zip(said, readouts.generated(model, task, items, asks), strict=True):
            mine.extend(Said(*ask, "generated", *reply) for ask, reply in zip(asks, replies, strict=True))
    for readout in plan.readouts:
        if readout == "generated" or "one-word" not in plan.settings:
            continue
        likeliest = readouts.constrained(model, task, items, plan.styles, plan.pinned, placebo=readout == "placebo")
        for mine, by_style in zip(said, likeliest, strict=True):
            mine.extend(Said(style, "one-word", readout, None, one) for style, one in by_style.items())
    return said


class _Judge:
    """Turns what was said about some items into rows, under one operator."""

    def __init__(
        self,
        classifier: Classifier,
        plan: Plan,
        operator: Operator,
        items: Sequence[Item],
        table: Sequence[Table],
        grid: Sequence[Grid],
    ) -> None:
        self.classifier, self.plan, self.operator, self.items = classifier, plan, operator, items
        self.filler = stand_in(classifier.task, operator)
        self.table, self.grid = table, grid

    def rows(self, said: Sequence[Sequence[Said]]) -> list[Row]:
        """Apply, recheck and judge."""
        applied = [
            [(one, styles.apply(one.explanation, one.style, item.example.text, self.filler)) for one in mine]
            for item, mine in zip(self.items, said, strict=True)
        ]
        removal, swap = self._bounds(said)
        rows: list[Row] = []
        pending: list[list[tuple[Said, Explanation]]] = [[] for _ in self.items]
        known: list[Verdicts] = [self._known(i) for i in range(len(self.items))]
        for i, mine in enumerate(applied):
            pending[i] = [pair for pair in mine if pair[1].edited is not None and pair[1].edited not in known[i]]
        fresh = recheck(self.classifier, self.items, [[str(e.edited) for _, e in mine] for mine in pending])
        for i, item in enumerate(self.items):
            for (_, explanation), after in zip(pending[i], fresh[i], strict=True):
                known[i][str(explanation.edited)] = after.label, drop(item.prediction, after)
            for one, explanation in applied[i]:
                limit = (swap if one.style == "counterfactual" else removal)[i]
                rows.append(self._row(item, one, explanation, known[i], limit[one.size]))
        return rows

    def _known(self, index: int) -> Verdicts:
        """Return the verdicts already in the table and the grid, by edited text."""
        grid = self.grid[index] if self.grid else None
        inserted = self.plan.pinned[grid.named] if grid else ()
        return verdicts(self.items[index].example.text, self.table[index], self.filler, grid, inserted)

    def _bounds(self, said: Sequence[Sequence[Said]]) -> tuple[list[dict[int, free.Bounds]], ...]:
        """Return the floors and ceilings by size: of taking words out, and of replacing them."""
        removal = [
            free.removal_case(item, table, self.filler, _sizes(mine, {"attribution", "redaction"}))
            for item, table, mine in zip(self.items, self.table, said, strict=True)
        ]
        swap = [
            free.swap_case(item, grid, _sizes(mine, {"counterfactual"}))
            for item, grid, mine in zip(self.items, self.grid, said, strict=False)
        ]
        seed = self.plan.seed
        return free.bounds(self.classifier, removal, seed), free.bounds(self.classifier, swap, seed)

    def _row(
        self,
        item: Item,
        said: Said,
        explanation: Explanation,
        known: Verdicts,
        limit: free.Bounds,
    ) -> Row:
        prediction = item.prediction
        named = prediction.runner_up if said.style == "counterfactual" else None
        after, fall = known[explanation.edited] if explanation.edited is not None else (None, None)
        return Row(
            id=item.example.id,
            task=self.classifier.task.name,
            arm=self.plan.arm,
            seed=self.plan.seed,
            style=said.style,
            setting=said.setting,
            readout=said.readout,
            operator=self.operator,
            gold=item.example.label,
            prediction=prediction.label,
            raw_prediction=prediction.raw_label,
            margin=prediction.margin,
            named=named,
            reply=said.reply,
            words=explanation.words,
            inserted=explanation.inserted,
            edited=explanation.edited,
            reason=explanation.reason,
            recheck=after,
            drop=fall,
            hit=hits(after, prediction.label, named),
            floor=limit.floor,
            ceiling=limit.ceiling,
        )


def _removals(said: Sequence[Said]) -> list[Said]:
    return [one for one in said if one.style != "counterfactual"]


def _sizes(said: Sequence[Said], among: set[str]) -> frozenset[int]:
    return frozenset(one.size for one in said if one.style in among and one.size > 1)
