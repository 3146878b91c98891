"""Who predicts the model's answers to edited texts: a lexical rule, and an untrained model that reads explanations."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from typing import NamedTuple

from saywhy.measure.chats import fitting_predictions
from saywhy.measure.edits import Item, stand_in
from saywhy.measure.predict import Classifier
from saywhy.protocol import prompts
from saywhy.records import Table
from saywhy.stats.simulation import PredictedEdits
from saywhy.words import take_out

SIMULATED_EDITS = 4
"""Edits of a text, of those that change the answer and of those that do not, that the untrained model predicts."""


def lexical_predictions(table: Table, mentioned: Collection[str]) -> PredictedEdits:
    """Return what the rule *the answer changes if a mentioned word is touched* says of every edit of a table.

    With no words it is the control *the label alone*: the answer stays, whatever is touched.
    """
    return [(changed, word in mentioned) for word, changed in zip(table.words, table.hits(), strict=True)]


class SimulatedEdit(NamedTuple):
    """An edited text of which a model is to predict the answer.

    Attributes:
        text: The edited text.
        label: The answer that it got.
    """

    text: str
    label: str


def simulated_edits(item: Item, table: Table, filler: str, seed: int) -> list[SimulatedEdit]:
    """Return the edits of a text that are predicted: as many that change the answer as do not, where there are."""
    draw = random.Random(f"simulated:{seed}:{item.example.id}")
    kinds = [[i for i, changed in enumerate(table.hits()) if changed == kind] for kind in (True, False)]
    drawn = [i for kind in kinds for i in sorted(draw.sample(kind, min(SIMULATED_EDITS, len(kind))))]
    return [SimulatedEdit(take_out(item.example.text, {table.words[i]}, filler), table.labels[i]) for i in drawn]


def simulated_predictions(
    simulator: Classifier,
    items: Sequence[Item],
    tables: Sequence[Table],
    explanations: Sequence[Sequence[str | None]],
    seed: int,
) -> list[list[PredictedEdits]]:
    """Return whether an untrained model predicts the answers to edited texts, with each explanation of each text.

    It reads text, answer and explanation as a chat, and is then asked about the edited text (counterfactual
    simulatability, Chen et al., ICML 2024, without people).

    Args:
        simulator: The untrained model, with its own calibration.
        items: Texts and the explained model's predictions.
        tables: The explained model's tables under one operator: its answers to the edits.
        explanations: What is given beside text and answer, for each text; None: nothing (*the label alone*).
        seed: Seed of the edits.

    Returns:
        By text and explanation; an edit whose chat does not fit the model's context is left out.
    """
    task = simulator.task
    filler = stand_in(task, tables[0].operator) if tables else ""
    edits = [simulated_edits(item, table, filler, seed) for item, table in zip(items, tables, strict=True)]
    chats = [
        prompts.simulation_chat(task, item.example, item.prediction.label, explanation, edit.text)
        for item, of_text, given in zip(items, edits, explanations, strict=True)
        for explanation in given
        for edit in of_text
    ]
    predictions = iter(fitting_predictions(simulator, chats))
    return [
        [
            [
                (edit.label != item.prediction.label, predicted.label != item.prediction.label)
                for edit in of_text
                if (predicted := next(predictions)) is not None
            ]
            for _ in given
        ]
        for item, of_text, given in zip(items, edits, explanations, strict=True)
    ]


class GivenExplanation(NamedTuple):
    """An explanation that is given as a control, in place of a text's own.

    Attributes:
        id: The text that it explains.
        label: The answer that it explains.
        explanation: The explanation.
    """

    id: str
    label: str
    explanation: str


def other_explanations(item: Item, pool: Sequence[GivenExplanation], seed: int) -> tuple[str | None, str | None]:
    """Return two controls of a text's explanation: that of another text, and that of another with the same answer.

    They are drawn by seed and text among all explained texts, so they do not depend on who is measured at once.

    Args:
        item: The text, with its prediction.
        pool: The explanations of all texts, that of this one included.
        seed: Seed of the run.

    Returns:
        None where there is none.
    """
    draw = random.Random(f"control:{seed}:{item.example.id}")
    others = [given for given in pool if given.id != item.example.id]
    alike = [given for given in others if given.label == item.prediction.label]
    any_other, same_answer = (draw.choice(kind).explanation if kind else None for kind in (others, alike))
    return any_other, same_answer
