"""The explanations of several words of an arm, judged by the frozen start model: its answer, its random and best sets.

Words by themselves need no such thing: the start model's tables and grids hold them (``stats.start_effects``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from typing import Any

from saywhy.checks import Judged, judge_name
from saywhy.measure.answers import Answer
from saywhy.measure.audit import AuditPlan, judge_answers
from saywhy.measure.edits import items_of
from saywhy.measure.predict import Classifier
from saywhy.records import Example, Explanation, Row

_SHARED_FIELDS = tuple(field.name for field in fields(Judged) if field.name != "variation")
"""What a verdict has of the row in which it is found."""


def asks_for_several_words(settings: Collection[str]) -> bool:
    """Whether explanations of several words are among those that are asked for: free ones, or sentences."""
    return bool(set(settings) - {"one-word"})


def judged_by_start(
    start: Classifier, name: str, examples: Sequence[Example], rows: Sequence[Row], plan: AuditPlan
) -> list[Judged]:
    """Judge an arm's explanations of several words by the start model, as if it had given them.

    A counterfactual towards another label than the start model would be asked for has no effects.

    Args:
        start: The start model.
        name: What its arm is called.
        examples: The texts.
        rows: The rows of the arm, also of other texts.
        plan: What the audit asked for: its operators, and the seed of the random sets.
    """
    asked = [row for row in rows if row.setting != "one-word" and row.operator == plan.operators[0]]
    by_text: dict[str, list[Row]] = {example.id: [] for example in examples}
    for row in asked:
        if row.id in by_text:
            by_text[row.id].append(row)
    answers = [[_answer(row) for row in by_text[example.id]] for example in examples]
    judged = judge_answers(start, items_of(start, examples), answers, plan).rows
    named = {_way(row): row.named for row in asked}
    return [_verdict(row, judge_name(name), gradable=row.named == named[_way(row)]) for row in judged]


def _answer(row: Row) -> Answer:
    """Return a row's explanation as it was before it was judged."""
    explanation = Explanation(row.words, row.edited, row.inserted, row.reason)
    return Answer(row.style, row.setting, row.readout, row.reply, explanation)


def _way(row: Row) -> tuple[str, ...]:
    return row.id, row.style, row.setting, row.readout


def _verdict(row: Row, variation: str, *, gradable: bool) -> Judged:
    """Return a row that the start model judged as its verdict on that of the arm."""
    shared: dict[str, Any] = {name: getattr(row, name) for name in _SHARED_FIELDS}
    verdict = Judged(**shared, variation=variation)
    return verdict if gradable else replace(verdict, effect=None, effect_floor=None, effect_ceiling=None)
