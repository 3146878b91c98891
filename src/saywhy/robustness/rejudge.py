"""The explanations of an audit, judged once more: by other questions, in other batches, with more or fewer words.

Nothing is read or written here: ``robustness.stages`` says what is computed, and keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from saywhy.checks import K_CURVE_SIZES, MOST_SPARED, Curve, Judged, Probe, Spare
from saywhy.measure import readouts
from saywhy.measure.bounds import open_removals, size_bounds
from saywhy.measure.chats import conversation
from saywhy.measure.edits import Item, every_edit, items_of, log_odds_drop, recheck, stand_in
from saywhy.measure.likelihoods import word_scores
from saywhy.measure.predict import Classifier
from saywhy.measure.rooms import reply_room
from saywhy.measure.verdicts import Verdict, judge_edits, verdict_of
from saywhy.protocol import prompts, styles
from saywhy.records import CounterfactualGrid, Example, Explanation, Operator, Prediction, Row, Table, is_hit
from saywhy.tasks.lexicon import Pinned
from saywhy.words import take_out


@dataclass(frozen=True, slots=True)
class AuditedText:
    """A text of the audit with its explanations under the primary operator.

    Attributes:
        item: The text with the audit's prediction (its label and margin; rows keep no other scores).
        rows: The rows of the primary operator.
        table: The leave-one-word-out table of that operator.
        grid: The counterfactuals; None where none were asked for.
    """

    item: Item
    rows: tuple[Row, ...]
    table: Table
    grid: CounterfactualGrid | None = None

    @property
    def one_word(self) -> list[Row]:
        """The rows of the one-word setting."""
        return [row for row in self.rows if row.setting == "one-word"]

    @property
    def edits(self) -> list[str]:
        """The edited texts of the one-word setting."""
        return [row.edited for row in self.one_word if row.edited is not None]


def audited_texts(
    examples: Sequence[Example],
    rows: Sequence[Row],
    tables: Sequence[Table],
    grids: Sequence[CounterfactualGrid],
    operator: Operator,
) -> dict[str, AuditedText]:
    """Return what an audit says under one operator, by text; a text without rows is left out."""
    rows_by_text: dict[str, list[Row]] = {}
    for row in rows:
        if row.operator == operator:
            rows_by_text.setdefault(row.id, []).append(row)
    table_of = {table.id: table for table in reversed(tables) if table.operator == operator}
    grid_of = {grid.id: grid for grid in grids}
    return {
        example.id: AuditedText(
            Item(example, _prediction(of_text)), tuple(of_text), table_of[example.id], grid_of.get(example.id)
        )
        for example in examples
        if (of_text := rows_by_text.get(example.id))
    }


def _prediction(rows: Sequence[Row]) -> Prediction:
    """Return what rows keep of a prediction: no scores, a runner-up only where a counterfactual names one."""
    named = next((row.named for row in rows if row.named), "")
    return Prediction(rows[0].prediction, rows[0].raw_prediction, {}, rows[0].margin, named)


def judged_by(
    classifier: Classifier, texts: Sequence[AuditedText], variation: str, operator: Operator, pinned: Pinned
) -> list[Judged]:
    """Judge the one-word explanations of ``texts`` by ``classifier``: prediction, table, grid, recheck.

    A counterfactual keeps the label that it named; its floor is that of the pinned words of that label.
    """
    named = [text.item.prediction.runner_up for text in texts]
    items = [
        replace(item, prediction=replace(item.prediction, runner_up=label))
        for item, label in zip(items_of(classifier, [text.item.example for text in texts]), named, strict=True)
    ]
    tables, grids = every_edit(classifier, items, (operator,), pinned if all(named) else None)
    edits = [text.edits for text in texts]
    verdicts = judge_edits(classifier, items, operator, tables[operator], grids, pinned, edits)
    lines = []
    for number, (text, item) in enumerate(zip(texts, items, strict=True)):
        for row in text.one_word:
            verdict = verdicts[number].get(row.edited) if row.edited is not None else None
            hits = grids[number].hits() if row.named else tables[operator][number].hits()
            lines.append(_judged(row, variation, item.prediction, verdict, sum(hits) / len(hits), any(hits)))
    return lines


def _judged(
    row: Row, variation: str, before: Prediction, verdict: Verdict | None, floor: float, ceiling: bool
) -> Judged:
    label, fall = (verdict.label, verdict.drop) if verdict else (None, None)
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
        hit=is_hit(label, before.label, row.named),
        floor=floor,
        ceiling=ceiling,
    )


def rechecked(classifier: Classifier, texts: Sequence[AuditedText]) -> list[Judged]:
    """Classify the unchanged texts and the edited ones once more, last one first, in batches of only these."""
    distinct = [list(dict.fromkeys([text.item.example.text, *text.edits])) for text in texts]
    inputs = [
        (edited, text.item.example.context) for text, edits in zip(texts, distinct, strict=True) for edited in edits
    ]
    predictions = iter(reversed(classifier.predict(inputs[::-1])))
    lines = []
    for text, edits in zip(texts, distinct, strict=True):
        after = {edited: next(predictions) for edited in edits}
        before = after[text.item.example.text]
        for row in text.one_word:
            verdict = None
            if row.edited is not None:
                verdict = verdict_of(before, after[row.edited])
            lines.append(_judged(row, "noise", before, verdict, row.floor, row.ceiling))
    return lines


def asked_anew(
    classifier: Classifier, texts: Sequence[AuditedText], operator: Operator, pinned: Pinned
) -> list[Judged]:
    """Ask for the constrained explanations in wordings that are never practised; the audit's verdicts judge them.

    Every one-word edit stands in the audit's table or grid, so that nothing is classified again.
    """
    items, filler = [text.item for text in texts], stand_in(classifier.task, operator)
    rows = [[row for row in text.one_word if row.readout == "constrained"] for text in texts]
    asked = list(dict.fromkeys(row.style for of_text in rows for row in of_text))
    tables, grids = [text.table for text in texts], [text.grid for text in texts if text.grid]
    lines: list[list[Judged]] = [[] for _ in texts]
    for variation, wordings in prompts.unseen_requests().items():
        answers = readouts.constrained(classifier.model, classifier.task, items, asked, pinned, wordings=wordings)
        edits = [
            [_edited(of_text[row.style].explanation, row, item, filler) for row in of_rows]
            for of_text, of_rows, item in zip(answers, rows, items, strict=True)
        ]
        verdicts = judge_edits(classifier, items, operator, tables, grids, pinned, edits)
        for number, of_rows in enumerate(rows):
            lines[number] += [
                _judged(row, variation, items[number].prediction, verdicts[number][edited], row.floor, row.ceiling)
                for row, edited in zip(of_rows, edits[number], strict=True)
            ]
    return [line for of_text in lines for line in of_text]


def _edited(explanation: Explanation, row: Row, item: Item, filler: str) -> str:
    """Return the text that a constrained explanation leaves; it always leaves one."""
    return str(styles.apply_operator(explanation, row.style, item.example.text, filler).edited)


def curves(
    classifier: Classifier, texts: Sequence[AuditedText], operator: Operator, seed: int, counts: Mapping[str, int]
) -> list[Curve]:
    """Take out ``K_CURVE_SIZES`` words of each text: those with the highest scores, random ones, the greedy best.

    Args:
        classifier: Who classifies, and whose constrained attribution readout gives the scores.
        texts: The texts, with their tables.
        operator: How words are taken out.
        seed: Seed of the random sets.
        counts: In how many texts of a corpus each word stands.
    """
    items, filler = [text.item for text in texts], stand_in(classifier.task, operator)
    scores = word_scores(classifier.model, classifier.task, items)
    several = [size for size in K_CURVE_SIZES if size > 1]
    removals = [open_removals(text.item, text.table, filler, frozenset(several)) for text in texts]
    limits = size_bounds(classifier, removals, seed)
    ranked = [sorted(of_text, key=lambda key: -of_text[key]) for of_text in scores]
    edits = [
        [take_out(text.item.example.text, words[:size], filler) for size in several]
        for text, words in zip(texts, ranked, strict=True)
    ]
    rechecks = recheck(classifier, items, edits)
    lines = []
    for text, of_text, best_first, limit, after in zip(texts, scores, ranked, limits, rechecks, strict=True):
        single = text.table.hits()[text.table.words.index(best_first[0])]
        hits = (single, *(is_hit(prediction.label, text.item.prediction.label) for prediction in after))
        best, random = zip(*((limit[size].ceiling, limit[size].floor) for size in K_CURVE_SIZES), strict=True)
        row, words = text.rows[0], text.table.words
        of_words = tuple(of_text[key] for key in words), tuple(counts.get(key, 0) for key in words)
        lines.append(Curve(row.id, row.arm, row.seed, operator, words, *of_words, K_CURVE_SIZES, hits, best, random))
    return lines


def spares(classifier: Classifier, texts: Sequence[AuditedText], operator: Operator) -> list[Spare]:
    """Return which words of each free removal that hits could have stayed; of a single word none could."""
    filler = stand_in(classifier.task, operator)
    removals = [
        [
            row
            for row in text.rows
            if row.setting == "free" and row.style != "counterfactual" and row.hit and len(row.words) <= MOST_SPARED
        ]
        for text in texts
    ]
    edits = [
        [
            take_out(text.item.example.text, [other for other in row.words if other != word], filler)
            for row in rows
            if len(row.words) > 1
            for word in row.words
        ]
        for text, rows in zip(texts, removals, strict=True)
    ]
    rechecks = recheck(classifier, [text.item for text in texts], edits)
    lines = []
    for rows, predictions in zip(removals, rechecks, strict=True):
        after = iter(predictions)
        for row in rows:
            without_each = [next(after) for _ in row.words] if len(row.words) > 1 else []
            spare = tuple(is_hit(prediction.label, row.prediction) for prediction in without_each) or (False,)
            lines.append(Spare(row.id, row.arm, row.seed, row.style, row.readout, row.operator, row.words, spare))
    return lines


def rewrites(classifier: Classifier, texts: Sequence[AuditedText]) -> list[Probe]:
    """Ask for other words of the same meaning (generated), and classify what comes."""
    requests = [prompts.rewrite_turn(classifier.task) for _ in texts]
    return _probes(classifier, texts, "rewrite", requests, styles.read_rewrite)


def wrong_targets(classifier: Classifier, texts: Sequence[AuditedText]) -> list[Probe]:
    """Ask for a counterfactual towards the answer that was given (generated), and classify what comes."""
    label_words = tuple(classifier.task.labels.values())
    requests = [
        prompts.request_turn(classifier.task, "counterfactual", "one-word", text.item.prediction.label)
        for text in texts
    ]

    def read(text: str, reply: str) -> Explanation:
        return styles.read_reply("counterfactual", "one-word", text, reply, label_words, classifier.task.plan)

    return _probes(classifier, texts, "wrong-target", requests, read)


def _probes(
    classifier: Classifier,
    audited: Sequence[AuditedText],
    name: str,
    requests: Sequence[prompts.Message],
    read: Callable[[str, str], Explanation],
) -> list[Probe]:
    items, rows = [text.item for text in audited], [text.rows[0] for text in audited]
    chats = [conversation(classifier.task, item, ask) for item, ask in zip(items, requests, strict=True)]
    texts = [item.example.text for item in items]
    rooms = [reply_room(text, "counterfactual", "one-word", classifier.task.plan) for text in texts]
    replies = classifier.model.generate(chats, rooms, copied=texts)
    explanations = [read(text, reply) for text, reply in zip(texts, replies, strict=True)]
    edits = [[explanation.edited] if explanation.edited is not None else [] for explanation in explanations]
    rechecks = recheck(classifier, items, edits)
    probes = []
    for item, row, reply, explanation, after in zip(items, rows, replies, explanations, rechecks, strict=True):
        before = item.prediction
        label, fall = (after[0].label, log_odds_drop(before, after[0])) if after else (None, None)
        probes.append(
            Probe(
                row.id,
                row.arm,
                row.seed,
                name,
                before.label,
                reply,
                explanation.edited,
                explanation.reason,
                label,
                fall,
                is_hit(label, before.label),
            )
        )
    return probes
