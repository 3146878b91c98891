"""Feature attribution: which words moved the predicted label's margin, one score a distinct word.

``METHODS`` maps a name to how it is called: with the classifier, the items, and their leave-one-out tables.

>>> sorted(METHODS)
['gradient_x_input', 'occlusion']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from saywhy.edits import Item
from saywhy.predict import Classifier
from saywhy.records import Table, WordScores

Method = Callable[[Classifier, Sequence[Item], Sequence[Table]], list[WordScores]]


def _occlusion(classifier: Classifier, items: Sequence[Item], tables: Sequence[Table]) -> list[WordScores]:
    from saywhy.attribution.occlusion import occlusion

    return occlusion(tables)


def _gradient_x_input(classifier: Classifier, items: Sequence[Item], tables: Sequence[Table]) -> list[WordScores]:
    from saywhy.attribution.gradients import gradient_x_input

    return gradient_x_input(classifier, items)


METHODS: Mapping[str, Method] = {"occlusion": _occlusion, "gradient_x_input": _gradient_x_input}
"""Every method. A new one is a function of (classifier, items, tables); torch is loaded when it is called."""
