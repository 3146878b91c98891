"""What was said in an audit, judged once more: by other questions, in other batches, with more or fewer words.

Pure of files: ``robustness`` says what is computed, and keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from saywhy.checks import MOST_SPARED, SIZES, Curve, Judged, Probe, Spare
from saywhy.measure import bounds as free
from saywhy.measure import readouts
from saywhy.measure.edits import Item, drop, every_edit, hits, recheck, stand_in, verdicts
from saywhy.measure.predict import Classifier
from saywhy.protocol import prompts, styles
from saywhy.records import Example, Explanation, Operator, Prediction, Row, Table
from saywhy.tasks.lexicon import Pinned
from saywhy.words import take_out


@dataclass(frozen=True, slots=True)
class Case:
    """A text of the audit with what was said about it under the primary operator.

    Attributes:
        item: The text with the audit's prediction (its label and margin; rows keep no other scores).
        rows: The rows of the primary operator.
        table: The leave-one-word-out table of that operator.
    """

    item: Item
    rows: tuple[Row, ...]
    table: Table

    @property
    def one_word(self) -> list[Row]:
        """The rows of the one-word setting."""
        return [row for row in self.rows if row.setting == "one-word"]


def cases(
    examples: Sequence[Example], rows: Sequence[Row], tables: Sequence[Table], operator: Operator
) -> dict[str, Case]:
    """Return what an audit found under one operator, by text; a text without rows is left out."""
    by_text: dict[str, list[Row]] = {}
    for row in rows:
        if row.operator == operator:
            by_text.setdefault(row.id, []).append(row)
    found = {table.id: table for table in reversed(tables) if table.operator == operator}
    return {
        one.id: Case(Item(one, _prediction(by_text[one.id])), tuple(by_text[one.id]), found[one.id])
        for one in examples
        if one.id in by_text
    }


def _prediction(rows: Sequence[Row]) -> Prediction:
    """Return what rows keep of a prediction: no scores, a runner-up only where a counterfactual names one."""
    named = next((row.named for row in rows if row.named), "")
    return Prediction(rows[0].prediction, rows[0].raw_prediction, {}, rows[0].margin, named)


def judged_by(
    classifier: Classifier, cases: Sequence[Case], variation: str, operator: Operator, pinned: Pinned
) -> list[Judged]:
    """Judge the one-word explanations of ``cases`` by ``classifier``: prediction, table, grid, recheck.

    A counterfactual keeps the label that it named; its floor is that of the pinned words of that label.
    """
    examples = [one.item.example for one in cases]
    fresh = classifier.predict_examples(examples)
    named = [one.item.prediction.runner_up for one in cases]
    items = [Item(e, replace(p, runner_up=n)) for e, p, n in zip(examples, fresh, named, strict=True)]
    made, grids = every_edit(classifier, items, (operator,), pinned if all(named) else None)
    filler = stand_in(classifier.task, operator)
    known = [
        verdicts(item.example.text, table, filler, grid, pinned[grid.named] if grid else ())
        for item, table, grid in zip_longest(items, made[operator], grids)
    ]
    pending = [
        list(dict.fromkeys(row.edited for row in one.one_word if row.edited is not None and row.edited not in mine))
        for one, mine in zip(cases, known, strict=True)
    ]
    for item, mine, texts, found in zip(items, known, pending, recheck(classifier, items, pending), strict=True):
        mine |= {text: (after.label, drop(item.prediction, after)) for text, after in zip(texts, found, strict=True)}
    lines = []
    for at, (one, item) in enumerate(zip(cases, items, strict=True)):
        for row in one.one_word:
            after = known[at].get(row.edited) if row.edited is not None else None
            bound = grids[at].hits() if row.named else made[operator][at].hits()
            lines.append(_judged(row, variation, item.prediction, after, sum(bound) / len(bound), any(bound)))
    return lines


def _judged(
    row: Row, variation: str, before: Prediction, after: tuple[str, float] | None, floor: float, ceiling: bool
) -> Judged:
    label, fall = after or (None, None)
    return Judged(
        id=row.id,
        arm=row.arm,
        seed=row.seed,
        variation=variation,
        style=row.style,
        setting=row.setting,
        readout=row.readout,
        operator=row.operator,
        prediction=before.label,
        margin=before.margin,
        recheck=label,
        drop=fall,
        hit=hits(label, before.label, row.named),
        floor=floor,
        ceiling=ceiling,
    )


def rechecked(classifier: Classifier, cases: Sequence[Case]) -> list[Judged]:
    """Classify the unchanged texts and the edited ones once more, last one first, in batches of only these."""
    texts = [
        dict.fromkeys([one.item.example.text, *(row.edited for row in one.one_word if row.edited is not None)])
        for one in cases
    ]
    wanted = [(text, one.item.example.context) for one, mine in zip(cases, texts, strict=True) for text in mine]
    found = iter(reversed(classifier.predict(wanted[::-1])))
    lines = []
    for one, mine in zip(cases, texts, strict=True):
        after = {text: next(found) for text in mine}
        before = after[one.item.example.text]
        for row in one.one_word:
            again = None if row.edited is None else (after[row.edited].label, drop(before, after[row.edited]))
            lines.append(_judged(row, "noise", before, again, row.floor, row.ceiling))
    return lines


def curves(
    classifier: Classifier, cases: Sequence[Case], operator: Operator, seed: int, counts: Mapping[str, int]
) -> list[Curve]:
    """Take out ``SIZES`` words of each text: those with the highest scores, random ones, the greedy best.

    Args:
        classifier: Who classifies, and whose constrained attribution readout gives the scores.
        cases: The texts, with their tables.
        operator: How words are taken out.
        seed: Seed of the random sets.
        counts: In how many texts of a corpus each word stands.
    """
    items, filler = [one.item for one in cases], stand_in(classifier.task, operator)
    scores = readouts.word_scores(classifier.model, classifier.task, items)
    several = [size for size in SIZES if size > 1]
    limits = free.bounds(
        classifier, [free.removal_case(one.item, one.table, filler, frozenset(several)) for one in cases], seed
    )
    ranked = [sorted(mine, key=lambda key: -mine[key]) for mine in scores]
    edits = [
        [take_out(one.item.example.text, order[:size], filler) for size in several]
        for one, order in zip(cases, ranked, strict=True)
    ]
    found = []
    for one, mine, order, limit, after in zip(
        cases, scores, ranked, limits, recheck(classifier, items, edits), strict=True
    ):
        single = one.table.hits()[one.table.words.index(order[0])]
        named = (single, *(hits(each.label, one.item.prediction.label, None) for each in after))
        best, luck = zip(*((limit[size].ceiling, limit[size].floor) for size in SIZES), strict=True)
        row, words = one.rows[0], one.table.words
        of_words = tuple(mine[key] for key in words), tuple(counts.get(key, 0) for key in words)
        found.append(Curve(row.id, row.arm, row.seed, operator, words, *of_words, SIZES, named, best, luck))
    return found


def spares(classifier: Classifier, cases: Sequence[Case], operator: Operator) -> list[Spare]:
    """Return which words of each free removal that hits could have stayed; of a single word none could."""
    filler = stand_in(classifier.task, operator)
    wanted = [
        [
            row
            for row in one.rows
            if row.setting == "free" and row.style != "counterfactual" and row.hit and len(row.words) <= MOST_SPARED
        ]
        for one in cases
    ]
    edits = [
        [
            take_out(one.item.example.text, [other for other in row.words if other != word], filler)
            for row in rows
            if len(row.words) > 1
            for word in row.words
        ]
        for one, rows in zip(cases, wanted, strict=True)
    ]
    items, lines = [one.item for one in cases], []
    for rows, found in zip(wanted, recheck(classifier, items, edits), strict=True):
        after = iter(found)
        for row in rows:
            back = [next(after) for _ in row.words] if len(row.words) > 1 else []
            spare = tuple(hits(one.label, row.prediction, None) for one in back) or (False,)
            lines.append(Spare(row.id, row.arm, row.seed, row.style, row.readout, row.operator, row.words, spare))
    return lines


def rewrites(classifier: Classifier, cases: Sequence[Case]) -> list[Probe]:
    """Ask for other words of the same meaning (generated), and classify what comes."""
    asks = [prompts.rewrite(classifier.task) for _ in cases]
    return _probed(classifier, cases, "rewrite", asks, styles.rewritten)


def wrong_targets(classifier: Classifier, cases: Sequence[Case]) -> list[Probe]:
    """Ask for a counterfactual towards the answer that was given (generated), and classify what comes."""
    words = tuple(classifier.task.labels.values())
    asks = [prompts.request(classifier.task, "counterfactual", "one-word", one.item.prediction.label) for one in cases]

    def read(text: str, reply: str) -> Explanation:
        return styles.read("counterfactual", "one-word", text, reply, words)

    return _probed(classifier, cases, "wrong-target", asks, read)


def _probed(
    classifier: Classifier,
    cases: Sequence[Case],
    request: str,
    asks: Sequence[prompts.Message],
    read: Callable[[str, str], Explanation],
) -> list[Probe]:
    items, rows = [one.item for one in cases], [one.rows[0] for one in cases]
    asked = [readouts.conversation(classifier.task, item, ask) for item, ask in zip(items, asks, strict=True)]
    texts = [item.example.text for item in items]
    rooms = [readouts.reply_room(text, "counterfactual", "one-word") for text in texts]
    replies = classifier.model.generate(asked, rooms, copied=texts)
    found = [read(text, reply) for text, reply in zip(texts, replies, strict=True)]
    rechecked = recheck(classifier, items, [[one.edited] if one.edited is not None else [] for one in found])
    probes = []
    for item, row, reply, one, after in zip(items, rows, replies, found, rechecked, strict=True):
        before = item.prediction
        label, fall = (after[0].label, drop(before, after[0])) if after else (None, None)
        moved = hits(label, before.label, None)
        probes.append(Probe(row.id, row.arm, row.seed, request, before.label, reply, one.edited, one.reason,
                            label, fall, moved))  # fmt: skip
    return probes
