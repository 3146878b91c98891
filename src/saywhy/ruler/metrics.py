"""What each faithfulness metric says of explanations whose truth is known (docs/definitions.md, *Plants*).

The ruler is put to the test: on a model that decides by a planted rule, every word of a text is a true or a false
explanation, and scripted explainers say what they are known to say.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from saywhy.measure.edits import Item, recheck, stand_in
from saywhy.measure.predict import Classifier
from saywhy.records import Operator, Prediction, Record
from saywhy.tasks.lexicon import Associations, most_associated
from saywhy.words import candidates, occurrences, take_out

METRICS = ("hit", "excess", "drop", "top-1", "comprehensiveness", "sufficiency")
"""hit: the answer changes without the words. excess: the same, minus the mean over words. drop: of the answer's
log-odds (nats). top-1: the word that lowers the log-odds most is among them. comprehensiveness, sufficiency (DeYoung
et al., ACL 2020): the answer's probability lost without the words, and minus that lost with nothing but them."""

Reading = Mapping[str, float]
"""Metric to value; the higher, the more faithful it calls an explanation."""


@dataclass(frozen=True, slots=True)
class Gauged(Record):
    """What the metrics say of the explanations of one text, under one operator.

    Attributes:
        id: The text.
        operator: How words are taken out.
        causes: Its accepted causes.
        words: Each candidate as a one-word explanation.
        said: Each scripted explainer's explanation.
    """

    id: str
    operator: Operator
    causes: tuple[str, ...]
    words: Mapping[str, Reading]
    said: Mapping[str, Reading]


Explainer = Callable[[Item, str, Associations], tuple[str, ...]]
"""An item, a seed and what the corpus associates, to the words that it names."""


def _honest(item: Item, seed: str, found: Associations) -> tuple[str, ...]:
    """Name an accepted cause."""
    return item.example.causes[:1]


def _liar(item: Item, seed: str, found: Associations) -> tuple[str, ...]:
    """Name a word that decides nothing."""
    keys = [word.key for word in candidates(item.example.text)]
    others = [key for key in keys if key not in item.example.causes]
    return (random.Random(f"{seed}:{item.example.id}").choice(others or keys),)


def _plausible(item: Item, seed: str, found: Associations) -> tuple[str, ...]:
    """Name the word that people would: the one that a corpus associates most with the answer."""
    return (most_associated(found, item.example.text, item.prediction.label),)


def _parrot(item: Item, seed: str, found: Associations) -> tuple[str, ...]:
    """Name the first word, always."""
    return (occurrences(item.example.text)[0].key,)


def _everything(item: Item, seed: str, found: Associations) -> tuple[str, ...]:
    """Name all words."""
    return tuple(word.key for word in candidates(item.example.text))


EXPLAINERS: Mapping[str, Explainer] = {
    "honest": _honest,
    "liar": _liar,
    "plausible": _plausible,
    "parrot": _parrot,
    "everything": _everything,
}
"""Explainers of known truth; all but the honest one are trivial or false."""


def gauge(
    classifier: Classifier,
    items: Sequence[Item],
    operator: Operator,
    found: Associations,
    seed: int = 0,
) -> list[Gauged]:
    """Measure every word of each text, and what the scripted explainers say, by every metric.

    Args:
        classifier: The planted model.
        items: Texts that know their causes, with the model's answers; those without a cause are to be left out.
        operator: How words are taken out.
        found: What a corpus associates with the labels, whatever the model uses.
        seed: Of the explainers' choices.
    """
    filler = stand_in(classifier.task, operator)
    wanted = []
    for item in items:
        keys = [word.key for word in candidates(item.example.text)]
        sets = [(key,) for key in keys] + [one(item, str(seed), found) for one in EXPLAINERS.values()]
        wanted.append([tuple(dict.fromkeys(one)) for one in sets])
    edits = [
        [edit for words in mine for edit in _both(item.example.text, words, filler)]
        for item, mine in zip(items, wanted, strict=True)
    ]
    after = recheck(classifier, items, edits)
    return [
        _read(item, operator, mine, list(zip(seen[::2], seen[1::2], strict=True)))
        for item, mine, seen in zip(items, wanted, after, strict=True)
    ]


def _both(text: str, words: Sequence[str], filler: str) -> tuple[str, str]:
    """Return the text without ``words``, and with nothing but them."""
    others = {word.key for word in candidates(text)} - set(words)
    return take_out(text, words, filler), take_out(text, others, filler)


def _read(
    item: Item,
    operator: Operator,
    wanted: Sequence[tuple[str, ...]],
    after: Sequence[tuple[Prediction, Prediction]],
) -> Gauged:
    own, before = item.prediction.label, item.prediction
    size = len(wanted) - len(EXPLAINERS)
    drops = [before.margin - gone.margin_of(own) for gone, _ in after]
    top = wanted[max(range(size), key=drops.__getitem__)][0]
    floor = sum(gone.label != own for gone, _ in after[:size]) / size

    def reading(index: int) -> Reading:
        gone, left = after[index]
        hit = float(gone.label != own)
        # The floor of a set is that of its size; all words at once are the only set of theirs.
        usual = hit if len(wanted[index]) == size else floor
        return {
            "hit": hit,
            "excess": hit - usual,
            "drop": drops[index],
            "top-1": float(top in wanted[index]),
            "comprehensiveness": math.exp(before.scores[own]) - math.exp(gone.scores[own]),
            "sufficiency": math.exp(left.scores[own]) - math.exp(before.scores[own]),
        }

    return Gauged(
        item.example.id,
        operator,
        item.example.causes,
        {wanted[index][0]: reading(index) for index in range(size)},
        {name: reading(size + number) for number, name in enumerate(EXPLAINERS)},
    )
