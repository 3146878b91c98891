"""The texts of a run: disjoint pools of the training split, the audited rows, words' associations."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from saywhy.config import Config
from saywhy.records import Example, SaywhyError, SetAside
from saywhy.tasks import lexicon
from saywhy.tasks.data import Loaded, load_examples, sample
from saywhy.tasks.lexicon import Pinned
from saywhy.tasks.task import Task, load_task
from saywhy.words import candidates

_POOLS = {"calibration": range(2), "adapt": range(2, 5), "arms": range(5, 10)}
"""Tenths of the training split. A text's pool hangs on its id alone, so pools are disjoint at every size."""


NEEDED = {
    "calibration": "to measure the calibration constants on",
    "adapt": "for `adapted` to learn from",
    "arms": "to build explanations of",
}
"""Pools of the training split that a run may need, and for what."""
POOLS = ("calibration", "adapt", "arms", "audited", "decided", "lexicon")


@dataclass(frozen=True, slots=True)
class Corpus:
    """What a run reads.

    Attributes:
        task: The task.
        calibration: Texts for the calibration constants (labels not looked at).
        adapt: Texts on which ``adapted`` learns.
        arms: Texts on which the arms are trained.
        audited: Texts that are explained.
        decided: Texts on which accuracy and agreement are measured.
        lexicon: Training texts from which associations are counted.
        set_aside: What could not be used, with the reason.
    """

    task: Task
    calibration: tuple[Example, ...]
    adapt: tuple[Example, ...]
    arms: tuple[Example, ...]
    audited: tuple[Example, ...]
    decided: tuple[Example, ...]
    lexicon: tuple[Example, ...]
    set_aside: tuple[SetAside, ...]

    def pools(self) -> dict[str, tuple[Example, ...]]:
        """Return all lists of texts by name."""
        return {name: getattr(self, name) for name in POOLS}

    def fingerprint(self) -> str:
        """Return a hash of every text and label that is used: a run goes on only on the same ones."""
        drawn = [[(one.id, one.label) for one in pool] for pool in self.pools().values()]
        return hashlib.sha256(json.dumps(drawn).encode()).hexdigest()[:16]

    def without(self, aside: Sequence[SetAside]) -> Corpus:
        """Return the corpus without the texts of ``aside``; those that were to be audited are kept as set aside."""
        gone = {one.id for one in aside}
        kept: dict[str, Any] = {
            name: tuple(one for one in pool if one.id not in gone) for name, pool in self.pools().items()
        }
        seen = {one.id for one in self.audited}
        told = tuple(one for one in aside if one.id in seen)
        return dataclasses.replace(self, **kept, set_aside=(*self.set_aside, *told))


def refuse_empty(corpus: Corpus, config: Config, *pools: str) -> None:
    """Say that nothing is left to explain, and why; or nothing in one of the other ``pools`` that are needed.

    Raises:
        SaywhyError: If there is no text.
    """
    where = source(config) or "the hub"
    if not corpus.audited:
        reasons = Counter(one.reason for one in corpus.set_aside)
        told = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common()) or "there is none"
        raise SaywhyError(f"no text of {where} can be used: {told}")
    for pool in pools:
        if not corpus.pools()[pool]:
            raise SaywhyError(f"no training text of {where} is left {NEEDED[pool]}: give more rows in the train split")


def source(config: Config) -> str | None:
    """Return what ``data.load_examples`` calls the data of ``config``."""
    return None if config.data in (None, "hub") else config.data


def assemble(config: Config) -> Corpus:
    """Load and sample everything that ``config`` asks for."""
    task = load_task(config.task)
    whole = load_examples(task, config.split, source(config))
    short, long = _short(whole, task, config.most_words)
    training = _short(load_examples(task, "train", source(config)), task, config.most_words)[0]
    audited = sample(short, config.rows, config.data_seed)
    decided = sample(whole.examples, config.decide_rows, config.data_seed)
    seen = {one.id for one in (*audited, *decided)}
    pools = {name: _pool([one for one in training if one.id not in seen], tenths) for name, tenths in _POOLS.items()}

    def draw(name: str, count: int) -> tuple[Example, ...]:
        return tuple(sample(pools[name], count, config.data_seed))

    return Corpus(
        task=task,
        calibration=draw("calibration", config.calibration_rows),
        adapt=draw("adapt", config.adapt_rows),
        arms=draw("arms", config.train_rows),
        audited=tuple(audited),
        decided=tuple(decided),
        lexicon=tuple(sample(training, config.lexicon_rows, config.data_seed)),
        set_aside=long,
    )


def _short(loaded: Loaded, task: Task, most: int | None) -> tuple[tuple[Example, ...], tuple[SetAside, ...]]:
    """Set the texts of more than ``most`` distinct words aside."""
    if most is None:
        return loaded.examples, loaded.set_aside
    long = [one for one in loaded.examples if len(candidates(one.text)) > most]
    gone = {one.id for one in long}
    aside = tuple(SetAside(one.id, task.name, f"more than {most} words") for one in long)
    return tuple(one for one in loaded.examples if one.id not in gone), (*loaded.set_aside, *aside)


def _pool(examples: Sequence[Example], tenths: range) -> list[Example]:
    return [one for one in examples if hashlib.sha256(one.id.encode()).digest()[0] * 10 // 256 in tenths]


def associate(corpus: Corpus, labels: Sequence[str | None]) -> lexicon.Associations:
    """Return the associations of words with ``labels`` (one a text of ``corpus.lexicon``; None: left out)."""
    pairs = [(one.text, label) for one, label in zip(corpus.lexicon, labels, strict=True) if label is not None]
    return lexicon.associations([text for text, _ in pairs], [label for _, label in pairs])


def pin(corpus: Corpus, found: lexicon.Associations, size: int) -> Pinned:
    """Return the counterfactual's candidate words, one list a label.

    Raises:
        SaywhyError: If the corpus is too small to give every label two words.
    """
    texts = [one.text for one in corpus.lexicon]
    lists = lexicon.pinned(found, texts, tuple(corpus.task.labels.values()), size)
    short = sorted(label for label in corpus.task.labels if len(lists.get(label, ())) < 2)
    if short:
        raise SaywhyError(
            f"too few training texts ({len(texts)}) to find counterfactual words for {', '.join(short)}: "
            f"each label needs two words that stand in {lexicon.LEAST_COUNT} texts; give more rows in the train split"
        )
    return lists
