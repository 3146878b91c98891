"""The explanations of an audit, judged once more: by other questions, in other batches, in other wordings.

Nothing is read or written here: ``robustness.stages`` says what is computed, and keeps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from saywhy.checks import Judged
from saywhy.measure import readouts
from saywhy.measure.bounds import Bounds, Outcome
from saywhy.measure.edits import Item, every_edit, items_of, stand_in
from saywhy.measure.predict import Classifier
from saywhy.measure.verdicts import Verdict, judge_edits, verdict_of
from saywhy.protocol import prompts, styles
from saywhy.records import CounterfactualGrid, Explanation, Operator, Prediction, Row, Table, is_hit
from saywhy.robustness.audited import AuditedText
from saywhy.stats.effects import edit_effects
from saywhy.tasks.lexicon import Pinned


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
            limits = _limits(grids[number] if row.named else tables[operator][number])
            lines.append(_judged(row, variation, item.prediction, verdict, limits))
    return lines


def _limits(record: Table | CounterfactualGrid) -> Bounds:
    """Return what a random edit of a text does, and the best one."""
    outcomes = [Outcome(*outcome) for outcome in zip(record.hits(), edit_effects(record), strict=True)]
    return Bounds.of(outcomes, max(outcomes))


def _judged(row: Row, variation: str, before: Prediction, verdict: Verdict | None, limits: Bounds | Row) -> Judged:
    label, fall, rise = verdict or (None, None, None)
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
        floor=limits.floor,
        ceiling=limits.ceiling,
        effect=rise if row.named else fall,
        effect_floor=limits.effect_floor,
        effect_ceiling=limits.effect_ceiling,
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
                # A counterfactual was to bring the label about that was named then, whichever is the second one now.
                asked = replace(before, runner_up=row.named) if row.named else before
                verdict = verdict_of(asked, after[row.edited])
            lines.append(_judged(row, "noise", before, verdict, row))
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
        answers = readouts.constrained(classifier.model, classifier.task, items, asked, pinned, wordings=wordings)[
            "constrained"
        ]
        edits = [
            [_edited(of_text[row.style].explanation, row, item, filler) for row in of_rows]
            for of_text, of_rows, item in zip(answers, rows, items, strict=True)
        ]
        verdicts = judge_edits(classifier, items, operator, tables, grids, pinned, edits)
        for number, of_rows in enumerate(rows):
            lines[number] += [
                _judged(row, variation, items[number].prediction, verdicts[number][edited], row)
                for row, edited in zip(of_rows, edits[number], strict=True)
            ]
    return [line for of_text in lines for line in of_text]


def _edited(explanation: Explanation, row: Row, item: Item, filler: str) -> str:
    """Return the text that a constrained explanation leaves; it always leaves one."""
    return str(styles.apply_operator(explanation, row.style, item.example.text, filler).edited)
